package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// doubtedKey holds the index up to which entries may be in the ledger although the progress does
// not say so: it was lost.
var doubtedKey = []byte("doubted")

// repair looks at a log before raft-wal opens it. Nothing is rewritten: a segment that is damaged
// is sealed as it is, and read without its index; what follows goes to a new one. When the
// checkpoint is lost it is made again from the segments.
type repair struct {
	filer   *filer
	meta    *checkpoint
	segment uint32 // bytes of a new one
	logger  *slog.Logger

	last uint64 // index of the newest entry there was, lost or not
	made bool   // the checkpoint was made from the segments
	open bool   // the entry last stands for any number of them
	next uint64 // sequence after the newest entry, as far as a damaged one says
}

// run leaves a checkpoint that raft-wal opens. Entries up to floor were acknowledged.
func (r *repair) run(floor uint64) error {
	found, err := r.filer.List()
	if err != nil {
		return err
	}
	if len(r.meta.now.Log.Segments) == 0 && !r.meta.lost {
		if err := r.adopt(); err != nil {
			return err
		}
	}
	switch {
	case len(r.meta.now.Log.Segments) == 0 && len(found) > 0:
		r.logger.Error("the log's checkpoint is lost, both copies: it is made again from the log, "+
			"and the ledger is asked what it has before anything is sent",
			"directory", r.filer.dir)
		if err := r.rebuild(found); err != nil {
			return err
		}
	case len(r.meta.damaged) > 0:
		r.logger.Warn("a copy of the log's checkpoint was damaged and is written again; "+
			"look at the disk", "directory", r.filer.dir, "files", r.meta.damaged)
	}
	return r.settle(max(floor, r.meta.now.Last))
}

// adopt takes over the checkpoint of a log of an earlier version.
func (r *repair) adopt() (err error) {
	path := filepath.Join(r.filer.dir, metadb.FileName)
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s cannot be read (%v): move the log aside", path, p)
		}
	}()
	var old metadb.BoltMetaDB
	defer old.Close()
	content := checkpointContent{Stable: map[string][]byte{}}
	if content.Log, err = old.Load(r.filer.dir); err != nil {
		return err
	}
	for _, key := range [][]byte{nodeKey, progressKey} {
		value, err := old.GetStable(key)
		if err != nil {
			return err
		}
		if value != nil {
			content.Stable[string(key)] = value
		}
	}
	if err := r.meta.replace(content); err != nil {
		return err
	}
	return os.Remove(path)
}

// rebuild makes a checkpoint from the segments there are. A segment that was made later has all
// indexes from its first on: what an earlier one holds of them was cut off.
func (r *repair) rebuild(found map[uint64]uint64) error {
	content := checkpointContent{Stable: map[string][]byte{}}
	nodes := make(map[uuid.UUID]int)
	segments := &content.Log.Segments
	ids := make([]uint64, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		info := r.sealed(types.SegmentInfo{ID: id, BaseIndex: found[id], MinIndex: found[id]}, 0)
		scan, err := r.scan(info, func(e segmentEntry) error {
			nodes[e.node]++
			return nil
		})
		if err != nil {
			return err
		}
		for n := len(*segments); n > 0; n-- {
			before := &(*segments)[n-1]
			if before.BaseIndex < info.BaseIndex {
				before.MaxIndex = info.BaseIndex - 1
				break
			}
			*segments = (*segments)[:n-1]
		}
		info.MaxIndex = max(scan.last, info.BaseIndex)
		if scan.last == 0 && len(scan.bad) == 0 {
			content.Log.NextSegmentID = id + 1
			continue // it was never written to
		}
		*segments = append(*segments, info)
		content.Log.NextSegmentID = id + 1
	}
	if len(*segments) > 0 {
		first, last := (*segments)[0].BaseIndex, &(*segments)[len(*segments)-1]
		content.Stable[string(progressKey)] = progress{Stored: first - 1}.encode()
		doubted := binary.LittleEndian.AppendUint64(nil, last.MaxIndex)
		content.Stable[string(doubtedKey)] = doubted
		last.SealTime, last.MaxIndex = time.Time{}, 0 // settle looks at it as at any tail
	}
	delete(nodes, uuid.Nil)
	most := 0
	for node, n := range nodes {
		if n > most {
			most = n
			content.Stable[string(nodeKey)] = node[:]
		}
	}
	r.made = true
	return r.meta.replace(content)
}

