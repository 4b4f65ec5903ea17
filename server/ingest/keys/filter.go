package keys

import (
	"errors"
	"math/bits"
	"syscall"
)

// filter says of most keys that a run does not have them, for one cache line read: a Bloom filter
// of blocks of 64 bytes. A key's block is where its first bits fall, so a run, which is in order,
// fills its filter from front to back and needs none of it in memory meanwhile. The bits within
// the block are taken from the key's last 64 bits: a key is a hash already.
type filter struct {
	blocks []byte // outside of Go's heap, of which the collector lets twice as much come together
	count  uint64
	hashes int
	mapped bool
}

const blockBytes = 64

// newFilter returns an empty filter of a size, to be filled by the caller.
func newFilter(shape filterShape) *filter {
	f := &filter{count: shape.blocks, hashes: shape.hashes}
	size := int(shape.blocks) * blockBytes
	memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if f.mapped = err == nil; f.mapped {
		hugePages(memory)
	} else {
		memory = make([]byte, size)
	}
	f.blocks = memory
	return f
}

// free gives the memory back; nobody may ask the filter any more.
func (f *filter) free() error {
	if f == nil || !f.mapped {
		return nil
	}
	memory := f.blocks
	f.blocks, f.mapped = nil, false
	if err := syscall.Munmap(memory); err != nil {
		return errors.Join(errors.New("keys: filter"), err)
	}
	return nil
}

// may returns a bit for each key that may be in the run. It looks at one bit of each first, and
// branches on none, so that the processor fetches many blocks at a time; then half are left.
func (f *filter) may(records []record) (maybe uint64) {
	for i, r := range records {
		b := blockOf(r, f.count)*blockBytes + uint64(r.lo>>3&(blockBytes-1))
		maybe |= uint64(f.blocks[b]>>(r.lo&7)&1) << i
	}
	for left := maybe; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		r := records[i]
		b := blockOf(r, f.count) * blockBytes
		block := f.blocks[b : b+blockBytes : b+blockBytes]
		w := (r.hi<<32 | uint64(r.lo)) >> 9
		for range f.hashes - 1 {
			if block[w>>3&(blockBytes-1)]&(1<<(w&7)) == 0 {
				maybe &^= 1 << i
				break
			}
			w >>= 9
		}
	}
	return maybe
}

func blockOf(r record, blocks uint64) uint64 {
	b, _ := bits.Mul64(r.hi, blocks)
	return b
}

// setBits notes a key in its block.
func setBits(block *[blockBytes]byte, r record, hashes int) {
	w := r.hi<<32 | uint64(r.lo)
	for range hashes {
		block[w>>3&(blockBytes-1)] |= 1 << (w & 7)
		w >>= 9
	}
}

// filterShape is how large a filter is; no blocks: there is none.
type filterShape struct {
	blocks uint64
	hashes int
}

func (f filterShape) bytes() int64 { return int64(f.blocks) * blockBytes }

// Bits of a filter for a key. With 12 one foreign key in 270 passes, with 10 one in 90, with 7 one
// in 25, with 2 one in 3.
const (
	filterBits      = 12
	filterBitsFloor = 6 // what a small one gets although there is no room: there are few
	filterBitsLeast = 2
	filterHashes    = 6 // 54 of the 64 bits there are
)

// shapeFor returns the filter of a run of n records for which there is room for so many bytes.
func shapeFor(n, smallMax int, room int64) filterShape {
	if n <= smallMax {
		room = max(room, int64(n)*filterBitsFloor/8)
	}
	size := min(int64(n)*filterBits/8, room)
	if size*8 < int64(n)*filterBitsLeast {
		return filterShape{}
	}
	blocks := max(size/blockBytes, 1)
	// The fewest keys pass with ln 2 (11/16) as many hashes as there are bits for a key.
	hashes := blocks * blockBytes * 8 * 11 / 16 / int64(max(n, 1))
	return filterShape{uint64(blocks), int(min(max(hashes, 1), filterHashes))}
}
