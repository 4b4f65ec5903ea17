package otlp

import (
	"encoding/hex"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/meterhouse/meterhouse/schema"
)

// span is what is asked of one, in either encoding. A nil id is one that cannot be read.
type span struct {
	trace, id []byte
	name      string
	end       uint64 // nanoseconds since 1970
	badEnd    bool   // it has one, which cannot be read
	facts     facts
}

// decode reads a whole body. It is total: any bytes give events and rejections, or an error, which
// means that nothing of the body counts: Unreadable, or TooLarge.
func (b *batch) decode(body []byte, as encoding) error {
	if as == inJSON {
		return b.decodeJSON(body)
	}
	return b.decodeProtobuf(body)
}

func (b *batch) decodeProtobuf(body []byte) error {
	if err := boundProtobuf(body); err != nil {
		return err
	}
	request := ptraceotlp.NewExportRequest()
	if request.UnmarshalProto(body) != nil {
		return notProtobuf()
	}
	for _, rs := range request.Traces().ResourceSpans().All() {
		var resource facts
		resource.takeAll(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				trace, id := s.TraceID(), s.SpanID()
				one := span{
					trace: trace[:], id: id[:], name: s.Name(), end: uint64(s.EndTimestamp()),
				}
				one.facts.takeAll(s.Attributes())
				if err := b.add(&one, &resource); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ids returns what a span is called in messages, and the key that it counts once under.
func (s *span) ids() (name, key string, problem *schema.Error) {
	const traceBytes, spanBytes = 16, 8
	if !isID(s.id, spanBytes) {
		return "", "", schema.Errorf(schema.Invalid, "span_id",
			"must be 8 bytes that are not all zero")
	}
	name = hex.EncodeToString(s.id)
	if !isID(s.trace, traceBytes) {
		return name, "", schema.Errorf(schema.Invalid, "trace_id",
			"must be 16 bytes that are not all zero")
	}
	return name, keyPrefix + hex.EncodeToString(s.trace) + ":" + name, nil
}

const keyPrefix = "otlp:"

// spanOf returns the name of the span that an event was made of.
func spanOf(e *schema.Event) string {
	const hexDigits = 16
	return e.Key[len(e.Key)-hexDigits:]
}

func isID(id []byte, length int) bool {
	if len(id) != length {
		return false
	}
	for _, b := range id {
		if b != 0 {
			return true
		}
	}
	return false
}

// endTime returns when a span ended, which is when its tokens are known.
func (s *span) endTime() (time.Time, *schema.Error) {
	if s.end == 0 || s.badEnd {
		return time.Time{}, schema.Errorf(schema.Invalid, "end_time_unix_nano",
			"must be the time the span ended, in nanoseconds since 1970")
	}
	const second = uint64(time.Second)
	t := time.Unix(int64(s.end/second), int64(s.end%second))
	return t.UTC().Truncate(time.Microsecond), nil
}

func notProtobuf() error {
	return schema.Errorf(schema.Unreadable, "",
		"the body is not an ExportTraceServiceRequest in protobuf")
}
