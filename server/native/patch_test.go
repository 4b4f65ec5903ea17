package native

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var rate = uuid.MustParse("22345678-1234-4234-8234-123456789013")

// rated is a measurement that a rate priced: billed is twice what it cost.
func rated(t testing.TB, usageType, quantity, provider string) schema.Measurement {
	t.Helper()
	cost, err := schema.ParseUSD(provider)
	if err != nil {
		t.Fatal(err)
	}
	return schema.Measurement{
		UsageType: usageType, Quantity: quantityOf(t, quantity),
		ProviderCost: cost, BilledCost: cost.Add(cost), Rate: rate, Pricing: schema.Rated,
	}
}

func quantityOf(t testing.TB, s string) schema.Quantity { return quantity(t, s) }

// recorded is an event as the ledger has it, with two rated usage types.
func recorded(t testing.TB) schema.Event {
	return schema.Event{
		Organization: acme, ID: schema.EventID(acme, "a"), Revision: 3, Entry: schema.Record,
		Time: noon, User: ada, Agent: helper, Service: "s", Channel: "c", APIName: "a",
		Endpoint: "/e", Provider: "p", ProviderEndpoint: "https://p", ProviderKey: "sk-…cdef",
		Model: "m", Chargeable: true, Purpose: "QA",
		Measurements: []schema.Measurement{rated(t, "INPUT", "5", "1"), rated(t, "OUTPUT", "7", "2")},
	}
}

// costed is an event with a given cost of 3, all of it on its first usage type.
func costed(t testing.TB) schema.Event {
	e := recorded(t)
	three, _ := schema.ParseUSD("3")
	e.Measurements = []schema.Measurement{
		{UsageType: "INPUT", Quantity: quantity(t, "5"), ProviderCost: three, BilledCost: three,
			Pricing: schema.Given},
		{UsageType: "OUTPUT", Quantity: quantity(t, "7"), Pricing: schema.Given},
	}
	return e
}

// patched applies a patch and returns the event, or "field: message".
func patched(t testing.TB, e schema.Event, body string) (schema.Event, string) {
	t.Helper()
	p, err := decodePatch(body, catalog(), acme)
	if err != nil {
		return schema.Event{}, err.Error()
	}
	e.Measurements = slices.Clone(e.Measurements)
	next, err := p.apply(e)
	if err != nil {
		return schema.Event{}, err.Error()
	}
	return *next, ""
}

func TestPatchMembers(t *testing.T) {
	f := func(body string, change func(e *schema.Event)) {
		t.Helper()
		want := recorded(t)
		change(&want)
		got, problem := patched(t, recorded(t), body)
		if diff := cmp.Diff(want, got, decimals); diff != "" || problem != "" {
			t.Errorf("%s: %s%s", body, problem, diff)
		}
	}
	unpriced := func(e *schema.Event) {
		for i, m := range e.Measurements {
			e.Measurements[i] = schema.Measurement{UsageType: m.UsageType, Quantity: m.Quantity}
		}
	}
	f(`{}`, func(*schema.Event) {})
	f(` {"service":"x","channel":"y"} `, func(e *schema.Event) { e.Service, e.Channel = "x", "y" })
	f(`{"service":null,"channel":null,"api_name":null,"endpoint":null,"provider":null,`+
		`"provider_endpoint":null,"provider_key":null,"purpose":null,"agent_id":null,"user_id":null}`,
		func(e *schema.Event) {
			e.Service, e.Channel, e.APIName, e.Endpoint, e.Provider = "", "", "", "", ""
			e.ProviderEndpoint, e.ProviderKey, e.Purpose = "", "", ""
			e.Agent, e.User = uuid.Nil, uuid.Nil
		})
	f(`{"service":""}`, func(e *schema.Event) { e.Service = "" })
	f(`{"provider_key":"sk-0123456789-wxyz"}`, func(e *schema.Event) { e.ProviderKey = "sk-…wxyz" })
	f(`{"agent_id":"`+idle.String()+`","user_id":"`+bob.String()+`"}`,
		func(e *schema.Event) { e.Agent, e.User = idle, bob })
	f(`{"model":"m"}`, func(*schema.Event) {})
	f(`{"model":"n"}`, func(e *schema.Event) { e.Model = "n"; unpriced(e) })
	f(`{"model":null}`, func(e *schema.Event) { e.Model = ""; unpriced(e) })
	f(`{"chargeable":true}`, func(*schema.Event) {})
	f(`{"chargeable":null}`, func(*schema.Event) {})
	f(`{"chargeable":false}`, func(e *schema.Event) { e.Chargeable = false; unpriced(e) })
	f(`{"cost_usd":null}`, func(*schema.Event) {}) // there is none to remove
}

