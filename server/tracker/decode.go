package tracker

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

var bom = []byte("\xef\xbb\xbf")

// decode reads the body of a POST. It is total: any bytes give a usage or an error, which is
// invalid, with every problem of the body in the order of its fields, or a *schema.Error.
func decode(contentType string, body []byte) (usage, error) {
	d, err := newDecoder(contentType, body)
	if err != nil {
		return usage{}, err
	}
	u := usage{
		apiName:  d.text(fieldAPIName, schema.TextMax),
		endpoint: d.text(fieldEndpoint, schema.TextMax),
		units:    d.units(fieldUnits),
		cost:     d.cost(fieldCost),
		apiKey:   d.text(fieldAPIKey, apiKeyMax),
	}
	if len(d.problems) > 0 {
		return usage{}, d.problems
	}
	return u, nil
}

// decodeChange reads the body of a PUT, of which every member may be absent. It is total as decode.
func decodeChange(contentType string, body []byte) (change, error) {
	d, err := newDecoder(contentType, body)
	if err != nil {
		return change{}, err
	}
	var made change
	if _, ok := d.members[fieldUnits]; ok {
		units := d.units(fieldUnits)
		made.units = &units
	}
	if _, ok := d.members[fieldCost]; ok {
		cost := d.cost(fieldCost)
		made.cost = &cost
	}
	if len(d.problems) > 0 {
		return change{}, d.problems
	}
	return made, nil
}

// newDecoder takes a body apart into its members.
func newDecoder(contentType string, body []byte) (*decoder, error) {
	body = bytes.TrimPrefix(body, bom)
	if !utf8.Valid(body) {
		return nil, schema.Errorf(schema.Unreadable, "body", "must be valid UTF-8")
	}
	if len(body) == 0 {
		return nil, invalid{missing([]any{"body"}, json.RawMessage("null"))}
	}
	if !dialect.IsJSON(contentType) {
		return nil, invalid{notAnObject(echoText(string(body)))}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, invalid{unmarshalProblem(body, err)}
	}
	if members == nil {
		return nil, invalid{missing([]any{"body"}, json.RawMessage("null"))}
	}
	return &decoder{body: body, members: members}, nil
}

func unmarshalProblem(body []byte, err error) problem {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return notAnObject(echo(body))
	}
	position := int(syntax.Offset) - 1 // the offset is behind the byte at fault
	if strings.HasPrefix(syntax.Error(), "unexpected end") {
		position = len(body)
	}
	position = max(0, min(position, len(body)))
	return badJSON(utf8.RuneCount(body[:position]), jsonReason(syntax.Error()))
}

// jsonReason puts a complaint of Go's parser into the words of Python's.
func jsonReason(complaint string) string {
	for _, r := range []struct{ heard, said string }{
		{"object key string", "Expecting property name enclosed in double quotes"},
		{"after object key:value pair", "Expecting ',' delimiter"},
		{"after array element", "Expecting ',' delimiter"},
		{"after object key", "Expecting ':' delimiter"},
		{"after top-level value", "Extra data"},
		{"in string escape code", "Invalid \\escape"},
		{"in \\u hexadecimal", "Invalid \\uXXXX escape"},
		{"in string literal", "Invalid control character at"},
	} {
		if strings.Contains(complaint, r.heard) {
			return r.said
		}
	}
	return "Expecting value"
}

// decoder takes members one by one and collects what is wrong with them.
type decoder struct {
	body     []byte
	members  map[string]json.RawMessage
	problems invalid
}

func (d *decoder) add(p problem) { d.problems = append(d.problems, p) }

// member returns a member's value, which is not empty; false when there is none.
func (d *decoder) member(name string) (json.RawMessage, bool) {
	raw, ok := d.members[name]
	if !ok || len(raw) == 0 {
		d.add(missing(at("body", name), echo(d.body)))
		return nil, false
	}
	return raw, true
}

func (d *decoder) text(name string, charactersMax int) string {
	raw, ok := d.member(name)
	if !ok {
		return ""
	}
	loc := at("body", name)
	if raw[0] != '"' {
		d.add(simple("string_type", loc, echo(raw)))
		return ""
	}
	s, ok := unquote(raw)
	switch {
	case !ok:
		d.add(simple("string_unicode", loc, echo(raw)))
	case utf8.RuneCountInString(s) > charactersMax:
		d.add(bounded("string_too_long", loc, echo(raw), charactersMax))
	case !isPrintable(s):
		d.add(bounded("string_pattern_mismatch", loc, echo(raw), printable))
	}
	return s
}

func (d *decoder) units(name string) int64 {
	raw, ok := d.member(name)
	if !ok {
		return 0
	}
	n, fault := int64(0), faultType
	switch {
	case isNumber(raw):
		n, fault = integerOf(string(raw))
	case raw[0] == '"':
		s, _ := unquote(raw)
		n, fault = integerOfText(s)
	}
	if p, bad := integerProblem(n, fault, maxInt64, at("body", name), echo(raw)); bad {
		d.add(p)
	}
	return n
}

func (d *decoder) cost(name string) schema.USD {
	raw, ok := d.member(name)
	if !ok {
		return schema.USD{}
	}
	loc := at("body", name)
	literal := string(raw)
	switch {
	case isNumber(raw):
	case raw[0] == '"':
		s, _ := unquote(raw)
		literal = decimalLiteral(s)
		if isNotFinite(literal) {
			d.add(simple("finite_number", loc, echo(raw)))
			return schema.USD{}
		}
	default:
		d.add(simple("decimal_type", loc, echo(raw)))
		return schema.USD{}
	}
	cost, p, bad := costOf(literal, loc, echo(raw))
	if bad {
		d.add(p)
	}
	return cost
}

func isNumber(raw []byte) bool { return raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' }

// unquote returns the text of a JSON string; false when it escapes half of a surrogate pair,
// which encoding/json would silently replace.
func unquote(raw []byte) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	if !strings.ContainsRune(s, utf8.RuneError) {
		return s, true
	}
	// Each replacement character has to be one that the client wrote.
	written := bytes.Count(raw, []byte("\uFFFD")) + countEscaped(raw, "fffd")
	return s, strings.Count(s, "\uFFFD") == written
}

// countEscaped counts the \uXXXX escapes with these hexadecimal digits in a valid JSON string.
func countEscaped(raw []byte, digits string) int {
	n := 0
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if i+6 <= len(raw) && raw[i+1] == 'u' && strings.EqualFold(string(raw[i+2:i+6]), digits) {
			n++
		}
		i++ // whatever is escaped is not the start of another escape
	}
	return n
}
