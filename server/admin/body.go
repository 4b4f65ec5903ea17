package admin

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// bodyBytesMax is far over what any thing of the catalog needs.
const bodyBytesMax = 64 << 10

const mimeMergePatch = "application/merge-patch+json"

// object is the JSON object of a request. Its methods each take a member into a variable, leave the
// variable alone where the object has no such member, and note the first fault; done returns it.
type object struct {
	names []string // in the client's order
	raw   map[string]json.RawMessage
	taken map[string]bool
	fault *schema.Error
}

// readObject reads a request's body. Errors: ReadSmallBody's, Unsupported, Unreadable.
func readObject(c *fiber.Ctx) (*object, error) {
	mediaType, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "", fiber.MIMEApplicationJSON:
	case mimeMergePatch:
		if c.Method() == fiber.MethodPatch {
			break
		}
		fallthrough
	default:
		return nil, schema.Errorf(schema.Unsupported, fiber.HeaderContentType,
			"must be %s", fiber.MIMEApplicationJSON)
	}
	body, err := dialect.ReadSmallBody(c, bodyBytesMax)
	if err != nil {
		return nil, err
	}
	return decodeObject(body)
}

// decodeObject is total: any bytes give an object or an error.
func decodeObject(body []byte) (*object, error) {
	switch {
	case len(body) > bodyBytesMax:
		return nil, schema.Errorf(schema.TooLarge, "", "the body must have at most %d bytes",
			bodyBytesMax)
	case !utf8.Valid(body):
		return nil, schema.Errorf(schema.Unreadable, "", "the body must be valid UTF-8")
	case !json.Valid(body) || bytes.TrimLeft(body, " \t\r\n")[0] != '{':
		return nil, schema.Errorf(schema.Unreadable, "", "the body must be one JSON object")
	}
	o := &object{raw: make(map[string]json.RawMessage), taken: make(map[string]bool)}
	d := json.NewDecoder(bytes.NewReader(body))
	_, _ = d.Token() // the brace: the text is valid
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return nil, schema.Errorf(schema.Unreadable, "", "the body must be one JSON object")
		}
		if _, twice := o.raw[name]; twice {
			return nil, schema.Errorf(schema.Unreadable, dialect.Clip(name), "is given twice")
		}
		o.names = append(o.names, name)
		o.raw[name] = value
	}
	return o, nil
}

// done returns the first fault; a member that nobody took is one.
func (o *object) done() error {
	for _, name := range o.names {
		if !o.taken[name] {
			o.fail(dialect.Clip(name), "is not a member that can be given")
		}
	}
	if o.fault != nil {
		return o.fault
	}
	return nil
}

func (o *object) fail(name, message string) {
	if o.fault == nil {
		o.fault = schema.Errorf(schema.Invalid, name, "%s", message)
	}
}

// has reports whether the object has a member.
func (o *object) has(name string) bool {
	_, ok := o.raw[name]
	return ok
}

// require notes which of the members is missing.
func (o *object) require(names ...string) {
	for _, name := range names {
		if !o.has(name) {
			o.fail(name, "is missing")
		}
	}
}

// fixed refuses members that are known and cannot be changed.
func (o *object) fixed(names ...string) {
	for _, name := range names {
		if o.take(name) != nil {
			o.fail(name, "cannot be changed")
		}
	}
}

// take returns a member's value, nil when the object has none.
func (o *object) take(name string) json.RawMessage {
	o.taken[name] = true
	return o.raw[name]
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// str takes a string. False when the member is absent or none, which is noted.
func (o *object) str(name string) (string, bool) {
	raw := o.take(name)
	if raw == nil {
		return "", false
	}
	s, fault := stringOf(raw)
	if fault != "" {
		o.fail(name, fault)
	}
	return s, fault == ""
}

// stringOf returns the string that a value is, or what is wrong with it.
func stringOf(raw json.RawMessage) (s, fault string) {
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", "must be a string"
	}
	if halfOfAPair(raw, s) {
		return "", "must be valid Unicode"
	}
	return s, ""
}

