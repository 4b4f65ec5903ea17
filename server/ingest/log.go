package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// entry is what one fsync made durable: the events of many requests, numbered without a gap.
type entry struct {
	first  uint64 // sequence of its first event
	count  uint64
	events string // their encodings, back to back
}

// entryVersion is the first byte of every entry.
const entryVersion byte = 1

// entryHeader is the version, the checksum, the first sequence and the count.
const entryHeader = 1 + 4 + 8 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealEntry fills the header that buf[:entryHeader] has room for.
func sealEntry(buf []byte, first uint64, count uint32) {
	buf[0] = entryVersion
	binary.LittleEndian.PutUint64(buf[5:], first)
	binary.LittleEndian.PutUint32(buf[13:], count)
	binary.LittleEndian.PutUint32(buf[1:], crc32.Checksum(buf[5:], castagnoli))
}

// openEntry checks and takes apart what sealEntry made. raft-wal's own checksums cover a torn tail,
// not a bit that flipped later.
func openEntry(data []byte) (entry, error) {
	if len(data) < entryHeader {
		return entry{}, errors.New("log entry: shorter than its header")
	}
	if data[0] != entryVersion {
		return entry{}, fmt.Errorf("log entry: version %d was written by another Meterhouse", data[0])
	}
	if crc32.Checksum(data[5:], castagnoli) != binary.LittleEndian.Uint32(data[1:]) {
		return entry{}, errors.New("log entry: checksum does not match, the disk changed its bytes")
	}
	return entry{
		first:  binary.LittleEndian.Uint64(data[5:]),
		count:  uint64(binary.LittleEndian.Uint32(data[13:])),
		events: string(data[entryHeader:]),
	}, nil
}

// next returns the sequence after the entry's last event.
func (e entry) next() uint64 { return e.first + e.count }

var nodeKey = []byte("node")

// logFile is the node's write-ahead log: raft-wal, opened again after a failure. Append is called
// by one goroutine; everything else by any.
type logFile struct {
	dir    string
	disk   types.VFS
	logger *slog.Logger
	lock   *os.File

	mu   sync.RWMutex // held for writing only to replace wal
	wal  *wal.WAL
	meta *metadb.BoltMetaDB // the wal's own; its Close leaves it open and locked
	node uuid.UUID
	last uint64 // index of the newest acknowledged entry
}

// openLog opens or creates the log in dir and refuses a directory that another process has open.
func openLog(dir string, disk types.VFS, logger *slog.Logger) (*logFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("log: %s is in use by another process", dir)
	}
	l := &logFile{dir: dir, disk: disk, logger: logger, lock: lock}
	if err := l.open(); err != nil {
		lock.Close()
		return nil, err
	}
	return l, nil
}

func (l *logFile) open() error {
	meta := &metadb.BoltMetaDB{}
	w, err := wal.Open(l.dir, wal.WithLogger(hclog.NewNullLogger()), wal.WithMetaStore(meta),
		wal.WithSegmentFiler(segment.NewFiler(l.dir, l.disk)))
	if err != nil {
		return errors.Join(fmt.Errorf("log: %w", err), meta.Close())
	}
	last, err := w.LastIndex()
	if err == nil && l.node == uuid.Nil { // it stays what it is when the log is opened again
		l.node, err = nodeOf(w)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("log: %w", err), w.Close(), meta.Close())
	}
	l.wal, l.meta, l.last = w, meta, last
	return nil
}

// nodeOf returns the id this log was given when it was made. It lives and dies with the log, so
// that sequences, which start over with a new log, are never repeated under one node.
func nodeOf(w *wal.WAL) (uuid.UUID, error) {
	b, err := w.Get(nodeKey)
	if err != nil {
		return uuid.Nil, err
	}
	if len(b) != 0 {
		return uuid.FromBytes(b)
	}
	id := uuid.New()
	return id, w.Set(nodeKey, id[:])
}

// reopen replaces the log after a failed append. An entry that was written but not acknowledged
// is cut off: its writers were told to try again.
func (l *logFile) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	acknowledged := l.last
	if err := errors.Join(l.wal.Close(), l.meta.Close()); err != nil {
		l.logger.Warn("log did not close cleanly", "error", err)
	}
	if err := l.open(); err != nil {
		l.last = acknowledged
		return err
	}
	if l.last > acknowledged {
		if err := l.wal.DeleteRange(acknowledged+1, l.last); err != nil {
			l.last = acknowledged
			return fmt.Errorf("log: cut off unacknowledged entries: %w", err)
		}
		l.last = acknowledged
	}
	return nil
}

func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.wal.Close(), l.meta.Close(), l.lock.Close())
}

// append makes a sealed entry durable and returns its index.
func (l *logFile) append(data []byte) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	index := l.last + 1
	if err := l.wal.StoreLog(&raft.Log{Index: index, Data: data}); err != nil {
		return 0, fmt.Errorf("log: append: %w", err)
	}
	l.last = index
	return index, nil
}

// read returns the entry at an index and its size in bytes.
func (l *logFile) read(index uint64) (entry, int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var r raft.Log
	if err := l.wal.GetLog(index, &r); err != nil {
		return entry{}, 0, fmt.Errorf("log: read entry %d: %w", index, err)
	}
	e, err := openEntry(r.Data)
	if err != nil {
		return entry{}, 0, fmt.Errorf("log: entry %d: %w", index, err)
	}
	return e, len(r.Data), nil
}

// truncate gives back the space of entries up to and including index.
func (l *logFile) truncate(index uint64) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	first, err := l.wal.FirstIndex()
	if err != nil || first == 0 || index < first {
		return err
	}
	if err := l.wal.DeleteRange(first, index); err != nil {
		return fmt.Errorf("log: truncate: %w", err)
	}
	return nil
}
