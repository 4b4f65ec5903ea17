package otlp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// decoded decodes a request in both encodings, and fails when they differ.
func decoded(t *testing.T, caller access.Caller, body string) *batch {
	t.Helper()
	fromJSON := &batch{caller: caller, snapshot: catalog()}
	fromProto := &batch{caller: caller, snapshot: fromJSON.snapshot}
	if err := fromJSON.decode([]byte(body), inJSON); err != nil {
		t.Fatal(err)
	}
	if err := fromProto.decode([]byte(inProto(t, body)), inProtobuf); err != nil {
		t.Fatal(err)
	}
	sameBatch(t, fromJSON, fromProto)
	return fromJSON
}

func sameBatch(t *testing.T, a, b *batch) {
	t.Helper()
	if diff := cmp.Diff(shown(a), shown(b)); diff != "" {
		t.Fatalf("the encodings differ: -JSON +protobuf\n%s", diff)
	}
}

// shown writes out what a batch made of its spans.
func shown(b *batch) []string {
	var all []string
	for i := range b.events {
		e := &b.events[i]
		all = append(all, fmt.Sprintf("%+v %s", *e, used(e)))
	}
	for _, r := range b.rejected {
		all = append(all, r.span+": "+r.err.Error())
	}
	return all
}

// used writes an event's measurements as TYPE=n, in their order.
func used(e *schema.Event) string {
	var all []string
	for _, m := range e.Measurements {
		all = append(all, m.UsageType+"="+m.Quantity.String())
	}
	return strings.Join(all, " ")
}

// outcome returns what becomes of one span: what it used, why it was rejected, or nothing.
func outcome(t *testing.T, attributes ...string) string {
	t.Helper()
	b := decoded(t, adas, inOneSpan(attributes...))
	switch {
	case len(b.events) == 1 && len(b.rejected) == 0:
		return used(&b.events[0])
	case len(b.rejected) == 1 && len(b.events) == 0:
		return "rejected: " + b.rejected[0].err.Error()
	case len(b.events)+len(b.rejected) > 0:
		t.Fatalf("%d events and %d rejections of one span", len(b.events), len(b.rejected))
	}
	return "passed over"
}

func TestClassesShareNoToken(t *testing.T) {
	f := func(want string, attributes ...string) {
		t.Helper()
		if got := outcome(t, attributes...); got != want {
			t.Errorf("%v: %s, want %s", attributes, got, want)
		}
	}
	const u = "gen_ai.usage."
	in, out := func(n int64) string { return num(u+"input_tokens", n) },
		func(n int64) string { return num(u+"output_tokens", n) }
	read := func(n int64) string { return num(u+"cache_read.input_tokens", n) }
	written := func(n int64) string { return num(u+"cache_creation.input_tokens", n) }
	reasoned := func(n int64) string { return num(u+"reasoning.output_tokens", n) }

	f("INPUT=100 OUTPUT=20", in(100), out(20))
	f("INPUT=100", in(100))
	f("OUTPUT=20", out(20), in(0))
	f("CACHED_INPUT=60 INPUT=40", in(100), read(60))
	f("CACHED_INPUT=60 CACHE_WRITE=30 INPUT=10 OUTPUT=15 REASONING=5",
		in(100), read(60), written(30), out(20), reasoned(5))
	f("CACHED_INPUT=100", in(100), read(100))
	f("CACHED_INPUT=101 INPUT=100", in(100), read(101)) // cannot be in it, so was not
	f("CACHED_INPUT=60 CACHE_WRITE=60 INPUT=100", in(100), read(60), written(60))
	f("CACHED_INPUT=60", read(60))
	f("OUTPUT=20 REASONING=21", out(20), reasoned(21))
	f("REASONING=20", out(20), reasoned(20))
	f("INPUT=100 OUTPUT=20", in(100), read(0), written(0), out(20), reasoned(0))
	f("passed over", in(0), out(0))
	f("INPUT=999999999999", in(999999999999))

	f("INPUT=1 OUTPUT=2", num(u+"prompt_tokens", 1), num(u+"completion_tokens", 2))
	f("INPUT=1 OUTPUT=2", num(u+"prompt_tokens", 9), in(1), out(2), num(u+"completion_tokens", 9))
	f("CACHED_INPUT=1 CACHE_WRITE=2 INPUT=97", in(100),
		num(u+"cache_read_input_tokens", 1), num(u+"cache_creation_input_tokens", 2))
	f("CACHED_INPUT=1 CACHE_WRITE=2 INPUT=97", in(100),
		num(u+"input_tokens.cached", 1), num(u+"input_tokens.cache_write", 2))
	f("CACHE_WRITE=2 INPUT=98", in(100), num(u+"cache_write.input_tokens", 2))
	f("CACHE_WRITE=2 INPUT=98", in(100), num(u+"cache_write_input_tokens", 2))
	f("OUTPUT=1 REASONING=2", out(3), num(u+"reasoning_tokens", 2))
	f("OUTPUT=1 REASONING=2", out(3), num(u+"output_tokens.reasoning", 2))
	// Parts of the input by modality are in it already and have no class of their own.
	f("INPUT=100", in(100), num(u+"audio.input_tokens", 40))
	f("passed over", num(u+"total_tokens", 100)) // nobody knows of what
	f("passed over", str("http.request.method", "GET"))
	f("passed over")
}

