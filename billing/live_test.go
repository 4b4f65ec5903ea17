package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76"

	"github.com/meterhouse/meterhouse/schema"
)

// With STRIPE_API_KEY set to a key of a sandbox, this asks the real Stripe what its documentation
// leaves open, and prints each answer as a line "question: answer". What it makes there it takes
// away or deactivates again. It takes some minutes:
//
//	STRIPE_API_KEY=sk_test_… go test ./billing/ -run TestLiveSandbox -v -timeout 20m
func TestLiveSandbox(t *testing.T) {
	t.Parallel()
	key := os.Getenv("STRIPE_API_KEY")
	if key == "" {
		t.Log("STRIPE_API_KEY is not set: nothing was asked of the real Stripe")
		return
	}
	if !strings.HasPrefix(key, "sk_test_") {
		t.Fatal("STRIPE_API_KEY must be of a sandbox, sk_test_…: this makes and deletes things")
	}
	box := newSandbox(t, ClientConfig{Key: key, Now: time.Now}, func(question, answer string) {
		t.Logf("%s: %s", question, answer)
	})
	box.patience = 3 * time.Minute
	defer box.cleanUp()
	box.ask()
}

// sandbox asks a Stripe account questions.
type sandbox struct {
	t        *testing.T
	c        *Client
	log      func(question, answer string)
	patience time.Duration // with sums that are to come
	run      string        // a part of all names
	hour     time.Time     // that the events are of
	made     []thing       // to be taken away, the last first
	replays  *int

	customer, summed, added string // ids, and those of the meters
}

// thing is something in the account, and how it is taken away.
type thing struct {
	method, path string
	form         map[string]string
}

// counting counts the answers that were replayed.
type counting struct {
	next    http.RoundTripper
	replays *int
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.next.RoundTrip(r)
	if err == nil && answer.Header.Get("Idempotent-Replayed") != "" {
		*c.replays++
	}
	return answer, err
}

func newSandbox(t *testing.T, c ClientConfig, log func(question, answer string)) *sandbox {
	t.Helper()
	replays := new(int)
	c.Transport = counting{http.DefaultTransport, replays}
	client, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return &sandbox{
		t: t, c: client, log: log, replays: replays,
		run:  "meterhouse_test_" + strconv.FormatInt(c.Now().Unix(), 36),
		hour: c.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour),
	}
}

// do makes a call that is not of the client's own, and returns the id of what it made.
func (s *sandbox) do(method, path string, form map[string]string) (string, error) {
	params := &stripe.Params{}
	for name, value := range form {
		params.AddExtra(name, value)
	}
	// What is taken away must be, also when the test ran out of time.
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	body, r := s.c.call(ctx, method, path, apiVersion, params)
	if body == nil {
		return "", errors.New(s.c.answer(r).Detail)
	}
	var made struct {
		ID    string `json:"id"`
		Items struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		} `json:"items"`
	}
	err := json.Unmarshal(body, &made)
	if len(made.Items.Data) > 0 && path == "/v1/subscriptions" {
		made.ID += " " + made.Items.Data[0].ID
	}
	return made.ID, err
}

// create makes something and notes how it is taken away: undo has %s for the id. The answer is
// printed when it could not be made; the id is empty then.
func (s *sandbox) create(path string, form map[string]string, undo thing) string {
	id, err := s.do(http.MethodPost, path, form)
	if err != nil {
		s.log("make one of "+path, err.Error())
		return ""
	}
	first, _, _ := strings.Cut(id, " ")
	undo.path = fmt.Sprintf(undo.path, first)
	s.made = append(s.made, undo)
	return id
}

// cleanUp takes everything away, the last first.
func (s *sandbox) cleanUp() {
	for i := len(s.made) - 1; i >= 0; i-- {
		thing := s.made[i]
		if _, err := s.do(thing.method, thing.path, thing.form); err != nil {
			s.log("take away "+thing.path, err.Error())
		}
	}
	s.made = nil
}

func off(path string) thing {
	return thing{http.MethodPost, path, map[string]string{"active": "false"}}
}

// meter makes a meter; window is hour for one whose later events replace the earlier ones.
func (s *sandbox) meter(name, window string) string {
	form := map[string]string{
		"display_name": name, "event_name": name, "default_aggregation[formula]": "sum",
		"customer_mapping[type]":              "by_id",
		"customer_mapping[event_payload_key]": "stripe_customer_id",
		"value_settings[event_payload_key]":   "value",
	}
	if window != "" {
		form["event_time_window"] = window
	}
	undo := thing{http.MethodPost, "/v1/billing/meters/%s/deactivate", nil}
	return s.create("/v1/billing/meters", form, undo)
}

