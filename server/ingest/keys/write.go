package keys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// disk is what the store writes with; tests put one here that fails and crashes.
type disk interface {
	Create(path string) (diskFile, error)
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
}

type diskFile interface {
	io.WriterAt
	io.Closer
	Sync() error
}

type realDisk struct{}

func (realDisk) Create(path string) (diskFile, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}

func (realDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (realDisk) Remove(path string) error { return os.Remove(path) }

func (realDisk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// temporary marks a file that is not whole yet; Open removes what a crash left of them.
const temporary = ".tmp"

// publish makes a file that is written and synced appear under its name, durably.
func publish(d disk, path string) error {
	if err := d.Rename(path+temporary, path); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(path))
}

// writeBytes is how much is gathered for one write, and syncBytes for one sync: the log's own syncs
// must not wait behind a gigabyte of a run.
const (
	writeBytes = 64 * pageBytes
	syncBytes  = 8 << 20
)

// runWriter writes a run. Records are given in order; pages and filter grow side by side.
type runWriter struct {
	disk disk
	path string
	file diskFile
	head header

	pages    span // of sealed pages
	inPage   int  // records in the page being filled, which is the end of pages.buf
	index    []byte
	filter   span
	block    [blockBytes]byte
	blockAt  uint64
	unsynced int
}

// span is a part of the file that is written from front to back.
type span struct {
	buf []byte
	at  int64 // where buf goes
	sum uint32
}

// newRunWriter begins a run of at most most records.
func newRunWriter(d disk, path string, most int, shape filterShape) (*runWriter, error) {
	f, err := d.Create(path + temporary)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	pages := (most + pageRecords - 1) / pageRecords
	w := &runWriter{disk: d, path: path, file: f}
	w.head = header{shape: shape, filterAt: int64(1+pages) * pageBytes}
	w.pages = span{at: pageBytes, buf: make([]byte, 0, writeBytes)}
	w.filter = span{at: w.head.filterAt}
	w.index = make([]byte, 0, 8*pages)
	return w, nil
}

// add appends a record that is greater than the one before.
func (w *runWriter) add(r record) error {
	if w.inPage == 0 {
		w.index = binary.BigEndian.AppendUint64(w.index, r.hi)
	}
	b := binary.BigEndian.AppendUint64(w.pages.buf, r.hi)
	b = binary.BigEndian.AppendUint32(b, r.lo)
	w.pages.buf = binary.BigEndian.AppendUint32(b, r.at)
	w.inPage++
	if w.head.Records == 0 || r.at < w.head.From {
		w.head.From = r.at
	}
	w.head.To = max(w.head.To, r.at)
	w.head.Records++
	if w.head.shape.blocks > 0 {
		if err := w.reach(blockOf(r, w.head.shape.blocks)); err != nil {
			return err
		}
		setBits(&w.block, r, w.head.shape.hashes)
	}
	if w.inPage == pageRecords {
		return w.sealPage()
	}
	return nil
}

// reach ends the filter's blocks before a block.
func (w *runWriter) reach(block uint64) error {
	for ; w.blockAt < block; w.blockAt++ {
		w.filter.buf = append(w.filter.buf, w.block[:]...)
		w.block = [blockBytes]byte{}
		if len(w.filter.buf) >= writeBytes {
			if err := w.write(&w.filter); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *runWriter) sealPage() error {
	b := w.pages.buf
	b = append(b, make([]byte, (pageRecords-w.inPage)*recordBytes)...)
	b = binary.BigEndian.AppendUint64(b, uint64(w.head.pages))
	b = append(b, 0, 0, 0, 0)
	sum := crc32.Checksum(b[len(b)-pageBytes+4:], castagnoli)
	w.pages.buf = binary.BigEndian.AppendUint32(b, sum)
	w.head.pages++
	w.inPage = 0
	if len(w.pages.buf) >= writeBytes {
		return w.write(&w.pages)
	}
	return nil
}

func (w *runWriter) write(s *span) error {
	if _, err := w.file.WriteAt(s.buf, s.at); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	s.sum = crc32.Update(s.sum, castagnoli, s.buf)
	s.at += int64(len(s.buf))
	w.unsynced += len(s.buf)
	s.buf = s.buf[:0]
	if w.unsynced < syncBytes {
		return nil
	}
	w.unsynced = 0
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// finish makes the run durable under its name. The header is written last.
func (w *runWriter) finish() (runInfo, error) {
	if err := w.end(); err != nil {
		w.abort()
		return runInfo{}, err
	}
	if err := publish(w.disk, w.path); err != nil {
		return runInfo{}, fmt.Errorf("keys: %w", err)
	}
	w.head.Name = filepath.Base(w.path)
	return w.head.runInfo, nil
}

func (w *runWriter) end() error {
	if w.inPage > 0 {
		if err := w.sealPage(); err != nil {
			return err
		}
	}
	if err := w.write(&w.pages); err != nil {
		return err
	}
	if err := w.reach(w.head.shape.blocks); err != nil {
		return err
	}
	if err := w.write(&w.filter); err != nil {
		return err
	}
	w.head.filterSum, w.head.indexAt = w.filter.sum, w.filter.at
	index := span{buf: w.index, at: w.head.indexAt}
	if err := w.write(&index); err != nil {
		return err
	}
	w.head.indexSum = index.sum
	if err := w.write(&span{buf: w.head.encode()}); err != nil {
		return err
	}
	return errors.Join(w.file.Sync(), w.file.Close())
}

// abort gives up what is written so far.
func (w *runWriter) abort() {
	w.file.Close()
	w.disk.Remove(w.path + temporary)
}
