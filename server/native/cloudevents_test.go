package native

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// cloudEventOf returns a CloudEvent with some attributes more, or instead of the usual.
func cloudEventOf(attributes, data string) string {
	out := "{"
	for _, usual := range []string{
		`"specversion":"1.0"`, `"type":"meterhouse.usage"`, `"source":"/a"`, `"id":"1"`,
	} {
		name, _, _ := strings.Cut(usual, ":")
		if !strings.Contains(attributes, name+":") {
			out += usual + ","
		}
	}
	return out + attributes + `,"data":` + data + "}"
}

// oneCloudEvent decodes a CloudEvent and returns the event, or "field: message".
func oneCloudEvent(t testing.TB, body string) (schema.Event, string) {
	t.Helper()
	var b batch
	if err := b.decode(body, asCloudEvent, adas(t)); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if len(b.rejected) == 1 && len(b.events) == 0 {
		return schema.Event{}, b.rejected[0].Err.Error()
	}
	return b.events[0], ""
}

func TestCloudEventIsAnEvent(t *testing.T) {
	const body = `{"subject":"x","data":{"model":"m","usage":{"N":1},"agent_id":` +
		`"12345678-1234-4234-8234-123456789012"},"time":"2026-11-21T10:00:00.5+01:00","source":` +
		`"https://example.com/a b","id":"A234-1234-1234","specversion":"1.0","type":` +
		`"meterhouse.usage","datacontenttype":"application/json","dataschema":"https://example.com",` +
		`"traceparent":"00-0","sampledrate":3,"own":{"deep":[[]]},"own":true,"data_base64":null}`
	got, problem := oneCloudEvent(t, strings.Replace(body, "a b", "a", 1))
	if problem != "" {
		t.Fatal(problem)
	}
	const key = "https://example.com/a A234-1234-1234"
	if got.Key != key || got.ID != schema.EventID(acme, key) || got.Agent != helper ||
		got.User != ada || got.Model != "m" || !got.Chargeable || got.Organization != acme ||
		!got.Time.Equal(time.Date(2026, 11, 21, 9, 0, 0, 500_000_000, time.UTC)) ||
		len(got.Measurements) != 1 {
		t.Errorf("%+v", got)
	}
	if _, problem = oneCloudEvent(t, body); problem != "source: must be a URI reference, "+
		"without spaces" {
		t.Error(problem)
	}
}

func TestCloudEventAttributes(t *testing.T) {
	f := func(attributes, want string) {
		t.Helper()
		if _, got := oneCloudEvent(t, cloudEventOf(attributes, smallEvent)); got != want {
			t.Errorf("%s: %q, want %q", attributes, got, want)
		}
	}
	const key, source = "must have 1 to 200 characters", "source: must have 1 to 1024 characters"
	f(`"id":"1"`, "")
	f(`"id":""`, "id: "+key)
	f(`"id":null`, "id: "+key)
	f(`"id":7`, "id: must be a string")
	f(`"id":"\ud800"`, "id: must not contain half of a surrogate pair")
	f(`"id":"a\u0000"`, "id: must not contain control characters")
	f(`"id":"`+strings.Repeat("é", 200)+`"`, "")
	f(`"id":"`+strings.Repeat("é", 201)+`"`, "id: "+key)
	f(`"id":"1","id":"1"`, "id: is given twice")
	f(`"source":""`, source)
	f(`"source":null`, source)
	f(`"source":"`+strings.Repeat("é", 1024)+`"`, "")
	f(`"source":"`+strings.Repeat("é", 1025)+`"`, source)
	f(`"source":"a b"`, "source: must be a URI reference, without spaces")
	f(`"source":"a\n"`, "source: must be a URI reference, without spaces")
	f(`"source":["a"]`, "source: must be a string")
	f(`"specversion":"0.3"`, `specversion: must be "1.0"`)
	f(`"specversion":null`, `specversion: must be "1.0"`)
	f(`"specversion":1.0`, "specversion: must be a string")
	f(`"type":"meterhouse.Usage"`, "type: must be meterhouse.usage")
	f(`"type":null`, "type: must be meterhouse.usage")
	f(`"time":null`, "")
	f(`"time":"2026-11-21"`, "time: must be an RFC 3339 time with an offset or Z")
	f(`"time":""`, "time: must be an RFC 3339 time with an offset or Z")
	f(`"datacontenttype":null`, "")
	f(`"datacontenttype":"Application/JSON; charset=utf-8"`, "")
	f(`"datacontenttype":"application/vnd.example+json"`, "")
	f(`"datacontenttype":"text/plain"`, "datacontenttype: must be application/json or absent")
	f(`"datacontenttype":""`, "datacontenttype: must be application/json or absent")
	f(`"data_base64":"e30="`, "data_base64: is not taken: give the event as JSON in data")
	f(`"agent_id":"x"`, "agent_id: is not an attribute of a CloudEvent: members of the event "+
		"are in data")
	f(`"Type":"x"`, "Type: is not an attribute of a CloudEvent: members of the event are in data")
	f(`"":1`, "is not an attribute of a CloudEvent: members of the event are in data")
	f(`"comexampleextension1":"value"`, "")
}

