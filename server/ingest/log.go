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
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
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

// entryBounds returns a sealed entry's first sequence and count.
func entryBounds(data []byte) (first, count uint64) {
	return binary.LittleEndian.Uint64(data[5:]), uint64(binary.LittleEndian.Uint32(data[13:]))
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
	first, count := entryBounds(data)
	return entry{first: first, count: count, events: string(data[entryHeader:])}, nil
}

// next returns the sequence after the entry's last event.
func (e entry) next() uint64 { return e.first + e.count }

// logFile is the node's write-ahead log: raft-wal, opened again after a failure, over segments and
// a checkpoint that may be damaged. Append is called by one goroutine; everything else by any.
type logFile struct {
	dir     string
	disk    types.VFS
	segment int // bytes after which the next one begins
	logger  *slog.Logger
	lock    *os.File
	damage  func(lostRun) // is told of lost entries, once each

	mu   sync.RWMutex // held for writing only to replace wal
	wal  *wal.WAL
	meta *checkpoint
	node uuid.UUID
	last uint64 // index of the newest acknowledged entry
	next uint64 // sequence of the event after it
	ends uint64 // index of a lost entry that stands for any number of them; zero: none

	lostMu sync.Mutex
	lost   []lostRun
}

// openLog opens or creates the log in dir and refuses a directory that another process has open.
func openLog(dir string, c Config) (*logFile, error) {
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
	l := &logFile{
		dir: dir, disk: c.disk, segment: c.segment, logger: c.Logger, lock: lock,
		damage: func(lostRun) {},
	}
	if err := l.open(0); err != nil {
		lock.Close()
		return nil, err
	}
	return l, nil
}

// open opens the log; entries up to floor are known to have been acknowledged.
func (l *logFile) open(floor uint64) error {
	meta, err := openCheckpoint(l.dir, l.disk)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	r := &repair{
		filer:   &filer{segment.NewFiler(l.dir, l.disk), l.dir, l.disk, meta, l.logger},
		meta:    meta,
		segment: uint32(l.segment),
		logger:  l.logger,
	}
	if err := r.run(floor); err != nil {
		return errors.Join(fmt.Errorf("log: %w", err), meta.Close())
	}
	w, err := wal.Open(l.dir, wal.WithLogger(hclog.NewNullLogger()), wal.WithMetaStore(meta),
		wal.WithSegmentFiler(r.filer), wal.WithSegmentSize(l.segment))
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
	l.wal, l.meta, l.last = w, meta, max(last, r.last)
	l.next = max(l.next, meta.next.Load(), r.next, 1)
	meta.last.Store(l.last)
	for index := l.last; index > 0; index-- {
		e, _, err := l.get(index)
		if err == nil {
			l.next = max(l.next, e.next())
			break
		}
		if !errors.Is(err, types.ErrCorrupt) {
			break
		}
	}
	if r.made {
		if err := l.leaveOut(); err != nil {
			return errors.Join(err, w.Close(), meta.Close())
		}
	}
	if r.open {
		l.ends = r.last
	}
	meta.next.Store(l.next)
	return nil
}

// skipped is how many sequences are left out when nobody knows how far the log went: more than a
// segment that is missing can have had.
const skipped = 1 << 21

// leaveOut leaves so many sequences out, and says so where verify looks for what is missing.
func (l *logFile) leaveOut() error {
	gap := SetAside{
		Kind: KindGap, Node: l.node, First: l.next, Last: l.next + skipped - 1, At: time.Now().UTC(),
		Error: "both checkpoints were lost: nobody knows whether these sequences were given away",
	}
	if _, err := setAside(filepath.Dir(l.dir), gap, nil); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	l.next += skipped
	return nil
}

var nodeKey = []byte("node")

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
	acknowledged, next := l.last, l.next
	if err := errors.Join(l.wal.Close(), l.meta.Close()); err != nil {
		l.logger.Warn("log did not close cleanly", "error", err)
	}
	if err := l.open(acknowledged); err != nil {
		l.last, l.next = acknowledged, next
		return err
	}
	if l.last > acknowledged {
		if err := l.wal.DeleteRange(acknowledged+1, l.last); err != nil {
			l.last, l.next = acknowledged, next
			return fmt.Errorf("log: cut off unacknowledged entries: %w", err)
		}
		l.last, l.next = acknowledged, next
	}
	l.meta.last.Store(l.last)
	l.meta.next.Store(l.next)
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
	err := l.wal.StoreLog(&raft.Log{Index: index, Data: data, Extensions: l.node[:]})
	if err != nil {
		return 0, fmt.Errorf("log: append: %w", err)
	}
	first, count := entryBounds(data)
	l.last, l.next = index, first+count
	l.meta.last.Store(l.last)
	l.meta.next.Store(l.next)
	return index, nil
}

// read returns the entry at an index and its size in bytes. An entry that is lost has no events,
// and stands between the sequences of its neighbours.
func (l *logFile) read(index uint64) (entry, int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, size, err := l.get(index)
	if errors.Is(err, types.ErrCorrupt) {
		r, err := l.lostAt(index)
		return entry{first: r.first}, 0, err
	}
	return e, size, err
}

// get is read for who holds mu. What is lost is types.ErrCorrupt.
func (l *logFile) get(index uint64) (entry, int, error) {
	var r raft.Log
	if err := l.wal.GetLog(index, &r); err != nil {
		first, _ := l.wal.FirstIndex()
		if errors.Is(err, types.ErrNotFound) && first > 0 && index > first &&
			index <= l.meta.last.Load() {
			err = types.ErrCorrupt // between segments, where one is missing
		}
		return entry{}, 0, fmt.Errorf("log: read entry %d: %w", index, err)
	}
	e, err := openEntry(r.Data)
	if err != nil {
		return entry{}, 0, fmt.Errorf("log: entry %d: %w", index, err)
	}
	return e, len(r.Data), nil
}

// stored notes what the progress says is stored: what is lost before it is no loss.
func (l *logFile) stored(index uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if index == l.meta.stored.Load() {
		return
	}
	if e, _, err := l.get(index); err == nil {
		l.meta.after.Store(e.next())
		l.meta.stored.Store(index)
	}
}

// doubted reports whether an entry may be in the ledger although no progress says so.
func (l *logFile) doubted(index uint64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	b, _ := l.meta.GetStable(doubtedKey)
	return len(b) == 8 && index <= binary.LittleEndian.Uint64(b)
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