func TestTokensAreExactIntegers(t *testing.T) {
	const name = "gen_ai.usage.input_tokens"
	f := func(value, want string) {
		t.Helper()
		if got := outcome(t, fmt.Sprintf(`{"key":%q,"value":%s}`, name, value)); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
	no := func(message string) string { return "rejected: " + name + ": " + message }
	const digits = "must be an integer of at most 12 digits"

	f(`{"intValue":"7"}`, "INPUT=7")
	f(`{"intValue":7}`, "INPUT=7")
	f(`{"doubleValue":7}`, "INPUT=7")
	f(`{"doubleValue":1234567.0}`, "INPUT=1234567")
	f(`{"doubleValue":123456789012}`, "INPUT=123456789012")
	f(`{"stringValue":"7"}`, "INPUT=7")
	f(`{"stringValue":"7.0"}`, "INPUT=7")
	f(`{"intValue":"-1"}`, no("must not be negative"))
	f(`{"doubleValue":-1}`, no("must not be negative"))
	f(`{"stringValue":"-1"}`, no("must not be negative"))
	f(`{"doubleValue":0.5}`, no("must be an integer"))
	f(`{"doubleValue":1e-300}`, no(digits))
	f(`{"doubleValue":1e300}`, no(digits))
	f(`{"stringValue":"0.5"}`, no("must be an integer"))
	f(`{"stringValue":""}`, no(digits))
	f(`{"stringValue":" 7"}`, no(digits))
	f(`{"stringValue":"NaN"}`, no(digits))
	f(`{"stringValue":"0x7"}`, no(digits))
	f(`{"intValue":"1000000000000"}`, no("must have at most 12 digits"))
	f(`{"intValue":"9223372036854775807"}`, no("must have at most 12 digits"))
	f(`{"boolValue":true}`, no("must be an integer"))
	f(`{"arrayValue":{"values":[{"intValue":"7"}]}}`, no("must be an integer"))
	f(`{}`, no("must be an integer"))
}

// What only JSON can say costs its span, and not the request.
func TestJSONNumbersAreReadFromTheirDigits(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		b := &batch{caller: adas, snapshot: catalog()}
		body := inOneSpan(`{"key":"gen_ai.usage.input_tokens","value":` + value + `}`)
		if err := b.decode([]byte(body), inJSON); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(shown(b), ""); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
	f(`{"doubleValue":99999999999.000000}`, "INPUT=99999999999")
	f(`{"doubleValue":99999999999.000000001}`, "must be an integer")
	f(`{"intValue":1e2}`, "INPUT=100")
	f(`{"intValue":"1.5"}`, "must be an integer")
	f(`{"intValue":null}`, "must be an integer")
	f(`{"intValue":[]}`, "must be an integer")
	f(`{"intValue":true}`, "must be an integer")
	f(`{"doubleValue":"NaN"}`, "must be an integer")
	f(`{"doubleValue":"-Infinity"}`, "must be an integer")
}

// An agent's span tells the sum of its calls: it is passed over, or they would count twice.
func TestSpansAroundCallsAreNotCounted(t *testing.T) {
	op := func(name string) string { return str("gen_ai.operation.name", name) }
	const in = "gen_ai.usage.input_tokens"
	b := decoded(t, adas, inSpans(
		spanOfID(1, op("invoke_agent"), num(in, 30)),
		spanOfID(2, op("chat"), num(in, 10)),
		spanOfID(3, op("execute_tool"), num(in, 5)),
		spanOfID(4, op("chat"), num(in, 20)),
		spanOfID(5, op("invoke_workflow"), num(in, 30)),
	))
	if len(b.rejected) > 0 || len(b.events) != 2 || used(&b.events[0]) != "INPUT=10" ||
		used(&b.events[1]) != "INPUT=20" {
		t.Errorf("%v", shown(b))
	}
	f := func(name, want string) {
		t.Helper()
		if got := outcome(t, op(name), num(in, 1)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, counts := range counting {
		f(name, map[bool]string{true: "INPUT=1", false: "passed over"}[counts])
	}
	f("", "INPUT=1")
	// Of what nobody knows, nobody knows whether it is a sum: it is not dropped in silence.
	const unknown = "rejected: gen_ai.operation.name: is not an operation whose tokens are known " +
		"to be its own: use chat, text_completion, generate_content or embeddings"
	f("run_crew", unknown)
	f("Chat", unknown)
	if got := outcome(t, num("gen_ai.operation.name", 1), num(in, 1)); got !=
		"rejected: gen_ai.operation.name: must be a string" {
		t.Error(got)
	}
	// What is passed over is not looked at.
	if got := outcome(t, op("invoke_agent"), num(in, -1)); got != "passed over" {
		t.Error(got)
	}
}

func TestSpanBecomesAnEvent(t *testing.T) {
	b := decoded(t, adas, inResource(str("service.name", "support"), spanOfID(0xabc,
		str("gen_ai.operation.name", "chat"), str("gen_ai.provider.name", "openai"),
		str("gen_ai.system", "old name"), str("gen_ai.request.model", "gpt-4o"),
		str("server.address", "api.openai.com"), num("server.port", 443),
		str("gen_ai.agent.id", helper.String()), str("enduser.id", bob.String()),
		str("meterhouse.purpose", "QA"), str("meterhouse.channel", "voice"),
		`{"key":"meterhouse.chargeable","value":{"boolValue":false}}`,
		num("gen_ai.usage.input_tokens", 7),
	)))
	const key = "otlp:0123456789abcdef0123456789abcdef:0000000000000abc"
	want := []schema.Event{{
		Organization: acme, ID: schema.EventID(acme, key), Entry: schema.Record, Time: noon,
		User: bob, Agent: helper, Channel: "voice", APIName: "support", Endpoint: "chat",
		Provider: "openai", ProviderEndpoint: "api.openai.com:443", Model: "gpt-4o", Purpose: "QA",
		Measurements: []schema.Measurement{{
			UsageType: schema.Input, Quantity: schema.WholeQuantity(7),
		}},
		Key: key,
	}}
	if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", b.events)); diff != "" {
		t.Error(diff)
	}
	b = decoded(t, bobs, inOneSpan(num("gen_ai.usage.input_tokens", 7)))
	e := b.events[0]
	if !e.Chargeable || e.User != bob || e.Agent != uuid.Nil || e.Endpoint != "call" ||
		e.Model != "" || e.ProviderEndpoint != "" || e.APIName != "" {
		t.Errorf("a span that says nothing else: %+v", e)
	}
}

func TestModelIsTheOneWithARate(t *testing.T) {
	f := func(requested, responded, want string) {
		t.Helper()
		attributes := []string{num("gen_ai.usage.input_tokens", 7)}
		if requested != "" {
			attributes = append(attributes, str("gen_ai.request.model", requested))
		}
		if responded != "" {
			attributes = append(attributes, str("gen_ai.response.model", responded))
		}
		if got := decoded(t, adas, inOneSpan(attributes...)).events[0].Model; got != want {
			t.Errorf("%q, %q: %q, want %q", requested, responded, got, want)
		}
	}
	f("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o") // both have one
	f("gpt-4o", "unknown", "gpt-4o")
	f("latest", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06")
	f("latest", "unknown", "latest")
	f("latest", "only-answered", "latest") // it has one, but not for input
	f("latest", "", "latest")
	f("", "unknown", "unknown")
	f("", "", "")
}

func TestWhoseUsageItIs(t *testing.T) {
	const in, id, name, user = "gen_ai.usage.input_tokens", "gen_ai.agent.id", "gen_ai.agent.name",
		"enduser.id"
	f := func(caller access.Caller, resource string, wantAgent, wantUser uuid.UUID, span ...string) {
		t.Helper()
		b := decoded(t, caller, inResource(resource, spanOfID(1, append(span, num(in, 7))...)))
		if len(b.events) != 1 {
			t.Errorf("%v %v: %v", resource, span, shown(b))
		} else if e := b.events[0]; e.Agent != wantAgent || e.User != wantUser {
			t.Errorf("%v %v: agent %v, user %v", resource, span, e.Agent, e.User)
		}
	}
	none, nobody := uuid.Nil, uuid.NewString()
	f(adas, "", none, ada)
	f(adas, "", helper, ada, str(id, helper.String()))
	f(adas, "", helper, ada, str(id, "asst_5j66"), str(name, "Helper"))
	f(adas, "", helper, ada, str(name, "Helper"))
	f(adas, "", none, ada, str(name, "Twin")) // there are two
	f(adas, "", none, ada, str(name, "Alien"))
	f(adas, "", none, ada, str(id, "asst_5j66"))
	f(adas, str(id, helper.String()), helper, ada)
	f(adas, str(name, "Helper"), helper, ada)
	f(adas, str(name, "Helper"), twin, ada, str(id, twin.String()))
	f(adas, str(id, twin.String()), helper, ada, str(name, "Helper"))

	f(helpers, "", helper, bob)
	f(helpers, "", helper, bob, str(id, twin.String())) // the secret decides
	f(helpers, "", helper, bob, str(id, alien.String()))
	f(helpers, "", helper, bob, str(user, ada.String()))

	f(adas, "", none, bob, str(user, bob.String()))
	f(adas, "", none, bob, str("user.id", bob.String()))
	f(adas, "", none, ada, str(user, eve.String()))
	f(adas, "", none, ada, str(user, nobody))
	f(adas, "", none, ada, str(user, "customer-7"))
	f(bobs, "", none, bob, str(user, ada.String()))

	reject := func(want string, span ...string) {
		t.Helper()
		if got := outcome(t, append(span, num(in, 7))...); got != "rejected: "+want {
			t.Errorf("%v: %s", span, got)
		}
	}
	reject("gen_ai.agent.id: unknown agent", str(id, alien.String()))
	reject("gen_ai.agent.id: unknown agent", str(id, nobody), str(name, "Helper"))
	reject("gen_ai.agent.id: must be a string", num(id, 7))
	reject("gen_ai.agent.name: must be a string", num(name, 7))
	reject("enduser.id: must be a string", num(user, 7))
	reject("meterhouse.purpose: must be a string", num("meterhouse.purpose", 7))
	reject("meterhouse.channel: must be a string", num("meterhouse.channel", 7))
	reject("meterhouse.chargeable: must be true or false", str("meterhouse.chargeable", "no"))
	reject("gen_ai.request.model: must be a string", num("gen_ai.request.model", 7))
	reject("gen_ai.usage.output_tokens: must be given once",
		num("gen_ai.usage.output_tokens", 7), num("gen_ai.usage.output_tokens", 8))
}

func TestSpansNeedIDsAndAnEnd(t *testing.T) {
	f := func(old, new, want string) {
		t.Helper()
		body := strings.Replace(inOneSpan(chat), old, new, 1)
		b := &batch{caller: adas, snapshot: catalog()}
		if err := b.decode([]byte(body), inJSON); err != nil {
			t.Fatal(err)
		}
		if got := shown(b); len(b.events) != 0 || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s", new, got, want)
		}
	}
	const trace, span = `"0123456789abcdef0123456789abcdef"`, `"0000000000000001"`
	const badTrace = "0000000000000001: trace_id: must be 16 bytes that are not all zero"
	const badSpan = ": span_id: must be 8 bytes that are not all zero"
	const badEnd = "0000000000000001: end_time_unix_nano: must be the time the span ended, " +
		"in nanoseconds since 1970"
	end := fmt.Sprintf(`"%d"`, noon.UnixNano()+789)
	f(trace, `""`, badTrace)
	f(trace, `"00000000000000000000000000000000"`, badTrace)
	f(trace, `"0123"`, badTrace)
	f(trace, `"ASNFZ4mrze8BI0VniavN7w=="`, badTrace) // base64, as protobuf's own JSON has it
	f(span, `""`, badSpan)
	f(span, `"0000000000000000"`, badSpan)
	f(span, `"x000000000000001"`, badSpan)
	f(end, `"0"`, badEnd)
	f(end, `null`, badEnd)
	f(end, `-1`, badEnd)
	f(end, `"soon"`, badEnd)
	f(end, `1e18`, badEnd)
	zero := inProto(t, strings.Replace(strings.Replace(inOneSpan(chat), trace,
		`"00000000000000000000000000000000"`, 1), end, `"0"`, 1))
	b := &batch{caller: adas, snapshot: catalog()}
	if err := b.decode([]byte(zero), inProtobuf); err != nil || len(b.events) > 0 ||
		shown(b)[0] != badTrace {
		t.Errorf("%v: %v", shown(b), err)
	}
	far := strings.Replace(inOneSpan(chat), end, `"18446744073709551615"`, 1)
	if e := decoded(t, adas, far).events[0]; !e.Time.After(noon.Add(1000 * 24 * time.Hour)) {
		t.Errorf("the last nanosecond is %v", e.Time)
	}
}
