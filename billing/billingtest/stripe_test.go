package billingtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// caller calls an account as a client does.
type caller struct {
	*testing.T
	*Stripe
	clock *Clock
}

func open(t *testing.T, o Options) caller {
	clock := NewClock(noon)
	return caller{t, New(t, clock, o), clock}
}

// said is an answer; status 0: there was none that can be read.
type said struct {
	status   int
	code     string
	kind     string
	message  string
	replayed bool
	body     map[string]any
}

func (c caller) do(method, path, key string, form url.Values) said {
	c.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else if len(form) > 0 {
		path += "?" + form.Encode()
	}
	r, err := http.NewRequestWithContext(c.Context(), method, c.URL+path, body)
	if err != nil {
		c.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk_test_1")
	r.Header.Set("Stripe-Version", "2025-03-31.basil")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return said{}
	}
	defer func() { _ = answer.Body.Close() }()
	s := said{status: answer.StatusCode,
		replayed: answer.Header.Get("Idempotent-Replayed") == "true"}
	if json.NewDecoder(answer.Body).Decode(&s.body) != nil {
		return said{}
	}
	if e, ok := s.body["error"].(map[string]any); ok {
		s.kind, _ = e["type"].(string)
		s.code, _ = e["code"].(string)
		s.message, _ = e["message"].(string)
	}
	return s
}

func (c caller) event(key, identifier string, at time.Time, value int) said {
	c.Helper()
	return c.do(http.MethodPost, "/v1/billing/meter_events", key, url.Values{
		"event_name": {"m"}, "identifier": {identifier},
		"timestamp":                   {strconv.FormatInt(at.Unix(), 10)},
		"payload[stripe_customer_id]": {"cus_1"}, "payload[value]": {strconv.Itoa(value)},
	})
}

func (c caller) holds(want int64) {
	c.Helper()
	if got := c.Total("cus_1", "m", noon.Truncate(time.Hour)); got != want {
		c.Errorf("the account has %d, want %d", got, want)
	}
}

func (c caller) want(got said, status int, part string) {
	c.Helper()
	if got.status != status || !strings.Contains(got.kind+" "+got.code+" "+got.message, part) {
		c.Errorf("answered %+v, want %d with %q", got, status, part)
	}
}

func oneMeter(how Ingestion) Options {
	return Options{Meters: []Meter{{Name: "m", Ingestion: how}}, Customers: []string{"cus_1"}}
}

func TestKeysAndIdentifiersLastADay(t *testing.T) {
	t.Parallel()
	c := open(t, oneMeter(AddsUp))
	c.want(c.event("k1", "i1", noon, 5), 200, "")
	if a := c.event("k1", "i1", noon, 5); a.status != 200 || !a.replayed {
		t.Errorf("answered %+v, want what was saved", a)
	}
	c.want(c.event("k1", "i1", noon, 6), 400, "idempotency_error")
	c.want(c.event("k2", "i1", noon, 5), 400, "already exists with identifier i1")
	c.holds(5)
	c.clock.Advance(24*time.Hour - time.Second)
	c.want(c.event("k2", "i1", noon, 5), 400, "already exists with identifier i1")
	c.clock.Advance(time.Second)
	c.want(c.event("k1", "i1", noon, 5), 200, "")
	c.holds(10)
	if n := c.Counts(); n.Conflicts != 1 || n.Duplicates != 2 || n.Replayed != 1 || n.Executed != 2 {
		t.Errorf("counted %+v", n)
	}
}

