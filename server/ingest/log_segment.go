package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/google/uuid"
	"github.com/hashicorp/raft-wal/types"
)

// Our own reader of raft-wal's segments. raft-wal follows the lengths in its frames and takes the
// first that makes no sense for the end of what was written, which is right after a crash and
// loses everything behind it after anything else. Here an entry is what has our checksum, wherever
// it stands; frames are looked at to tell a write that never ended from one that was changed.
//
// A segment is a header of 32 bytes and frames, each a multiple of 8 bytes long: of an entry, of
// the index of all entries (at the end of a sealed segment), or of a commit, which ends what one
// fsync made durable.
const (
	segmentHeader = 32
	frameHeader   = 8
	frameEntry    = 1
	frameIndex    = 2
	frameCommit   = 3
	segmentMagic  = 0x58eb6b0d
	entryBytesMax = 64 << 20 // raft-wal writes none larger
	frameLeast    = 40       // bytes of the smallest entry with its frame
)

// span is a range of bytes of a file.
type span struct{ from, to int64 }

// badSpan is bytes that belong to nothing, behind the entry with an index.
type badSpan struct {
	span
	behind uint64
}

// segmentScan is what a segment was found to hold.
type segmentScan struct {
	first, last uint64    // indexes of its entries; 0: none
	end         int64     // behind the last entry and its commit
	written     int64     // behind the last byte that is not zero
	indexStart  uint64    // of raft-wal's index, when it is sealed
	bad         []badSpan // neither entries nor frames, not zero
	torn        bool      // from end to written is a write that did not end
	whole       bool      // raft-wal will read it as it was written
	header      [segmentHeader]byte
}

// segmentEntry is an entry in its place. The data is valid during the call.
type segmentEntry struct {
	index uint64
	span            // of raft-wal's payload
	node  uuid.UUID // zero: from a log that did not say
	data  []byte
	plain bool // what is around the data is as raft-wal wrote it
}

// scanner goes through one segment.
type scanner struct {
	file   types.ReadableFile
	window []byte
	base   int64 // offset of the window
	err    error // other than the end of the file

	result    segmentScan
	committed int64 // behind the newest commit
	crcFrom   int64 // behind the commit before it
	crc       uint32
	open      uint64 // index of an entry that no commit follows yet
	next      uint64 // index of the next entry, if none is missing before it
	damaged   int64  // bad bytes since the entry before
}

// scanSegment hands every entry of the segment that begins with index base to each, in order, and
// says what else there is. The error is each's or one of reading.
func scanSegment(
	file types.ReadableFile, base uint64, each func(segmentEntry) error,
) (segmentScan, error) {
	s := &scanner{file: file, next: base}
	copy(s.result.header[:], s.peek(0, segmentHeader))
	off := int64(segmentHeader)
	for {
		var frame [frameHeader]byte // what peek returned is gone after the next
		head := frame[:copy(frame[:], s.peek(off, frameHeader))]
		if len(head) < frameHeader {
			s.bad(off, off+int64(len(head)), head)
			break
		}
		if binary.LittleEndian.Uint64(head) == 0 {
			off = s.skipZeros(off)
			continue
		}
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		kind, plain := head[0], head[1]|head[2]|head[3] == 0
		if e, ok := s.entry(off + frameHeader); ok && s.place(&e) {
			if kind != frameEntry || !plain || length != e.to-e.from {
				s.bad(off, off+frameHeader, head)
			}
			if err := s.take(e, each); err != nil {
				return s.result, err
			}
			off = s.after(off, e.to-e.from)
			s.result.end, s.result.written = off, off
			continue
		}
		switch {
		case kind == frameCommit && plain:
			s.commit(off, binary.LittleEndian.Uint32(head[4:]))
			off += frameHeader
		case kind == frameIndex && plain && s.isCommit(s.after(off, length)):
			s.result.indexStart = uint64(off) + frameHeader
			off = s.after(off, length)
			s.result.written = off
		default:
			s.bad(off, off+frameHeader, head)
			off += frameHeader
		}
	}
	if s.err != nil {
		return s.result, s.err
	}
	s.finish()
	return s.result, s.err
}

