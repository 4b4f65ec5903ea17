package keys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"
	"sort"
)

// A run is a file of records in order, never changed once it is there:
//
//	header page | pages of 255 records | filter | first hi of every page
//
// Each page has a checksum that is looked at whenever it is read; those of the header, the filter
// and the page index are looked at when the run is opened.
const (
	pageBytes   = 4096
	recordBytes = 16
	pageRecords = pageBytes/recordBytes - 1 // the last one's place is the page's number and checksum
	runMagic    = "mhkeys01"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged is what a file that does not hold what was written to it makes.
var errDamaged = errors.New("damaged")

// runInfo is what the manifest says of a run.
type runInfo struct {
	Name    string `json:"name"`
	Records int    `json:"records"`
	From    uint32 `json:"from"` // when its oldest key was accepted, and its newest
	To      uint32 `json:"to"`
}

// run is an open run.
type run struct {
	runInfo
	head   header
	file   *os.File
	pages  int
	index  []uint64 // first hi of every page
	filter *filter  // nil: every lookup reads the file
	bytes  int64
	bad    map[int]bool // pages that were said to be damaged
}

// header is a run's first page.
type header struct {
	runInfo
	pages     int
	shape     filterShape
	filterAt  int64
	filterSum uint32
	indexAt   int64
	indexSum  uint32
}

func (h *header) encode() []byte {
	p := make([]byte, 0, pageBytes)
	p = append(p, runMagic...)
	for _, v := range []uint64{uint64(h.Records), uint64(h.From), uint64(h.To), uint64(h.pages),
		h.shape.blocks, uint64(h.shape.hashes), uint64(h.filterAt), uint64(h.filterSum),
		uint64(h.indexAt), uint64(h.indexSum)} {
		p = binary.BigEndian.AppendUint64(p, v)
	}
	p = append(p, make([]byte, pageBytes-4-len(p))...)
	return binary.BigEndian.AppendUint32(p, crc32.Checksum(p, castagnoli))
}

// decodeHeader returns errDamaged for whatever encode did not make for a file of that size.
func decodeHeader(p []byte, size int64) (header, error) {
	sum := crc32.Checksum(p[:pageBytes-4], castagnoli)
	if string(p[:8]) != runMagic || binary.BigEndian.Uint32(p[pageBytes-4:]) != sum {
		return header{}, fmt.Errorf("header: %w", errDamaged)
	}
	var v [10]uint64
	for i := range v {
		v[i] = binary.BigEndian.Uint64(p[8+8*i:])
	}
	h := header{
		runInfo:  runInfo{Records: int(v[0]), From: uint32(v[1]), To: uint32(v[2])},
		pages:    int(v[3]),
		shape:    filterShape{v[4], int(v[5])},
		filterAt: int64(v[6]), filterSum: uint32(v[7]),
		indexAt: int64(v[8]), indexSum: uint32(v[9]),
	}
	// Everything is in the file and in order: no size in it makes us ask for more memory than that.
	if v[0] > math.MaxInt32*pageRecords || h.pages != (h.Records+pageRecords-1)/pageRecords ||
		h.filterAt < int64(1+h.pages)*pageBytes || v[4] > uint64(size) || v[5] > filterHashes ||
		h.filterAt > size || h.indexAt != h.filterAt+h.shape.bytes() ||
		h.indexAt+8*int64(h.pages) > size {
		return header{}, fmt.Errorf("shorter than its header says: %w", errDamaged)
	}
	return h, nil
}

// openRun opens a run, without its filter.
func openRun(path string) (*run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := loadRun(f)
	if err != nil {
		f.Close()
	}
	return r, err
}

func loadRun(f *os.File) (*run, error) {
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	first := make([]byte, pageBytes)
	if _, err := f.ReadAt(first, 0); err != nil {
		return nil, fmt.Errorf("header: %w", damageOf(err))
	}
	h, err := decodeHeader(first, stat.Size())
	if err != nil {
		return nil, err
	}
	r := &run{runInfo: h.runInfo, head: h, file: f, pages: h.pages, bytes: stat.Size()}
	r.Name = stat.Name()
	index := make([]byte, 8*h.pages)
	if _, err := f.ReadAt(index, h.indexAt); err != nil {
		return nil, fmt.Errorf("page index: %w", damageOf(err))
	}
	if crc32.Checksum(index, castagnoli) != h.indexSum {
		return nil, fmt.Errorf("page index: %w", errDamaged)
	}
	r.index = make([]uint64, h.pages)
	for i := range r.index {
		r.index[i] = binary.BigEndian.Uint64(index[8*i:])
	}
	return r, nil
}

// loadFilter reads the filter. Without, the run is slower and as right as ever.
func (r *run) loadFilter() error {
	if r.head.shape.blocks == 0 {
		return nil
	}
	f := newFilter(r.head.shape)
	_, err := r.file.ReadAt(f.blocks, r.head.filterAt)
	if err == nil && crc32.Checksum(f.blocks, castagnoli) != r.head.filterSum {
		err = errDamaged
	}
	if err != nil {
		return errors.Join(fmt.Errorf("filter: %w", damageOf(err)), f.free())
	}
	r.filter = f
	return nil
}

// damageOf is err, or errDamaged where a file ends too early.
func damageOf(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errDamaged
	}
	return err
}

func (r *run) close() error { return errors.Join(r.filter.free(), r.file.Close()) }

// memory is what the run takes of it.
func (r *run) memory() int64 {
	n := int64(8 * len(r.index))
	if r.filter != nil {
		n += int64(len(r.filter.blocks))
	}
	return n
}

// find looks a key up in the file; page has room for a page. The time is 0 when it is not there.
func (r *run) find(key record, page []byte) (at uint32, err error) {
	last := sort.Search(len(r.index), func(i int) bool { return r.index[i] > key.hi }) - 1
	// Keys with the same hi may begin on the page before.
	for p := last; p >= 0; p-- {
		n, err := r.read(p, page)
		if err != nil {
			return 0, err
		}
		i := sort.Search(n, func(i int) bool { return decodeRecord(page, i).compare(key) >= 0 })
		if i < n && decodeRecord(page, i).same(key) {
			return decodeRecord(page, i).at, nil
		}
		if r.index[p] < key.hi {
			break
		}
	}
	return 0, nil
}

// read reads a page, checks it and returns how many records it has. An error is a *pageError.
func (r *run) read(p int, page []byte) (int, error) {
	if _, err := r.file.ReadAt(page[:pageBytes], int64(1+p)*pageBytes); err != nil {
		return 0, &pageError{r, p, damageOf(err)}
	}
	return r.check(p, page)
}

func (r *run) check(p int, page []byte) (int, error) {
	sum := crc32.Checksum(page[:pageBytes-4], castagnoli)
	if binary.BigEndian.Uint32(page[pageBytes-4:]) != sum ||
		binary.BigEndian.Uint64(page[pageBytes-recordBytes:]) != uint64(p) {
		return 0, &pageError{r, p, errDamaged}
	}
	return min(pageRecords, r.Records-p*pageRecords), nil
}

// pageError says which page of which run cannot be read, and why.
type pageError struct {
	run  *run
	page int
	err  error
}

func (e *pageError) Error() string {
	return fmt.Sprintf("keys: %s: page %d: %v", e.run.Name, e.page, e.err)
}

func (e *pageError) Unwrap() error { return e.err }

func decodeRecord(page []byte, i int) record {
	b := page[i*recordBytes : (i+1)*recordBytes : (i+1)*recordBytes]
	return record{
		binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]),
	}
}

func sortRecords(all []record) { slices.SortFunc(all, record.compare) }