func TestMetersCountInTheirWays(t *testing.T) {
	t.Parallel()
	f := func(how Ingestion, want int64) {
		t.Helper()
		c := open(t, oneMeter(how))
		c.event("k1", "i1", noon.Add(1*time.Second), 5)
		c.event("k3", "i3", noon.Add(3*time.Second), 7)
		c.event("k2", "i2", noon.Add(2*time.Second), 6)
		c.holds(want)
	}
	f(AddsUp, 18)
	f(ByArrival, 6)
	f(ByTimestamp, 7)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	f := func(fault Fault, first, again said, want int64) {
		t.Helper()
		c := open(t, oneMeter(AddsUp))
		c.FailNext("k1", fault)
		for _, each := range []said{first, again} {
			got := c.event("k1", "i1", noon, 5)
			if got.status != each.status || got.replayed != each.replayed {
				t.Errorf("fault %d: answered %+v, want %+v", fault, got, each)
			}
		}
		c.holds(want)
	}
	done, replayed := said{status: 200}, said{status: 200, replayed: true}
	none := said{}
	f(RateLimited, said{status: 429}, done, 5)
	f(LockTimeout, said{status: 429}, done, 5)
	f(KeyInUse, said{status: 409}, done, 5)
	f(Unavailable, said{status: 503}, done, 5)
	f(Failed, said{status: 500}, done, 5)
	f(Unreached, none, done, 5)
	f(FailedAndSaved, said{status: 500}, said{status: 500, replayed: true}, 0)
	f(DoneButFailed, said{status: 500}, said{status: 500, replayed: true}, 5)
	f(BadGateway, none, replayed, 5)
	f(LostAnswer, none, replayed, 5)
	f(TruncatedAnswer, none, replayed, 5)
	f(GarbageAnswer, none, replayed, 5)
	f(Hang, none, replayed, 5)
}

func TestFaultsComeAsOften(t *testing.T) {
	t.Parallel()
	c := open(t, oneMeter(ByArrival))
	c.SetFaults(Faults(400))
	const calls = 500
	for i := range calls {
		c.event("k"+strconv.Itoa(i), "i"+strconv.Itoa(i), noon, i)
	}
	// net/http itself repeats a call with an Idempotency-Key when a connection that it used before
	// is closed on it, so there are more calls than were made.
	if n := c.Counts(); n.Faults < n.Calls*3/10 || n.Faults > n.Calls*5/10 || n.Calls < calls {
		t.Errorf("counted %+v", n)
	}
}

func TestOutages(t *testing.T) {
	t.Parallel()
	c := open(t, oneMeter(AddsUp))
	c.Outage(noon, noon.Add(time.Hour), true)
	c.Outage(noon.Add(time.Hour), noon.Add(2*time.Hour), false)
	c.want(c.event("k1", "i1", noon, 1), 0, "")
	c.clock.Advance(time.Hour)
	c.want(c.event("k2", "i2", noon, 10), 0, "")
	c.clock.Advance(time.Hour)
	c.want(c.event("k3", "i3", noon, 100), 200, "")
	c.holds(101)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	c := open(t, oneMeter(AddsUp))
	const day = 24 * time.Hour
	c.want(c.event("k1", "i1", noon.Add(-35*day-time.Second), 1), 400, "35 days")
	c.want(c.event("k2", "i2", noon.Add(-35*day), 1), 200, "")
	c.want(c.event("k3", "i3", noon.Add(5*time.Minute+time.Second), 1), 400, "5 minutes")
	c.want(c.event("k4", strings.Repeat("i", 101), noon, 1), 400, "identifier")
	c.Refuse("sk_test_1", 401)
	c.want(c.event("k5", "i5", noon, 1), 401, "")
	c.Refuse("sk_test_1", 0)
	c.want(c.event("k5", "i5", noon, 1), 200, "")
	if all := c.Breaches(); len(all) != 0 {
		t.Errorf("breaches %q", all)
	}
	c.event("", "i6", noon, 1)
	if all := c.Breaches(); len(all) != 1 {
		t.Errorf("breaches %q, want that there is no key", all)
	}
}

