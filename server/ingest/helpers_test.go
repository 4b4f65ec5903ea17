package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

var organization = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")

// tap is a Store that notes what reaches it and does what a test says before or instead. Behind
// it is a real database where the test has one.
type tap struct {
	behind Store // nil: every insert succeeds

	mu     sync.Mutex
	before func(try int, token string) error
	after  func(try int, token string) error
	tries  int
	tokens []string // of successful inserts
	rows   []int
}

func (s *tap) InsertEvents(ctx context.Context, token string, b *queries.EventBatch) error {
	s.mu.Lock()
	s.tries++
	try, before, after := s.tries, s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before(try, token); err != nil {
			return err
		}
	}
	if s.behind != nil {
		if err := s.behind.InsertEvents(ctx, token, b); err != nil {
			return err
		}
	}
	if after != nil {
		if err := after(try, token); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, token)
	s.rows = append(s.rows, b.Rows())
	return nil
}

func (s *tap) stored() (tokens []string, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.rows {
		rows += n
	}
	return append([]string(nil), s.tokens...), rows
}

func testConfig(dir string, store Store) Config {
	return Config{
		Dir:      dir,
		Store:    store,
		Snapshot: access.NewDirectory(nil, nil).Snapshot,
		Now:      time.Now,
		Logger:   slog.New(slog.DiscardHandler),
	}
}

func mustOpen(t testing.TB, c Config) *Ingest {
	t.Helper()
	in, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func stop(t testing.TB, in *Ingest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := in.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// abandon ends the goroutines and lets go of the files without storing or noting anything more:
// what kill -9 leaves, as far as the files are concerned.
func abandon(in *Ingest) {
	in.stopping.Lock()
	in.stopped = true
	close(in.queue)
	in.stopping.Unlock()
	<-in.committerDone
	in.batcher.cancel()
	<-in.batcher.done
	in.keys.Close()
	in.log.close()
}

func event(key string) schema.Event {
	return schema.Event{
		Organization: organization,
		Key:          key,
		Chargeable:   true,
		Measurements: []schema.Measurement{{
			UsageType: schema.Input, Quantity: schema.WholeQuantity(1),
		}},
	}
}

func record(t testing.TB, in *Ingest, events ...schema.Event) {
	t.Helper()
	receipt, err := in.Record(context.Background(), events, false)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Accepted != len(events) {
		t.Fatalf("receipt %+v, want all %d events accepted", receipt, len(events))
	}
}

func flush(t testing.TB, in *Ingest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := in.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// copyDir copies a log as it is on disk at this moment.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, "wal", "lock")); err != nil {
		t.Fatal(err)
	}
	return to
}

var errDisk = errors.New("no space left on device")

// disk is the real file system, whose writes and syncs a test can hold up or make fail.
type disk struct {
	types.VFS
	syncs  atomic.Int64
	onSync func() error
	failed atomic.Bool // every write and sync fails
}

func newDisk() *disk { return &disk{VFS: fs.New()} }

func (d *disk) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := d.VFS.Create(dir, name, size)
	return &diskFile{f, d}, err
}

func (d *disk) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := d.VFS.OpenWriter(dir, name)
	return &diskFile{f, d}, err
}

type diskFile struct {
	types.WritableFile
	disk *disk
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	if f.disk.failed.Load() {
		return 0, fmt.Errorf("write: %w", errDisk)
	}
	return f.WritableFile.WriteAt(p, off)
}

func (f *diskFile) Sync() error {
	if f.disk.failed.Load() {
		return fmt.Errorf("sync: %w", errDisk)
	}
	if f.disk.onSync != nil {
		if err := f.disk.onSync(); err != nil {
			return err
		}
	}
	f.disk.syncs.Add(1)
	return f.WritableFile.Sync()
}
