package ingest

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// segmentDisk is raft-wal's file system, made for the fsync that every writer waits for. A block that is
// written for the first time makes the file system change its own records too, and each fsync
// waits for those, behind everybody else's: so the blocks of a segment are written with zeros,
// which is what raft-wal expects there, shortly before they are needed. And where only bytes
// changed, only bytes are synced. An append takes half the time and half the processor.
type segmentDisk struct{ types.VFS }

func newSegmentDisk() segmentDisk { return segmentDisk{fs.New()} }

// Create implements types.VFS.
func (d segmentDisk) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := d.VFS.Create(dir, name, size)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	s, err := openSegment(dir, name)
	if err != nil {
		return nil, err
	}
	s.fresh = true
	return s, nil
}

// OpenWriter implements types.VFS.
func (d segmentDisk) OpenWriter(dir, name string) (types.WritableFile, error) {
	s, err := openSegment(dir, name)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openSegment(dir, name string) (*segmentFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	s := &segmentFile{File: f, dir: dir, size: info.Size()}
	s.ended = name == checkpointName // which is written back and forth
	s.free.L = &s.mu
	return s, nil
}

const (
	zeroAhead = 8 << 20 // so far before the writer zeros are written
	zeroBytes = 1 << 20 // at a time
)

var zeros = make([]byte, zeroBytes)

// segmentFile is a segment that is written from its start to its end.
type segmentFile struct {
	*os.File
	dir   string
	size  int64
	fresh bool // its name may not be durable yet; Sync's own

	mu      sync.Mutex
	free    sync.Cond // no zeros are being written
	written int64     // end of the newest write
	zeroed  int64     // up to here every block was written, with data or zeros
	zeroing int64     // zeros are being written from zeroed to here; zero: they are not
	ended   bool      // no more zeros: the file is closed, or takes none, as the appends will tell
	zeroer  sync.WaitGroup
}

// WriteAt implements types.WritableFile.
func (s *segmentFile) WriteAt(p []byte, off int64) (int, error) {
	s.reserve(off + int64(len(p)))
	return s.File.WriteAt(p, off)
}

// reserve keeps zeros out of what is written up to end, and has more written when they get scarce.
func (s *segmentFile) reserve(end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.zeroing > 0 && end > s.zeroed {
		s.free.Wait()
	}
	s.written = max(s.written, end)
	s.zeroed = max(s.zeroed, end)
	if s.zeroing == 0 && !s.ended && s.scarce() {
		s.zeroing = min(s.zeroed+zeroBytes, s.size)
		s.zeroer.Go(s.zero)
	}
}

// scarce reports whether less than half of what should lie before the writer does.
func (s *segmentFile) scarce() bool {
	return s.zeroed < s.size && s.zeroed-s.written < zeroAhead/2
}

// zero writes zeros until there are enough. What it writes is synced, or an append's fsync would
// have to wait for all of it. It does so by a descriptor of its own: the system tells each of them
// once what could not be written, and an append must not miss that because the zeros were told.
func (s *segmentFile) zero() {
	f, failed := os.OpenFile(s.Name(), os.O_WRONLY, 0)
	if failed == nil {
		defer f.Close()
	}
	for {
		s.mu.Lock()
		from, to := s.zeroed, s.zeroing
		s.mu.Unlock()
		err := failed
		if err == nil {
			_, err = f.WriteAt(zeros[:to-from], from)
		}
		if err == nil {
			err = syncData(f)
		}
		s.mu.Lock()
		s.zeroing = 0
		if err == nil {
			s.zeroed = to
		} else {
			s.ended = true
		}
		if !s.ended && to < s.size && to-s.written < zeroAhead {
			s.zeroing = min(to+zeroBytes, s.size)
		}
		done := s.zeroing == 0
		s.free.Broadcast()
		s.mu.Unlock()
		if done {
			return
		}
	}
}

// Sync implements types.WritableFile: what was written is durable when it returns.
func (s *segmentFile) Sync() error {
	if !s.fresh {
		return syncData(s.File)
	}
	if err := s.File.Sync(); err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	s.fresh = false
	return nil
}

// Close implements types.WritableFile.
func (s *segmentFile) Close() error {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.zeroer.Wait()
	return s.File.Close()
}
