package otlp

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/meterhouse/meterhouse/schema"
)

// field returns a field of protobuf that holds a message or a string.
func field(number uint64, content string) string {
	b := binary.AppendUvarint(nil, number<<3|2)
	return string(binary.AppendUvarint(b, uint64(len(content)))) + content
}

// fillsBody repeats an element until a body is as large as it may be.
func fillsBody(element string) string {
	const room = 200
	return strings.Repeat(element, (schema.RequestBytesMax-room)/len(element))
}

// nested returns a value of lists in lists. It is written from the inside, in linear time.
func nested(levels int) string {
	var headers []string
	size := 0
	for range 2 * levels {
		number := uint64(1) // of a list's values
		if len(headers)%2 == 1 {
			number = 5 // of the list
		}
		h := string(binary.AppendUvarint([]byte{byte(number<<3 | 2)}, uint64(size)))
		headers, size = append(headers, h), size+len(h)
	}
	var b strings.Builder
	for i := len(headers) - 1; i >= 0; i-- {
		b.WriteString(headers[i])
	}
	return b.String()
}

func inSpan(content string) string { return field(1, field(2, field(2, content))) }

func decodeBytes(body string, as encoding) (*batch, error) {
	b := &batch{caller: adas, snapshot: catalog()}
	return b, b.decode([]byte(body), as)
}

