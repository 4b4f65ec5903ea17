package agent700

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var bom = []byte("\xef\xbb\xbf")

// usage is the body of a logged usage.
type usage struct {
	user         uuid.UUID
	organization uuid.UUID
	model        string
	service      string
	channel      string
	input        int64
	output       int64
}

// invalid is a body that was read and cannot be taken: a member that is missing, or everything
// that is wrong with those that are there.
type invalid struct {
	text    string
	details []string
}

func (e *invalid) Error() string { return e.text + ": " + strings.Join(e.details, ", ") }

// Unwrap makes it an Invalid error to whoever only asks for the kind.
func (e *invalid) Unwrap() error { return schema.Errorf(schema.Invalid, "", "%s", e.text) }

// decode reads the body of a logged usage. It is total: any bytes give a usage or an error, which
// is *invalid or *schema.Error.
func decode(body []byte) (usage, error) {
	d, err := readObject(body)
	if err != nil {
		return usage{}, err
	}
	u := usage{
		user:         take(d, fieldUser, parseID),
		organization: take(d, fieldOrganization, parseID),
		model:        take(d, fieldModel, parseText),
		input:        take(d, fieldInput, parseTokens),
		output:       take(d, fieldOutput, parseTokens),
		service:      take(d, fieldService, parseText),
		channel:      take(d, fieldChannel, parseText),
	}
	if u.channel == "" {
		u.channel = defaultChannel
	}
	if err := d.err(); err != nil {
		return usage{}, err
	}
	return u, nil
}

// decodeLogin reads the body of an app-login.
func decodeLogin(body []byte) (string, error) {
	d, err := readObject(body)
	if err != nil {
		return "", err
	}
	token := take(d, fieldToken, parseSecret)
	return token, d.err()
}

// decoder takes members one by one and gathers what is wrong with them.
type decoder struct {
	members map[string]json.RawMessage
	twice   map[string]bool // members that are given again with another value
	missing string          // the first one that is
	details []string
}

// readObject reads the members we know of one JSON object. What a member that is given twice is
// worth is a matter of opinion between parsers, so it is kept in mind.
func readObject(body []byte) (*decoder, error) {
	body = bytes.TrimPrefix(body, bom) // some editors and shells put one in front
	if !utf8.Valid(body) || !json.Valid(body) || bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return nil, schema.Errorf(schema.Unreadable, "", "%s", noObject)
	}
	d := &decoder{members: make(map[string]json.RawMessage), twice: make(map[string]bool)}
	in := json.NewDecoder(bytes.NewReader(body))
	_, err := in.Token() // the brace
	for err == nil && in.More() {
		var name json.Token
		var value json.RawMessage
		if name, err = in.Token(); err != nil {
			break
		}
		if err = in.Decode(&value); err == nil {
			d.keep(name.(string), value)
		}
	}
	if err != nil { // not reached: the document is valid
		return nil, schema.Errorf(schema.Unreadable, "", "%s", noObject)
	}
	return d, nil
}

func (d *decoder) keep(name string, value json.RawMessage) {
	if !known[name] {
		return // a body may be full of such
	}
	if old, ok := d.members[name]; ok {
		d.twice[name] = d.twice[name] || !bytes.Equal(old, value)
		return
	}
	d.members[name] = value
}

// known is every name of a member that is read.
var known = func() map[string]bool {
	all := map[string]bool{fieldToken: true}
	for _, names := range aliases {
		for _, name := range names {
			all[name] = true
		}
	}
	return all
}()

func (d *decoder) complain(name, problem string) {
	d.details = append(d.details, name+" "+problem)
}

func (d *decoder) err() error {
	switch {
	case d.missing != "":
		return &invalid{text: missingField + d.missing}
	case len(d.details) > 0:
		return &invalid{text: validationFailed, details: d.details}
	}
	return nil
}

// absent is what a parser says of a value that stands for none.
const absent = "is absent"

