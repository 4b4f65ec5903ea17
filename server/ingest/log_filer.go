package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// createdKey holds the id of the newest segment whose file is known to be there: a file that is
// missing later was lost, and not only never made.
var createdKey = []byte("created")

// filer is raft-wal's filer for a disk that changes what it was given: a segment that is missing
// or damaged opens, and what can be read of it is read. An entry that cannot be is types.ErrCorrupt.
type filer struct {
	*segment.Filer
	dir  string
	disk types.VFS
	meta *checkpoint

	logger *slog.Logger
}

// Create implements types.SegmentFiler.
func (f *filer) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	w, err := f.create(info)
	if err != nil {
		// raft-wal makes a segment behind our back, and would keep to itself why it could not.
		f.logger.Error("log cannot begin a new segment", "error", err, "do", advice(err))
		return nil, err
	}
	return &tail{w, f.reader(info, w)}, nil
}

func (f *filer) create(info types.SegmentInfo) (types.SegmentWriter, error) {
	w, err := f.Filer.Create(info)
	if err != nil {
		return nil, err
	}
	err = syncDir(f.dir)
	if err == nil {
		err = f.meta.SetStable(createdKey, binary.LittleEndian.AppendUint64(nil, info.ID))
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// RecoverTail implements types.SegmentFiler.
func (f *filer) RecoverTail(info types.SegmentInfo) (types.SegmentWriter, error) {
	w, err := f.Filer.RecoverTail(info)
	if err != nil {
		return nil, err
	}
	return &tail{w, f.reader(info, w)}, nil
}

// Open implements types.SegmentFiler.
func (f *filer) Open(info types.SegmentInfo) (types.SegmentReader, error) {
	r, err := f.Filer.Open(info)
	if err != nil {
		return f.reader(info, nil), nil // a damaged segment is read without its index
	}
	if info.IndexStart == 0 {
		return f.reader(info, nil), r.Close()
	}
	return f.reader(info, r), nil
}

// List implements types.SegmentFiler. A file of another name is nobody's.
func (f *filer) List() (map[uint64]uint64, error) {
	names, err := f.disk.ListDir(f.dir)
	if err != nil {
		return nil, err
	}
	segments := make(map[uint64]uint64)
	for _, name := range names {
		var info types.SegmentInfo
		n, _ := fmt.Sscanf(name, "%020d-%016x.wal", &info.BaseIndex, &info.ID)
		if n == 2 && segment.FileName(info) == name {
			segments[info.ID] = info.BaseIndex
		}
	}
	return segments, nil
}

// Delete implements types.SegmentFiler.
func (f *filer) Delete(base, id uint64) error {
	if err := f.Filer.Delete(base, id); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f *filer) reader(info types.SegmentInfo, r types.SegmentReader) *segmentReader {
	return &segmentReader{filer: f, info: info, inner: r}
}

// tail is the segment that is written to.
type tail struct {
	types.SegmentWriter
	reader *segmentReader
}

func (t *tail) GetLog(index uint64) (*types.PooledBuffer, error) { return t.reader.GetLog(index) }

// segmentReader reads entries through raft-wal's index, and where that leads to anything but the
// entry, looks for it in the whole segment.
type segmentReader struct {
	filer *filer
	info  types.SegmentInfo
	inner types.SegmentReader // nil: raft-wal cannot read it

	mu     sync.Mutex
	places map[uint64]span // of the payloads, once the segment was gone through
}

// GetLog implements types.SegmentReader. What it returns is checked to be that entry.
func (r *segmentReader) GetLog(index uint64) (*types.PooledBuffer, error) {
	if r.inner != nil {
		b, err := r.inner.GetLog(index)
		if err == nil {
			e, _, ok := parsePayload(b.Bs)
			if ok && e.index == index && e.plain && e.to == int64(len(b.Bs)) {
				return b, nil
			}
			b.Close()
		}
		if errors.Is(err, types.ErrNotFound) || errors.Is(err, fs.ErrClosed) {
			return nil, err
		}
	}
	return r.search(index)
}

func (r *segmentReader) search(index uint64) (*types.PooledBuffer, error) {
	file, err := openReader(r.filer.disk, r.filer.dir, segment.FileName(r.info))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, types.ErrCorrupt
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	place, ok := r.places[index]
	if !ok && r.places == nil {
		r.places = make(map[uint64]span)
		_, err := scanSegment(file, r.info.BaseIndex, func(e segmentEntry) error {
			r.places[e.index] = span{from: e.from, to: e.to}
			return nil
		})
		if err != nil {
			r.places = nil
			return nil, err
		}
		place, ok = r.places[index]
	}
	if !ok {
		return nil, types.ErrCorrupt
	}
	b := make([]byte, place.to-place.from)
	if _, err := file.ReadAt(b, place.from); err != nil {
		return nil, types.ErrCorrupt
	}
	e, _, ok := parsePayload(b)
	if !ok {
		return nil, types.ErrCorrupt
	}
	e.index = index // its place is surer than what it says
	return &types.PooledBuffer{Bs: payload(e)}, nil
}

// Close implements io.Closer.
func (r *segmentReader) Close() error {
	if r.inner == nil {
		return nil
	}
	return r.inner.Close()
}
