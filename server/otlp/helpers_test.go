package otlp

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// spanOfID returns a span in OTLP's JSON with these attributes, each in JSON.
func spanOfID(id int, attributes ...string) string {
	return fmt.Sprintf(`{"traceId":"0123456789abcdef0123456789abcdef","spanId":"%016x","name":"call",`+
		`"startTimeUnixNano":"1","endTimeUnixNano":"%d","attributes":[%s]}`,
		id, noon.UnixNano()+789, strings.Join(attributes, ","))
}

func inSpans(spans ...string) string { return inResource("", spans...) }

func inOneSpan(attributes ...string) string { return inSpans(spanOfID(1, attributes...)) }

// inResource returns a request whose spans are of a resource with these attributes.
func inResource(attributes string, spans ...string) string {
	return fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[%s]},`+
		`"scopeSpans":[{"scope":{"name":"test"},"spans":[%s]}]}]}`,
		attributes, strings.Join(spans, ","))
}

func str(name, v string) string {
	return fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}}`, name, v)
}

func num(name string, n int64) string {
	return fmt.Sprintf(`{"key":%q,"value":{"intValue":"%d"}}`, name, n)
}

// inProto returns a request in protobuf, as pdata writes it.
func inProto(t testing.TB, inJSON string) string {
	t.Helper()
	request := ptraceotlp.NewExportRequest()
	if err := request.UnmarshalJSON([]byte(inJSON)); err != nil {
		t.Fatal(err)
	}
	body, err := request.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