// after returns where the frame behind one at off of a payload of n bytes begins.
func (s *scanner) after(off, n int64) int64 { return off + frameHeader + (n+7)&^7 }

// place checks an entry's index, which its checksum does not cover: it is the next one, unless
// entries were destroyed in between.
func (s *scanner) place(e *segmentEntry) bool {
	if s.damaged < frameLeast {
		e.index = s.next
	}
	return e.index >= s.next && e.index-s.next <= uint64(s.damaged/frameLeast)
}

func (s *scanner) take(e segmentEntry, each func(segmentEntry) error) error {
	if s.result.first == 0 {
		s.result.first = e.index
	}
	s.result.last, s.open = e.index, e.index
	s.next, s.damaged = e.index+1, 0
	if each == nil {
		return nil
	}
	return each(e)
}

func (s *scanner) isCommit(off int64) bool {
	head := s.peek(off, frameHeader)
	return len(head) == frameHeader && head[0] == frameCommit && head[1]|head[2]|head[3] == 0
}

func (s *scanner) commit(off int64, crc uint32) {
	s.crcFrom, s.committed, s.crc = s.committed, off+frameHeader, crc
	s.result.end, s.result.written, s.open = s.committed, s.committed, 0
}

// bad notes bytes that belong to nothing. What is between two of them without an entry is one span.
func (s *scanner) bad(from, to int64, b []byte) {
	if zero(b) {
		return
	}
	r := &s.result
	r.written = to
	if n := len(r.bad); n == 0 || r.bad[n-1].behind != r.last {
		r.bad = append(r.bad, badSpan{span{from, to}, r.last})
	}
	last := &r.bad[len(r.bad)-1]
	last.to = to
	s.damaged = to - last.from
}

// ruin returns the bad bytes behind the last entry, zero when too few to have been one.
func (r segmentScan) ruin() span {
	if n := len(r.bad); n > 0 && r.bad[n-1].behind == r.last &&
		r.bad[n-1].to-r.bad[n-1].from >= frameLeast {
		return r.bad[n-1].span
	}
	return span{}
}

// changed reports whether there is something bad before the end.
func (r segmentScan) changed() bool { return len(r.bad) > 0 && r.bad[0].from < r.end }

// finish judges the end of the segment and whether raft-wal agrees with what was found.
func (s *scanner) finish() {
	r := &s.result
	if s.open != 0 && len(s.peek(r.end, frameHeader)) < frameHeader ||
		s.open != 0 && zero(s.peek(r.end, frameHeader)) {
		// Its commit is not there: it was never acknowledged.
		r.torn, r.last, r.end = true, s.open-1, s.committed
		if r.last < r.first {
			r.first, r.last = 0, 0
		}
		return
	}
	if n := len(r.bad); n > 0 && r.bad[n-1].from >= r.end {
		r.torn = s.unfinished(r.bad[n-1].from)
		return
	}
	r.whole = len(r.bad) == 0 && s.open == 0 && s.sumOfLastCommit() == s.crc
}

// unfinished tells a write that did not end from one that was changed later: following its frames
// leads to no commit.
func (s *scanner) unfinished(off int64) bool {
	for {
		head := s.peek(off, frameHeader)
		if len(head) < frameHeader || zero(head) {
			return true
		}
		if head[1]|head[2]|head[3] != 0 || head[0] > frameCommit || head[0] == 0 {
			return false
		}
		if head[0] == frameCommit {
			return false
		}
		off = s.after(off, int64(binary.LittleEndian.Uint32(head[4:])))
	}
}

