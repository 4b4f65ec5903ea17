package billingtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// remembered is how long Stripe knows idempotency keys and identifiers: not a moment longer than
// it promises.
const remembered = 24 * time.Hour

// Ingestion says how a meter counts.
type Ingestion int

// The ways. Of pre-aggregated meters it is not known which event of an hour is the most recent:
// the last to arrive, or the one with the latest timestamp.
const (
	AddsUp      Ingestion = iota // raw: events add up
	ByArrival                    // pre-aggregated by the hour
	ByTimestamp                  // pre-aggregated by the hour
)

// Meter is a meter of the account. Its id is MeterID of its name.
type Meter struct {
	Name      string // event_name
	Ingestion Ingestion
	Formula   string // that it shows of its aggregation; empty: sum
}

// MeterID returns the id of a meter.
func MeterID(name string) string { return "mtr_" + name }

// Item is a subscription item of a customer.
type Item struct {
	ID       string // si_…
	Customer string
	Meter    string // Meter.Name; empty: a legacy price, of usage records
}

// Options says what there is in the account and how it behaves.
type Options struct {
	Seed      uint64 // of the faults
	Meters    []Meter
	Customers []string // that exist; those of Items exist too
	Items     []Item

	// Periods are of PeriodLength, from PeriodStart on; 0: there is one, without an end. An
	// invoice of a period is drafted at its end and final FinalizeAfter later; 0: an hour.
	PeriodStart   time.Time
	PeriodLength  time.Duration
	FinalizeAfter time.Duration
	InlineLines   int // of an invoice that its events hold; 0: 10

	// FirstInvoices has each customer invoiced as the first period begins: with a line of nothing
	// for all of that period, and no events.
	FirstInvoices bool

	Account string // acct_…; empty: acct_test. Restricted keys may not ask

	UnknownAtOnce bool          // an unknown customer is a 400; else it is reported later
	Samples       int           // errors that a report names; 0: 5
	SummaryLag    time.Duration // until summaries have an event
	RecordDrift   time.Duration // that a usage record may be of the period before; 0: 5 minutes
	HangFor       time.Duration // real time; 0: 20 ms
	Latency       time.Duration // real time of each POST; 0: none
}

// Secret signs what Stripe sends.
const Secret = "whsec_test_billingtest"

// Stripe is a Stripe account. It is safe for use by many goroutines.
type Stripe struct {
	URL string // base of the API

	clock   *Clock
	options Options

	mu        sync.Mutex
	keys      map[string]saved     // by account key and idempotency key
	running   map[string]bool      // idempotency keys
	used      map[string]time.Time // identifiers
	busy      map[string][]string  // API keys in a call, by customer and meter
	events    map[series][]event   // in the order of arrival
	records   map[record]int64     // usage records
	customers map[string]bool
	archived  map[string]bool // meters
	reports   map[string]string
	invoices  []*invoice
	periods   int  // that have ended and have invoices
	begun     bool // the first invoices are there
	notices   []Notice
	problems  []problem

	faults    map[Fault]int // ‰
	next      map[string][]Fault
	seen      map[string]int
	outages   []outage
	refused   map[string]int // statuses of API keys
	counts    Counts
	breaches  []string
	requestID int
}

// Counts is what the account has seen.
type Counts struct {
	Calls      int // of everything
	Posts      int // of meter events and usage records
	Faults     int // of all calls
	Executed   int // posts that changed something
	Replayed   int // answered by what was saved under their key
	Duplicates int // refused for their identifier
	Conflicts  int // idempotency keys that came with other parameters: must be 0
	Refused    int // other 400s
	Crowded    int // calls of a customer and meter while another was under way, of any API key
}

// New returns an account that is served until the test ends.
func New(t testing.TB, clock *Clock, o Options) *Stripe {
	t.Helper()
	o.FinalizeAfter = or(o.FinalizeAfter, time.Hour)
	o.RecordDrift = or(o.RecordDrift, 5*time.Minute)
	o.HangFor = or(o.HangFor, 20*time.Millisecond)
	o.InlineLines = or(o.InlineLines, 10)
	o.Samples = or(o.Samples, 5)
	s := &Stripe{
		clock: clock, options: o,
		keys: map[string]saved{}, running: map[string]bool{}, used: map[string]time.Time{},
		busy: map[string][]string{}, events: map[series][]event{}, records: map[record]int64{},
		customers: map[string]bool{}, archived: map[string]bool{}, reports: map[string]string{},
		next: map[string][]Fault{}, seen: map[string]int{}, refused: map[string]int{},
	}
	for _, c := range o.Customers {
		s.customers[c] = true
	}
	for _, i := range o.Items {
		s.customers[i.Customer] = true
	}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func or[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

// Counts returns what the account has seen.
func (s *Stripe) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Breaches returns what was wrong with calls, whatever they were answered: a missing header, two
// at a time of one API key for one customer and meter, …
func (s *Stripe) Breaches() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.breaches...)
}

