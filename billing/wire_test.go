package billing

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/meterhouse/meterhouse/schema"
)

// signed returns the header that Stripe sends with a body.
func signature(at time.Time, body, secret string) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{
		Payload: []byte(body), Secret: secret, Timestamp: at,
	}).Header
}

const pingEvent = `{"id":"evt_1","object":"event","type":"ping","created":1,"livemode":false}`

// Without the look at the time, those of six minutes were taken, either way; with empty secrets
// kept, the one that everybody can sign.
func TestOnlySignedNoticesAreRead(t *testing.T) {
	t.Parallel()
	c := clientOf(t, ClientConfig{})
	f := func(name, body, header string, want schema.Kind) {
		t.Helper()
		n, err := c.Notice([]byte(body), header)
		if want == schema.Internal {
			if err != nil || n.ID != "evt_1" || n.Type != "ping" || n.Thin || n.Invoice != nil {
				t.Errorf("%s: %+v %v", name, n, err)
			}
			return
		}
		if schema.KindOf(err) != want || n != (Notice{}) {
			t.Errorf("%s: %+v %v", name, n, err)
		}
	}
	const ok, no = schema.Internal, schema.Unauthenticated
	good := signature(atNoon, pingEvent, canarySecret)
	sum := hex.EncodeToString(webhook.ComputeSignature(atNoon, []byte(pingEvent), otherSecret))
	stamp := fmt.Sprintf("t=%d", atNoon.Unix())
	f("signed", pingEvent, good, ok)
	f("by the other endpoint's secret", pingEvent, signature(atNoon, pingEvent, otherSecret), ok)
	f("while a secret is rolled", pingEvent, stamp+",v1=00,v1=zz,v1="+sum+",v0=1", ok)
	f("with spaces", pingEvent, strings.ReplaceAll(good, ",", ", "), ok)
	f("4 minutes old", pingEvent, signature(atNoon.Add(-4*time.Minute), pingEvent, canarySecret), ok)
	f("6 minutes old", pingEvent, signature(atNoon.Add(-6*time.Minute), pingEvent, canarySecret), no)
	f("in 6 minutes", pingEvent, signature(atNoon.Add(6*time.Minute), pingEvent, canarySecret), no)
	f("another body", pingEvent+" ", good, no)
	f("another secret", pingEvent, signature(atNoon, pingEvent, "whsec_x"), no)
	f("an empty secret", pingEvent, signature(atNoon, pingEvent, ""), no)
	f("both secrets as one", pingEvent,
		signature(atNoon, pingEvent, canarySecret+", "+otherSecret), no)
	f("no header", pingEvent, "", no)
	f("no time", pingEvent, "v1="+sum, no)
	f("no number", pingEvent, "t=noon,v1="+sum, no)
	f("another time", pingEvent, fmt.Sprintf("t=%d,v1=%s", atNoon.Unix()+1, sum), no)
	f("an old scheme", pingEvent, stamp+",v0="+sum, no)
	f("two times", pingEvent, stamp+fmt.Sprintf(",t=%d,v1=%s", atNoon.Unix()+1, sum), no)
	f("far away", pingEvent, "t=9223372036854775807,v1="+sum, no)
	f("far back", pingEvent, "t=-9223372036854775808,v1="+sum, no)
	f("no JSON", "{", signature(atNoon, "{", canarySecret), schema.Invalid)
	f("null", "null", signature(atNoon, "null", canarySecret), schema.Invalid)

	for _, secrets := range []string{"", ",", " , "} {
		open, err := NewClient(ClientConfig{Key: canaryKey, WebhookSecret: secrets,
			Now: func() time.Time { return atNoon }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = open.Notice([]byte(pingEvent), signature(atNoon, pingEvent, ""))
		if schema.KindOf(err) != schema.Unauthenticated {
			t.Errorf("secrets %q: %v", secrets, err)
		}
	}
}

// invoiceEvent is an event of an invoice with a metered line, one of a flat fee and one of a
// legacy metered price.
func invoiceEvent(version, more string) string {
	return `{"id":"evt_2","object":"event","type":"invoice.finalized","api_version":"` + version +
		`","created":1795348800,"data":{"object":{"id":"in_1","object":"invoice",
		"customer":{"id":"cus_1","object":"customer"},"status":"open",
		"lines":{"has_more":` + more + `,"data":[
		{"id":"il_1","object":"line_item","quantity":3600,"subscription_item":"si_1",
			"period":{"start":1793491200,"end":1796083200},"price":{"id":"price_1",
			"recurring":{"usage_type":"metered","meter":"mtr_1"}}},
		{"id":"il_2","quantity":1,"subscription_item":"si_2","period":{"start":1,"end":2},
			"price":{"id":"price_2","recurring":{"usage_type":"licensed","meter":null}}},
		{"id":"il_3","quantity":1,"period":{"start":1,"end":2},"price":{"recurring":null}},
		{"id":"il_4","quantity":1,"period":{"start":1,"end":2},"price":null},
		{"id":"il_5","quantity":null,"subscription_item":"si_3","period":{"start":1793491200,
			"end":1796083200},"price":{"recurring":{"usage_type":"metered"}}}]}}}}`
}

func invoicedLines() []InvoiceLine {
	from, to := time.Unix(1793491200, 0).UTC(), time.Unix(1796083200, 0).UTC()
	return []InvoiceLine{
		{Meter: "mtr_1", SubscriptionItem: "si_1", Start: from, End: to, Quantity: 3600},
		{SubscriptionItem: "si_3", Start: from, End: to},
	}
}

func TestInvoiceEventsHaveTheirMeteredLines(t *testing.T) {
	t.Parallel()
	f := func(body string, want Notice) {
		t.Helper()
		got, err := decodeNotice([]byte(body))
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%v %s", err, d)
		}
	}
	notice := func(in Invoice) Notice {
		in.ID, in.Customer, in.Status = "in_1", "cus_1", "open"
		return Notice{ID: "evt_2", Type: "invoice.finalized", Invoice: &in}
	}
	f(invoiceEvent("2023-10-16", "false"), notice(Invoice{Lines: invoicedLines()}))
	f(invoiceEvent("2023-10-16", "true"), notice(Invoice{More: true}))
	// An endpoint of a newer version has no price in its lines: none would have been metered.
	f(invoiceEvent("2025-03-31.basil", "false"), notice(Invoice{More: true}))
	f(strings.Replace(invoiceEvent("2023-10-16", "false"), ":3600,", ":0.5,", 1),
		notice(Invoice{More: true}))
	f(strings.Replace(invoiceEvent("2023-10-16", "false"), `"lines"`, `"rows"`, 1),
		notice(Invoice{More: true}))
	for _, body := range []string{
		`{"id":"evt_2","type":"invoice.created","data":{"object":null}}`,
		`{"id":"evt_2","type":"invoice.created","data":{"object":[]}}`,
		`{"id":"evt_2","type":"invoice.created"}`,
		`{"id":"../evt_2","type":"ping"}`, `{"id":"","type":"ping"}`, `{"id":"evt_2"}`,
	} {
		if n, err := decodeNotice([]byte(body)); schema.KindOf(err) != schema.Invalid {
			t.Errorf("%s: %+v %v", body, n, err)
		}
	}
}

func TestLinesOfAllPages(t *testing.T) {
	t.Parallel()
	var e struct {
		Data struct {
			Object struct{ Lines json.RawMessage }
		}
	}
	rec := &recorder{}
	for _, more := range []string{"true", "false"} {
		if err := json.Unmarshal([]byte(invoiceEvent("2023-10-16", more)), &e); err != nil {
			t.Fatal(err)
		}
		rec.bodies = append(rec.bodies, string(e.Data.Object.Lines))
	}
	c := newClient(t, rec.ServeHTTP)
	got, err := c.Lines(t.Context(), "in_1")
	if d := cmp.Diff(append(invoicedLines(), invoicedLines()...), got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if after := rec.all()[1].Form.Get("starting_after"); after != "il_5" {
		t.Errorf("the second page is after %q", after)
	}
}

// As stripe-go would read them, thin events are errors: their created is a string.
func TestThinEventsAreNamedAndFetched(t *testing.T) {
	t.Parallel()
	const kind = "v1.billing.meter.error_report_triggered"
	for _, object := range []string{"v2.core.event", "event"} {
		n, err := decodeNotice([]byte(`{"id":"evt_3","object":"` + object + `","type":"` + kind +
			`","created":"2026-11-22T12:00:00.123Z","related_object":{"id":"mtr_1"},"data":7}`))
		want := Notice{ID: "evt_3", Type: kind, Thin: true}
		if d := cmp.Diff(want, n); d != "" || err != nil {
			t.Errorf("%s: %v %s", object, err, d)
		}
	}
	rec := &recorder{bodies: []string{`{"id":"evt_3","object":"v2.core.event","type":"` + kind +
		`","created":"2026-11-22T12:00:00.123Z","data":{"developer_message_summary":"3 invalid",
		"reason":{"error_count":4,"error_types":[
		{"code":"meter_event_customer_not_found","error_count":3,"sample_errors":[
			{"error_message":"No such\ncustomer","request":{"identifier":"mh1-a-r1"}},
			{"error_message":"old","api_request":{"id":"req_1","idempotency_key":"mh1-b-r2-g1"}},
			{"error_message":"older","request":{"idempotency_key":"mh1-c-r3"}}]},
		{"code":"archived_meter","error_count":1,"sample_errors":[]}]}}}`}}
	c := newClient(t, rec.ServeHTTP)
	got, err := c.Problems(t.Context(), "evt_3")
	want := []MeterProblem{
		{"meter_event_customer_not_found", "mh1-a-r1", "No such customer"},
		{"meter_event_customer_not_found", "mh1-b-r2", "old"},
		{"meter_event_customer_not_found", "mh1-c-r3", "older"},
		{Code: "archived_meter"},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if r := rec.all()[0]; r.Method != "GET" || r.Path != "/v2/core/events/evt_3" {
		t.Errorf("%s %s", r.Method, r.Path)
	}
}

func TestWholeUnitsAreReadInEveryForm(t *testing.T) {
	t.Parallel()
	f := func(n string, want int64) {
		t.Helper()
		if got, err := wholeUnits(json.Number(n)); got != want || err != nil {
			t.Errorf("%s: %d %v", n, got, err)
		}
	}
	f("0", 0)
	f("-0.0", 0)
	f("25", 25)
	f("25.000", 25)
	f("1.2e3", 1200)
	f("1.0E7", 10_000_000)
	f("120e-1", 12)
	f("-999999999999999", -schema.SlotUnitsMax)
	f("9.99999999999999e14", schema.SlotUnitsMax)
	for _, n := range []string{"", "x", "1.5", "1e-1", "0.0000001", "1e15", "1e99999", "+1"} {
		if got, err := wholeUnits(json.Number(n)); err == nil {
			t.Errorf("%s: %d", n, got)
		}
	}
}

// FuzzNotice: any body gives a notice with an id that can be a key, or an error of the sender's.
func FuzzNotice(f *testing.F) {
	f.Add([]byte(pingEvent))
	f.Add([]byte(invoiceEvent("2023-10-16", "false")))
	f.Add([]byte(`{"id":"evt_3","object":"v2.core.event","type":"v1.x","created":"now"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := decodeNotice(body)
		if err == nil && !eventID.MatchString(n.ID) {
			t.Errorf("id %q", n.ID)
		}
		if err != nil && (schema.KindOf(err) != schema.Invalid || n != (Notice{})) {
			t.Errorf("%+v %v", n, err)
		}
		_, _ = decodeProblems(body)
	})
}