// TestLargeTreesAreRefused sends what is small on the wire and large in memory.
func TestLargeTreesAreRefused(t *testing.T) {
	f := func(name, body string, as encoding) {
		t.Helper()
		if len(body) > schema.RequestBytesMax {
			t.Fatalf("%s: a body of %d bytes would not get here", name, len(body))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decodeBytes(body, as)
		runtime.ReadMemStats(&after)
		if schema.KindOf(err) != schema.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
		const allocationMax = 64 << 20
		if took := after.TotalAlloc - before.TotalAlloc; took > allocationMax {
			t.Errorf("%s: took %d MiB", name, took>>20)
		}
	}
	f("resources", fillsBody(field(1, "")), inProtobuf)
	f("scopes", field(1, fillsBody(field(2, ""))), inProtobuf)
	f("old scopes", field(1, fillsBody(field(oldScopeSpans, ""))), inProtobuf)
	f("spans", field(1, field(2, fillsBody(field(2, "")))), inProtobuf)
	f("attributes", inSpan(fillsBody(field(9, ""))), inProtobuf)
	f("events", inSpan(fillsBody(field(11, ""))), inProtobuf)
	f("links", inSpan(fillsBody(field(13, ""))), inProtobuf)
	f("a list", inSpan(field(9, field(2, field(5, fillsBody(field(1, "")))))), inProtobuf)
	f("a map", inSpan(field(9, field(2, field(6, fillsBody(field(1, "")))))), inProtobuf)
	f("entities", field(1, field(1, fillsBody(field(3, "")))), inProtobuf)
	f("entities' keys", field(1, field(1, field(3, fillsBody(field(3, ""))))), inProtobuf)
	f("small, and all of spans", field(1, field(2, strings.Repeat(field(2, ""), 10_000))), inProtobuf)

	in := func(head, element, tail string) string {
		return head + fillsBody(element+",") + element + tail
	}
	f("resources", in(`{"resourceSpans":[`, "{}", "]}"), inJSON)
	f("nothings", in(`{"resourceSpans":[`, "1", "]}"), inJSON)
	f("scopes", in(`{"resourceSpans":[{"scopeSpans":[`, "{}", "]}]}"), inJSON)
	f("spans", in(`{"resourceSpans":[{"scopeSpans":[{"spans":[`, "{}", "]}]}]}"), inJSON)
	f("attributes", in(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[`, "{}", "]}]}]}]}"),
		inJSON)
	f("arrays", in(`{"resourceSpans":[`, "[]", "]}"), inJSON)
}

func TestDeepValuesAreRefused(t *testing.T) {
	f := func(levels int, want schema.Kind) {
		t.Helper()
		_, err := decodeBytes(inSpan(field(9, field(2, nested(levels)))), inProtobuf)
		if err == nil && want != schema.Internal || err != nil && schema.KindOf(err) != want {
			t.Errorf("%d levels: %v", levels, err)
		}
	}
	f(40, schema.Internal) // no error
	f(60, schema.Unreadable)
	f(800_000, schema.Unreadable)
}

// TestOrdinaryRequestsFit: what an exporter sends in 8 MiB is not refused for its weight.
func TestOrdinaryRequestsFit(t *testing.T) {
	attributes := []string{
		str("gen_ai.operation.name", "chat"), str("gen_ai.provider.name", "openai"),
		str("gen_ai.request.model", "gpt-4o-mini"), num("gen_ai.usage.input_tokens", 1200),
		num("gen_ai.usage.output_tokens", 350), str("server.address", "api.openai.com"),
		str("gen_ai.response.id", "chatcmpl-0123456789"),
		str("gen_ai.response.model", "gpt-4o-mini-2024-07-18"), num("gen_ai.request.max_tokens", 1000),
		`{"key":"gen_ai.response.finish_reasons","value":{"arrayValue":{"values":` +
			`[{"stringValue":"stop"}]}}}`,
	}
	one := spanOfID(1, attributes...)
	spans := make([]string, schema.RequestBytesMax/(len(one)+1)-1)
	for i := range spans {
		spans[i] = spanOfID(i+1, attributes...)
	}
	body := inSpans(spans...)
	if b, err := decodeBytes(body, inJSON); err != nil || len(b.events) != len(spans) {
		t.Errorf("%d spans in %d bytes of JSON: %v", len(spans), len(body), err)
	}
	if len(spans) > schema.RequestEventsMax {
		t.Fatal("the spans are too small for the test")
	}
	proto := inProto(t, body)
	if b, err := decodeBytes(proto, inProtobuf); err != nil || len(b.events) != len(spans) {
		t.Errorf("%d spans in %d bytes of protobuf: %v", len(spans), len(proto), err)
	}
}

func TestBrokenProtobufIsRefused(t *testing.T) {
	good := inProto(t, inOneSpan(chat))
	for n := range len(good) - 1 {
		if b, err := decodeBytes(good[:n+1], inProtobuf); schema.KindOf(err) != schema.Unreadable {
			t.Errorf("the first %d bytes: %v, %v", n+1, err, shown(b))
		}
	}
	f := func(body string) {
		t.Helper()
		if b, err := decodeBytes(body, inProtobuf); schema.KindOf(err) != schema.Unreadable {
			t.Errorf("%q: %v, %v", body, err, shown(b))
		}
	}
	const ones = "\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	f("\x00")
	f("\x02\x00")                // field 0
	f("\x0a" + ones + "\x01")    // longer than anything
	f("\x0a" + ones + ones)      // no number at all
	f("\x0b\x0c")                // a group
	f("\x0f")                    // no wire type
	f("\x08\x01")                // a number where resource spans are
	f(field(1<<32|1, "") + good) // a field that 32 bits would take for the first
	f(inSpan(field(1, "\x01")))  // a trace id of one byte
	f(inOneSpan(chat))           // JSON
	if _, err := decodeBytes(field(99, "later")+good, inProtobuf); err != nil {
		t.Errorf("a field of a later version: %v", err)
	}
}

func TestBrokenJSONIsRefused(t *testing.T) {
	good := inOneSpan(chat)
	for n := range len(good) {
		if b, err := decodeBytes(good[:n], inJSON); schema.KindOf(err) != schema.Unreadable {
			t.Errorf("the first %d bytes: %v, %v", n, err, shown(b))
		}
	}
	f := func(body string) {
		t.Helper()
		if b, err := decodeBytes(body, inJSON); schema.KindOf(err) != schema.Unreadable {
			t.Errorf("%q: %v, %v", body, err, shown(b))
		}
	}
	f(good + good)
	f("\xef\xbb\xbf" + good)
	f("[" + good + "]")
	f("null")
	f(`{"resourceSpans":{}}`)
	f(`{"resourceSpans":[7]}`)
	f(strings.Replace(good, `"call"`, `7`, 1))
	f(strings.Replace(good, `"call"`, "\"\xff\"", 1))
	f(strings.Repeat(`{"resourceSpans":[`, 10_000))
	f(inProto(t, good))
}

// TestDecoderIsStillAsHungry holds why there is a bound: the day it fails, the bound may go.
func TestDecoderIsStillAsHungry(t *testing.T) {
	const spans = 100_000
	body := field(1, field(2, strings.Repeat(field(2, ""), spans)))
	request := ptraceotlp.NewExportRequest()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := request.UnmarshalProto([]byte(body)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / spans; each < 100 || each > 320 {
		t.Errorf("an empty span of two bytes takes %d bytes, and weighs 320", each)
	}
	runtime.KeepAlive(request)
}