// ask asks everything.
func (s *sandbox) ask() {
	s.customer = s.create("/v1/customers", map[string]string{"name": s.run},
		thing{http.MethodDelete, "/v1/customers/%s", nil})
	s.summed = s.meter(s.run+"_hour", "hour")
	s.added = s.meter(s.run+"_raw", "")
	if s.customer == "" || s.summed == "" || s.added == "" {
		s.t.Error("a customer and two meters are needed")
		return
	}
	id, err := s.c.MeterID(s.t.Context(), s.run+"_hour")
	s.log("a new meter is found by its event name", fmt.Sprint(id == s.summed, " ", err))
	product := s.create("/v1/products", map[string]string{"name": s.run}, off("/v1/products/%s"))
	subscription, _ := s.subscribe(product, map[string]string{"recurring[meter]": s.summed})
	s.askReplaced()
	s.askAdded()
	s.askRefused()
	s.askAgain()
	s.askRecords(product)
	if subscription != "" {
		s.askPreview(subscription)
	}
	s.log("answers with Idempotent-Replayed seen", strconv.Itoa(*s.replays))
}

// subscribe has the customer pay by a metered price since yesterday, and returns the ids of the
// subscription and its item.
func (s *sandbox) subscribe(product string, recurring map[string]string) (string, string) {
	form := map[string]string{
		"product": product, "currency": "usd", "unit_amount_decimal": "0.0001",
		"recurring[interval]": "month", "recurring[usage_type]": "metered",
	}
	for name, value := range recurring {
		form[name] = value
	}
	price := s.create("/v1/prices", form, off("/v1/prices/%s"))
	if price == "" {
		return "", ""
	}
	both := s.create("/v1/subscriptions", map[string]string{
		"customer": s.customer, "items[0][price]": price, "proration_behavior": "none",
		"backdate_start_date": strconv.FormatInt(s.hour.Add(-24*time.Hour).Unix(), 10),
		"collection_method":   "send_invoice", "days_until_due": "30",
	}, thing{http.MethodDelete, "/v1/subscriptions/%s", nil})
	subscription, item, _ := strings.Cut(both, " ")
	return subscription, item
}

// event is a meter event of the sandbox's hour; a name stands for one identifier.
func (s *sandbox) event(meter, name string, second, units int64) Delivery {
	identifier := s.run + "-" + name
	return Delivery{
		Intent: schema.Intent{
			Slot: schema.Slot{Meter: s.run + meter, Start: s.hour}, Mode: schema.Preaggregated,
			Total: units, Send: units, Identifier: identifier, Customer: s.customer,
		},
		Key:  identifier + "-" + uuid.NewString(),
		Time: s.hour.Add(time.Duration(second) * time.Second),
	}
}

// send sends a delivery and prints what Stripe says.
func (s *sandbox) send(question string, d Delivery) {
	a := s.c.Send(s.t.Context(), d)
	answer := a.Verdict.String()
	if a.Ends != 0 {
		answer = a.Ends.String()
	}
	if a.Detail != "" {
		answer += " (" + a.Detail + ")"
	}
	s.log(question, answer)
}

// sum prints a meter's sum of the hour once it is one of those that are looked for, or when
// patience is over.
func (s *sandbox) sum(question, meter string, expect ...int64) {
	began := time.Now()
	for {
		var total int64
		buckets, err := s.c.Summaries(s.t.Context(), SummaryParams{
			Meter: meter, Customer: s.customer, From: s.hour, To: s.hour.Add(time.Hour), By: ByHour,
		})
		for _, b := range buckets {
			total += b.Units
		}
		found := false
		for _, units := range expect {
			found = found || err == nil && total == units
		}
		waited := time.Since(began).Round(time.Second)
		if found || waited >= s.patience {
			s.log(question, fmt.Sprintf("%d after %s, error %v", total, waited, err))
			return
		}
		time.Sleep(5 * time.Second)
	}
}

// askReplaced asks how events of one hour replace each other.
func (s *sandbox) askReplaced() {
	s.send("first total of an hour, 10", s.event("_hour", "r1", 1, 10))
	s.sum("the hour has 10", s.summed, 10)
	s.send("second total of it, 25, a second later", s.event("_hour", "r2", 2, 25))
	s.sum("the hour has 25 (replaced), not 35 (added)", s.summed, 25, 35)
	s.send("a total of the second before, 7, that arrives last", s.event("_hour", "r0", 0, 7))
	s.sum("25: the newest by event time counts; 7: the newest by arrival", s.summed, 7)
	s.send("a negative total, -40", s.event("_hour", "r3", 3, -40))
	s.sum("the hour has -40", s.summed, -40)
	s.send("a total of zero", s.event("_hour", "r4", 4, 0))
	s.sum("the hour has 0", s.summed, 0)
	last := s.event("_hour", "r5", 5, 3_600_000_000)
	s.send("a total of 3600 dollars in micro-dollars", last)
	s.sum("the hour has it", s.summed, last.Send)
	day := s.hour.Truncate(24 * time.Hour)
	days, err := s.c.Summaries(s.t.Context(), SummaryParams{Meter: s.summed,
		Customer: s.customer, From: day, To: day.Add(24 * time.Hour), By: ByDay})
	s.log("the day has it, too", fmt.Sprintf("%v %v", days, err))
	s.send("the same identifier under another key", last)
	again := s.event("_hour", "r6", 6, 3_600_000_001)
	s.send("another revision", again)
	s.send("the same with the same key", again)
	changed := again
	changed.Send++
	s.send("another value with the same key", changed)
	changed.Key += "-g1"
	s.send("another value under the same identifier", changed)
	other := again
	other.Slot.Meter, other.Key = s.run+"_raw", other.Key+"-g2"
	s.send("the same identifier at another meter", other)
}