func TestCloudEventData(t *testing.T) {
	f := func(attributes, data, want string) {
		t.Helper()
		if _, got := oneCloudEvent(t, cloudEventOf(attributes, data)); got != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
	}
	const id, at = `"id":"1"`, `"time":"2026-11-21T10:00:00Z"`
	f(id, `{"usage":{"N":1},"id":"1"}`, "")
	f(id, `{"usage":{"N":1},"id":"2"}`, "data.id: differs from the CloudEvent's id")
	f(id, `{"usage":{"N":1},"time":"2026-11-21T10:00:00Z"}`, "")
	f(at, `{"usage":{"N":1},"time":"2026-11-21T11:00:00+01:00"}`, "")
	f(at, `{"usage":{"N":1},"time":"2026-11-21T10:00:01Z"}`,
		"data.time: differs from the CloudEvent's time")
	f(id, `{"usage":{"N":"x"}}`,
		"data.usage.N: must be a decimal number (at most 12 integer digits and 6 decimals)")
	f(id, `{"usage":{}}`, "data.usage: must have at least one usage type")
	f(id, `{}`, "data.usage: is required")
	f(id, `{"usage":{"N":1},"modle":""}`, "data.modle: is not a member of an event")
	f(id, `{"usage":{"N":1},"agent_id":"`+alien.String()+`"}`, "data.agent_id: unknown agent")
	f(id, `{"usage":{"N":1},"user_id":"`+eve.String()+`"}`, "data.user_id: unknown user")
	f(id, `7`, "data: must be a JSON object")
	f(id, `"{}"`, "data: must be a JSON object")
	f(id, `null`, "data: is required: the event, as JSON")
	f(id, smallEvent+`,"data":`+smallEvent, "data: is given twice")
	f(`"time":"2026-11-21T10:00:00Z"`, smallEvent+`,"extra.":1`,
		"extra.: is not an attribute of a CloudEvent: members of the event are in data")
}

// TestCloudEventKeysDiffer: no two pairs of source and id share a key.
func TestCloudEventKeysDiffer(t *testing.T) {
	long := strings.Repeat("x", 150)
	pairs := [][2]string{
		{"a", "b c"}, {"a", "b"}, {"ab", ""}, {"a", " b"}, {"/a", "b"}, {"/a/", "b"},
		{"/" + long, long}, {"/" + long, long + "x"}, {"/" + long + "x", long}, {"/" + long, " " + long},
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		key := cloudEventKey(p[0], p[1])
		if seen[key] || len(key) > schema.KeyMax {
			t.Errorf("%q: %q", p, key)
		}
		seen[key] = true
	}
	if got := cloudEventKey("a", "b c"); got != "a b c" {
		t.Error(got)
	}
	const hashed = "ce:sha256:"
	if got := cloudEventKey("/"+long, long); !strings.HasPrefix(got, hashed) ||
		len(got) != len(hashed)+64 {
		t.Error(got)
	}
}