func TestUnknownCustomersAreReportedLater(t *testing.T) {
	t.Parallel()
	o := oneMeter(AddsUp)
	o.Customers = nil
	c := open(t, o)
	c.want(c.event("k1", "i1", noon, 1), 200, "")
	c.holds(0)
	all := c.Notices()
	if len(all) != 1 || all[0].Type != "v1.billing.meter.error_report_triggered" ||
		strings.Contains(string(all[0].Body), "i1") {
		t.Fatalf("notices %+v", all)
	}
	a := c.do(http.MethodGet, "/v2/core/events/"+all[0].ID, "", nil)
	text, err := json.Marshal(a.body)
	if err != nil || !strings.Contains(string(text), `"identifier":"i1"`) ||
		!strings.Contains(string(text), "meter_event_customer_not_found") {
		t.Errorf("the event is %s", text)
	}
	if again := c.Notices(); len(again) != 0 {
		t.Errorf("notices %+v again", again)
	}
	o.UnknownAtOnce = true
	c = open(t, o)
	c.want(c.event("k1", "i1", noon, 1), 404, "resource_missing")
}

func TestSummariesArePagedAndAligned(t *testing.T) {
	t.Parallel()
	o := oneMeter(ByArrival)
	o.SummaryLag = time.Minute
	c := open(t, o)
	for i := range 12 {
		id := strconv.Itoa(i)
		c.event(id, id, noon.Add(-time.Duration(i)*time.Hour), i+1)
	}
	ask := url.Values{
		"customer": {"cus_1"}, "value_grouping_window": {"hour"},
		"start_time": {strconv.FormatInt(noon.Add(-24*time.Hour).Unix(), 10)},
		"end_time":   {strconv.FormatInt(noon.Add(time.Hour).Unix(), 10)},
	}
	const path = "/v1/billing/meters/mtr_m/event_summaries"
	if all := c.do(http.MethodGet, path, "", ask).body["data"].([]any); len(all) != 0 {
		t.Errorf("%d summaries before they lag", len(all))
	}
	c.clock.Advance(time.Minute)
	first := c.do(http.MethodGet, path, "", ask)
	all := first.body["data"].([]any)
	if len(all) != 10 || first.body["has_more"] != true {
		t.Fatalf("the first page has %d of 12", len(all))
	}
	ask.Set("starting_after", all[9].(map[string]any)["id"].(string))
	rest := c.do(http.MethodGet, path, "", ask)
	if all := rest.body["data"].([]any); len(all) != 2 || rest.body["has_more"] != false {
		t.Errorf("the second page has %d of 2", len(all))
	}
	ask.Del("starting_after")
	ask.Del("value_grouping_window")
	all = c.do(http.MethodGet, path, "", ask).body["data"].([]any)
	if text, _ := json.Marshal(all); len(all) != 1 ||
		!strings.Contains(string(text), `"aggregated_value":78`) {
		t.Errorf("the whole is %s", text)
	}
	ask.Set("start_time", strconv.FormatInt(noon.Unix()-1, 10))
	c.want(c.do(http.MethodGet, path, "", ask), 400, "aligned")
}

func TestRecordsBelongToThePeriod(t *testing.T) {
	t.Parallel()
	c := open(t, Options{
		Items:       []Item{{"si_1", "cus_1", ""}},
		PeriodStart: noon.Add(-12 * time.Hour), PeriodLength: 24 * time.Hour,
	})
	n := 0
	set := func(at time.Time, quantity int) said {
		n++
		return c.do(http.MethodPost, "/v1/subscription_items/si_1/usage_records",
			strconv.Itoa(n), url.Values{
				"action": {"set"}, "quantity": {strconv.Itoa(quantity)},
				"timestamp": {strconv.FormatInt(at.Unix(), 10)},
			})
	}
	c.want(set(noon, 5), 200, "")
	c.want(set(noon, 6), 200, "")
	c.want(set(noon.Add(-time.Hour), 1), 200, "")
	c.want(set(noon, -1), 400, "greater than or equal to 0")
	c.want(set(noon.Add(-13*time.Hour), 1), 400, "after the subscription's last")
	c.clock.Advance(12*time.Hour + 6*time.Minute)
	c.want(set(noon, 9), 400, "after the subscription's last")
	if got := c.Recorded("si_1", noon.Add(-12*time.Hour), noon.Add(12*time.Hour)); got != 7 {
		t.Errorf("recorded %d, want 7", got)
	}
	a := c.do(http.MethodGet, "/v1/subscription_items/si_1/usage_record_summaries", "", nil)
	all := a.body["data"].([]any)
	if text, _ := json.Marshal(all); len(all) != 2 ||
		!strings.Contains(string(text), `"invoice":"in_cus_1_`) ||
		!strings.Contains(string(text), `"total_usage":7`) {
		t.Errorf("the periods are %s", text)
	}
}

