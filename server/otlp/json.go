package otlp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/meterhouse/meterhouse/schema"
)

// JSON is not left to pdata: its decoder goes on behind an error, reads ids to the first quote that
// it sees, escaped or not, and takes a number for a binary double. A bound that is checked before
// would have to agree with it about where strings end. Here only what is asked for is decoded,
// numbers stay in their own digits, and a bad one costs its span, not the request.

type jsonRequest struct {
	ResourceSpans []struct {
		Resource struct {
			Attributes []jsonAttribute `json:"attributes"`
		} `json:"resource"`
		ScopeSpans []struct {
			Spans []jsonSpan `json:"spans"`
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
}

type jsonSpan struct {
	TraceID    string          `json:"traceId"`
	SpanID     string          `json:"spanId"`
	Name       string          `json:"name"`
	End        jsonNumber      `json:"endTimeUnixNano"`
	Attributes []jsonAttribute `json:"attributes"`
}

type jsonAttribute struct {
	Key   string    `json:"key"`
	Value jsonValue `json:"value"`
}

type jsonValue struct {
	String *string     `json:"stringValue"`
	Bool   *bool       `json:"boolValue"`
	Int    *jsonNumber `json:"intValue"`
	Double *jsonNumber `json:"doubleValue"`
}

// jsonNumber is a number's literal, which 64-bit integers have in a string.
type jsonNumber string

// UnmarshalJSON takes any value: what is no number is found out where one is needed.
func (n *jsonNumber) UnmarshalJSON(raw []byte) error {
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		*n = jsonNumber(s)
		return nil
	}
	*n = jsonNumber(raw)
	return nil
}

func (b *batch) decodeJSON(body []byte) error {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] != '{' || !utf8.Valid(body) || !json.Valid(body) {
		return notJSON()
	}
	if err := boundJSON(body); err != nil {
		return err
	}
	var request jsonRequest
	if json.Unmarshal(body, &request) != nil {
		return notJSON()
	}
	for _, rs := range request.ResourceSpans {
		var resource facts
		resource.takeJSON(rs.Resource.Attributes)
		for _, ss := range rs.ScopeSpans {
			for i := range ss.Spans {
				s := ss.Spans[i].span()
				if err := b.add(&s, &resource); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *jsonSpan) span() span {
	to := span{trace: unhex(s.TraceID), id: unhex(s.SpanID), name: s.Name}
	to.facts.takeJSON(s.Attributes)
	if s.End != "" {
		end, err := strconv.ParseUint(string(s.End), 10, 64)
		to.end, to.badEnd = end, err != nil
	}
	return to
}

// unhex returns the bytes of an id, which OTLP writes in hexadecimal, not in base64; nil when it is
// not.
func unhex(s string) []byte {
	id, err := hex.DecodeString(s)
	if err != nil {
		return nil
	}
	return id
}

func (f *facts) takeJSON(all []jsonAttribute) {
	for i := range all {
		if a, known := attributes[all[i].Key]; known {
			f.take(a, all[i].Key, all[i].Value.value())
		}
	}
}

func (v *jsonValue) value() value {
	switch {
	case v.String != nil:
		return value{stringValue, *v.String}
	case v.Int != nil:
		return value{numberValue, string(*v.Int)}
	case v.Double != nil:
		return value{numberValue, string(*v.Double)}
	case v.Bool != nil:
		return value{boolValue, strconv.FormatBool(*v.Bool)}
	}
	return value{is: otherValue}
}

// boundJSON returns an error when decoding valid JSON would take too much: what multiplies is the
// elements of arrays, and those of the three outer ones are the largest.
func boundJSON(body []byte) error {
	const outerArrays, outerWeight, innerWeight = 6, 320, 160
	s := newScale(len(body))
	var open []byte // brackets
	for i := 0; i < len(body); i++ {
		element := false
		switch c := body[i]; c {
		case '"':
			i = stringEnd(body, i)
		case '{', '[':
			open = append(open, c)
			element = c == '['
		case '}', ']':
			open = open[:len(open)-1]
		case ',':
			element = open[len(open)-1] == '['
		}
		weight := innerWeight
		if len(open) <= outerArrays {
			weight = outerWeight
		}
		if !element {
			continue
		}
		if err := s.add(weight); err != nil {
			return err
		}
	}
	return nil
}

// stringEnd returns the position of the quote that ends the string at i.
func stringEnd(body []byte, i int) int {
	for i++; body[i] != '"'; i++ {
		if body[i] == '\\' {
			i++
		}
	}
	return i
}

func notJSON() error {
	return schema.Errorf(schema.Unreadable, "",
		"the body is not an ExportTraceServiceRequest in OTLP's JSON")
}
