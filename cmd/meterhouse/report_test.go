package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/billing/billingtest"
)

const (
	billedOrganization = "0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55"
	billedMeter        = "usage_micro_usd"
	billedToken        = "dop_v1_billed_ada"
)

const billedCatalog = `
organizations:
  - id: 0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55
    name: Acme
    stripe: {customer: cus_acme, meter: usage_micro_usd, meters: [{meter: voice_seconds}]}
    users:
      - {id: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, name: Ada, role: superadmin}
    credentials:
      - {kind: access_token, user: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, secret: dop_v1_billed_ada}
meters:
  - {name: voice_seconds, unit: quantity, usage_types: [VAPI_SECONDS]}
text_model_costs:
  - {model: gpt-4o-mini, usage_type: INPUT, provider: OpenAI, provider_usd_per_million: "0.15", billed_usd_per_million: "0.195", from: 2024-07-18}
`

// billed is a program that reports to a Stripe of the test's.
type billed struct {
	*program
	stripe *billingtest.Stripe
	clock  *billingtest.Clock
	hour   time.Time       // over, and sealed
	heard  strings.Builder // all that was answered and printed
}

func newBilled(t *testing.T) *billed {
	t.Helper()
	now := time.Now().UTC()
	b := &billed{
		program: newProgram(t, billedCatalog), clock: billingtest.NewClock(now),
		hour: now.Truncate(time.Hour).Add(-3 * time.Hour),
	}
	b.stripe = billingtest.New(t, b.clock, billingtest.Options{
		Meters: []billingtest.Meter{
			{Name: billedMeter, Ingestion: billingtest.ByTimestamp},
			{Name: "voice_seconds", Ingestion: billingtest.ByTimestamp},
		},
		Customers: []string{"cus_acme"},
	})
	b.env = []string{
		"STRIPE_API_KEY=sk_test_" + canary, "STRIPE_WEBHOOK_SECRET=whsec_" + canary,
		"STRIPE_API_BASE=" + b.stripe.URL, "METERHOUSE_REPORT_INTERVAL=24h",
		"METERHOUSE_VERIFY_EVERY=0",
	}
	return b
}

// ask sends a request as Ada and returns the answer.
func (b *billed) ask(method, path, body string, want int, headers ...string) []byte {
	b.t.Helper()
	b.clock.Set(time.Now())
	r := b.do(method, path, body, append(headers, "Authorization", "Bearer "+billedToken)...)
	if r.status != want {
		b.t.Errorf("%s %s: %d, want %d: %s", method, path, r.status, want, r.body)
	}
	fmt.Fprintf(&b.heard, "%v %s\n", r.header, r.body)
	return r.body
}

// use records usage of an hour, and returns when the ledger has it.
func (b *billed) use(usage string) {
	b.t.Helper()
	b.ask("POST", "/v1/events?wait=stored", fmt.Sprintf(`{"time":%q,%s}`,
		b.hour.Add(5*time.Minute).Format(time.RFC3339), usage), 201)
}

// run runs a command beside serve.
func (b *billed) run(want int, args ...string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b.clock.Set(time.Now())
	out, err := b.command(ctx, "report", args...).CombinedOutput()
	status := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		b.t.Fatal(err)
	}
	b.heard.Write(out)
	if status != want {
		b.t.Errorf("report %v: exit %d, want %d:\n%s", args, status, want, out)
	}
	return string(out)
}

// slot returns what is told of a meter's slot.
func (b *billed) slot(meter string) (slot struct {
	Meter      string
	State      string
	Billable   string `json:"billable_units"`
	InMicroUSD string `json:"billable_micro_usd"`
	Reported   string `json:"reported_units"`
	Revision   int
}) {
	b.t.Helper()
	var all []json.RawMessage
	body := b.ask("GET", "/v1/report/slots?from="+b.hour.Format(time.RFC3339)+
		"&to="+b.hour.Add(time.Hour).Format(time.RFC3339), "", 200)
	if err := json.Unmarshal(body, &all); err != nil {
		b.t.Fatal(err)
	}
	for _, one := range all {
		if err := json.Unmarshal(one, &slot); err != nil {
			b.t.Fatal(err)
		}
		if slot.Meter == meter {
			return slot
		}
	}
	b.t.Fatalf("%s is not among %s", meter, body)
	return slot
}