func TestPatchUsage(t *testing.T) {
	const kept = " 1/2"
	f := func(usage, want string) {
		t.Helper()
		got, problem := patched(t, recorded(t), `{"usage":`+usage+`}`)
		for _, m := range got.Measurements {
			problem += fmt.Sprintf("%s=%s", m.UsageType, m.Quantity)
			if m.Pricing == schema.Rated && m.Rate == rate {
				problem += fmt.Sprintf(" %s/%s", m.ProviderCost, m.BilledCost)
			} else if m != (schema.Measurement{UsageType: m.UsageType, Quantity: m.Quantity}) {
				problem += fmt.Sprintf(" %+v", m)
			}
			problem += ";"
		}
		if problem != want {
			t.Errorf("%s: %s, want %s", usage, problem, want)
		}
	}
	f(`{}`, "INPUT=5"+kept+";OUTPUT=7 2/4;")
	f(`{"INPUT":5}`, "INPUT=5"+kept+";OUTPUT=7 2/4;")
	f(`{"INPUT":"5.0"}`, "INPUT=5"+kept+";OUTPUT=7 2/4;")
	f(`{"INPUT":6}`, "INPUT=6;OUTPUT=7 2/4;")
	f(`{"INPUT":0}`, "INPUT=0;OUTPUT=7 2/4;")
	f(`{"INPUT":null}`, "OUTPUT=7 2/4;")
	f(`{"NONE":null}`, "INPUT=5"+kept+";OUTPUT=7 2/4;")
	f(`{"CACHED_INPUT":2}`, "CACHED_INPUT=2;INPUT=5"+kept+";OUTPUT=7 2/4;")
	f(`{"INPUT":null,"OUTPUT":null,"Z":"1.5"}`, "Z=1.5;")
	f(`{"INPUT":null,"OUTPUT":null}`, "usage: must keep at least one usage type")
	f(`null`, "usage: cannot be removed")
	f(`[]`, "usage: must be an object of usage types")
	f(`{"INPUT":1,"INPUT":2}`, "usage.INPUT: is given twice")
	f(`{"INPUT":1,"INPUT":null}`, "usage.INPUT: is given twice")
	f(`{"INPUT":null,"INPUT":1}`, "usage.INPUT: is given twice")
	f(`{"INPUT":null,"INPUT":null}`, "usage.INPUT: is given twice")
	f(`{"INPUT":"x"}`, "usage.INPUT: must be a decimal number (at most 12 integer digits and 6 "+
		"decimals)")
	f(`{"INPUT":1000000000000}`, "usage.INPUT: must have at most 12 integer digits")
	many := func(n int, value string) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf(`"T%02d":%s`, i, value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	f(many(15, "1"), "usage: must have at most 16 usage types")
	f(many(17, "1"), "usage: must have at most 16 usage types")
	f(many(16, "null"), "INPUT=5"+kept+";OUTPUT=7 2/4;")
	f(many(17, "null"), "usage: must remove at most 16 usage types")
}

// TestPatchKeepsAGivenCost: unless cost_usd says otherwise, whatever else changes.
func TestPatchKeepsAGivenCost(t *testing.T) {
	f := func(e schema.Event, body, want string) {
		t.Helper()
		got, problem := patched(t, e, body)
		for _, m := range got.Measurements {
			problem += fmt.Sprintf("%s=%s %d %s/%s;", m.UsageType, m.Quantity, m.Pricing,
				m.ProviderCost, m.BilledCost)
			if m.Rate != uuid.Nil && m.Pricing == schema.Given {
				t.Errorf("%s: a given cost with a rate", body)
			}
		}
		if problem != want {
			t.Errorf("%s: %s, want %s", body, problem, want)
		}
	}
	const same = "INPUT=5 2 3/3;OUTPUT=7 2 0/0;"
	given, free := costed(t), costed(t)
	free.Chargeable = false
	free.Measurements = slices.Clone(free.Measurements)
	free.Measurements[0].BilledCost = schema.USD{}
	f(given, `{}`, same)
	f(given, `{"model":"n"}`, same)
	f(given, `{"usage":{"INPUT":9}}`, "INPUT=9 2 3/3;OUTPUT=7 2 0/0;")
	f(given, `{"usage":{"INPUT":null}}`, "OUTPUT=7 2 3/3;")
	f(given, `{"usage":{"A":1,"INPUT":null}}`, "A=1 2 3/3;OUTPUT=7 2 0/0;")
	f(given, `{"usage":{"A":1}}`, "A=1 2 0/0;INPUT=5 2 3/3;OUTPUT=7 2 0/0;")
	f(given, `{"usage":{"A":1,"INPUT":9}}`, "A=1 2 0/0;INPUT=9 2 3/3;OUTPUT=7 2 0/0;")
	f(given, `{"cost_usd":"0.5"}`, "INPUT=5 2 0.5/0.5;OUTPUT=7 2 0/0;")
	f(given, `{"cost_usd":0,"usage":{"A":1}}`, "A=1 2 0/0;INPUT=5 2 0/0;OUTPUT=7 2 0/0;")
	f(given, `{"cost_usd":null}`, "INPUT=5 0 0/0;OUTPUT=7 0 0/0;")
	f(given, `{"chargeable":false}`, "INPUT=5 2 3/0;OUTPUT=7 2 0/0;")
	f(given, `{"chargeable":false,"cost_usd":4}`, "INPUT=5 2 4/0;OUTPUT=7 2 0/0;")
	f(free, `{"chargeable":true}`, same)
	f(free, `{"chargeable":null}`, same)
	f(free, `{"purpose":"x"}`, "INPUT=5 2 3/0;OUTPUT=7 2 0/0;")
	f(recorded(t), `{"cost_usd":"0.25"}`, "INPUT=5 2 0.25/0.25;OUTPUT=7 2 0/0;")
	f(given, `{"cost_usd":-1}`, "cost_usd: must not be negative")
	f(given, `{"cost_usd":"x"}`, "cost_usd: must be a decimal number (15 integer digits and 12 "+
		"decimals are kept)")
}

func TestPatchRefusals(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		if _, got := patched(t, recorded(t), body); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	f(`{"id":"b"}`, "id: cannot be changed")
	f(`{"id":null}`, "id: cannot be changed")
	f(`{"time":"2026-11-21T10:00:00Z"}`, "time: cannot be changed")
	f(`{"revision":4}`, "revision: is not a member of an event")
	f(`{"pricing":{}}`, "pricing: is not a member of an event")
	f(`{"model":"a","model":null}`, "model: is given twice")
	f(`{"model":["a"]}`, "model: must be a string")
	f(`{"chargeable":"no"}`, "chargeable: must be true or false")
	f(`{"agent_id":"`+alien.String()+`"}`, "agent_id: unknown agent")
	f(`{"agent_id":"`+uuid.Nil.String()+`"}`, "agent_id: unknown agent")
	f(`{"user_id":"`+eve.String()+`"}`, "user_id: unknown user")
	f(`{"user_id":"`+uuid.Nil.String()+`"}`, "user_id: unknown user")
	f(`{"user_id":"bob"}`, "user_id: must be a UUID")
	f(``, "the body is not JSON: a value is expected at byte 1")
	f(`null`, "the body is not JSON: a merge patch is expected, a JSON object at byte 1")
	f(`[{}]`, "the body is not JSON: a merge patch is expected, a JSON object at byte 1")
	f(`{}{}`, "the body is not JSON: nothing may follow the JSON value at byte 3")
	f(`{"x":`+strings.Repeat("[", 200), "the body is not JSON: values nest too deep at byte 106")
	f("{\"model\":\"\xff\"}", "the body must be valid UTF-8")
}

func TestPatchTruncated(t *testing.T) {
	const body = `{"model":"n","usage":{"A":1.5e3,"INPUT":null},"cost_usd":"1","agent_id":null}`
	for i := range body {
		_, err := decodePatch(body[:i], catalog(), acme)
		if schema.KindOf(err) != schema.Unreadable {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// FuzzPatch: any text is a patch or an error; what a patch makes of an event is one that can be
// kept, and the same patch changes it no further.
func FuzzPatch(f *testing.F) {
	for _, s := range scanSeeds {
		f.Add(s)
		f.Add(`{"usage":{"INPUT":` + s + `}}`)
		f.Add(`{"cost_usd":` + s + `}`)
		f.Add(`{"model":` + s + `,"chargeable":false}`)
	}
	f.Add(`{"model":null,"usage":{"A":1,"INPUT":null},"cost_usd":"0.1","user_id":null}`)
	f.Add(strings.Replace(strings.Replace(fullEvent, `"id":"req-8841",`, "", 1),
		`"time":"2026-11-21T10:00:00.123Z",`, "", 1))
	snapshot := catalog()
	f.Fuzz(func(t *testing.T, body string) {
		p, err := decodePatch(body, snapshot, acme)
		if k := schema.KindOf(err); err != nil && k != schema.Unreadable && k != schema.Invalid {
			t.Fatalf("%q: %v", body, err)
		}
		if err != nil {
			return
		}
		if !json.Valid([]byte(body)) {
			t.Fatalf("%q is no JSON, and decoded", body)
		}
		for _, e := range []schema.Event{recorded(t), costed(t)} {
			checkPatch(t, p, e, body)
		}
	})
}

func checkPatch(t *testing.T, p *patch, e schema.Event, body string) {
	t.Helper()
	once, err := p.apply(e)
	if err != nil {
		if schema.KindOf(err) != schema.Invalid {
			t.Fatalf("%q: %v", body, err)
		}
		return
	}
	n := len(once.Measurements)
	if once.ID != e.ID || !once.Time.Equal(e.Time) || once.Organization != e.Organization ||
		once.Revision != e.Revision || n == 0 || n > schema.MeasurementsMax {
		t.Fatalf("%q: %+v", body, once)
	}
	for i, m := range once.Measurements {
		if indexOf(once.Measurements, m.UsageType) != i {
			t.Fatalf("%q: %s is there twice", body, m.UsageType)
		}
	}
	again := *once
	again.Measurements = slices.Clone(once.Measurements)
	twice, err := p.apply(again)
	if err != nil || !cmp.Equal(once, twice, decimals) {
		t.Fatalf("%q: applied again: %v %s", body, err, cmp.Diff(once, twice, decimals))
	}
}
