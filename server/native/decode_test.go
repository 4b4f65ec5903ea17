package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// decimals lets cmp look into them.
var decimals = cmp.AllowUnexported(schema.Quantity{}, schema.USD{})

// one decodes a body of one event and returns it, or "field: message" of why it is none.
func one(t testing.TB, body string, o origin) (schema.Event, string) {
	t.Helper()
	var b batch
	if err := b.decode(body, asJSON, o); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if len(b.events)+len(b.rejected) != 1 {
		t.Fatalf("%s: %d events, %d rejected", body, len(b.events), len(b.rejected))
	}
	if len(b.rejected) == 1 {
		return schema.Event{}, b.rejected[0].Err.Error()
	}
	return b.events[0], ""
}

func quantity(t testing.TB, s string) schema.Quantity {
	t.Helper()
	q, err := schema.ParseQuantity(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestDecodeReadsEveryMember(t *testing.T) {
	got, problem := one(t, fullEvent, adas(t))
	if problem != "" {
		t.Fatal(problem)
	}
	cost, _ := schema.ParseUSD("0.0043")
	want := schema.Event{
		Organization: acme, ID: schema.EventID(acme, "req-8841"), Entry: schema.Record,
		Time: time.Date(2026, 11, 21, 10, 0, 0, 123_000_000, time.UTC), User: ada, Agent: helper,
		Service: "transcription", Channel: "voice", APIName: "llm_query", Endpoint: "/chat",
		Provider: "OpenAI", ProviderEndpoint: "https://api.openai.com/v1", ProviderKey: "sk-…efgh",
		Model: "gpt-4o-mini", Chargeable: true, Purpose: "QA", Key: "req-8841",
		Measurements: []schema.Measurement{
			{
				UsageType: "CACHED_INPUT", Quantity: quantity(t, "800"),
				ProviderCost: cost, BilledCost: cost, Pricing: schema.Given,
			},
			{UsageType: "INPUT", Quantity: quantity(t, "1200"), Pricing: schema.Given},
			{UsageType: "OUTPUT", Quantity: quantity(t, "350"), Pricing: schema.Given},
		},
	}
	if diff := cmp.Diff(want, got, decimals); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeNeedsOnlyUsage(t *testing.T) {
	f := func(body string) {
		t.Helper()
		got, problem := one(t, body, adas(t))
		want := schema.Event{
			Organization: acme, ID: counter()(), Entry: schema.Record, Time: noon, User: ada,
			Chargeable: true,
			Measurements: []schema.Measurement{
				{UsageType: "INPUT", Quantity: quantity(t, "1200")},
			},
		}
		if diff := cmp.Diff(want, got, decimals); diff != "" || problem != "" {
			t.Error(body, problem, diff)
		}
	}
	f(smallEvent)
	f(" {\n\t\"usage\" : { \"INPUT\" : \"1200\" } }\r\n ")
	f(`[{"usage":{"INPUT":1.2e3}}]`)
	f(`{"us\u0061ge":{"\u0049NPUT":"12\u0030\u0030"}}`)
	f(`{"id":null,"time":null,"agent_id":null,"user_id":null,"service":null,"provider_key":null,` +
		`"chargeable":null,"cost_usd":null,"usage":{"INPUT":1200}}`)
}

func TestDecodeQuantity(t *testing.T) {
	const limits = " (at most 12 integer digits and 6 decimals)"
	f := func(literal, want string) {
		t.Helper()
		got, problem := one(t, `{"usage":{"N":`+literal+`}}`, adas(t))
		if problem == "" {
			problem = got.Measurements[0].Quantity.String()
		}
		if problem != want {
			t.Errorf("%s: %s, want %s", literal, problem, want)
		}
	}
	f(`0`, "0")
	f(`-0`, "0")
	f(`"0"`, "0")
	f(`1.5`, "1.5")
	f(`0.000001`, "0.000001")
	f(`999999999999`, "999999999999")
	f(`"999999999999.999999"`, "999999999999.999999")
	f(`1.0000000000`, "1")
	f(`1e11`, "100000000000")
	f(`-5`, "-5") // the ledger rejects it, with every other dialect's
	f(`1000000000000`, "usage.N: must have at most 12 integer digits")
	f(`-1000000000000`, "usage.N: must have at most 12 integer digits")
	f(`9223372036854775807`, "usage.N: must have at most 12 integer digits")
	f(`99999999999999999999`, "usage.N: is out of range"+limits)
	f(`1e400`, "usage.N: is out of range"+limits)
	f(`1e-400`, "usage.N: has too many decimals"+limits)
	f(`0.0000001`, "usage.N: has too many decimals"+limits)
	f(`""`, "usage.N: must be a decimal number"+limits)
	f(`" 1"`, "usage.N: must be a decimal number"+limits)
	f(`"007"`, "usage.N: must be a decimal number"+limits)
	f(`"+1"`, "usage.N: must be a decimal number"+limits)
	f(`"1,000"`, "usage.N: must be a decimal number"+limits)
	f(`"NaN"`, "usage.N: must be a decimal number"+limits)
	f(`"Infinity"`, "usage.N: must be a decimal number"+limits)
	f(`"1\u0000"`, "usage.N: must be a decimal number"+limits)
	f(`"\ud800"`, "usage.N: must not contain half of a surrogate pair")
	f(`"`+strings.Repeat("9", 100_000)+`"`, "usage.N: is out of range"+limits)
	f(`null`, "usage.N: must be a number or a numeric string")
	f(`true`, "usage.N: must be a number or a numeric string")
	f(`{"v":1}`, "usage.N: must be a number or a numeric string")
	f(`[1]`, "usage.N: must be a number or a numeric string")
}

func TestSmallIntegerReadsAsParseQuantityDoes(t *testing.T) {
	for _, s := range []string{
		"", "0", "7", "10", "00", "01", "-1", "1.0", "1e3", "12x", "/", ":", "999999999999",
		"1000000000000", " 1",
	} {
		n, ok := smallInteger(s)
		if !ok {
			continue
		}
		if got, want := schema.WholeQuantity(n), quantity(t, s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	if _, ok := smallInteger("999999999999"); !ok {
		t.Error("not read: 999999999999")
	}
}

func TestDecodeUsage(t *testing.T) {
	f := func(usage, want string) {
		t.Helper()
		got, problem := one(t, `{"usage":`+usage+`}`, adas(t))
		for _, m := range got.Measurements {
			problem += m.UsageType + "=" + m.Quantity.String() + " "
		}
		if problem != want {
			t.Errorf("%s: %s, want %s", usage, problem, want)
		}
	}
	many := func(n int) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf(`"T%02d":%d`, (i*7)%n, (i*7)%n))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	f(`{"B":2,"A":1,"C":3}`, "A=1 B=2 C=3 ")
	f(`{"C":3,"B":2,"A":1}`, "A=1 B=2 C=3 ")
	f(`{"lower case, which the ledger rejects":3}`, "lower case, which the ledger rejects=3 ")
	f(many(16), "T00=0 T01=1 T02=2 T03=3 T04=4 T05=5 T06=6 T07=7 T08=8 T09=9 T10=10 T11=11 "+
		"T12=12 T13=13 T14=14 T15=15 ")
	f(many(17), "usage: must have at most 16 usage types")
	f(many(1000), "usage: must have at most 16 usage types")
	f(`{}`, "usage: must have at least one usage type")
	f(`[]`, "usage: must be an object of usage types")
	f(`null`, "usage: is required")
	f(`"INPUT"`, "usage: must be an object of usage types")
	f(`{"A":1,"A":1}`, "usage.A: is given twice")
	f(`{"A":1,"C":1,"B":1,"A":1}`, "usage.A: is given twice")
	f(`{"A":1,"\u0041":1}`, "usage.A: is given twice")
	f(`{"\ud800":1}`, "usage.\ufffd: is not a usage type")
}

func TestDecodeMembers(t *testing.T) {
	f := func(member, want string) {
		t.Helper()
		for _, body := range []string{
			`{"usage":{"N":1},` + member + `}`, `{` + member + `,"usage":{"N":1}}`,
		} {
			if _, got := one(t, body, adas(t)); got != want {
				t.Errorf("%s: %q, want %q", body, got, want)
			}
		}
	}
	f(`"usage ":{}`, "usage : is not a member of an event")
	f(`"Model":"m"`, "Model: is not a member of an event")
	f(`"":[{"deep":[[]]}]`, "is not a member of an event")
	f(`"\ud800":1`, "\ufffd: is not a member of an event")
	f(`"`+strings.Repeat("é", 1000)+`":1`,
		strings.Repeat("é", 64)+"…: is not a member of an event")
	f(`"model":"a","model":"a"`, "model: is given twice")
	f(`"model":null,"model":"a"`, "model: is given twice")
	f(`"model":"a","m\u006fdel":["a"]`, "model: is given twice")
	f(`"model":1`, "model: must be a string")
	f(`"model":{"a":"b"}`, "model: must be a string")
	f(`"model":"\udfff"`, "model: must not contain half of a surrogate pair")
	f(`"model":""`, "")
	f(`"service":"not in the catalog"`, "")
	f(`"chargeable":false`, "")
	f(`"chargeable":"true"`, "chargeable: must be true or false")
	f(`"chargeable":1`, "chargeable: must be true or false")
	f(`"provider_key":"`+strings.Repeat("k", 4096)+`"`, "")
	f(`"provider_key":"`+strings.Repeat("k", 4097)+`"`, "provider_key: must have at most 4096 bytes")
}

func TestDecodeTime(t *testing.T) {
	const bad = "time: must be an RFC 3339 time with an offset or Z"
	f := func(literal, want string) {
		t.Helper()
		got, problem := one(t, `{"usage":{"N":1},"time":`+literal+`}`, adas(t))
		if problem == "" {
			problem = got.Time.Format(time.RFC3339Nano)
		}
		if problem != want || got.Time.Location() != time.UTC && want != bad {
			t.Errorf("%s: %s, want %s", literal, problem, want)
		}
	}
	f(`"2026-11-21T10:00:00Z"`, "2026-11-21T10:00:00Z")
	f(`"2026-11-21T10:00:00.123456789Z"`, "2026-11-21T10:00:00.123456Z")
	f(`"2026-11-21T11:30:00+01:30"`, "2026-11-21T10:00:00Z")
	f(`"2026-11-21T10:00:00-00:00"`, "2026-11-21T10:00:00Z")
	f(`"0001-01-01T00:00:00Z"`, "0001-01-01T00:00:00Z") // the ledger bounds it
	f(`"2026-11-21"`, bad)
	f(`"2026-11-21T10:00:00"`, bad)
	f(`"2026-11-21 10:00:00Z"`, bad)
	f(`"2026-11-21T1:00:00Z"`, bad)
	f(`"2026-11-21T10:00:00,5Z"`, bad)
	f(`"2026-02-30T10:00:00Z"`, bad)
	f(`"2026-11-21T10:00:60Z"`, bad)
	f(`"2026-11-21T10:00:00+24:00"`, bad)
	f(`"2026-11-21T10:00:00-01:60"`, bad)
	f(`"2026-11-21T10:00:00+0100"`, bad)
	f(`"2026-11-21T10:00:00.Z"`, bad)
	f(`"2026-11-21t10:00:00z"`, bad)
	f(`"12026-11-21T10:00:00Z"`, bad)
	f(`"-026-11-21T10:00:00Z"`, bad)
	f(`"2026-11-21T10:00:00.`+strings.Repeat("1", 100)+`Z"`, "2026-11-21T10:00:00.111111Z")
	f(`""`, bad)
	f(`1732183200`, "time: must be a string")
}

func TestDecodeCost(t *testing.T) {
	const limits = " (15 integer digits and 12 decimals are kept)"
	f := func(literal, want string) {
		t.Helper()
		got, problem := one(t, `{"usage":{"B":1,"A":1},"cost_usd":`+literal+`}`, adas(t))
		if problem == "" {
			a, b := got.Measurements[0], got.Measurements[1]
			problem = a.BilledCost.String()
			if a.Pricing != schema.Given || b.Pricing != schema.Given ||
				a.ProviderCost != a.BilledCost || b.ProviderCost.Sign() != 0 || b.BilledCost.Sign() != 0 {
				t.Errorf("%s: %+v", literal, got.Measurements)
			}
		}
		if problem != want {
			t.Errorf("%s: %s, want %s", literal, problem, want)
		}
	}
	f(`0`, "0")
	f(`0.0043`, "0.0043")
	f(`"0.000000000001"`, "0.000000000001")
	f(`4.3e-3`, "0.0043")
	f(`-0.1`, "cost_usd: must not be negative")
	f(`"-1"`, "cost_usd: must not be negative")
	f(`0.0000000000001`, "cost_usd: has too many decimals"+limits)
	f(`1e15`, "cost_usd: is out of range"+limits)
	f(`1e400`, "cost_usd: is out of range"+limits)
	f(`"$1"`, "cost_usd: must be a decimal number"+limits)
	f(`""`, "cost_usd: must be a decimal number"+limits)
	f(`false`, "cost_usd: must be a number or a numeric string")
}

func TestDecodeID(t *testing.T) {
	f := func(id, header, want string) {
		t.Helper()
		o := adas(t)
		o.eventKey = header
		got, problem := one(t, `{"usage":{"N":1},"id":`+id+`}`, o)
		if problem == "" {
			problem = got.Key
			wantID := counter()()
			if got.Key != "" {
				wantID = schema.EventID(acme, got.Key)
			}
			if got.ID != wantID {
				t.Errorf("%s: id %s, want %s", id, got.ID, wantID)
			}
		}
		if problem != want {
			t.Errorf("%s: %s, want %s", id, problem, want)
		}
	}
	f(`"a"`, "", "a")
	f(`"a"`, "a", "a")
	f(`null`, "", "")
	f(`null`, "a", "a")
	f(`"a"`, "b", "id: differs from the Idempotency-Key header")
	f(`""`, "", "id: must have 1 to 200 characters")
	f(`"`+strings.Repeat("é", 200)+`"`, "", strings.Repeat("é", 200))
	f(`"`+strings.Repeat("é", 201)+`"`, "", "id: must have 1 to 200 characters")
	f(`"a\nb"`, "", "id: must not contain control characters")
	f(`"a\u007f"`, "", "id: must not contain control characters")
	f(`"\ud800"`, "", "id: must not contain half of a surrogate pair")
	f(`7`, "", "id: must be a string")
}

func TestDecodeAttributes(t *testing.T) {
	admin := adas(t)
	member := originOf(t, "app_a7_bob", schema.AppPassword, "")
	agent := originOf(t, "helper-secret", schema.AgentSecret, "")
	ownerless := originOf(t, "idle-secret", schema.AgentSecret, "")
	f := func(o origin, agentID, userID any, want string, wantAgent, wantUser uuid.UUID) {
		t.Helper()
		member := func(name string, id any) string {
			if id == nil {
				return ""
			}
			return fmt.Sprintf(`"%s":"%v",`, name, id)
		}
		body := "{" + member("agent_id", agentID) + member("user_id", userID) + `"usage":{"N":1}}`
		got, problem := one(t, body, o)
		if problem != want || got.Agent != wantAgent || got.User != wantUser {
			t.Errorf("%s: %q, agent %s, user %s", body, problem, got.Agent, got.User)
		}
	}
	const (
		unknownAgent = "agent_id: unknown agent"
		unknownUser  = "user_id: unknown user"
		onlyAdmin    = "user_id: only an admin names another user"
		otherAgent   = "agent_id: is not the agent of the Agent-Secret-Key"
	)
	none := uuid.Nil
	f(admin, nil, nil, "", none, ada)
	f(admin, helper, bob, "", helper, bob)
	f(admin, strings.ToUpper(helper.String()), ada, "", helper, ada)
	f(admin, alien, nil, unknownAgent, none, none)
	f(admin, uuid.Nil, nil, unknownAgent, none, none)
	f(admin, uuid.Max, nil, unknownAgent, none, none)
	f(admin, nil, eve, unknownUser, none, none)
	f(admin, nil, uuid.Nil, unknownUser, none, none)
	f(member, helper, bob, "", helper, bob)
	f(member, nil, ada, onlyAdmin, none, none)
	f(member, nil, eve, onlyAdmin, none, none)
	f(agent, nil, nil, "", helper, bob)
	f(agent, helper, bob, "", helper, bob)
	f(agent, idle, nil, otherAgent, none, none)
	f(agent, nil, ada, onlyAdmin, none, none)
	f(ownerless, nil, nil, "", idle, none)
	f(ownerless, nil, bob, onlyAdmin, none, none)
	f(ownerless, nil, uuid.Nil, onlyAdmin, none, none)
	f(admin, "", nil, "agent_id: must be a UUID", none, none)
	f(admin, "{"+helper.String()+"}", nil, "agent_id: must be a UUID", none, none)
	f(admin, "urn:uuid:"+helper.String(), nil, "agent_id: must be a UUID", none, none)
	f(admin, strings.ReplaceAll(helper.String(), "-", ""), nil, "agent_id: must be a UUID",
		none, none)
	f(admin, nil, "bob", "user_id: must be a UUID", none, none)
}

// outcome renders what became of a body: "0 2!usage" are an event at 0 and a rejection at 2.
func outcome(b *batch, err error) string {
	var e *schema.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%d %v", e.Kind, e)
	}
	var parts []string
	for _, p := range b.positions {
		parts = append(parts, fmt.Sprint(p))
	}
	for _, r := range b.rejected {
		parts = append(parts, fmt.Sprintf("%d!%s", r.Index, r.Err.Field))
	}
	return strings.Join(parts, " ")
}

func TestDecodeBody(t *testing.T) {
	const ev = `{"usage":{"N":1}}`
	f := func(body string, lines bool, want string) {
		t.Helper()
		var b batch
		err := b.decode(body, formOf(lines), adas(t))
		if got := outcome(&b, err); got != want {
			t.Errorf("%.80q: %s, want %s", body, got, want)
		}
	}
	unreadable := func(s string) string { return fmt.Sprintf("%d %s", schema.Unreadable, s) }
	notJSON := func(s string) string { return unreadable("the body is not JSON: " + s) }
	f(ev, false, "0")
	f("["+ev+","+ev+"]", false, "0 1")
	f(`[{},`+ev+`,7,`+ev+`,null,"x",[`+ev+`]]`, false, "1 3 0!usage 2! 4! 5! 6!")
	f(`{}`, false, "0!usage")
	f(``, false, unreadable("the body has no events"))
	f(" \n", false, unreadable("the body has no events"))
	f(`[]`, false, unreadable("the body has no events"))
	f(`7`, false, notJSON("an event or an array of events is expected at byte 1"))
	f(`null`, false, notJSON("an event or an array of events is expected at byte 1"))
	f("\x00", false, notJSON("a value is expected at byte 1"))
	f("\ufeff"+ev, false, notJSON("a value is expected at byte 1"))
	f(ev+ev, false, notJSON("nothing may follow the JSON value at byte 18"))
	f("["+ev+"],", false, notJSON("nothing may follow the JSON value at byte 20"))
	f("["+ev+" "+ev+"]", false, notJSON("a comma or a closing bracket is expected at byte 20"))
	f("["+ev+",]", false, notJSON("a value is expected at byte 20"))
	f(`[{"usage":{"N":01}}]`, false, notJSON("a number must not start with 0 at byte 17"))
	f(`[{"bad":1},{"usage":{"N":1,}}]`, false, notJSON("a member name is expected at byte 28"))
	f("{\"model\":\"\xff\"}", false, unreadable("the body must be valid UTF-8"))
	f(`{"x":`+strings.Repeat("[", 101)+strings.Repeat("]", 101)+`}`, false,
		notJSON("values nest too deep at byte 106"))
	f(strings.Repeat("[", 1<<20), false, notJSON("values nest too deep at byte 102"))

	f(ev+"\n"+ev, true, "0 1")
	f("\n \r\n"+ev+"\r\n\n\t"+ev+" \n\n", true, "0 1")
	f(ev+"\n[]\n7\n"+ev, true, "0 3 1! 2!")
	f("", true, unreadable("the body has no events"))
	f("\n\n", true, unreadable("the body has no events"))
	f(ev+"\n\n{\n", true, unreadable("line 3 is not JSON: a member name is expected at its byte 2"))
	f(ev+" "+ev, true,
		unreadable("line 1 is not JSON: nothing may follow the JSON value at its byte 19"))
}

func TestDecodeBoundsEvents(t *testing.T) {
	f := func(n int, want string) {
		t.Helper()
		var b batch
		array := "[" + strings.Repeat("0,", n-1) + "0]"
		for _, err := range []error{
			b.decode(array, asJSON, adas(t)),
			new(batch).decode(strings.Repeat("0\n", n), asLines, adas(t)),
		} {
			if got := fmt.Sprint(err); got != want || err != nil &&
				schema.KindOf(err) != schema.TooLarge {
				t.Errorf("%d events: %s, want %s", n, got, want)
			}
		}
	}
	f(schema.RequestEventsMax, "<nil>")
	f(schema.RequestEventsMax+1, "a request must have at most 10000 events")
}

func TestDecodeTakesAKeyHeaderForOneEvent(t *testing.T) {
	o := adas(t)
	o.eventKey = "k"
	var b batch
	err := b.decode("["+smallEvent+","+smallEvent+"]", asJSON, o)
	if schema.KindOf(err) != schema.Unreadable ||
		!strings.HasPrefix(err.Error(), "Idempotency-Key: ") {
		t.Errorf("two events under one key: %v", err)
	}
}

// TestDecodeTruncated: a body that is cut off is unreadable as a whole, wherever the cut is.
func TestDecodeTruncated(t *testing.T) {
	body := "[" + smallEvent + "," + fullEvent + `,{"x":[1.5e3,"\u00e9",{}]}]`
	for i := range body {
		var b batch
		if err := b.decode(body[:i], asJSON, adas(t)); schema.KindOf(err) != schema.Unreadable {
			t.Fatalf("cut at %d: %s", i, outcome(&b, err))
		}
	}
}

// TestBatchForgets: what a batch decoded leaves no trace in what it decodes next.
func TestBatchForgets(t *testing.T) {
	rejectedLate := strings.Replace(fullEvent, `"0.0043"`, `"x"`, 1)
	bodies := []string{
		"[" + fullEvent + "," + rejectedLate + "," + smallEvent + "]", fullEvent, "[" + smallEvent,
		smallEvent, "[" + rejectedLate + "," + smallEvent + "," + agentEvent + "]",
	}
	var used batch
	for range 3 {
		for _, body := range bodies {
			var fresh batch
			_ = fresh.decode(body, asJSON, adas(t))
			_ = used.decode(body, asJSON, adas(t))
			if !cmp.Equal(fresh.events, used.events, decimals) ||
				!cmp.Equal(fresh.rejected, used.rejected, decimals) ||
				!slices.Equal(fresh.positions, used.positions) {
				t.Fatalf("%s: %s", body, cmp.Diff(fresh.events, used.events, decimals))
			}
			if !used.reset() {
				t.Fatal("not kept")
			}
		}
	}
	for _, e := range used.events[:cap(used.events)] {
		if e.Measurements != nil || e.Model != "" {
			t.Error("an event outlives its request")
		}
	}
	for _, m := range used.measurements[:cap(used.measurements)] {
		if m.UsageType != "" {
			t.Error("a measurement outlives its request")
		}
	}
	used.events = make([]schema.Event, 0, eventsKeptMax+1)
	if used.reset() {
		t.Error("keeps more than it should")
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range scanSeeds {
		f.Add(s)
		f.Add(`{"usage":{"N":` + s + `}}`)
		f.Add(`{"x":` + s + `,"usage":{"N":1}}`)
	}
	for _, s := range []string{smallEvent, agentEvent, fullEvent} {
		f.Add(s)
		f.Add("[" + s + ", " + s + "]")
		f.Add(s + "\n\n" + s)
	}
	o := adas(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, lines := range []bool{false, true} {
			var b batch
			err := b.decode(body, formOf(lines), o)
			if err != nil {
				if k := schema.KindOf(err); k != schema.Unreadable && k != schema.TooLarge {
					t.Fatalf("%q: %v", body, err)
				}
				continue
			}
			if !lines && !json.Valid([]byte(body)) {
				t.Fatalf("%q is no JSON, and decoded", body)
			}
			checkBatch(t, &b)
		}
	})
}

// checkBatch checks that every value of a body is an event or a rejection, and no event is half
// of one.
func checkBatch(t *testing.T, b *batch) {
	t.Helper()
	if b.count == 0 || len(b.events)+len(b.rejected) != b.count || len(b.positions) != len(b.events) {
		t.Fatalf("%q: %d values, %d events, %d rejected", b.text, b.count, len(b.events),
			len(b.rejected))
	}
	at := append([]int(nil), b.positions...)
	for _, r := range b.rejected {
		if r.Err.Message == "" || r.Err.Kind != schema.Invalid {
			t.Fatalf("%q: rejected with %+v", b.text, r.Err)
		}
		at = append(at, r.Index)
	}
	slices.Sort(at)
	for i, p := range at {
		if i != p {
			t.Fatalf("%q: positions %v", b.text, at)
		}
	}
	for _, e := range b.events {
		if e.Organization != acme || e.ID == uuid.Nil || e.Time.IsZero() && b.given&memberTime == 0 ||
			len(e.Measurements) == 0 || len(e.Measurements) > schema.MeasurementsMax {
			t.Fatalf("%q: %+v", b.text, e)
		}
		for i, m := range e.Measurements {
			if i > 0 && e.Measurements[i-1].UsageType >= m.UsageType {
				t.Fatalf("%q: usage types out of order: %+v", b.text, e.Measurements)
			}
		}
	}
}