func TestBinaryCloudEvent(t *testing.T) {
	f := func(want string, status int, body string, headers ...string) {
		t.Helper()
		l := &ledger{}
		usual := []string{
			"Ce-Id: 1", "Ce-Source: /a", "Ce-Type: meterhouse.usage", "Ce-Specversion: 1.0",
		}
		r := post("", body, append(usual, headers...)...)
		got := send(t, serve(l), r)
		field := ""
		if got.StatusCode >= 400 {
			var p struct{ Errors []struct{ Field string } }
			if err := json.NewDecoder(got.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
			if len(p.Errors) > 0 {
				field = p.Errors[0].Field
			}
		} else {
			field = l.events[0].Key
		}
		if got.StatusCode != status || field != want {
			t.Errorf("%q: %d %q, want %d %q", headers, got.StatusCode, field, status, want)
		}
	}
	f("/a 1", 201, smallEvent)
	f("/a 1", 201, smallEvent, "Content-Type: ")
	f("/a 1", 201, smallEvent, "Ce-Time: 2026-11-21T10:00:00Z", "Ce-Subject: x", "Ce-Own: y")
	f("/a €", 201, smallEvent, "Ce-Id: %E2%82%AC")
	f("ce-id", 422, smallEvent, "Ce-Id: %E2%82")
	f("ce-id", 422, smallEvent, "Ce-Id: %zz")
	f("ce-id", 422, smallEvent, "Ce-Id: ")
	f("ce-source", 422, smallEvent, "Ce-Source: ")
	f("ce-type", 422, smallEvent, "Ce-Type: ")
	f("ce-specversion", 422, smallEvent, "Ce-Specversion: 0.3")
	f("ce-time", 422, smallEvent, "Ce-Time: yesterday")
	f("usage", 422, `{}`)
	f("id", 422, `{"usage":{"N":1},"id":"2"}`)
	f("", 400, "["+smallEvent+"]")
	f("Idempotency-Key", 400, smallEvent, "Idempotency-Key: k")
	f("", 201, smallEvent+"\n"+smallEvent, "Content-Type: "+mimeNDJSON) // not of this binding

	twice := post("", smallEvent, "Ce-Source: /a", "Ce-Type: meterhouse.usage", "Ce-Specversion: 1.0")
	twice.Header["Ce-Id"] = []string{"1", "2"}
	if got := send(t, serve(&ledger{}), twice); got.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("two ids: %d", got.StatusCode)
	}
}

// TestCloudEventTruncated: a body that is cut off is unreadable as a whole, wherever the cut is.
func TestCloudEventTruncated(t *testing.T) {
	body := "[" + cloudEventOf(`"id":"1","own":[{}]`, fullEvent) + "," +
		cloudEventOf(`"type":"x"`, `{}`) + "]"
	for i := range body {
		var b batch
		if err := b.decode(body[:i], asCloudEvents, adas(t)); schema.KindOf(err) !=
			schema.Unreadable {
			t.Fatalf("cut at %d: %s", i, outcome(&b, err))
		}
	}
}

func FuzzCloudEvents(f *testing.F) {
	for _, s := range scanSeeds {
		f.Add(s)
		f.Add(cloudEventOf(`"id":`+s, smallEvent))
		f.Add(cloudEventOf(`"own":`+s, smallEvent))
		f.Add(cloudEventOf(`"id":"1"`, s))
	}
	for _, s := range []string{smallEvent, fullEvent, `{"usage":{"N":1},"id":"1"}`} {
		f.Add(cloudEventOf(`"time":"2026-11-21T10:00:00Z"`, s))
		f.Add("[" + cloudEventOf(`"id":"1"`, s) + "," + cloudEventOf(`"data_base64":""`, s) + "]")
	}
	o := adas(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, form := range []form{asCloudEvent, asCloudEvents} {
			var b batch
			err := b.decode(body, form, o)
			if err != nil {
				if k := schema.KindOf(err); k != schema.Unreadable && k != schema.TooLarge {
					t.Fatalf("%q: %v", body, err)
				}
				continue
			}
			if !json.Valid([]byte(body)) {
				t.Fatalf("%q is no JSON, and decoded", body)
			}
			checkBatch(t, &b)
			for _, e := range b.events {
				if e.Key == "" || e.ID != schema.EventID(acme, e.Key) || e.ID == uuid.Nil {
					t.Fatalf("%q: an event without its key: %+v", body, e)
				}
			}
		}
	})
}
