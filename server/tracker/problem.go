package tracker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/meterhouse/meterhouse/schema"
)

// problem is one entry of a 422's detail, in pydantic's words.
type problem struct {
	Type  string          `json:"type"`
	Loc   []any           `json:"loc"` // where: body, path, query or header, then a name or position
	Msg   string          `json:"msg"`
	Input json.RawMessage `json:"input,omitempty"` // absent when it would be long
	Ctx   map[string]any  `json:"ctx,omitempty"`
}

// invalid is everything that is wrong with one request, in the order of its fields.
type invalid []problem

// Error names where the problems are. It repeats nothing of the input, which may hold a secret.
func (e invalid) Error() string {
	var b strings.Builder
	for i, p := range e {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%v: %s", p.Loc, p.Type)
	}
	return b.String()
}

// Unwrap says what kind of error this is to whoever only knows schema's.
func (e invalid) Unwrap() error {
	return &schema.Error{Kind: schema.Invalid, Message: e.Error()}
}

func at(place string, name any) []any { return []any{place, name} }

// echo returns what an error repeats of its input, nil when that would be long.
func echo(raw []byte) json.RawMessage {
	if len(raw) > inputBytesMax {
		return nil
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return nil
	}
	return b.Bytes()
}

// echoText returns a text as an error repeats it, nil when that would be long.
func echoText(s string) json.RawMessage {
	if len(s) > inputBytesMax || !utf8.ValidString(s) {
		return nil
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return raw
}

func missing(loc []any, input json.RawMessage) problem {
	return problem{Type: "missing", Loc: loc, Msg: "Field required", Input: input}
}

func notAnObject(input json.RawMessage) problem {
	return problem{
		Type: "model_attributes_type", Loc: []any{"body"}, Input: input,
		Msg: "Input should be a valid dictionary or object to extract fields from",
	}
}

func badJSON(position int, reason string) problem {
	return problem{
		Type: "json_invalid", Loc: at("body", position), Msg: "JSON decode error",
		Input: json.RawMessage("{}"), Ctx: map[string]any{"error": reason},
	}
}

func badUUID(loc []any, input json.RawMessage, reason string) problem {
	return problem{
		Type: "uuid_parsing", Loc: loc, Msg: "Input should be a valid UUID, " + reason,
		Input: input, Ctx: map[string]any{"error": reason},
	}
}

// simple returns a problem whose type and text have no parameters.
func simple(kind string, loc []any, input json.RawMessage) problem {
	return problem{Type: kind, Loc: loc, Msg: messages[kind], Input: input}
}

var messages = map[string]string{
	"string_type":     "Input should be a valid string",
	"string_unicode":  "Input should be a valid string, unable to parse raw data as a unicode string",
	"int_type":        "Input should be a valid integer",
	"int_parsing":     "Input should be a valid integer, unable to parse string as an integer",
	"int_from_float":  "Input should be a valid integer, got a number with a fractional part",
	"decimal_type":    "Decimal input should be an integer, float, string or Decimal object",
	"decimal_parsing": "Input should be a valid decimal",
	"finite_number":   "Input should be a finite number",
}

// bounded returns a problem whose type and text have one parameter, limit.
func bounded(kind string, loc []any, input json.RawMessage, limit any) problem {
	b := bounds[kind]
	return problem{
		Type: kind, Loc: loc, Msg: fmt.Sprintf(b.format, limit), Input: input,
		Ctx: map[string]any{b.parameter: limit},
	}
}

var bounds = map[string]struct{ parameter, format string }{
	"greater_than_equal":      {"ge", "Input should be greater than or equal to %v"},
	"less_than_equal":         {"le", "Input should be less than or equal to %v"},
	"string_too_short":        {"min_length", "String should have at least %v character"},
	"string_too_long":         {"max_length", "String should have at most %v characters"},
	"string_pattern_mismatch": {"pattern", "String should match pattern '%v'"},
	"decimal_max_digits": {
		"max_digits", "Decimal input should have no more than %v digits in total",
	},
	"decimal_max_places": {
		"decimal_places", "Decimal input should have no more than %v decimal places",
	},
	"decimal_whole_digits": {
		"whole_digits", "Decimal input should have no more than %v digits before the decimal point",
	},
}

// printable is the pattern that texts have to match: no control characters.
const printable = `^[^\x00-\x1f\x7f]*$`

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func keyTaken(key string) problem {
	return problem{
		Type: "value_error", Loc: at("header", strings.ToLower(headerKey)), Input: echoText(key),
		Msg: "Value error, the key was used for something else",
	}
}

// coreFields are this API's names for what the core may find fault with.
var coreFields = map[string]string{
	"usage." + schema.Units: fieldUnits,
	"api_name":              fieldAPIName,
	"endpoint":              fieldEndpoint,
	"cost_usd":              fieldCost,
	"provider_key":          fieldAPIKey,
}

// rejected turns the core's reason for not taking an event into a problem of the request.
func rejected(e *schema.Error) error {
	if e == nil {
		return fmt.Errorf("tracker: an event was rejected without a reason")
	}
	p := problem{Type: "value_error", Loc: []any{"body"}, Msg: "Value error, " + e.Message}
	if name, ok := coreFields[e.Field]; ok {
		p.Loc = at("body", name)
	}
	if e.Field == "id" {
		p.Loc = at("header", strings.ToLower(headerKey))
	}
	return invalid{p}
}