// settle looks at the segment that is written to, and begins a new one behind floor when it is
// missing or damaged.
func (r *repair) settle(floor uint64) error {
	state := r.meta.now.Log
	n := len(state.Segments)
	if n == 0 {
		return nil // a new log
	}
	info := state.Segments[n-1]
	r.last = max(floor, info.BaseIndex-1)
	scan, err := r.scan(info, nil)
	if errors.Is(err, fs.ErrNotExist) {
		made := r.meta.now.Stable[string(createdKey)]
		if r.last < info.BaseIndex &&
			(len(made) != 8 || binary.LittleEndian.Uint64(made) != info.ID) {
			return nil // it was never made
		}
		r.last++ // for all that nobody knows of
		r.open = true
		state.Segments = append(slices.Clone(state.Segments[:n-1]), r.sealed(info, r.last))
		return r.begin(state, r.last+1)
	}
	if err != nil {
		return err
	}
	last := max(scan.last, info.BaseIndex-1)
	header := last < info.BaseIndex || bytes.Equal(scan.header[:], headerOf(info))
	if header && !scan.changed() && last >= r.last && (scan.whole || scan.torn) {
		r.last = last
		if scan.torn {
			return r.wipe(info, scan)
		}
		if scan.indexStart == 0 {
			return nil
		}
		info = r.sealed(info, last)
		info.IndexStart = scan.indexStart
	} else {
		if ruin := scan.ruin(); ruin.to > 0 && !scan.torn {
			entries, next := r.count(info, ruin)
			last, r.next = last+entries, next
		}
		r.last = max(r.last, last)
		info = r.sealed(info, r.last)
	}
	state.Segments = append(slices.Clone(state.Segments[:n-1]), info)
	return r.begin(state, r.last+1)
}

// begin adds an empty segment to write to.
func (r *repair) begin(state types.PersistentState, base uint64) error {
	state.Segments = append(slices.Clone(state.Segments), types.SegmentInfo{
		ID: state.NextSegmentID, BaseIndex: base, MinIndex: base, Codec: wal.CodecBinaryV1,
		CreateTime: time.Now(), SizeLimit: r.segment,
	})
	state.NextSegmentID++
	return r.meta.CommitState(state)
}

// sealed returns a segment as one that is read without its index.
func (r *repair) sealed(info types.SegmentInfo, last uint64) types.SegmentInfo {
	info.Codec, info.IndexStart = wal.CodecBinaryV1, 0
	info.SizeLimit = r.segment
	info.MaxIndex, info.SealTime = last, time.Now()
	return info
}

func (r *repair) scan(
	info types.SegmentInfo, each func(segmentEntry) error,
) (segmentScan, error) {
	file, err := openReader(r.filer.disk, r.filer.dir, segment.FileName(info))
	if err != nil {
		return segmentScan{}, err
	}
	defer file.Close()
	return scanSegment(file, info.BaseIndex, each)
}

// wipe puts zeros where a write did not end: nobody was told that it did, and what is written
// there next may be shorter.
func (r *repair) wipe(info types.SegmentInfo, scan segmentScan) error {
	file, err := r.filer.disk.OpenWriter(r.filer.dir, segment.FileName(info))
	if err != nil {
		return err
	}
	defer file.Close()
	zeros := make([]byte, 64<<10)
	for off := scan.end; off < scan.written; off += int64(len(zeros)) {
		n := min(int64(len(zeros)), scan.written-off)
		if _, err := file.WriteAt(zeros[:n], off); err != nil {
			return err
		}
	}
	r.logger.Warn("the log ends in a write that did not end: nobody was told that it had",
		"directory", r.filer.dir, "bytes", scan.written-scan.end)
	return file.Sync()
}

// count returns how many entries a ruin was, by their frames, and the sequence after them as the
// last of their own headers has it; zero when that is not what a header can be.
func (r *repair) count(info types.SegmentInfo, ruin span) (entries, next uint64) {
	file, err := openReader(r.filer.disk, r.filer.dir, segment.FileName(info))
	if err != nil {
		return 1, 0
	}
	defer file.Close()
	buf := make([]byte, 64)
	for off := ruin.from; off < ruin.to; {
		n, _ := file.ReadAt(buf, off)
		if n < frameHeader || buf[1]|buf[2]|buf[3] != 0 || buf[0] == 0 || buf[0] > frameCommit {
			break
		}
		length := int64(0)
		if buf[0] != frameCommit {
			length = int64(binary.LittleEndian.Uint32(buf[4:]))
		}
		if buf[0] == frameEntry {
			entries++
			next = hint(buf[frameHeader:n])
		}
		off += frameHeader + (length+7)&^7
	}
	return max(entries, 1), next
}

// hint returns the sequence after an entry whose checksum is wrong.
func hint(payload []byte) uint64 {
	var length uint64
	for range 4 {
		v, k := binary.Uvarint(payload)
		if k <= 0 {
			return 0
		}
		length, payload = v, payload[k:]
	}
	if len(payload) < entryHeader {
		return 0
	}
	const least = 40 // bytes of an event: two ids, a time, ten lengths
	if first, count := entryBounds(payload); count <= length/least {
		return first + count
	}
	return 0
}

// headerOf returns the first bytes of a segment as raft-wal writes them.
func headerOf(info types.SegmentInfo) []byte {
	b := binary.LittleEndian.AppendUint64(nil, segmentMagic)
	b = binary.LittleEndian.AppendUint64(b, info.BaseIndex)
	b = binary.LittleEndian.AppendUint64(b, info.ID)
	return binary.LittleEndian.AppendUint64(b, info.Codec)
}