// sumOfLastCommit returns the checksum that raft-wal will look for when it opens its tail.
func (s *scanner) sumOfLastCommit() (sum uint32) {
	for off := s.crcFrom; off < s.committed-frameHeader; {
		b := s.peek(off, int(min(s.committed-frameHeader-off, 1<<20)))
		if len(b) == 0 {
			break
		}
		sum = crc32.Update(sum, castagnoli, b)
		off += int64(len(b))
	}
	return sum
}

// skipZeros returns the offset of the first eight bytes that are not all zero, or of the end.
func (s *scanner) skipZeros(off int64) int64 {
	const step = 64 << 10
	for {
		b := s.peek(off, step)
		zeros := len(b) - len(bytes.TrimLeft(b, "\x00"))
		if zeros < len(b) {
			return off + int64(zeros)&^7
		}
		off += int64(zeros)
		if len(b) < step {
			return off
		}
	}
}

// entry reads the entry whose payload is at off.
func (s *scanner) entry(off int64) (e segmentEntry, ok bool) {
	n := 4*binary.MaxVarintLen64 + entryHeader
	for {
		e, missing, ok := parsePayload(s.peek(off, n))
		if ok || missing == 0 || len(s.peek(off, n)) < n {
			e.from, e.to = e.from+off, e.to+off
			return e, ok
		}
		n += missing
	}
}

// parsePayload reads raft-wal's encoding of a raft.Log around an entry: index, term, type, data,
// extensions (the node's id) and a time. It trusts no length that the entry's checksum does not
// confirm. missing is how many bytes more it would take, when they could be an entry.
func parsePayload(b []byte) (e segmentEntry, missing int, ok bool) {
	var fields [4]uint64 // index, term, type, length of the data
	rest := b
	for i := range fields {
		v, k := binary.Uvarint(rest)
		if k <= 0 {
			return e, 0, false
		}
		fields[i], rest = v, rest[k:]
	}
	length := fields[3]
	if fields[0] == 0 || fields[1]|fields[2] != 0 || length < entryHeader ||
		length > entryBytesMax || len(rest) == 0 || rest[0] != entryVersion {
		return e, 0, false
	}
	const extensions, moment = 16, 15
	want := int(length) + 1 + moment
	if len(rest) > int(length) && rest[length] == extensions {
		want += extensions
	}
	if len(rest) < want {
		return e, want - len(rest), false
	}
	data := rest[:length]
	if crc32.Checksum(data[5:], castagnoli) != binary.LittleEndian.Uint32(data[1:]) {
		return e, 0, false
	}
	e.index, e.data = fields[0], data
	if want > int(length)+1+moment {
		copy(e.node[:], rest[length+1:])
	}
	e.to = int64(len(b) - len(rest) + want)
	e.plain = (rest[length] == 0 || rest[length] == extensions) &&
		bytes.Equal(rest[want-moment:want], noTime[:])
	return e, 0, true
}

// noTime is the zero time as raft-wal writes it: a version, and an offset of -1.
var noTime = [...]byte{0: 1, 13: 0xff, 14: 0xff}

// payload returns raft-wal's encoding of an entry.
func payload(e segmentEntry) []byte {
	b := binary.AppendUvarint(nil, e.index)
	b = binary.AppendUvarint(append(b, 0, 0), uint64(len(e.data)))
	b = append(append(b, e.data...), 0)
	return append(b, noTime[:]...)
}

// peek returns up to n bytes at off, fewer at the end of the file; they are valid until the next.
func (s *scanner) peek(off int64, n int) []byte {
	if off >= s.base && off+int64(n) <= s.base+int64(len(s.window)) {
		return s.window[off-s.base : off-s.base+int64(n)]
	}
	size := max(n, 1<<20)
	if cap(s.window) < size {
		s.window = make([]byte, size)
	}
	got, err := s.file.ReadAt(s.window[:size], off)
	if err != nil && !errors.Is(err, io.EOF) && s.err == nil {
		s.err = err
	}
	s.base, s.window = off, s.window[:got]
	return s.window[:min(n, got)]
}
