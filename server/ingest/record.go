package ingest

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// The encoding of an event in the log. A change of it gets a new entryVersion; the decoder of an
// old one stays until no log can hold it.

// Flags of an encoded event: which of its optional parts follow.
const (
	flagKeyed byte = 1 << iota
	flagUser
	flagAgent
	flagChargeable
	flagCorrection // a revision and an entry other than the first record
	flagOrigin     // after all of it, the node and sequence of the copy that is taken back
)

// Flags of an encoded measurement.
const (
	flagRate  byte = 1 << iota // a rate id follows
	flagCosts                  // costs follow
)

var errRecord = errors.New("log entry: malformed event")

// appendEvent appends e's encoding. Times are kept to the microsecond.
func appendEvent(dst []byte, e *schema.Event) []byte {
	flags := eventFlags(e)
	dst = append(dst, flags)
	dst = append(dst, e.Organization[:]...)
	dst = append(dst, e.ID[:]...)
	if flags&flagCorrection != 0 {
		dst = binary.AppendUvarint(dst, uint64(e.Revision))
		dst = append(dst, byte(e.Entry))
	}
	dst = binary.AppendVarint(dst, e.Time.UnixMicro())
	dst = binary.AppendVarint(dst, e.IngestTime.UnixMicro()-e.Time.UnixMicro())
	if flags&flagUser != 0 {
		dst = append(dst, e.User[:]...)
	}
	if flags&flagAgent != 0 {
		dst = append(dst, e.Agent[:]...)
	}
	dst = appendString(dst, e.Service)
	dst = appendString(dst, e.Channel)
	dst = appendString(dst, e.APIName)
	dst = appendString(dst, e.Endpoint)
	dst = appendString(dst, e.Provider)
	dst = appendString(dst, e.ProviderEndpoint)
	dst = appendString(dst, e.ProviderKey)
	dst = appendString(dst, e.Model)
	dst = appendString(dst, e.Purpose)
	dst = append(dst, byte(len(e.Measurements)))
	for i := range e.Measurements {
		dst = appendMeasurement(dst, &e.Measurements[i])
	}
	return dst
}

func eventFlags(e *schema.Event) byte {
	var flags byte
	if e.Key != "" {
		flags |= flagKeyed
	}
	if e.User != uuid.Nil {
		flags |= flagUser
	}
	if e.Agent != uuid.Nil {
		flags |= flagAgent
	}
	if e.Chargeable {
		flags |= flagChargeable
	}
	if e.Revision != 0 || e.Entry != schema.Record {
		flags |= flagCorrection
	}
	return flags
}

