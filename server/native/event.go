package native

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

const halfPair = "must not contain half of a surrogate pair"

// event decodes the value at the scanner's position into e, which must be zero: its own members,
// and nothing that its request gives it. False when the text is no JSON there: the scanner has the
// fault. A readable value that is no event leaves its first problem in b.problem, and is read to
// its end all the same.
func (b *batch) event(e *schema.Event) bool {
	b.seen, b.given = 0, 0
	if b.peek() != '{' {
		b.reject("", "must be a JSON object")
		return b.skip(depthMax)
	}
	e.Chargeable, b.cost = true, schema.USD{}
	for first := true; ; first = false {
		name, more := b.member(first)
		if !more {
			break
		}
		if !b.eventMember(e, name) {
			return false
		}
	}
	if b.fault != "" {
		return false
	}
	if b.given&memberUsage == 0 && !b.patching {
		b.reject("usage", "is required")
	}
	return true
}

// eventMember decodes one member's value. False when it is no JSON.
func (b *batch) eventMember(e *schema.Event, name text) bool {
	field, _ := name.value() // half a surrogate pair makes it a name that no member has
	m := memberOf(field)
	switch {
	case m == 0:
		b.reject(clip(field), "is not a member of an event")
		return b.skip(depthMax)
	case b.seen&m != 0:
		b.reject(field, "is given twice")
		return b.skip(depthMax)
	case b.fixed&m != 0:
		b.reject(field, "cannot be changed")
		return b.skip(depthMax)
	}
	b.seen |= m
	if b.peek() == 'n' { // null is what many encoders write for a member that is not there
		return b.word("null")
	}
	b.given |= m
	switch m {
	case memberUsage:
		return b.usage(e)
	case memberChargeable:
		return b.boolean(field, &e.Chargeable)
	case memberCost:
		return b.costUSD(field)
	}
	if b.peek() != '"' {
		b.reject(field, "must be a string")
		return b.skip(depthMax)
	}
	t, ok := b.str()
	if !ok {
		return false
	}
	s, ok := t.value()
	if !ok {
		b.reject(field, halfPair)
		return true
	}
	b.assign(e, m, field, s)
	return true
}

// assign gives a member that is a string its value.
func (b *batch) assign(e *schema.Event, m member, field, s string) {
	switch m {
	case memberID:
		if message := dialect.CheckKey(s); message != "" {
			b.reject(field, message)
		}
		e.Key = s
	case memberTime:
		t, ok := parseTime(s)
		if !ok {
			b.reject(field, "must be an RFC 3339 time with an offset or Z")
		}
		e.Time = t
	case memberAgentID:
		b.id(field, s, &e.Agent)
	case memberUserID:
		b.id(field, s, &e.User)
	case memberProviderKey:
		e.ProviderKey = b.obfuscated(field, s)
	default:
		*textOf(e, m) = s
	}
}

// id parses a UUID.
func (b *batch) id(field, s string, id *uuid.UUID) {
	parsed, ok := parseID(s)
	if !ok {
		b.reject(field, "must be a UUID")
		return
	}
	*id = parsed
}

// parseID reads a UUID in its canonical form of 36 characters, the only one the API writes.
func parseID(s string) (uuid.UUID, bool) {
	const canonical = 36
	id, err := uuid.Parse(s)
	return id, err == nil && len(s) == canonical
}

// parseTime reads an RFC 3339 time. It looks closer than time.Parse, which takes a one-digit hour,
// a comma before the fraction, and offsets of a day.
func parseTime(s string) (time.Time, bool) {
	const shape = "2006-01-02T15:04:05Z"
	if len(s) < len(shape) || s[13] != ':' || s[19] == ',' {
		return time.Time{}, false
	}
	if zone := s[len(s)-len("+00:00"):]; s[len(s)-1] != 'Z' && (zone[1:3] > "23" || zone[4:] > "59") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, false
	}
	return t.UTC().Truncate(time.Microsecond), true
}

// obfuscated hides a provider's key. Events in a row mostly carry the same one.
func (b *batch) obfuscated(field, key string) string {
	if len(key) > providerKeyBytesMax {
		b.reject(field, "must have at most 4096 bytes")
		return ""
	}
	if key != b.key {
		b.key, b.keyObfuscated = key, schema.ObfuscateKey(key)
	}
	return b.keyObfuscated
}

// boolean decodes true or false.
func (b *batch) boolean(field string, v *bool) bool {
	switch b.peek() {
	case 't':
		*v = true
		return b.word("true")
	case 'f':
		*v = false
		return b.word("false")
	}
	b.reject(field, "must be true or false")
	return b.skip(depthMax)
}

// costUSD decodes the given cost into b.cost.
func (b *batch) costUSD(field string) bool {
	literal, ok, readable := b.decimal("", field)
	if !ok {
		return readable
	}
	cost, err := schema.ParseUSD(literal)
	switch {
	case err != nil:
		b.reject(field, err.Error()+" (15 integer digits and 12 decimals are kept)")
	case cost.Sign() < 0:
		b.reject(field, "must not be negative")
	}
	b.cost = cost
	return true
}

// decimal takes a JSON number or a string that holds one, and returns its literal. Not ok: the
// value is neither, and the event is rejected; not readable: it is no JSON. The field at fault is
// prefix and name, put together only when there is a fault.
func (b *batch) decimal(prefix, name string) (literal string, ok, readable bool) {
	switch c := b.peek(); {
	case c == '"':
		t, readable := b.str()
		if !readable {
			return "", false, false
		}
		if literal, ok = t.value(); !ok {
			b.reject(prefix+clip(name), halfPair)
		}
		return literal, ok, true
	case c == '-' || c >= '0' && c <= '9':
		literal, readable = b.number()
		return literal, readable, readable
	}
	b.reject(prefix+clip(name), "must be a number or a numeric string")
	return "", false, b.skip(depthMax)
}

// reject notes the event's first problem.
func (b *batch) reject(field, message string) {
	if b.problem != nil {
		return
	}
	if field == "" {
		field = strings.TrimSuffix(b.prefix, ".")
	} else {
		field = b.prefix + field
	}
	b.problem = &schema.Error{Kind: schema.Invalid, Field: field, Message: message}
}

// clip shortens a name of the client's choosing to what an answer repeats of it.
func clip(name string) string {
	n := 0
	for i := range name {
		if n == reflectedMax {
			return name[:i] + "…"
		}
		n++
	}
	return name
}
