package billing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76"

	"github.com/meterhouse/meterhouse/schema"
)

const (
	canaryKey    = "sk_test_canary0KEY0canary"
	canarySecret = "whsec_canary0SECRET0+/canary="
	otherSecret  = "whsec_another0SECRET0canary"
)

var atNoon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// safeLog keeps what is logged; it is written to by many goroutines.
type safeLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *safeLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// noCanary fails when a text has a part of a secret that would be of use to somebody.
func noCanary(t *testing.T, where, text string) {
	t.Helper()
	for _, secret := range []string{canaryKey, canarySecret, otherSecret, "canary0", "0canary"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s tells a secret: %s", where, text)
		}
	}
}

// newClient returns a client of what serves, whose log must not have a secret at the end.
func newClient(t *testing.T, serve http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewUnstartedServer(serve)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	return clientOf(t, ClientConfig{Base: server.URL})
}

func clientOf(t *testing.T, c ClientConfig) *Client {
	t.Helper()
	log := &safeLog{}
	c.Key, c.WebhookSecret = canaryKey, canarySecret+", "+otherSecret
	if c.Now == nil {
		c.Now = func() time.Time { return atNoon }
	}
	c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noCanary(t, "the log", log.String()) })
	return client
}

func delivery(mode schema.ReportMode) Delivery {
	return Delivery{
		Intent: schema.Intent{
			Slot: schema.Slot{
				Organization: uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55"),
				Meter:        "usage_micro_usd", Start: atNoon,
			},
			Revision: 2, Mode: mode, Total: 1_234_567, Send: 1_234_567,
			Identifier: "mh1-0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55-usage_micro_usd-1795348800-r2",
			Customer:   "cus_1", SubscriptionItem: "si_1",
		},
		Key:  "mh1-0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55-usage_micro_usd-1795348800-r2-g1",
		Time: atNoon.Add(2 * time.Second),
	}
}

// request is what a server was asked.
type request struct {
	Method, Path string
	Form         url.Values
	Header       http.Header
}

// recorder answers every request with the same body, and keeps the requests.
type recorder struct {
	mu       sync.Mutex
	requests []request
	bodies   []string // of the answers; the last one stays
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.requests = append(rec.requests, request{r.Method, r.URL.Path, r.Form, r.Header})
	w.Header().Set("Request-Id", "req_7")
	_, _ = io.WriteString(w, rec.bodies[min(len(rec.requests), len(rec.bodies))-1])
}

func (rec *recorder) all() []request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.requests
}

func TestModesAreSentAsStripeWantsThem(t *testing.T) {
	t.Parallel()
	event := url.Values{
		"event_name": {"usage_micro_usd"}, "timestamp": {"1795348802"},
		"identifier":                  {delivery(schema.Raw).Identifier},
		"payload[stripe_customer_id]": {"cus_1"}, "payload[value]": {"1234567"},
	}
	record := url.Values{
		"action": {"set"}, "quantity": {"1234567"}, "timestamp": {"1795348802"},
	}
	f := func(mode schema.ReportMode, path, object string, form url.Values) {
		t.Helper()
		rec := &recorder{bodies: []string{`{"object":"` + object + `"}`}}
		c := newClient(t, rec.ServeHTTP)
		got := c.Send(t.Context(), delivery(mode))
		want := Answer{Verdict: schema.Accepted, HTTPStatus: 200, RequestID: "req_7"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", mode, d)
		}
		if len(rec.all()) != 1 {
			t.Fatalf("%s: %d requests", mode, len(rec.all()))
		}
		r := rec.all()[0]
		if d := cmp.Diff(form, r.Form); d != "" || r.Method != "POST" || r.Path != path {
			t.Errorf("%s: %s %s %s", mode, r.Method, r.Path, d)
		}
		if key := r.Header.Get("Idempotency-Key"); key != delivery(mode).Key {
			t.Errorf("%s: key %q", mode, key)
		}
	}
	f(schema.Preaggregated, "/v1/billing/meter_events", "billing.meter_event", event)
	f(schema.Raw, "/v1/billing/meter_events", "billing.meter_event", event)
	f(schema.UsageRecord, "/v1/subscription_items/si_1/usage_records", "usage_record", record)
}