func TestInvoicesBecomeFinal(t *testing.T) {
	t.Parallel()
	o := oneMeter(ByArrival)
	o.Items, o.InlineLines = []Item{{"si_1", "cus_1", "m"}}, 1
	o.PeriodStart, o.PeriodLength = noon.Add(-12*time.Hour), 24*time.Hour
	c := open(t, o)
	c.event("k1", "i1", noon, 5)
	c.clock.Advance(12 * time.Hour)
	if all := c.Notices(); len(all) != 1 || all[0].Type != "invoice.created" {
		t.Fatalf("notices %+v", all)
	}
	c.event("k2", "i2", noon.Add(time.Second), 8) // still counts
	c.clock.Advance(time.Hour)
	c.event("k3", "i3", noon.Add(2*time.Second), 9) // no more
	all := c.Notices()
	if len(all) != 1 || all[0].Type != "invoice.finalized" ||
		!strings.Contains(string(all[0].Body), `"has_more":true`) {
		t.Fatalf("notices %+v", all)
	}
	invoices := c.Invoices()
	if len(invoices) != 1 || !invoices[0].Final || invoices[0].Lines[0].Quantity != 8 {
		t.Fatalf("invoices %+v", invoices)
	}
	c.holds(9)
	lines := c.do(http.MethodGet, "/v1/invoices/"+invoices[0].ID+"/lines", "", nil)
	if text, _ := json.Marshal(lines.body); !strings.Contains(string(text), `"meter":"mtr_m"`) ||
		!strings.Contains(string(text), `"quantity":8`) {
		t.Errorf("the lines are %s", text)
	}
	c.Replace(invoices[0].ID, 7)
	f := func(query, want string) {
		t.Helper()
		listed := c.do(http.MethodGet, "/v1/invoices?customer=cus_1&"+query, "", nil)
		all, _ := listed.body["data"].([]any)
		var got []string
		for _, i := range all {
			status, _ := i.(map[string]any)["status"].(string)
			got = append(got, status)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	f("created[gte]=0", "open void")
	f("created[gte]=0&limit=1", "open")
	f("created[gte]="+strconv.FormatInt(noon.Add(12*time.Hour).Unix()+1, 10), "open")
}

func TestTwoCallsAtATimeAreNoticed(t *testing.T) {
	t.Parallel()
	o := oneMeter(AddsUp)
	o.Latency = 200 * time.Millisecond
	c := open(t, o)
	first := make(chan said)
	go func() { first <- c.event("k1", "i1", noon, 1) }()
	for c.Counts().Posts == 0 {
		time.Sleep(time.Millisecond)
	}
	c.want(c.event("k1", "i1", noon, 1), 409, "idempotency_key_in_use")
	c.want(c.event("k2", "i2", noon, 2), 429, "lock_timeout")
	if a := <-first; a.status != 200 {
		t.Errorf("the first was answered %+v", a)
	}
	if n := c.Counts(); n.Crowded != 1 || len(c.Breaches()) != 1 {
		t.Errorf("counted %+v, breaches %q", n, c.Breaches())
	}
}
