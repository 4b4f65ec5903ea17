package native

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// origin is what an event gets from its request rather than from its own members.
type origin struct {
	snapshot *access.Snapshot
	caller   access.Caller
	now      time.Time
	newID    func() uuid.UUID
	eventKey string    // the Idempotency-Key header; empty: none
	envelope *envelope // of a CloudEvent in binary mode, from the headers; nil: none
}

// batch is a decoded request: the events to record, and why others are not among them. It is
// reused from request to request, so that a batch of a thousand events allocates next to nothing.
type batch struct {
	scanner
	origin
	form         form
	events       []schema.Event
	positions    []int // in the request, of each of events
	rejected     []dialect.Rejection
	measurements []schema.Measurement // those of all events
	count        int                  // of the request's values, events or not

	// Of the event that is being decoded.
	seen, given member // by name; by a value that is not null
	problem     *schema.Error
	prefix      string // of the fields of problem
	cost        schema.USD

	patching bool     // what is read is a merge patch
	fixed    member   // that it must leave alone
	removed  []string // usage types that are null in it

	// Of the event before: most events of a request share them.
	key, keyObfuscated string
}

// decode reads a whole body. Every value in it becomes an event or a rejection. An error means
// that nothing of the body counts: Unreadable, or TooLarge for more events than a request may
// have. The events alias body, which must not change until they are recorded.
func (b *batch) decode(body string, f form, o origin) error {
	b.form, b.origin = f, o
	if !utf8.ValidString(body) {
		return schema.Errorf(schema.Unreadable, "", "the body must be valid UTF-8")
	}
	if f >= asCloudEvent && b.eventKey != "" {
		return schema.Errorf(schema.Unreadable, dialect.HeaderIdempotencyKey,
			"is not for CloudEvents: their id and source are the key")
	}
	var err error
	if f == asLines {
		err = b.decodeLines(body)
	} else {
		err = b.decodeJSON(body)
	}
	switch {
	case err != nil:
		return err
	case b.count == 0:
		return schema.Errorf(schema.Unreadable, "", "the body has no events")
	case b.count > 1 && b.eventKey != "":
		return schema.Errorf(schema.Unreadable, dialect.HeaderIdempotencyKey,
			"is for a request of one event: give each event of a batch its id")
	}
	return nil
}

// decodeJSON reads one event or an array of events, where the form has room for it.
func (b *batch) decodeJSON(body string) error {
	b.scanner = scanner{text: body}
	switch c := b.peek(); {
	case c == '{' && b.form != asCloudEvents:
		if !b.next() {
			return b.unreadable()
		}
	case c == '[' && (b.form == asJSON || b.form == asCloudEvents):
		for first := true; b.element(first); first = false {
			if b.count == schema.RequestEventsMax {
				return tooMany()
			}
			if !b.next() {
				return b.unreadable()
			}
		}
	default:
		if b.pos == len(body) {
			return nil
		}
		at := b.pos
		if b.skip(depthMax) {
			b.fail(at, expected[b.form])
		}
	}
	if b.fault != "" || !b.end() {
		return b.unreadable()
	}
	return nil
}

// decodeLines reads an event a line. A line of nothing but white space is none.
func (b *batch) decodeLines(body string) error {
	for number := 1; body != ""; number++ {
		var line string
		line, body, _ = strings.Cut(body, "\n")
		b.scanner = scanner{text: line}
		if b.peek() == 0 && b.pos == len(line) {
			continue
		}
		if b.count == schema.RequestEventsMax {
			return tooMany()
		}
		if !b.next() || !b.end() {
			return schema.Errorf(schema.Unreadable, "", "line %d is not JSON: %s at its byte %d",
				number, b.fault, b.pos+1)
		}
	}
	return nil
}

// next decodes the request's next value into an event or a rejection; false when it is no JSON.
func (b *batch) next() bool {
	n, used := len(b.events), len(b.measurements)
	if n < cap(b.events) {
		b.events = b.events[:n+1] // zero: reset and the rejections below see to it
	} else {
		b.events = append(b.events, schema.Event{})
	}
	e := &b.events[n]
	b.problem = nil
	if b.form >= asCloudEvent {
		if !b.cloudEvent(e) {
			return false
		}
	} else if !b.event(e) {
		return false
	} else if b.problem == nil {
		b.complete(e)
	}
	if b.problem != nil {
		b.rejected = append(b.rejected, dialect.Rejection{Index: b.count, Err: b.problem})
		*e = schema.Event{}
		clear(b.measurements[used:])
		b.events, b.measurements = b.events[:n], b.measurements[:used]
	} else {
		b.positions = append(b.positions, b.count)
	}
	b.count++
	return true
}

// complete gives a readable event what its request says: who, when, and which id.
func (b *batch) complete(e *schema.Event) {
	e.Organization = b.caller.Organization
	e.Entry = schema.Record
	if b.given&memberTime == 0 {
		e.Time = b.now
	}
	if b.given&memberCost != 0 {
		for i := range e.Measurements {
			e.Measurements[i].Pricing = schema.Given
		}
		e.Measurements[0].ProviderCost, e.Measurements[0].BilledCost = b.cost, b.cost
	}
	b.attribute(e)
	if b.eventKey != "" {
		if e.Key != "" && e.Key != b.eventKey {
			b.reject("id", "differs from the Idempotency-Key header")
		}
		e.Key = b.eventKey
	}
	if b.problem != nil {
		return
	}
	if e.Key != "" {
		e.ID = schema.EventID(e.Organization, e.Key)
	} else {
		e.ID = b.newID()
	}
}

// attribute checks that the caller may write usage of the event's agent and user.
func (b *batch) attribute(e *schema.Event) {
	switch {
	case b.given&memberAgentID == 0:
		e.Agent = b.caller.Agent
	case b.caller.Agent != uuid.Nil:
		if e.Agent != b.caller.Agent {
			b.reject("agent_id", "is not the agent of the Agent-Secret-Key")
		}
	default:
		agent, ok := b.snapshot.Agent(e.Agent)
		if !ok || agent.Organization != b.caller.Organization {
			b.reject("agent_id", "unknown agent")
		}
	}
	switch {
	case b.given&memberUserID == 0:
		e.User = b.caller.User
	case e.User == b.caller.User && e.User != uuid.Nil:
	case b.caller.Role < schema.Admin:
		b.reject("user_id", "only an admin names another user")
	case b.snapshot.Role(b.caller.Organization, e.User) == 0:
		b.reject("user_id", "unknown user")
	}
}

func (b *batch) unreadable() error {
	return schema.Errorf(schema.Unreadable, "", "the body is not JSON: %s at byte %d",
		b.fault, b.pos+1)
}

func tooMany() error {
	return schema.Errorf(schema.TooLarge, "", "a request must have at most %d events",
		schema.RequestEventsMax)
}

// eventsKeptMax bounds what a batch keeps for the next request: about 1 MB.
const eventsKeptMax = 2048

// reset forgets the request, so that its body can be freed; the memory stays for the next one.
// False when that is more than is worth keeping.
func (b *batch) reset() bool {
	if cap(b.events) > eventsKeptMax || cap(b.measurements) > 2*eventsKeptMax {
		return false
	}
	clear(b.events)
	clear(b.measurements)
	*b = batch{events: b.events[:0], positions: b.positions[:0], measurements: b.measurements[:0]}
	return true
}