// With its two lines taken out of pinned.RoundTrip, the header with the machine's name was in every
// request, and the event of v2 was asked for as of 2023-10-16.
func TestEveryRequestHasItsVersionAndNothingOfTheMachine(t *testing.T) {
	t.Parallel()
	rec := &recorder{bodies: []string{`{"object":"billing.meter_event","data":[]}`}}
	c := newClient(t, rec.ServeHTTP)
	ctx := t.Context()
	c.Send(ctx, delivery(schema.Preaggregated))
	_, _ = c.MeterID(ctx, "usage_micro_usd")
	_, _ = c.Lines(ctx, "in_1")
	_, _ = c.Problems(ctx, "evt_1")
	want := []string{"2023-10-16", "2023-10-16", "2023-10-16", "2025-03-31.basil"}
	for i, r := range rec.all() {
		if got := r.Header.Get("Stripe-Version"); got != want[i] {
			t.Errorf("%s: version %s, want %s", r.Path, got, want[i])
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Stripe") {
				t.Errorf("%s: %s is sent", r.Path, name)
			}
		}
		if r.Header.Get("Authorization") != "Bearer "+canaryKey {
			t.Errorf("%s: not authorized", r.Path)
		}
	}
	if len(rec.all()) != 4 || stripe.Key != "" {
		t.Errorf("%d requests; stripe-go's own key is %q", len(rec.all()), stripe.Key)
	}
}

// With unsendable always empty, all of them were sent but the one of the long key.
func TestWhatStripeWouldMisreadIsNotSent(t *testing.T) {
	t.Parallel()
	rec := &recorder{bodies: []string{`{"object":"billing.meter_event"}`}}
	c := newClient(t, rec.ServeHTTP)
	f := func(why string, mode schema.ReportMode, change func(*Delivery)) {
		t.Helper()
		d := delivery(mode)
		change(&d)
		a := c.Send(t.Context(), d)
		if a.Verdict != schema.Rejected || a.HTTPStatus != 0 || a.Silent || a.Detail == "" {
			t.Errorf("%s: %+v", why, a)
		}
	}
	f("no key: stripe-go makes one up", schema.Raw, func(d *Delivery) { d.Key = "" })
	f("key too long", schema.Raw, func(d *Delivery) { d.Key = strings.Repeat("k", 256) })
	f("stripe-go trims it", schema.Raw, func(d *Delivery) { d.Key += " " })
	f("no identifier: Stripe makes one up", schema.Raw, func(d *Delivery) { d.Identifier = "" })
	f("sixteen digits", schema.Raw, func(d *Delivery) { d.Send = schema.SlotUnitsMax + 1 })
	f("sixteen, negative", schema.Raw, func(d *Delivery) { d.Send = -schema.SlotUnitsMax - 1 })
	f("no customer", schema.Preaggregated, func(d *Delivery) { d.Customer = "" })
	f("no meter", schema.Preaggregated, func(d *Delivery) { d.Slot.Meter = "" })
	f("no item", schema.UsageRecord, func(d *Delivery) { d.SubscriptionItem = "" })
	f("negative record", schema.UsageRecord, func(d *Delivery) { d.Send = -1 })
	f("no mode", 0, func(*Delivery) {})
	if n := len(rec.all()); n != 0 {
		t.Errorf("%d were sent", n)
	}
	d := delivery(schema.Preaggregated)
	d.Send = -5
	if c.Send(t.Context(), d); rec.all()[0].Form.Get("payload[value]") != "-5" {
		t.Errorf("a meter's total may be negative: %v", rec.all())
	}
}