// Refuse has every call with an API key answered by a status, 401 or 403; 0: no more.
func (s *Stripe) Refuse(key string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[key] = status
}

// AddCustomer has a customer exist from now on.
func (s *Stripe) AddCustomer(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.customers[id] = true
}

// AddItem has a subscription item and its customer exist from now on: periods that are over have
// no invoice of it.
func (s *Stripe) AddItem(i Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.clock.Now())
	s.options.Items = append(slices.Clone(s.options.Items), i)
	s.customers[i.Customer] = true
}

// Archive has a meter take no more events: they are accepted, and reported later.
func (s *Stripe) Archive(meter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.archived[meter] = true
}

// call is a request as it is looked at.
type call struct {
	method, path, url string
	account, key      string // API key, idempotency key
	version           string
	form              url.Values
	now               time.Time
}

// answer is what is said to a call.
type answer struct {
	status     int
	body       []byte
	replayed   bool
	final      bool // Stripe-Should-Retry: false
	retryAfter time.Duration
	html       bool
	closed     bool // no answer
	hangs      bool
	truncated  bool
}

func (s *Stripe) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	c := &call{
		method: r.Method, path: r.URL.Path, url: r.URL.String(),
		account: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "),
		key:     r.Header.Get("Idempotency-Key"), version: r.Header.Get("Stripe-Version"),
		form: r.URL.Query(),
	}
	if r.Method == http.MethodPost {
		c.form, err = url.ParseQuery(string(body))
	}
	a := s.answer(r, c, err)
	s.mu.Lock()
	s.requestID++
	id := fmt.Sprintf("req_%d", s.requestID)
	s.mu.Unlock()
	if a.hangs {
		select {
		case <-r.Context().Done():
		case <-time.After(s.options.HangFor):
		}
	}
	if a.closed {
		panic(http.ErrAbortHandler) // net/http's way to close a connection without an answer
	}
	a.write(w, id)
}

func (a answer) write(w http.ResponseWriter, id string) {
	h := w.Header()
	h.Set("Request-Id", id)
	h.Set("Content-Type", "application/json")
	if a.html {
		h.Set("Content-Type", "text/html")
	}
	if a.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	if a.final {
		h.Set("Stripe-Should-Retry", "false")
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.retryAfter/time.Second)))
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if a.truncated {
		_, _ = w.Write(a.body[:len(a.body)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.body)
}

// answer decides what comes of a call.
func (s *Stripe) answer(r *http.Request, c *call, badForm error) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = s.clock.Now()
	s.settle(c.now)
	if c.method == http.MethodGet && c.path == "/v1/account" {
		return s.who(c)
	}
	s.counts.Calls++
	s.check(r, c, badForm)
	if status := s.refused[c.account]; status != 0 {
		return failure(status, "invalid_request_error", "", "This API key cannot be used: "+
			c.account)
	}
	if c.account == "" {
		return failure(http.StatusUnauthorized, "invalid_request_error", "", "No API key")
	}
	f := s.fault(c)
	if o, out := s.outage(c.now); out {
		f = LostAnswer
		if !o.executes {
			f = Unreached
		}
	}
	if f != 0 {
		s.counts.Faults++
	}
	if a, ok := refusal(f); ok {
		return a
	}
	if c.method == http.MethodGet {
		return spoil(f, s.get(c))
	}
	return s.post(c, f)
}

// check notes what is wrong with a call's form.
func (s *Stripe) check(r *http.Request, c *call, badForm error) {
	breach := func(what string) {
		s.breaches = append(s.breaches, c.method+" "+c.path+": "+what)
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		breach("no bearer")
	}
	if c.version == "" {
		breach("no Stripe-Version")
	}
	if badForm != nil {
		breach(badForm.Error())
	}
	if c.method != http.MethodPost {
		return
	}
	if c.key == "" {
		breach("no Idempotency-Key")
	}
	if t := r.Header.Get("Content-Type"); t != "application/x-www-form-urlencoded" {
		breach("Content-Type " + t)
	}
}

func found(v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // of our own making
	}
	return answer{status: http.StatusOK, body: body}
}

func failure(status int, kind, code, message string) answer {
	e := map[string]any{"type": kind, "message": message}
	if code != "" {
		e["code"] = code
	}
	a := found(map[string]any{"error": e})
	a.status = status
	return a
}

func invalid(code, format string, args ...any) answer {
	return failure(http.StatusBadRequest, "invalid_request_error", code,
		fmt.Sprintf(format, args...))
}

func missing(what, id string) answer {
	return failure(http.StatusNotFound, "invalid_request_error", "resource_missing",
		fmt.Sprintf("No such %s: '%s'", what, id))
}
