package ingest

import (
	"errors"
	"os"
	"syscall"
)

// syncData makes a file's bytes durable, and of what describes it only what is needed to read them.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
