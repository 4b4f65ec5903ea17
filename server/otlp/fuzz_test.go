package otlp

import (
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/meterhouse/meterhouse/schema"
)

var fuzzSeeds = []string{
	`{}`,
	inSpans(),
	inOneSpan(chat),
	inOneSpan(str("gen_ai.usage.input_tokens", "7.0"), str("gen_ai.operation.name", "chat")),
	inOneSpan(`{"key":"gen_ai.usage.output_tokens","value":{"doubleValue":1e3}}`),
	inOneSpan(`{"key":"gen_ai.usage.input_tokens","value":{}}`, `{}`),
	inOneSpan(`{"key":"gen_ai.input.messages","value":{"arrayValue":{"values":[{"kvlistValue":`+
		`{"values":[{"key":"role","value":{"stringValue":"user"}}]}},{"bytesValue":"AAEC"}]}}}`, chat),
	inSpans(spanOfID(0, chat), spanOfID(1, chat), spanOfID(1, chat)),
	inResource(str("service.name", "support")+","+str("gen_ai.agent.name", "Helper"), spanOfID(1,
		str("gen_ai.operation.name", "chat"), str("gen_ai.system", "openai"),
		str("gen_ai.request.model", "gpt-4o"), str("gen_ai.response.model", "gpt-4o-2024-08-06"),
		str("server.address", "::1"), num("server.port", 8080), str("enduser.id", bob.String()),
		num("gen_ai.usage.input_tokens", 100), num("gen_ai.usage.cache_read.input_tokens", 60),
		num("gen_ai.usage.cache_creation.input_tokens", 30),
		num("gen_ai.usage.output_tokens", 20), num("gen_ai.usage.reasoning.output_tokens", 5),
		`{"key":"meterhouse.chargeable","value":{"boolValue":true}}`)),
}

// checkDecoded fails when what a body became is neither a refusal nor whole events.
func checkDecoded(t *testing.T, b *batch, err error) {
	t.Helper()
	if err != nil {
		if k := schema.KindOf(err); k != schema.Unreadable && k != schema.TooLarge {
			t.Fatalf("an error of kind %d: %v", k, err)
		}
		return
	}
	if len(b.events)+len(b.rejected) != b.count {
		t.Fatalf("%d events and %d rejections of %d spans", len(b.events), len(b.rejected), b.count)
	}
	for i := range b.events {
		e := &b.events[i]
		if e.Organization != acme || e.ID != schema.EventID(acme, e.Key) || e.Time.IsZero() ||
			len(e.Measurements) == 0 || len(spanOf(e)) != 16 || e.User != ada && e.User != bob {
			t.Fatalf("half an event: %+v", e)
		}
		for j, m := range e.Measurements {
			if m.Quantity.Sign() <= 0 || m.Quantity.Floor() >= tokensEnd ||
				j > 0 && m.UsageType <= e.Measurements[j-1].UsageType {
				t.Fatalf("measurements: %s", used(e))
			}
		}
	}
	for _, r := range b.rejected {
		if r.err.Kind != schema.Invalid || r.err.Message == "" || !utf8.ValidString(r.err.Error()) {
			t.Fatalf("a rejection for no reason: %+v", r)
		}
	}
	for _, as := range []encoding{inJSON, inProtobuf} {
		if _, err := encodeResponse(as, b); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		b, err := decodeBytes(body, inJSON)
		checkDecoded(t, b, err)
	})
}

// FuzzProtobuf also compares: a request that pdata writes as JSON becomes the same events.
func FuzzProtobuf(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add([]byte(inProto(f, s)))
	}
	f.Add([]byte(inSpan(field(9, field(2, nested(60))))))
	f.Add([]byte(field(1, field(oldScopeSpans, field(2, "")))))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := decodeBytes(string(body), inProtobuf)
		checkDecoded(t, b, err)
		if err != nil {
			return
		}
		request := ptraceotlp.NewExportRequest()
		if err := request.UnmarshalProto(body); err != nil {
			t.Fatal(err)
		}
		written, err := request.MarshalJSON()
		// JSON has no text that is not UTF-8, and pdata writes six digits of a double.
		if err != nil || !utf8.Valid(written) || strings.Contains(string(written), "\\ufffd") ||
			strings.Contains(string(written), `"doubleValue"`) {
			return
		}
		if again, err := decodeBytes(string(written), inJSON); schema.KindOf(err) != schema.TooLarge {
			if err != nil {
				t.Fatalf("%v in %s", err, written)
			}
			sameBatch(t, again, b)
		}
	})
}
