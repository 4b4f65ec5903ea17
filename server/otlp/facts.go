package otlp

import (
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/meterhouse/meterhouse/schema"
)

// value is an attribute's value as far as anyone here asks for it.
type value struct {
	is   valueKind
	text string // of a string; a number's literal; true or false
}

type valueKind uint8

const (
	absent valueKind = iota
	stringValue
	numberValue
	boolValue
	otherValue // lists, maps, bytes, nothing
)

// valueOf takes a value out of pdata. A double is written out: what it is exactly is read from its
// digits, as everybody else's numbers are.
func valueOf(v pcommon.Value) value {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return value{stringValue, v.Str()}
	case pcommon.ValueTypeInt:
		return value{numberValue, strconv.FormatInt(v.Int(), 10)}
	case pcommon.ValueTypeDouble:
		return value{numberValue, strconv.FormatFloat(v.Double(), 'g', -1, 64)}
	case pcommon.ValueTypeBool:
		return value{boolValue, strconv.FormatBool(v.Bool())}
	}
	return value{is: otherValue}
}

// facts is what one span, or one resource, says.
type facts struct {
	values [memberEnd]value
	ranks  [memberEnd]uint8
	names  [memberEnd]string // as the client wrote it
	twice  string            // the first name that was given twice
}

// take notes an attribute that a names.
func (f *facts) take(a attribute, name string, v value) {
	m := a.member
	switch {
	case f.names[m] == name:
		if f.twice == "" {
			f.twice = name
		}
		return
	case f.names[m] != "" && f.ranks[m] < a.rank:
		return
	}
	f.values[m], f.ranks[m], f.names[m] = v, a.rank, name
}

func (f *facts) takeAll(all pcommon.Map) {
	for name, v := range all.All() {
		if a, known := attributes[name]; known {
			f.take(a, name, valueOf(v))
		}
	}
}

func (f *facts) has(m member) bool { return f.names[m] != "" }

// hasUsage reports whether tokens were counted at all.
func (f *facts) hasUsage() bool {
	for m := range usageEnd {
		if f.has(m) {
			return true
		}
	}
	return false
}

// text returns a member that is a string; empty when it is not given.
func (f *facts) text(m member) (string, *schema.Error) {
	v := f.values[m]
	if v.is != stringValue && v.is != absent {
		return "", f.wrong(m, "must be a string")
	}
	return v.text, nil
}

func (f *facts) wrong(m member, message string) *schema.Error {
	return &schema.Error{Kind: schema.Invalid, Field: f.names[m], Message: message}
}
