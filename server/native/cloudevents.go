package native

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// CloudEvents 1.0: in its JSON format, batches of them, and the binary mode of its HTTP binding.

// What a CloudEvent must say to be one of ours.
const (
	specVersion    = "1.0"
	cloudEventType = "meterhouse.usage"

	sourceMax = 1024 // characters
)

// attribute is a member of a CloudEvent that means something here: a bit.
type attribute uint8

// The attributes, and what holds the data. Whatever else there is, subject, dataschema and
// extensions, is passed over.
const (
	attributeSpecVersion attribute = 1 << iota
	attributeType
	attributeID
	attributeSource
	attributeTime
	attributeContentType
	attributeData
	attributeDataBase64
)

func attributeOf(name string) attribute {
	switch name {
	case "specversion":
		return attributeSpecVersion
	case "type":
		return attributeType
	case "id":
		return attributeID
	case "source":
		return attributeSource
	case "time":
		return attributeTime
	case "datacontenttype":
		return attributeContentType
	case "data":
		return attributeData
	case "data_base64":
		return attributeDataBase64
	}
	return 0
}

// isAttributeName reports whether CloudEvents has room for an attribute of that name: lower-case
// letters and digits.
func isAttributeName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// envelope is a CloudEvent around an event.
type envelope struct {
	specVersion, kind, id, source, time, contentType string

	seen, given attribute // by name; by a value that is not null
}

// field returns where an attribute that is a text is kept; nil for the others.
func (v *envelope) field(a attribute) *string {
	switch a {
	case attributeSpecVersion:
		return &v.specVersion
	case attributeType:
		return &v.kind
	case attributeID:
		return &v.id
	case attributeSource:
		return &v.source
	case attributeTime:
		return &v.time
	case attributeContentType:
		return &v.contentType
	}
	return nil
}

// cloudEvent decodes the CloudEvent at the scanner's position, as event does an event.
func (b *batch) cloudEvent(e *schema.Event) bool {
	if b.form == asBinaryCloudEvent {
		if !b.event(e) {
			return false
		}
		b.unwrap(e, b.envelope, "ce-", "")
		return true
	}
	b.seen, b.given = 0, 0
	if b.peek() != '{' {
		b.reject("", "must be a JSON object")
		return b.skip(depthMax)
	}
	var v envelope
	for first := true; ; first = false {
		name, more := b.member(first)
		if !more {
			break
		}
		if !b.envelopeMember(e, &v, name) {
			return false
		}
	}
	if b.fault != "" {
		return false
	}
	if v.given&attributeData == 0 {
		b.reject("data", "is required: the event, as JSON")
	}
	b.unwrap(e, &v, "", "data.")
	return true
}

// envelopeMember decodes one member of a CloudEvent. False when it is no JSON.
func (b *batch) envelopeMember(e *schema.Event, v *envelope, name text) bool {
	field, _ := name.value()
	a := attributeOf(field)
	switch {
	case a == 0 && !isAttributeName(field):
		b.reject(clip(field), "is not an attribute of a CloudEvent: members of the event are in data")
		return b.skip(depthMax)
	case a == 0:
		return b.skip(depthMax)
	case v.seen&a != 0:
		b.reject(field, "is given twice")
		return b.skip(depthMax)
	}
	v.seen |= a
	if b.peek() == 'n' {
		return b.word("null")
	}
	v.given |= a
	switch {
	case a == attributeData:
		b.prefix = "data."
		readable := b.event(e)
		b.prefix = ""
		return readable
	case a == attributeDataBase64:
		b.reject(field, "is not taken: give the event as JSON in data")
		return b.skip(depthMax)
	case b.peek() != '"':
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
	}
	*v.field(a) = s
	return true
}

// unwrap gives an event what its CloudEvent says: its key and its time. The prefixes are those of
// the attributes' and of the event's members in a rejection.
func (b *batch) unwrap(e *schema.Event, v *envelope, attributes, data string) {
	b.prefix = attributes
	b.checkEnvelope(v)
	if v.given&attributeTime != 0 {
		t, ok := parseTime(v.time)
		switch {
		case !ok:
			b.reject("time", "must be an RFC 3339 time with an offset or Z")
		case b.given&memberTime != 0 && !t.Equal(e.Time):
			b.prefix = data
			b.reject("time", "differs from the CloudEvent's time")
		}
		e.Time = t
		b.given |= memberTime
	}
	b.prefix = data
	if e.Key != "" && e.Key != v.id {
		b.reject("id", "differs from the CloudEvent's id")
	}
	if b.problem == nil {
		e.Key = cloudEventKey(v.source, v.id)
		b.complete(e)
	}
	b.prefix = ""
}

func (b *batch) checkEnvelope(v *envelope) {
	if v.specVersion != specVersion {
		b.reject("specversion", `must be "1.0"`)
	}
	if v.kind != cloudEventType {
		b.reject("type", "must be meterhouse.usage")
	}
	if message := dialect.CheckKey(v.id); message != "" {
		b.reject("id", message)
	}
	if message := checkSource(v.source); message != "" {
		b.reject("source", message)
	}
	if v.given&attributeContentType != 0 && !isJSON(v.contentType) {
		b.reject("datacontenttype", "must be application/json or absent")
	}
}

// checkSource returns what is wrong with a source, a URI reference; empty when nothing is. That it
// has no space is what cloudEventKey builds on.
func checkSource(s string) string {
	switch {
	case s == "" || utf8.RuneCountInString(s) > sourceMax:
		return "must have 1 to 1024 characters"
	case !utf8.ValidString(s):
		return "must be valid UTF-8"
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return "must be a URI reference, without spaces"
		}
	}
	return ""
}

// isJSON reports whether a media type is JSON, as CloudEvents says which are.
func isJSON(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	return strings.HasSuffix(mediaType, "/json") || strings.HasSuffix(mediaType, "+json")
}

// cloudEventKey returns the idempotency key of a CloudEvent: its source, a space and its id, or
// where that is longer than a key may be, "ce:sha256:" and the hash of it. The first space ends
// the source, and there is none in the second form, so that two pairs never share a key.
func cloudEventKey(source, id string) string {
	key := source + " " + id
	if len(key) <= schema.KeyMax || utf8.RuneCountInString(key) <= schema.KeyMax {
		return key
	}
	hash := sha256.Sum256([]byte(key))
	return "ce:sha256:" + hex.EncodeToString(hash[:])
}

// fieldOf returns how a client knows a field that the ledger has a problem with.
func (f form) fieldOf(field string) string {
	if f != asCloudEvent && f != asCloudEvents || field == "time" || field == "" {
		return field
	}
	return "data." + field
}
