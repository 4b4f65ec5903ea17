package ingest

import (
	"errors"
	"syscall"
)

// advice says what an operator can do about an error of the disk.
func advice(err error) string {
	for _, a := range []struct {
		errno syscall.Errno
		say   string
	}{
		{syscall.ENOSPC, "make room on the data folder's disk: nothing needs a restart"},
		{syscall.EDQUOT, "raise the quota of the data folder: nothing needs a restart"},
		{syscall.EFBIG, "raise the process's limit of file sizes"},
		{syscall.EROFS, "mount the data folder's disk for writing; it may have failed: look at it"},
		{syscall.EACCES, "give the process back its rights to the data folder"},
		{syscall.EPERM, "give the process back its rights to the data folder"},
	} {
		if errors.Is(err, a.errno) {
			return a.say
		}
	}
	return "look at the data folder's disk"
}
