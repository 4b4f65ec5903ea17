package ingest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft-wal/types"
)

// The checkpoint is what the log knows beside its segments: which there are, the node's id and the
// progress of the batches. It is small, and losing any of it costs more than an event, so it is
// kept twice, in the log's folder and in the data folder around it; the two are written one after the
// other, and both have it when a change returns. A file has two slots: a change goes into the one that does not hold the newest version,
// so that a torn write leaves the version before. A slot is
//
//	"MHCHKPT1"   8 bytes
//	version      uint64, little-endian as all numbers
//	length       uint32
//	CRC-32C      uint32, of the version, the length and the content
//	content      checkpointContent as JSON
//
// A file of fixed size is written in place: a change needs no room on a full disk.

const checkpointName = "checkpoint"

const (
	checkpointMagic  = "MHCHKPT1"
	checkpointHeader = 8 + 8 + 4 + 4
	slotBytes        = 256 << 10 // some 800 segments: 50 GiB of log
)

// checkpointContent is one version.
type checkpointContent struct {
	Log    types.PersistentState
	Stable map[string][]byte
	Last   uint64 // index of the newest entry that was acknowledged then
	Next   uint64 // sequence of the event after it

	Stored uint64 // index of the newest entry that was stored then
	After  uint64 // sequence of the event after it
}

// checkpoint implements types.MetaStore. It is safe for concurrent use.
type checkpoint struct {
	dirs [2]string
	disk types.VFS

	mu      sync.Mutex
	files   [2]types.WritableFile
	version uint64
	slot    int64 // which one holds version
	now     checkpointContent
	damaged []string // the files that are not as they were left
	lost    bool     // neither can be relied on, and now is empty

	// What the next version says of the log.
	last, next, stored, after atomic.Uint64
}

// openCheckpoint reads the newest version there is, and makes both files have it. Without any it
// is empty.
func openCheckpoint(dir string, disk types.VFS) (*checkpoint, error) {
	c := &checkpoint{dirs: [2]string{dir, filepath.Dir(dir)}, disk: disk}
	found, clean := 0, 0
	for i := range c.files {
		state, err := c.openFile(i)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("checkpoint: %w", err), c.Close())
		}
		switch state {
		case fileClean:
			clean++
			found++
		case fileTorn:
			found++
		}
		if state != fileClean {
			c.damaged = append(c.damaged, filepath.Join(c.dirs[i], checkpointName))
		}
	}
	if found == 0 {
		c.damaged = nil
	}
	// One crash leaves one torn slot at most: where both files have one, what it held was newer.
	if c.lost = found > 0 && clean == 0; c.lost {
		c.now = checkpointContent{Stable: map[string][]byte{}}
	}
	if c.now.Stable == nil {
		c.now.Stable = map[string][]byte{}
	}
	c.last.Store(c.now.Last)
	c.next.Store(c.now.Next)
	c.stored.Store(c.now.Stored)
	c.after.Store(c.now.After)
	for range 2 { // both slots of both files
		if err := c.write(c.now); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// fileState is what was found of a checkpoint's file.
type fileState int

const (
	fileMissing fileState = iota // or nothing was ever written to it
	fileClean
	fileTorn // a slot holds something else than a version
)

// openFile opens one of the two, or makes it, and takes what it holds when that is newer.
func (c *checkpoint) openFile(i int) (fileState, error) {
	f, err := c.disk.OpenWriter(c.dirs[i], checkpointName)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = c.disk.Create(c.dirs[i], checkpointName, 2*slotBytes)
		if err == nil {
			c.files[i] = f
		}
		return fileMissing, err
	}
	if err != nil {
		return 0, err
	}
	c.files[i] = f
	buf := make([]byte, 2*slotBytes)
	if n, err := f.ReadAt(buf, 0); err != nil && !errors.Is(err, io.EOF) {
		copy(buf[n:], "cannot be read, which is as good as changed")
	}
	good, torn, first := 0, false, false
	for slot := range int64(2) {
		b := buf[slot*slotBytes : (slot+1)*slotBytes]
		version, content, ok := readSlot(b)
		if ok {
			good++
		} else if !zero(b) {
			torn = true
		}
		first = first || ok && version == 1
		if ok && version > c.version {
			c.version, c.slot, c.now = version, slot, content
		}
	}
	switch {
	case good == 0 && !torn:
		return fileMissing, nil
	case torn, good == 1 && !first: // only the very first version has no other beside it
		return fileTorn, nil
	}
	return fileClean, nil
}

func zero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

func readSlot(b []byte) (version uint64, content checkpointContent, ok bool) {
	if string(b[:len(checkpointMagic)]) != checkpointMagic {
		return 0, content, false
	}
	length := uint64(binary.LittleEndian.Uint32(b[16:]))
	if length > uint64(len(b)-checkpointHeader) {
		return 0, content, false
	}
	body := b[checkpointHeader : checkpointHeader+length]
	if slotSum(b, body) != binary.LittleEndian.Uint32(b[20:]) {
		return 0, content, false
	}
	if json.Unmarshal(body, &content) != nil {
		return 0, content, false
	}
	return binary.LittleEndian.Uint64(b[8:]), content, true
}

func slotSum(header, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(header[8:20], castagnoli), castagnoli, body)
}

// write makes a version durable in both files. After an error the one before is still whole in
// both, and the next write goes to the same slot.
func (c *checkpoint) write(content checkpointContent) error {
	content.Last, content.Next = c.last.Load(), c.next.Load()
	content.Stored, content.After = c.stored.Load(), c.after.Load()
	body, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if len(body) > slotBytes-checkpointHeader {
		return fmt.Errorf("checkpoint: %d segments are more than it has room for",
			len(content.Log.Segments))
	}
	c.version++
	buf := append(make([]byte, checkpointHeader), body...)
	copy(buf, checkpointMagic)
	binary.LittleEndian.PutUint64(buf[8:], c.version)
	binary.LittleEndian.PutUint32(buf[16:], uint32(len(body)))
	binary.LittleEndian.PutUint32(buf[20:], slotSum(buf, body))
	slot := 1 - c.slot
	for _, f := range c.files {
		if _, err := f.WriteAt(buf, slot*slotBytes); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	c.slot, c.now = slot, content
	return nil
}

// Load implements types.MetaStore.
func (c *checkpoint) Load(string) (types.PersistentState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Log, nil
}

// CommitState implements types.MetaStore.
func (c *checkpoint) CommitState(s types.PersistentState) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(checkpointContent{Log: s, Stable: c.now.Stable})
}

// touch writes what there is once more, which says whether the disk takes anything.
func (c *checkpoint) touch() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(c.now)
}

// replace puts other content in the place of all there was.
func (c *checkpoint) replace(content checkpointContent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(content)
}

// GetStable implements types.MetaStore.
func (c *checkpoint) GetStable(key []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Stable[string(key)], nil
}

// SetStable implements types.MetaStore.
func (c *checkpoint) SetStable(key, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stable := maps.Clone(c.now.Stable)
	stable[string(key)] = append([]byte(nil), value...)
	return c.write(checkpointContent{Log: c.now.Log, Stable: stable})
}

// Close lets go of the files. What was written is durable already.
func (c *checkpoint) Close() error {
	var errs []error
	for i, f := range c.files {
		if f != nil {
			errs = append(errs, f.Close())
			c.files[i] = nil
		}
	}
	return errors.Join(errs...)
}