func appendMeasurement(dst []byte, m *schema.Measurement) []byte {
	var flags byte
	if m.Rate != uuid.Nil {
		flags |= flagRate
	}
	if m.ProviderCost.Sign() != 0 || m.BilledCost.Sign() != 0 {
		flags |= flagCosts
	}
	dst = append(dst, flags, byte(m.Pricing))
	dst = appendString(dst, m.UsageType)
	dst = appendInt128(dst, m.Quantity.Coefficient())
	if flags&flagCosts != 0 {
		dst = appendInt128(dst, m.ProviderCost.Coefficient())
		dst = appendInt128(dst, m.BilledCost.Coefficient())
	}
	if flags&flagRate != 0 {
		dst = append(dst, m.Rate[:]...)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendInt128 writes the low word zigzagged when that is all there is, and otherwise both: the
// high word's sign extension is nearly always redundant.
func appendInt128(dst []byte, x schema.Int128) []byte {
	if x.Hi == int64(x.Lo)>>63 {
		return binary.AppendVarint(append(dst, 0), int64(x.Lo))
	}
	dst = binary.AppendVarint(append(dst, 1), x.Hi)
	return binary.AppendUvarint(dst, x.Lo)
}

// AppendEvent appends e's encoding in the log: how a correction is kept until it is applied.
func AppendEvent(dst []byte, e *schema.Event) []byte { return appendEvent(dst, e) }

// AppendCopy appends the reversal of a copy of an event, with the origin of the copy: the ledger
// tells by it which copy is taken back.
func AppendCopy(dst []byte, e *schema.Event, of queries.Origin) []byte {
	start := len(dst)
	dst = appendEvent(dst, e)
	dst[start] |= flagOrigin
	dst = append(dst, of.Node[:]...)
	return binary.AppendUvarint(dst, of.Sequence)
}

// ReadEvents hands each of the events that AppendEvent wrote to each, whose error ends it. The event
// is valid during the call.
func ReadEvents(data string, each func(*schema.Event) error) error {
	return ReadEntries(data, func(e *schema.Event, _ queries.Origin) error { return each(e) })
}

// ReadEntries is ReadEvents for what AppendCopy wrote as well: with its origin, others have a zero
// one.
func ReadEntries(data string, each func(e *schema.Event, of queries.Origin) error) error {
	r := reader{rest: data}
	var e schema.Event
	for r.rest != "" {
		if _, err := r.event(&e); err != nil {
			return err
		}
		if err := each(&e, r.origin); err != nil {
			return err
		}
	}
	return nil
}

// reader decodes one entry's events. Its first error sticks. Strings alias the entry.
type reader struct {
	rest   string
	bad    bool
	origin queries.Origin // of the event that was read last; zero: it has none
}

func (r *reader) fail() { r.bad, r.rest = true, "" }

func (r *reader) byte() byte {
	if r.rest == "" {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) bytes(n uint64) string {
	if n > uint64(len(r.rest)) {
		r.fail()
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) uvarint() uint64 {
	var x uint64
	for shift := 0; shift < 70; shift += 7 {
		b := r.byte()
		if shift == 63 && b > 1 {
			break
		}
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return x
		}
	}
	r.fail()
	return 0
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) string() string { return r.bytes(r.uvarint()) }

func (r *reader) uuid() (id uuid.UUID) {
	copy(id[:], r.bytes(uint64(len(id))))
	return id
}

func (r *reader) int128() schema.Int128 {
	if r.byte() == 0 {
		n := r.varint()
		return schema.Int128{Hi: n >> 63, Lo: uint64(n)}
	}
	hi := r.varint()
	return schema.Int128{Hi: hi, Lo: r.uvarint()}
}

// event decodes the next event into e, reusing e's measurements; keyed says whether the client
// gave it an idempotency key (the key itself is not kept, the id is made of it).
func (r *reader) event(e *schema.Event) (keyed bool, err error) {
	flags := r.byte()
	*e = schema.Event{Measurements: e.Measurements[:0], Entry: schema.Record}
	e.Organization = r.uuid()
	e.ID = r.uuid()
	if flags&flagCorrection != 0 {
		e.Revision = uint32(r.uvarint())
		e.Entry = schema.Entry(int8(r.byte()))
	}
	micros := r.varint()
	e.Time = time.UnixMicro(micros).UTC()
	e.IngestTime = time.UnixMicro(micros + r.varint()).UTC()
	if flags&flagUser != 0 {
		e.User = r.uuid()
	}
	if flags&flagAgent != 0 {
		e.Agent = r.uuid()
	}
	e.Service = r.string()
	e.Channel = r.string()
	e.APIName = r.string()
	e.Endpoint = r.string()
	e.Provider = r.string()
	e.ProviderEndpoint = r.string()
	e.ProviderKey = r.string()
	e.Model = r.string()
	e.Purpose = r.string()
	e.Chargeable = flags&flagChargeable != 0
	for range r.byte() {
		e.Measurements = append(e.Measurements, r.measurement())
	}
	r.origin = queries.Origin{}
	if flags&flagOrigin != 0 {
		r.origin = queries.Origin{Node: r.uuid(), Sequence: r.uvarint()}
	}
	if r.bad {
		return false, errRecord
	}
	return flags&flagKeyed != 0, nil
}

func (r *reader) measurement() (m schema.Measurement) {
	flags := r.byte()
	m.Pricing = schema.Pricing(r.byte())
	m.UsageType = r.string()
	m.Quantity = schema.QuantityOf(r.int128())
	if flags&flagCosts != 0 {
		m.ProviderCost = schema.USDOf(r.int128())
		m.BilledCost = schema.USDOf(r.int128())
	}
	if flags&flagRate != 0 {
		m.Rate = r.uuid()
	}
	return m
}