// holds fails the test unless Stripe has a number, and the program says so.
func (b *billed) holds(meter string, units int64, revision int) {
	b.t.Helper()
	text := fmt.Sprint(units)
	if s := b.slot(meter); s.State != "acked" || s.Billable != text || s.Reported != text ||
		s.Revision != revision {
		b.t.Errorf("%+v, want revision %d of %d", s, revision, units)
	}
	if got := b.stripe.Total("cus_acme", meter, b.hour); got != units {
		b.t.Errorf("stripe has %d of %s, want %d", got, meter, units)
	}
}

// TestStripeIsTold is the way of usage to Stripe as an operator sees it: by the schedule, by HTTP,
// by the command, with late usage, and with what Stripe says itself.
func TestStripeIsTold(t *testing.T) {
	t.Parallel()
	b := newBilled(t)
	b.start()
	b.use(`"usage":{"INPUT":6000000},"model":"gpt-4o-mini"`)
	b.use(`"usage":{"VAPI_SECONDS":90}`)
	b.use(`"usage":{"VAPI_SECONDS":"0.5"}`)
	eventually(t, "the schedule has told Stripe", func() bool {
		return b.slot(billedMeter).State == "acked" && b.slot("voice_seconds").State == "acked"
	})
	b.holds(billedMeter, 1_170_000, 1)
	b.holds("voice_seconds", 90, 1) // half to even
	if s := b.slot(billedMeter); s.InMicroUSD != "1170000" {
		t.Errorf("in micro-USD: %+v", s)
	}

	b.use(`"usage":{"INPUT":1},"cost_usd":"0.0000015"`) // late; half to even
	const told = `{"slots":1,"sent":1,"failed":0,"ended":"done"}`
	if got := string(b.ask("POST", "/v1/report/run", "", 200)); got != told {
		t.Errorf("run: %s, want %s", got, told)
	}
	b.holds(billedMeter, 1_170_002, 2)
	b.use(`"usage":{"VAPI_SECONDS":10}`)
	b.stripe.Refuse("sk_test_"+canary, 401)
	if out := b.run(1, "--once"); !strings.Contains(out, "the pass ended halted") {
		t.Errorf("report --once with a key that is refused: %s", out)
	}
	b.stripe.Refuse("sk_test_"+canary, 0)
	if out := b.run(0, "--once"); !strings.Contains(out, "slots 1, sent 1, failed 0\n") {
		t.Errorf("report --once: %s", out)
	}
	b.holds("voice_seconds", 100, 2) // 100.5
	b.explained()
	b.reconciled()
	b.noticed()
	b.verify()
	b.stop()
	if got := b.stripe.Breaches(); len(got) > 0 {
		t.Errorf("stripe noticed: %v", got)
	}
	b.heard.WriteString(b.stderrText() + b.stdout.String())
	if strings.Contains(b.heard.String(), canary) {
		t.Errorf("a secret was told:\n%s", b.heard.String())
	}
}