func TestMeterIsLookedUpOncePerSomeMinutes(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := atNoon
	rec := &recorder{bodies: []string{
		`{"has_more":true,"data":[{"id":"mtr_1","event_name":"a"}]}`,
		`{"has_more":false,"data":[{"id":"mtr_2","event_name":"b"}]}`,
		`{"has_more":false,"data":[{"id":"mtr_3","event_name":"c"}]}`,
	}}
	server := httptest.NewServer(rec)
	t.Cleanup(server.Close)
	c := clientOf(t, ClientConfig{Base: server.URL, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	f := func(name, want string, requests int) {
		t.Helper()
		id, err := c.MeterID(t.Context(), name)
		if id != want || (want == "") != (schema.KindOf(err) == schema.NotFound) {
			t.Errorf("%s: %q, %v", name, id, err)
		}
		if n := len(rec.all()); n != requests {
			t.Errorf("%s: %d requests, want %d", name, n, requests)
		}
	}
	f("b", "mtr_2", 2)
	f("a", "mtr_1", 2)
	f("c", "", 2) // the list is fresh: it cannot be there
	now = now.Add(metersMissedFor)
	f("a", "mtr_1", 2)
	f("c", "mtr_3", 3) // somebody made it
	now = now.Add(metersFor)
	f("c", "mtr_3", 4)
	first, second := rec.all()[0].Form, rec.all()[1].Form
	if first.Get("status") != "active" || first.Get("limit") != "100" ||
		first.Get("starting_after") != "" || second.Get("starting_after") != "mtr_1" {
		t.Errorf("pages: %v, then %v", first, second)
	}
}

func TestSummariesAreReadExactlyAndInOrder(t *testing.T) {
	t.Parallel()
	rec := &recorder{bodies: []string{
		`{"has_more":true,"data":[
			{"id":"s1","aggregated_value":999999999999999.0,"start_time":7200,"end_time":10800},
			{"id":"s2","aggregated_value":0.0,"start_time":3600,"end_time":7200}]}`,
		`{"has_more":false,"data":[
			{"id":"s3","aggregated_value":-1.2e3,"start_time":0,"end_time":3600}]}`,
	}}
	c := newClient(t, rec.ServeHTTP)
	p := SummaryParams{Meter: "mtr_1", Customer: "cus_1", By: ByHour,
		From: time.Unix(0, 0).UTC(), To: time.Unix(10800, 0).UTC()}
	got, err := c.Summaries(t.Context(), p)
	want := []Bucket{
		{time.Time{}, time.Unix(3600, 0).UTC(), -1200},
		{time.Unix(7200, 0).UTC(), time.Unix(10800, 0).UTC(), 999_999_999_999_999},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	r := rec.all()[0]
	form := url.Values{"customer": {"cus_1"}, "start_time": {"0"}, "end_time": {"10800"},
		"value_grouping_window": {"hour"}, "limit": {"100"}}
	if d := cmp.Diff(form, r.Form); d != "" ||
		r.Path != "/v1/billing/meters/mtr_1/event_summaries" {
		t.Errorf("%s: %s", r.Path, d)
	}
	p.By, p.To = ByDay, p.To.Add(time.Minute)
	if _, err := c.Summaries(t.Context(), p); schema.KindOf(err) != schema.Invalid {
		t.Errorf("days that are not whole: %v", err)
	}
	if len(rec.all()) != 2 {
		t.Errorf("%d requests", len(rec.all()))
	}
}

// Without the second question, this was an error: an account whose API has no days could not be
// reconciled by them.
func TestDaysAreMadeOfHoursWhereStripeHasNone(t *testing.T) {
	t.Parallel()
	asked := ""
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		by := r.FormValue("value_grouping_window")
		asked += by + " "
		if by != "hour" {
			said{400, "", stripeError(invalid, "", "Invalid value_grouping_window")}.serve(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"data":[
			{"id":"c","aggregated_value":4,"start_time":90000,"end_time":93600},
			{"id":"b","aggregated_value":2,"start_time":82800,"end_time":86400},
			{"id":"a","aggregated_value":1,"start_time":3600,"end_time":7200}]}`)
	})
	at := func(days int64) time.Time { return time.Unix(days*86400, 0).UTC() }
	got, err := c.Summaries(t.Context(), SummaryParams{Meter: "m", Customer: "c", By: ByDay,
		From: at(0), To: at(3)})
	want := []Bucket{{at(0), at(1), 3}, {at(1), at(2), 4}}
	if d := cmp.Diff(want, got); d != "" || err != nil || asked != "day hour " {
		t.Errorf("%s: %v %s", asked, err, d)
	}
}

// As a float64, 9007199254740993 is 9007199254740992, and 25.5 would have been 25 as an integer.
func TestNumbersThatAreNoUnitsAreRefused(t *testing.T) {
	t.Parallel()
	for _, n := range []string{
		"25.5", "1e15", "-1000000000000000", "9007199254740993", "1e400", "null", `"many"`,
	} {
		rec := &recorder{bodies: []string{fmt.Sprintf(
			`{"data":[{"id":"s1","aggregated_value":%s,"start_time":60,"end_time":120}]}`, n)}}
		c := newClient(t, rec.ServeHTTP)
		p := SummaryParams{Meter: "m", Customer: "c",
			From: time.Unix(60, 0), To: time.Unix(120, 0)}
		if got, err := c.Summaries(t.Context(), p); err == nil {
			t.Errorf("%s: %v", n, got)
		}
	}
}

func TestRecordsOfPeriods(t *testing.T) {
	t.Parallel()
	rec := &recorder{bodies: []string{`{"data":[
		{"id":"a","total_usage":7,"period":{"start":null,"end":null}},
		{"id":"b","total_usage":5,"period":{"start":3600,"end":7200}}]}`}}
	c := newClient(t, rec.ServeHTTP)
	got, err := c.Records(t.Context(), "si_1")
	want := []Bucket{
		{From: time.Unix(7200, 0).UTC(), Units: 7},
		{time.Unix(3600, 0).UTC(), time.Unix(7200, 0).UTC(), 5},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if p := rec.all()[0].Path; p != "/v1/subscription_items/si_1/usage_record_summaries" {
		t.Error(p)
	}
}

func TestInvoicesAreListedSinceATime(t *testing.T) {
	const line = `{"id":"il_1","quantity":5,"subscription_item":"si_1","period":{"start":3600,` +
		`"end":7200},"price":{"recurring":{"usage_type":"metered","meter":"mtr_1"}}}`
	rec := &recorder{bodies: []string{
		`{"data":[{"id":"in_2","customer":"cus_1","status":"draft","created":9000,` +
			`"lines":{"data":[` + line + `],"has_more":true}}],"has_more":true}`,
		`{"data":[{"id":"in_1","customer":{"id":"cus_1"},"status":"paid","created":7260,` +
			`"lines":{"data":[` + line + `],"has_more":false}}],"has_more":false}`,
	}}
	got, err := newClient(t, rec.ServeHTTP).Invoices(t.Context(), "cus_1", time.Unix(7000, 5))
	want := []Invoice{
		{ID: "in_2", Customer: "cus_1", Status: "draft", Created: instant(9000), More: true},
		{ID: "in_1", Customer: "cus_1", Status: "paid", Created: instant(7260),
			Lines: []InvoiceLine{{Meter: "mtr_1", SubscriptionItem: "si_1",
				Start: instant(3600), End: instant(7200), Quantity: 5}}},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
	for i, after := range []string{"", "in_2"} {
		r := rec.all()[i]
		if r.Path != "/v1/invoices" || r.Form.Get("customer") != "cus_1" ||
			r.Form.Get("created[gte]") != "7000" || r.Form.Get("starting_after") != after {
			t.Errorf("call %d: %s %v", i, r.Path, r.Form)
		}
	}
	for _, bad := range []string{`{"data":[{"status":"paid"}]}`, `{"data":[{"id":5}]}`} {
		c := newClient(t, (&recorder{bodies: []string{bad}}).ServeHTTP)
		if got, err := c.Invoices(t.Context(), "cus_1", atNoon); err == nil {
			t.Errorf("%s: %v", bad, got)
		}
	}
}

func TestListThatDoesNotEndIsAnError(t *testing.T) {
	t.Parallel()
	for _, page := range []string{
		`{"has_more":true,"data":[]}`, `{"has_more":true,"data":[{"id":"il_1"}]}`,
	} {
		rec := &recorder{bodies: []string{page}}
		c := newClient(t, rec.ServeHTTP)
		if _, err := c.Lines(t.Context(), "in_1"); err == nil || len(rec.all()) > 2 {
			t.Errorf("%s: %v after %d requests", page, err, len(rec.all()))
		}
	}
}

func TestWhatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(429)
		_, _ = io.WriteString(w, `{"error":{"type":"rate_limit_error","message":"slow down"}}`)
	})
	_, err := c.Lines(t.Context(), "in_1")
	var f *Failure
	if !errors.As(err, &f) || f.Answer.Ends != schema.RunLimited ||
		f.Answer.RetryAfter != 30*time.Second {
		t.Fatalf("%v", err)
	}
	if got := err.Error(); got != "stripe: GET /v1/invoices/in_1/lines: 429: slow down" {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Lines(ctx, "in_1"); !errors.Is(err, context.Canceled) {
		t.Errorf("of a call that was given up: %v", err)
	}
}

func TestClientRefusesWhatIsNoKeyOrAddress(t *testing.T) {
	t.Parallel()
	f := func(c ClientConfig) {
		t.Helper()
		_, err := NewClient(c)
		if err == nil {
			t.Errorf("taken: key %q at %q", c.Key, c.Base)
			return
		}
		noCanary(t, "the error", err.Error())
	}
	f(ClientConfig{})
	f(ClientConfig{Key: "pk_test_canary0"})
	f(ClientConfig{Key: canaryKey + "\n"})
	f(ClientConfig{Key: canaryKey, Base: "localhost:1"})
	f(ClientConfig{Key: canaryKey, Base: "https://canary0:x@stripe.example"})
	f(ClientConfig{Key: canaryKey, Base: "ftp://canary0\x00"})
	test, err := NewClient(ClientConfig{Key: canaryKey})
	if err != nil || !test.TestMode() {
		t.Error("a test key was not seen")
	}
	live, err := NewClient(ClientConfig{Key: "rk_live_test_1"})
	if err != nil || live.TestMode() {
		t.Error("a live key was taken for one of tests")
	}
}
