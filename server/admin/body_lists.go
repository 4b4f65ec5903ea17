package admin

import (
	"encoding/json"
	"fmt"
)

// elements takes an array, or null for an empty one. False when the member is absent or none.
func (o *object) elements(name string) ([]json.RawMessage, bool) {
	raw := o.take(name)
	if raw == nil {
		return nil, false
	}
	var all []json.RawMessage
	if raw[0] != '[' && !isNull(raw) || json.Unmarshal(raw, &all) != nil {
		o.fail(name, "must be an array")
		return nil, false
	}
	return all, true
}

// texts takes an array of strings. What they say is the caller's to look at.
func (o *object) texts(name string, into *[]string) {
	all, ok := o.elements(name)
	if !ok {
		return
	}
	*into = nil
	for i, raw := range all {
		s, fault := stringOf(raw)
		if fault != "" {
			o.fail(fmt.Sprintf("%s[%d]", name, i), fault)
			return
		}
		*into = append(*into, s)
	}
}

// objects hands each object of an array to each, whose fault is the element's. It reports whether
// there is such a member.
func (o *object) objects(name string, each func(*object)) bool {
	all, ok := o.elements(name)
	for i, raw := range all {
		at := fmt.Sprintf("%s[%d]", name, i)
		element, err := decodeObject(raw)
		if err != nil {
			o.fail(at, "must be an object that has no member twice")
			continue
		}
		each(element)
		if element.done() != nil {
			o.fail(at+"."+element.fault.Field, element.fault.Message)
		}
	}
	return ok
}
