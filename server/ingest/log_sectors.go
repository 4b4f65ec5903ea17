package ingest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/raft-wal/types"
)

// sectorBytes is what a disk fails to read at least, and the system with it.
const sectorBytes = 4096

// unreadable stands where bytes cannot be read: neither the zeros of what was never written, nor
// the beginning of anything.
const unreadable = 0xee

// openReader opens a segment for our own reading. A sector that the disk cannot read is damage like
// a changed one: what lies around it is read.
func openReader(disk types.VFS, dir, name string) (types.ReadableFile, error) {
	f, err := disk.OpenReader(dir, name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return sectorFile{f, info.Size()}, nil
}

type sectorFile struct {
	types.ReadableFile
	size int64 // a file system that gave up fails behind the end as well
}

// ReadAt implements io.ReaderAt. What failed is read once more, a sector at a time.
func (f sectorFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReadableFile.ReadAt(p, off)
	if !badSector(err) {
		return n, err
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= f.size {
			return n, io.EOF
		}
		end := min(n+sectorBytes-int(at%sectorBytes), len(p))
		k, err := f.ReadableFile.ReadAt(p[n:end], at)
		if err != nil && !badSector(err) {
			return n + k, err
		}
		if err != nil {
			copy(p[n:end], bytes.Repeat([]byte{unreadable}, end-n))
		}
		n = end
	}
	return n, nil
}

// badSector reports whether an error says that a disk cannot give back what it was given.
func badSector(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EBADMSG)
}