func (b *billed) explained() {
	b.t.Helper()
	slot := billedOrganization + "/" + billedMeter + "/" + b.hour.Format("2006-01-02T15")
	var x struct {
		Exact     string
		Rounded   string `json:"rounded_units"`
		Events    []any
		Revisions []any
	}
	if err := json.Unmarshal(b.ask("GET", "/v1/report/slots/"+slot, "", 200), &x); err != nil {
		b.t.Fatal(err)
	}
	if !strings.HasPrefix(x.Exact, "1170001.5") || x.Rounded != "1170002" || len(x.Events) != 2 ||
		len(x.Revisions) != 2 {
		b.t.Errorf("explained: %+v", x)
	}
	if out := b.run(0, "--explain", slot); !strings.Contains(out, billedMeter) {
		b.t.Errorf("report --explain: %s", out)
	}
	b.run(1, "--explain", strings.Replace(slot, billedMeter, "nothing", 1))
	b.ask("GET", "/v1/report/slots/"+strings.Replace(slot, billedMeter, "nothing", 1), "", 404)
	var e struct {
		Cost string `json:"cost_usd"`
	}
	if err := json.Unmarshal(b.ask("GET", "/v1/report/estimate?from="+
		b.hour.Format(time.RFC3339)+"&to="+b.hour.Add(24*time.Hour).Format(time.RFC3339), "", 200),
		&e); err != nil || !strings.HasPrefix(e.Cost, "1.1700015") {
		b.t.Errorf("estimate: %v, %v", e, err)
	}
}

func (b *billed) reconciled() {
	b.t.Helper()
	b.run(0, "--reconcile")
}

// noticed posts what Stripe does. A pass deals with it at once, where the next of the schedule is
// hours away: when Notify did not wake it, the notice still waited after 30 seconds.
func (b *billed) noticed() {
	b.t.Helper()
	now := time.Now()
	body := `{"id":"evt_1","object":"event","type":"invoice.voided","api_version":"2023-10-16",` +
		`"created":` + fmt.Sprint(now.Unix()) + `,"data":{"object":{"id":"in_1","object":"invoice"}}}`
	for _, signature := range []string{
		"", "t=1,v1=00", billingtest.Sign([]byte(body), "whsec_another", now),
		billingtest.Sign([]byte(body+" "), "whsec_"+canary, now),
		billingtest.Sign([]byte(body), "whsec_"+canary, now.Add(-time.Hour)),
	} {
		b.ask("POST", "/webhooks/stripe", body, 400, "Stripe-Signature", signature)
	}
	signature := billingtest.Sign([]byte(body), "whsec_"+canary, now)
	b.ask("POST", "/webhooks/stripe", body, 200, "Stripe-Signature", signature)
	b.ask("POST", "/webhooks/stripe", body, 200, "Stripe-Signature", signature)
	eventually(b.t, "the notice was dealt with", func() bool {
		return b.noticesDealt() != ""
	})
	b.heard.Write(b.do("GET", "/metrics", "").body)
}

// noticesDealt returns the metric's line, empty while there is none.
func (b *billed) noticesDealt() string {
	b.t.Helper()
	for line := range strings.Lines(string(b.do("GET", "/metrics", "").body)) {
		if strings.HasPrefix(line, "meterhouse_report_notices_total") &&
			strings.Contains(line, `"dealt"`) && !strings.HasSuffix(line, " 0\n") {
			return line
		}
	}
	return ""
}

// TestBillingIsOff without a key: slots are shown, and nothing is sent.
func TestBillingIsOff(t *testing.T) {
	t.Parallel()
	b := newBilled(t)
	b.env = []string{"METERHOUSE_REPORT_INTERVAL=24h", "METERHOUSE_VERIFY_EVERY=0"}
	b.start()
	b.use(`"usage":{"INPUT":6000000},"model":"gpt-4o-mini"`)
	b.ask("POST", "/v1/report/run", "", 200)
	b.ask("POST", "/webhooks/stripe", "{}", 503, "Stripe-Signature", "t=1,v1=00")
	if s := b.slot(billedMeter); s.State != "pending" || s.Billable != "1170000" || s.Revision != 0 {
		t.Errorf("%+v", s)
	}
	if out := b.run(0, "--once"); !strings.Contains(out, "STRIPE_API_KEY") {
		t.Errorf("report --once: %s", out)
	}
	b.run(2)
	b.run(2, "--once", "--reconcile")
	b.run(2, "--explain", "x")
	b.stop()
}
