package otlp

import (
	"encoding/binary"

	"github.com/meterhouse/meterhouse/schema"
)

// What a decoder builds is bounded before it builds it: two bytes of protobuf are an empty span of
// a quarter of a kilobyte, so that 8 MiB of them would be a gigabyte, and a value within a value
// is followed by recursion, as deep as anybody cares to send.

const (
	treeBytesMax = 24 << 20 // of the decoded form of one request
	treeBytesMin = 64 << 10 // allowed to any request
	treeGrowth   = 16       // times the body's length are allowed beyond that
	depthMax     = 100      // messages in messages
)

// scale counts down what a decoded form may still weigh.
type scale struct{ left int }

func newScale(bodyBytes int) scale {
	return scale{min(treeBytesMax, treeBytesMin+treeGrowth*bodyBytes)}
}

func (s *scale) add(bytes int) error {
	if s.left -= bytes; s.left < 0 {
		return schema.Errorf(schema.TooLarge, "",
			"the request has too many spans and attributes for one; send fewer at a time")
	}
	return nil
}

// kind is a kind of message of the trace protocol.
type kind uint8

const (
	scalar kind = iota // whatever is no message
	text               // a repeated string
	request
	resourceSpans
	resource
	entity
	scopeSpans
	scope
	spanMessage
	event
	link
	keyValue
	anyValue
	arrayValue
	mapValue
	kindEnd
)

// parts are the messages that a message holds, by their field's number.
var parts = [kindEnd][16]kind{
	request:       {1: resourceSpans},
	resourceSpans: {1: resource, 2: scopeSpans},
	resource:      {1: keyValue, 3: entity},
	entity:        {3: text, 4: text},
	scopeSpans:    {1: scope, 2: spanMessage},
	scope:         {3: keyValue},
	spanMessage:   {9: keyValue, 11: event, 13: link},
	event:         {3: keyValue},
	link:          {4: keyValue},
	keyValue:      {2: anyValue},
	anyValue:      {5: arrayValue, 6: mapValue},
	arrayValue:    {1: anyValue},
	mapValue:      {1: keyValue},
}

// oldScopeSpans is the field of ResourceSpans that its spans were in before version 1.0.
const oldScopeSpans = 1000

// weights is about what one of them takes in memory, beside its strings.
var weights = [kindEnd]int{
	text: 32, resourceSpans: 160, entity: 128, scopeSpans: 160, spanMessage: 320, event: 112,
	link: 128, keyValue: 80, anyValue: 32, arrayValue: 32,
	mapValue: 32,
}

// boundProtobuf returns an error when decoding a request would take too much, or when it is none.
func boundProtobuf(body []byte) error {
	s := newScale(len(body))
	return s.message(body, request, 0)
}

func (s *scale) message(b []byte, of kind, depth int) error {
	if depth == depthMax {
		return schema.Errorf(schema.Unreadable, "", "values are nested too deeply")
	}
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return notProtobuf()
		}
		b = b[n:]
		content, rest, ok := cutField(b, tag&7)
		if !ok {
			return notProtobuf()
		}
		b = rest
		part, err := partOf(of, tag>>3)
		if err != nil {
			return err
		}
		if part == scalar {
			continue
		}
		if err := s.add(weights[part]); err != nil {
			return err
		}
		if part == text {
			continue
		}
		if err := s.message(content, part, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// partOf returns what a field of a message is. A number beyond protobuf's own is refused: a decoder
// that cuts it to 32 bits takes it for another field than this.
func partOf(of kind, field uint64) (kind, error) {
	const fieldMax = 1<<29 - 1
	switch {
	case field == 0 || field > fieldMax:
		return scalar, notProtobuf()
	case field < uint64(len(parts[of])):
		return parts[of][field], nil
	case of == resourceSpans && field == oldScopeSpans:
		return scopeSpans, nil
	}
	return scalar, nil
}

// cutField cuts a field's content off, by its wire type; false when it is not whole. Groups, which
// the protocol never had, are not read.
func cutField(b []byte, wireType uint64) (content, rest []byte, ok bool) {
	const varint, fixed64, bytes, fixed32 = 0, 1, 2, 5
	length := uint64(0)
	switch wireType {
	case varint:
		_, n := binary.Uvarint(b)
		return nil, b[max(n, 0):], n > 0
	case fixed64:
		length = 8
	case fixed32:
		length = 4
	case bytes:
		n := 0
		if length, n = binary.Uvarint(b); n <= 0 {
			return nil, nil, false
		}
		b = b[n:]
	default:
		return nil, nil, false
	}
	if length > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:length], b[length:], true
}
