package ingest

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// sickDisk is the real one but for a range of its segments that it cannot read, and for all it is
// asked when it is gone.
type sickDisk struct {
	types.VFS
	mu       sync.Mutex
	from, to int64
	gone     bool
}

func (d *sickDisk) fall(from, to int64, gone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from, d.to, d.gone = from, to, gone
}

func (d *sickDisk) OpenReader(dir, name string) (types.ReadableFile, error) {
	f, err := d.VFS.OpenReader(dir, name)
	if err != nil {
		return nil, err
	}
	return sickReader{f, d}, nil
}

func (d *sickDisk) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := d.VFS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	return sickWriter{f, d, name}, nil
}

func (d *sickDisk) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := d.VFS.Create(dir, name, size)
	return sickWriter{f, d, name}, err
}

// read reads up to what cannot be read.
func (d *sickDisk) read(f types.ReadableFile, p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	end := off + int64(len(p))
	if d.gone {
		return 0, &os.PathError{Op: "read", Path: "wal", Err: syscall.EIO}
	}
	if off < d.to && d.from < end {
		n, _ := f.ReadAt(p[:max(d.from-off, 0)], off)
		return n, &os.PathError{Op: "read", Path: "wal", Err: syscall.EIO}
	}
	return f.ReadAt(p, off)
}

type sickReader struct {
	types.ReadableFile
	disk *sickDisk
}

func (f sickReader) ReadAt(p []byte, off int64) (int, error) {
	return f.disk.read(f.ReadableFile, p, off)
}

type sickWriter struct {
	types.WritableFile
	disk *sickDisk
	name string
}

func (f sickWriter) ReadAt(p []byte, off int64) (int, error) {
	if f.name == checkpointName {
		return f.WritableFile.ReadAt(p, off)
	}
	return f.disk.read(f.WritableFile, p, off)
}

func (f sickWriter) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.gone {
		return 0, &os.PathError{Op: "write", Path: "wal", Err: syscall.EIO}
	}
	return f.WritableFile.WriteAt(p, off)
}

// A sector that the disk cannot read, under a node that starts and under one that runs, takes the
// events in it and nothing else. Without the reading around it, the start fails with the disk's
// error, and a running node's batcher tries the same read for ever.
func TestUnreadableSectorTakesNothingElse(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		d := &sickDisk{VFS: fs.New()}
		store := &tap{}
		text := new(logText)
		var up atomic.Bool
		store.before = func(int, string) error {
			if up.Load() {
				return nil
			}
			return errors.New("down")
		}
		c := testConfig(t.TempDir(), store)
		c.disk, c.segment, c.BatchRowsMax = d, 1<<16, 10
		c.Logger = slog.New(slog.NewTextHandler(text, nil))
		in := mustOpen(t, c)
		in.Start()
		const events = 100
		for range events {
			record(t, in, event(""))
		}
		waitFor(t, func() bool { // two batches fly and a third is loaded
			in.batcher.mu.Lock()
			defer in.batcher.mu.Unlock()
			return in.batcher.planned == 30
		})
		d.fall(2*sectorBytes, 3*sectorBytes, false)
		if !running {
			abandon(in)
			in = mustOpen(t, c)
			in.Start()
		}
		up.Store(true)
		record(t, in, event(""))
		flush(t, in)
		stop(t, in)
		lost := uint64(0)
		for _, s := range aside(t, c.Dir, 1) {
			lost += s.Events
		}
		if lost < 10 || lost > 60 {
			t.Errorf("running %v: %d events are lost", running, lost)
		}
		if _, rows := store.stored(); rows != events+1-int(lost) {
			t.Errorf("running %v: %d rows are stored, %d events are lost, want %d in all",
				running, rows, lost, events+1)
		}
		if !text.has("acknowledged events are lost") {
			t.Errorf("running %v: nobody is told", running)
		}
	}
}

// A disk that reads nothing and takes nothing has lost nothing: when it is back, so is every event.
// Without the question whether it takes anything, the entry is said to be lost, and would be skipped.
func TestDiskThatIsGoneHasLostNothing(t *testing.T) {
	t.Parallel()
	w := writeLog(t)
	d := &sickDisk{VFS: fs.New()}
	c := testConfig(w.dir, nil).withDefaults()
	c.segment, c.disk = 1500, d
	l, err := openLog(filepath.Join(w.dir, "wal"), c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.damage = func(r lostRun) { t.Errorf("said to be lost: %+v", r) }
	d.fall(0, 0, true)
	if e, _, err := l.read(l.last - 1); err == nil || !strings.Contains(err.Error(), "nor anything written") {
		t.Errorf("read as %+v, %v", e, err)
	}
	d.fall(0, 0, false)
	if e, _, err := l.read(l.last - 1); err != nil || e.count != 1 {
		t.Errorf("read as %+v, %v, when the disk is back", e, err)
	}
}