// take returns the value of a field, whichever of its names the client gave it. Names that
// contradict each other are a problem, and so is no value, unless the field has a default.
func take[T comparable](d *decoder, field string, parse func(json.RawMessage) (T, string)) T {
	names := aliases[field]
	if names == nil {
		names = []string{field}
	}
	var value T
	from := "" // the name that value came under
	for _, name := range names {
		raw, ok := d.members[name]
		if !ok || string(raw) == "null" && !d.twice[name] {
			continue
		}
		v, problem := parse(raw)
		switch {
		case d.twice[name]:
			d.complain(name, "must be given once")
		case problem == absent:
			continue
		case problem != "":
			d.complain(name, problem)
		case from != "" && v != value:
			d.complain(name, "must be the same as "+from)
		default:
			value = v
		}
		from = name
	}
	if from == "" && field != fieldChannel && d.missing == "" {
		d.missing = field
	}
	return value
}

func parseID(raw json.RawMessage) (uuid.UUID, string) {
	s, problem := parseText(raw)
	if problem == absent {
		return uuid.Nil, absent
	}
	id, err := uuid.Parse(s)
	if problem != "" || err != nil || len(s) != len(id.String()) { // no braces, no URN
		return uuid.Nil, "must be a UUID"
	}
	return id, ""
}

// parseSecret reads a text that is only looked up: there is nothing more to say about it.
func parseSecret(raw json.RawMessage) (string, string) {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", "must be a string"
	}
	if s == "" {
		return "", absent
	}
	return s, ""
}

func parseText(raw json.RawMessage) (string, string) {
	s, problem := parseSecret(raw)
	if problem != "" {
		return "", problem
	}
	if strings.ContainsRune(s, utf8.RuneError) { // as a rule, an escape of half a character
		return "", "must be valid Unicode"
	}
	if err := (*schema.Error)(nil); errors.As(schema.CheckText("", s), &err) {
		return "", err.Message
	}
	return s, ""
}

// parseTokens reads an integer, which may be written like 10.0 or 1e1.
func parseTokens(raw json.RawMessage) (int64, string) {
	const notInteger = "must be an integer >= 0"
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return 0, notInteger
	}
	q, err := schema.ParseQuantity(string(raw))
	n := q.Floor()
	switch {
	case errors.Is(err, schema.ErrRange) && raw[0] != '-', err == nil && n > tokensMax:
		return 0, "must be at most 999999999999"
	case err != nil, n < 0, schema.WholeQuantity(n) != q:
		return 0, notInteger
	}
	return n, ""
}

// decodeRange reads the range of a billing report, half open: instants, or days, of which the last
// one belongs to it. Without an end it ends now, without a start it is the month of its end.
func decodeRange(start, end string, now time.Time) (from, to time.Time, err error) {
	var problems []string
	from, _, ok := decodeInstant(start)
	if !ok {
		problems = append(problems, paramStart+badInstant)
	}
	to, isDay, ok := decodeInstant(end)
	if !ok {
		problems = append(problems, paramEnd+badInstant)
	}
	switch {
	case to.IsZero():
		to = now
	case isDay:
		to = to.AddDate(0, 0, 1)
	}
	if start == "" {
		last := to.Add(-time.Microsecond)
		from = time.Date(last.Year(), last.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	if problems == nil && (from.After(to) || isDay && from.Equal(to)) {
		problems = append(problems, paramStart+" must not be after "+paramEnd)
	}
	if problems != nil {
		return time.Time{}, time.Time{}, &invalid{text: validationFailed, details: problems}
	}
	return from, to, nil
}

const badInstant = " must be a date such as 2026-01-31, or an RFC 3339 time"

// decodeInstant reads a day or an RFC 3339 time; the zero time when s is empty. A space before the
// offset is the '+' of a client that did not encode it.
func decodeInstant(s string) (t time.Time, isDay, ok bool) {
	if s == "" {
		return time.Time{}, false, true
	}
	t, err := time.Parse(time.DateOnly, s)
	if err == nil {
		return t, true, true
	}
	t, err = time.Parse(time.RFC3339, strings.Replace(s, " ", "+", 1))
	t = t.UTC()
	return t, false, err == nil && t.Year() >= 1 && t.Year() <= 9999
}