// halfOfAPair reports whether U+FFFD stands in a string for half of a surrogate pair: two different
// texts would become equal.
func halfOfAPair(raw json.RawMessage, s string) bool {
	const replacement = "\uFFFD"
	written := strings.Count(string(raw), replacement) +
		strings.Count(strings.ToLower(string(raw)), `\ufffd`)
	return strings.Count(s, replacement) > written
}

// text takes a text that must not be empty.
func (o *object) text(name string, into *string) {
	s, ok := o.str(name)
	switch {
	case !ok:
	case s == "":
		o.fail(name, "must not be empty")
	default:
		o.checked(name, s, into)
	}
}

// optional takes a text that may be empty, or null, which is the same.
func (o *object) optional(name string, into *string) {
	if isNull(o.take(name)) {
		*into = ""
		return
	}
	if s, ok := o.str(name); ok {
		o.checked(name, s, into)
	}
}

func (o *object) checked(name, s string, into *string) {
	if err := schema.CheckText(name, s); err != nil {
		o.fail(name, strings.TrimPrefix(err.Error(), name+": "))
		return
	}
	*into = s
}

// id takes an id.
func (o *object) id(name string, into *uuid.UUID) {
	s, ok := o.str(name)
	if !ok {
		return
	}
	id, ok := parseID(s)
	if !ok {
		o.fail(name, "must be a UUID")
		return
	}
	*into = id
}

// optionalID takes an id, or null for none.
func (o *object) optionalID(name string, into *uuid.UUID) {
	if isNull(o.take(name)) {
		*into = uuid.Nil
		return
	}
	o.id(name, into)
}

// parseID reads an id in its usual form: the others of a UUID would make two names of one thing.
func parseID(s string) (uuid.UUID, bool) {
	const length = 36
	id, err := uuid.Parse(s)
	return id, err == nil && len(s) == length && id != uuid.Nil
}

// boolean takes true or false.
func (o *object) boolean(name string, into *bool) {
	switch string(o.take(name)) {
	case "":
	case "true":
		*into = true
	case "false":
		*into = false
	default:
		o.fail(name, "must be true or false")
	}
}

// usd takes an amount of dollars, as a number or as a string.
func (o *object) usd(name string, into *schema.USD) {
	raw := o.take(name)
	if raw == nil {
		return
	}
	literal := string(raw)
	if raw[0] == '"' {
		literal, _ = o.str(name)
	}
	amount, err := schema.ParseUSD(literal)
	switch {
	case err != nil:
		o.fail(name, err.Error())
	case amount.Sign() < 0:
		o.fail(name, "must not be negative")
	default:
		*into = amount
	}
}

// instant takes a date, which is midnight UTC, or an RFC 3339 instant, to the microsecond.
func (o *object) instant(name string, into *time.Time) {
	s, ok := o.str(name)
	if !ok {
		return
	}
	t, ok := parseInstant(s)
	switch {
	case !ok:
		o.fail(name, "must be a date or an RFC 3339 instant")
	case !schema.InstantValid(t):
		o.fail(name, "must be from 1970 to 2199")
	default:
		*into = t
	}
}

// optionalInstant takes an instant, or null for none.
func (o *object) optionalInstant(name string, into *time.Time) {
	if isNull(o.take(name)) {
		*into = time.Time{}
		return
	}
	o.instant(name, into)
}

func parseInstant(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	return t.UTC().Truncate(time.Microsecond), err == nil
}

// count takes a whole number of 32 bits, or null for 0.
func (o *object) count(name string, into *uint32) {
	raw := o.take(name)
	if raw == nil {
		return
	}
	*into = 0
	if isNull(raw) {
		return
	}
	if raw[0] == '"' || json.Unmarshal(raw, into) != nil {
		o.fail(name, "must be a whole number from 0 to 4294967295")
	}
}

// oneOf takes one of a few names.
func oneOf[T any](o *object, name string, named func(string) (T, bool), what string, into *T) {
	s, ok := o.str(name)
	if !ok {
		return
	}
	value, ok := named(s)
	if !ok {
		o.fail(name, "must be "+what)
		return
	}
	*into = value
}