// askAdded asks how events add up where they are not replaced.
func (s *sandbox) askAdded() {
	s.send("first event of a meter that adds, 100", s.event("_raw", "a1", 0, 100))
	s.send("second one, 11", s.event("_raw", "a2", 0, 11))
	s.send("a negative one, -1", s.event("_raw", "a3", 0, -1))
	// The identifier of the other meter was taken here when identifiers are of a meter.
	s.sum("the sum is 110, or more by what was sent for the other meter", s.added, 110, 3_600_000_111)
}

// askRefused asks what is refused at once: the rest would be told by an error report.
func (s *sandbox) askRefused() {
	d := s.event("_hour", "x1", 0, 1)
	d.Customer = "cus_meterhousenobody"
	s.send("a customer that is not there", d)
	d = s.event("_nowhere", "x2", 0, 1)
	s.send("a meter that is not there", d)
	d = s.event("_hour", "x3", 0, 1)
	d.Time = s.c.cfg.Now().Add(-36 * 24 * time.Hour)
	s.send("36 days ago", d)
	d = s.event("_hour", "x4", 0, 1)
	d.Time = s.c.cfg.Now().Add(-34 * 24 * time.Hour)
	s.send("34 days ago", d)
	d = s.event("_hour", "x5", 0, 1)
	d.Time = s.c.cfg.Now().Add(10 * time.Minute)
	s.send("in 10 minutes", d)
	s.send("fifteen digits", s.event("_raw", "x6", 0, schema.SlotUnitsMax))
	s.send("fifteen digits back", s.event("_raw", "x7", 0, -schema.SlotUnitsMax))
	s.post("sixteen digits", map[string]string{"value": "1000000000000001"})
	s.post("a value that is not whole", map[string]string{"value": "1.5"})
	s.post("a value that is no number", map[string]string{"value": "some"})
	s.post("no value", map[string]string{"other": "1"})
}

// post sends a meter event whose payload the client itself would not make.
func (s *sandbox) post(question string, payload map[string]string) {
	d := s.event("_raw", strings.ReplaceAll(question, " ", "_"), 0, 0)
	form := map[string]string{
		"event_name": d.Slot.Meter, "identifier": d.Identifier,
		"timestamp":                   strconv.FormatInt(d.Time.Unix(), 10),
		"payload[stripe_customer_id]": s.customer,
	}
	for name, value := range payload {
		form["payload["+name+"]"] = value
	}
	answer := "taken"
	if _, err := s.do(http.MethodPost, "/v1/billing/meter_events", form); err != nil {
		answer = err.Error()
	}
	s.log(question, answer)
}

// askAgain asks how long identifiers are remembered: who runs this on several days is told.
func (s *sandbox) askAgain() {
	for days := range 4 {
		d := s.event("_raw", "", 0, 1)
		d.Identifier = "meterhouse_test_again_" +
			s.c.cfg.Now().UTC().AddDate(0, 0, -days).Format("20060102")
		s.send(fmt.Sprintf("the identifier of %d days ago (duplicate: it is remembered; accepted: "+
			"it is not, or this was not run then)", days), d)
	}
}

// askRecords asks whether usage records are still to be had, and how they replace each other.
func (s *sandbox) askRecords(product string) {
	_, item := s.subscribe(product, map[string]string{"recurring[aggregate_usage]": "sum"})
	s.log("a new account has prices for usage records", strconv.FormatBool(item != ""))
	if item == "" {
		return
	}
	record := func(name string, hours, units int64) Delivery {
		d := s.event("_record", name, hours*3600, units)
		d.Mode, d.SubscriptionItem = schema.UsageRecord, item
		return d
	}
	total := func(question string) {
		buckets, err := s.c.Records(s.t.Context(), item)
		s.log(question, fmt.Sprintf("%v %v", buckets, err))
	}
	s.send("a usage record of 10", record("u1", 0, 10))
	s.send("set to 25", record("u2", 0, 25))
	s.send("one of the hour before, 100", record("u3", -1, 100))
	total("the period has 125: set replaces, hours add up")
	s.send("set to 0", record("u4", 0, 0))
	total("the period has 100")
	s.send("one of two days before the period", record("u5", -50, 1))
	key := record("u6", 0, 5)
	s.send("a record of 5", key)
	s.send("the same with the same key", key)
}

// askPreview asks whether an invoice has the last total of an hour.
func (s *sandbox) askPreview(subscription string) {
	lines, err := list[line](s.t.Context(), s.c, "/v1/invoices/upcoming/lines",
		map[string]string{"subscription": subscription})
	if err != nil {
		s.log("lines of the next invoice", err.Error())
		return
	}
	metered, err := invoiceLines(lines)
	s.log("metered lines of the next invoice, 3600000001", fmt.Sprintf("%+v %v", metered, err))
}
