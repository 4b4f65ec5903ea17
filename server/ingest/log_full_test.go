package ingest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"

	"github.com/meterhouse/meterhouse/schema"
)

// failingDisk is the real one but for one operation, which fails with an error while there is one.
type failingDisk struct {
	types.VFS
	mu    sync.Mutex
	fails map[string]error // write, sync, create, open of a segment; checkpoint: a write of it
}

func (d *failingDisk) err(operation string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fails[operation]; err != nil {
		return &os.PathError{Op: operation, Path: "wal", Err: err}
	}
	return nil
}

func (d *failingDisk) set(operation string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = map[string]error{operation: err}
}

func (d *failingDisk) Create(dir, name string, size uint64) (types.WritableFile, error) {
	if err := d.err("create"); err != nil {
		// A disk without room makes the file and has none for what is in it.
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			return nil, err
		}
		return nil, err
	}
	f, err := d.VFS.Create(dir, name, size)
	return &failingFile{f, d, name}, err
}

func (d *failingDisk) OpenWriter(dir, name string) (types.WritableFile, error) {
	if err := d.err("open"); err != nil {
		return nil, err
	}
	f, err := d.VFS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	return &failingFile{f, d, name}, nil
}

type failingFile struct {
	types.WritableFile
	disk *failingDisk
	name string
}

// WriteAt fails in the middle of what is to be written.
func (f *failingFile) WriteAt(p []byte, off int64) (int, error) {
	operation := "write"
	if f.name == checkpointName {
		operation = "checkpoint"
	}
	if err := f.disk.err(operation); err != nil {
		n, _ := f.WritableFile.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.WritableFile.WriteAt(p, off)
}

func (f *failingFile) Sync() error {
	if err := f.disk.err("sync"); err != nil {
		return err
	}
	return f.WritableFile.Sync()
}

// On a disk that takes nothing writers are told to come back, and nothing is half accepted; what
// is acknowledged can be read and is stored; and when the disk takes something again, so does the
// log, in the same process and in the next.
func TestFullDiskRefusesAndHeals(t *testing.T) {
	f := func(operation string, errno syscall.Errno) {
		t.Run(fmt.Sprintf("%s %d", operation, errno), func(t *testing.T) {
			t.Parallel()
			d := &failingDisk{VFS: fs.New()}
			store := &tap{}
			var said bytes.Buffer
			c := testConfig(t.TempDir(), store)
			c.disk, c.segment = d, 1000
			c.Logger = slog.New(slog.NewTextHandler(&said, nil))
			in := mustOpen(t, c)
			in.Start()
			accepted := 0
			try := func(n int) (refused int) {
				for range n {
					// The key says whether a refused event was taken all the same.
					e := event(fmt.Sprint("key ", accepted))
					r, err := in.Record(context.Background(), []schema.Event{e}, false)
					switch {
					case err == nil && r.Accepted == 1:
						accepted++
					case schema.KindOf(err) == schema.Unavailable:
						refused++
					default:
						t.Fatalf("receipt %+v, %v", r, err)
					}
				}
				return refused
			}
			try(10)
			d.set(operation, errno)
			if operation == "open" { // it takes another failure to open anything
				d.fails["write"] = errno
			}
			if try(40) == 0 && operation != "checkpoint" {
				t.Error("nothing was refused on a disk that takes nothing")
			}
			d.set("", nil)
			waitFor(t, func() bool { return in.Ready() == nil })
			if refused := try(20); refused > 0 {
				t.Errorf("%d of 20 were refused by a disk that takes everything", refused)
			}
			flush(t, in)
			abandon(in)
			in = mustOpen(t, c)
			in.Start()
			try(3)
			flush(t, in)
			stop(t, in)
			if _, rows := store.stored(); rows != accepted {
				t.Errorf("%d rows are stored of %d that were accepted", rows, accepted)
			}
			if a := advice(errno); operation != "checkpoint" && !strings.Contains(said.String(), a) {
				t.Errorf("the operator is not told: %q, but: %s", a, said.String())
			}
			if damaged, err := Aside(c.Dir); err != nil || len(damaged) > 0 {
				t.Errorf("a full disk is taken for damage: %+v, %v", damaged, err)
			}
		})
	}
	for _, operation := range []string{"write", "sync", "create", "checkpoint"} {
		f(operation, syscall.ENOSPC)
	}
	for _, operation := range []string{"write", "create", "open"} {
		f(operation, syscall.EROFS)
	}
	f("open", syscall.EACCES)
}

// nearlyFull is a disk on which there is room for little more at a time than an entry's header.
type nearlyFull struct {
	types.VFS
	full atomic.Bool
}

type nearlyFullFile struct {
	types.WritableFile
	disk *nearlyFull
}

func (d *nearlyFull) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := d.VFS.Create(dir, name, size)
	if name == checkpointName {
		return f, err
	}
	return nearlyFullFile{f, d}, err
}

func (d *nearlyFull) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := d.VFS.OpenWriter(dir, name)
	if err != nil || name == checkpointName {
		return f, err
	}
	return nearlyFullFile{f, d}, nil
}

func (f nearlyFullFile) WriteAt(p []byte, off int64) (int, error) {
	if f.disk.full.Load() && len(p) > 150 {
		return 0, &os.PathError{Op: "write", Path: "wal", Err: syscall.ENOSPC}
	}
	return f.WritableFile.WriteAt(p, off)
}

// A disk that takes a few bytes is full all the same: the node is not ready for what it would refuse.
// With a probe of a header only it calls itself ready, and refuses every writer, as long as the disk
// is full.
func TestNearlyFullDiskIsNotReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &nearlyFull{VFS: fs.New()}
		store := &tap{}
		c := testConfig(t.TempDir(), store)
		c.disk = d
		in := mustOpen(t, c)
		in.Start()
		record(t, in, event(""))
		d.full.Store(true)
		e := event("")
		e.Model = strings.Repeat("m", 100)
		if _, err := in.Record(context.Background(), []schema.Event{e}, false); err == nil {
			t.Error("a full disk took an event")
		}
		for range 5 {
			time.Sleep(time.Second)
			if in.Ready() == nil {
				t.Error("ready on a full disk")
			}
		}
		d.full.Store(false)
		time.Sleep(5 * time.Second)
		record(t, in, e)
		abandon(in)
		in = mustOpen(t, c)
		in.Start()
		record(t, in, e)
		flush(t, in)
		stop(t, in)
		if _, rows := store.stored(); rows < 3 {
			t.Errorf("%d rows are stored, want 3", rows)
		}
	})
}
