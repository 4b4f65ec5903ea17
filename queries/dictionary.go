package queries

import (
	"math"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// dictionary is a LowCardinality(String) column: its distinct values in the order they first
// came, and a key for each row.
type dictionary struct {
	index  map[string]uint32
	values []string
	keys   []uint32

	last    string // of the newest row: most rows repeat it
	lastKey uint32
}

// append adds a row. It keeps no reference to s.
func (d *dictionary) append(s string) {
	if len(d.keys) > 0 && s == d.last {
		d.keys = append(d.keys, d.lastKey)
		return
	}
	key, ok := d.index[s]
	if !ok {
		if d.index == nil {
			d.index = make(map[string]uint32)
		}
		key = uint32(len(d.values))
		s = strings.Clone(s)
		d.index[s] = key
		d.values = append(d.values, s)
	}
	d.last, d.lastKey = d.values[key], key
	d.keys = append(d.keys, key)
}

// Reset empties the column and keeps its memory.
func (d *dictionary) Reset() {
	clear(d.index)
	clear(d.values)
	d.values = d.values[:0]
	d.keys = d.keys[:0]
	d.last, d.lastKey = "", 0
}

// The head of a LowCardinality column in Native format: no shared dictionary, keys of its own.
const (
	hasAdditionalKeys = 1 << 9
	needsNewKeys      = 1 << 10
)

// EncodeColumn appends the column in Native format, without its state prefix.
func (d *dictionary) EncodeColumn(b *proto.Buffer) {
	if len(d.keys) == 0 {
		return
	}
	width := d.width()
	b.PutInt64(hasAdditionalKeys | needsNewKeys | int64(width))
	b.PutInt64(int64(len(d.values)))
	for _, s := range d.values {
		b.PutString(s)
	}
	b.PutInt64(int64(len(d.keys)))
	switch width {
	case proto.KeyUInt8:
		for _, k := range d.keys {
			b.Buf = append(b.Buf, byte(k))
		}
	case proto.KeyUInt16:
		for _, k := range d.keys {
			b.Buf = append(b.Buf, byte(k), byte(k>>8))
		}
	default:
		for _, k := range d.keys {
			b.PutUInt32(k)
		}
	}
}

// width returns the narrowest key the values can be told apart by.
func (d *dictionary) width() proto.CardinalityKey {
	switch n := len(d.values); {
	case n <= math.MaxUint8+1:
		return proto.KeyUInt8
	case n <= math.MaxUint16+1:
		return proto.KeyUInt16
	}
	return proto.KeyUInt32
}
