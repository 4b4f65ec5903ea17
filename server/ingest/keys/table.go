package keys

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/google/uuid"
)

// record is a known key: 96 of the 122 random bits of its event's id, and when it was accepted in
// seconds since 1970. Of 100 million known keys one is the same as another event's with a
// probability of 1e8/2^96, about 1e-21: for a year of 250,000 events a second that is 1e-8.
type record struct {
	hi uint64
	lo uint32
	at uint32 // never 0
}

// recordOf leaves out the bytes 6 to 9, where the id's version and variant are.
func recordOf(id uuid.UUID, at uint32) record {
	return record{
		hi: uint64(binary.BigEndian.Uint32(id[0:]))<<32 |
			uint64(binary.BigEndian.Uint16(id[4:]))<<16 | uint64(binary.BigEndian.Uint16(id[10:])),
		lo: binary.BigEndian.Uint32(id[12:]),
		at: at,
	}
}

func (r record) same(other record) bool { return r.hi == other.hi && r.lo == other.lo }

func (r record) compare(other record) int {
	switch {
	case r.hi < other.hi || r.hi == other.hi && r.lo < other.lo:
		return -1
	case r.same(other):
		return 0
	}
	return 1
}

// knownAt reports whether a key is still known at a moment. One that was accepted later than that,
// because the clock was set back, is.
func (r record) knownAt(now, window int64) bool { return int64(r.at)+window > now }

// seconds is a moment as a record holds it.
func seconds(at time.Time) uint32 {
	return uint32(min(max(at.Unix(), 1), 1<<32-1))
}

// table is a set of records in open addressing: no pointers for the collector to follow, and a new
// key allocates nothing. It grows only beyond the size it was made for.
type table struct {
	slots []record
	shift int
	len   int
	seed  uint64 // so that nobody can choose keys that fall into one place
}

// newTable returns a table that holds n records without growing.
func newTable(n int, seed uint64) *table {
	size := bits.Len(uint(n + n/3 - 1))
	return &table{slots: make([]record, 1<<size), shift: 64 - size, seed: seed}
}

func (t *table) home(r record) int {
	const golden = 0x9e3779b97f4a7c15
	hi, lo := bits.Mul64(r.hi^t.seed, golden)
	return int((hi ^ lo) >> t.shift)
}

// slot returns where a key is, or the empty place where it belongs.
func (t *table) slot(r record) *record {
	for i := t.home(r); ; i = (i + 1) & (len(t.slots) - 1) {
		if s := &t.slots[i]; s.same(r) || s.at == 0 {
			return s
		}
	}
}

// get returns the record of r's key; its time is 0 when there is none.
func (t *table) get(r record) record { return *t.slot(r) }

// put adds a record or replaces the one of the same key.
func (t *table) put(r record) {
	s := t.slot(r)
	if s.at == 0 {
		if t.len >= len(t.slots)/8*7 {
			t.grow()
			s = t.slot(r)
		}
		t.len++
	}
	*s = r
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]record, 2*len(old))
	t.shift--
	for _, r := range old {
		if r.at != 0 {
			*t.slot(r) = r
		}
	}
}

// remove takes a key out and moves up those behind it that its place kept from their own.
func (t *table) remove(r record) {
	s := t.slot(r)
	if s.at == 0 {
		return
	}
	mask := len(t.slots) - 1
	hole := t.home(r)
	for !t.slots[hole].same(r) {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; t.slots[i].at != 0; i = (i + 1) & mask {
		if home := t.home(t.slots[i]); (i-home)&mask >= (i-hole)&mask {
			t.slots[hole] = t.slots[i]
			hole = i
		}
	}
	t.slots[hole] = record{}
	t.len--
}

// sorted returns the records in order. It puts them into buckets by their first bits, which are
// spread evenly, and orders each: a third of the time of sorting them at once.
func (t *table) sorted() []record {
	const bucketBits = 12
	var starts [1<<bucketBits + 1]int
	for i := range t.slots {
		if t.slots[i].at != 0 {
			starts[t.slots[i].hi>>(64-bucketBits)+1]++
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	all := make([]record, t.len)
	next := starts
	for _, r := range t.slots {
		if r.at != 0 {
			b := r.hi >> (64 - bucketBits)
			all[next[b]] = r
			next[b]++
		}
	}
	for b := range len(starts) - 1 {
		sortRecords(all[starts[b]:starts[b+1]])
	}
	return all
}
