package queries_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// billable is an event of a service: input and output tokens, the latter unpriced where the
// service is called so.
func billable(t *testing.T, name, user, service, time string, in, out int64) schema.Event {
	t.Helper()
	e := schema.Event{
		Organization: named("acme"), ID: named(name), Entry: schema.Record, Time: at(t, time),
		User: named(user), Service: service, Channel: "external_api", Model: "m", Chargeable: true,
		Measurements: []schema.Measurement{
			{
				UsageType: schema.Input, Quantity: schema.WholeQuantity(in), Pricing: schema.Rated,
				ProviderCost: usd(t, fmt.Sprintf("0.%03d", in)),
				BilledCost:   usd(t, fmt.Sprintf("1.%03d", in)),
			},
			{UsageType: schema.Output, Quantity: schema.WholeQuantity(out), Pricing: schema.Unpriced},
		},
	}
	return e
}

// TestBillableRequests loads, corrects and voids, and asks for a user's requests and their sum.
func TestBillableRequests(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	batches := 0
	load := func(all ...schema.Event) {
		t.Helper()
		batches++
		if err := q.InsertEvents(t.Context(), fmt.Sprint("b", batches), batchOf(all)); err != nil {
			t.Fatal(err)
		}
	}
	a := billable(t, "a", "ada", "voice", "2026-07-04T12:00:00Z", 10, 1)
	b := billable(t, "b", "ada", "voice", "2026-07-04T12:00:00Z", 20, 2)
	c := billable(t, "c", "ada", "voice", "2026-07-05T12:00:00Z", 30, 3)
	d := billable(t, "d", "ada", "voice", "2026-07-06T12:00:00Z", 40, 4)
	none := billable(t, "e", "ada", "", "2026-07-04T12:00:00Z", 50, 5) // of an agent, say
	other := billable(t, "f", "bob", "voice", "2026-07-04T12:00:00Z", 60, 6)
	foreign := billable(t, "g", "ada", "voice", "2026-07-04T12:00:00Z", 70, 7)
	foreign.Organization = named("globex")
	cached := billable(t, "h", "ada", "voice", "2026-07-07T12:00:00.5Z", 80, 8)
	cached.Agent = named("agent")
	for usageType, n := range map[string]int64{
		schema.CachedInput: 100, schema.CacheWrite: 200, schema.Reasoning: 300, schema.Sessions: 1,
	} {
		cached.Measurements = append(cached.Measurements, schema.Measurement{
			UsageType: usageType, Quantity: schema.WholeQuantity(n), Pricing: schema.Given,
		})
	}
	load(a, b, c, d, none, other, foreign, cached)

	correct := func(all ...schema.Event) {
		t.Helper()
		batches++
		var batch queries.EventBatch
		for i := range all {
			batch.Append(&all[i], schema.CorrectionsNode(named("acme")), uint64(batches))
		}
		if err := q.InsertEvents(t.Context(), fmt.Sprint("c", batches), &batch); err != nil {
			t.Fatal(err)
		}
	}
	next := func(e schema.Event, revision uint32, change func(*schema.Event)) {
		t.Helper()
		taken := reversed(e)
		if change == nil {
			correct(taken)
			return
		}
		e.Revision = revision
		e.Measurements = append([]schema.Measurement(nil), e.Measurements...)
		change(&e)
		correct(taken, e)
	}
	less := func(e *schema.Event) {
		e.Model = "other"
		e.Measurements[0].Quantity = schema.WholeQuantity(11)
		e.Measurements[0].ProviderCost, e.Measurements[0].BilledCost = usd(t, "0.5"), usd(t, "0.7")
	}
	next(a, 1, less)
	next(c, 0, nil)                                             // voided
	next(d, 1, func(e *schema.Event) { e.User = named("bob") }) // somebody else's after all
	next(other, 1, func(e *schema.Event) { e.User = named("ada") })
	other.User, other.Revision = named("ada"), 1
	next(other, 2, func(e *schema.Event) { e.User = named("bob") })
	other.User, other.Revision = named("bob"), 2
	next(other, 3, func(e *schema.Event) { e.Service = "" }) // no request any more

	ask := func(user, from, to string, limit uint64) string {
		t.Helper()
		rows, totals, err := q.BillableRequests(t.Context(), queries.BillableRequestsParams{
			Organization: named("acme"), User: named(user),
			From: at(t, from), To: at(t, to), Limit: limit,
		})
		if err != nil {
			t.Fatal(err)
		}
		got := []string{fmt.Sprint("all ", totals.ProviderCost, " ", totals.BilledCost)}
		for _, r := range rows {
			got = append(got, fmt.Sprint(r.Time.Format(time.RFC3339Nano), " ", r.Model, " ", r.InputTokens,
				" ", r.OutputTokens, " ", r.ProviderCost, " ", r.BilledCost, " ", r.Unpriced))
		}
		return strings.Join(got, "\n")
	}
	f := func(user, from, to string, limit uint64, want ...string) {
		t.Helper()
		if diff := cmp.Diff(strings.Join(want, "\n"), ask(user, from, to, limit)); diff != "" {
			t.Errorf("%s %s %s %d (-want +got):\n%s", user, from, to, limit, diff)
		}
	}
	const start, end = "2026-07-01T00:00:00Z", "2026-08-01T00:00:00Z"
	const (
		ofA = "2026-07-04T12:00:00Z other 11 1 0.5 0.7 1"
		ofB = "2026-07-04T12:00:00Z m 20 2 0.02 1.02 1"
		ofH = "2026-07-07T12:00:00.5Z m 380 308 0.08 1.08 1"
	)
	first, second := ofA, ofB
	if strings.Compare(named("a").String(), named("b").String()) < 0 {
		first, second = ofB, ofA
	}
	f("ada", start, end, 10, "all 0.6 2.8", ofH, first, second)
	f("ada", start, end, 1, "all 0.6 2.8", ofH)
	f("ada", start, end, 2, "all 0.6 2.8", ofH, first)
	f("ada", start, end, 0, "all 0.6 2.8")
	f("ada", "2026-07-04T12:00:00.000001Z", end, 10, "all 0.08 1.08", ofH)
	f("ada", start, "2026-07-07T12:00:00.5Z", 10, "all 0.52 1.72", first, second)
	f("bob", start, end, 10, "all 0.04 1.04", "2026-07-06T12:00:00Z m 40 4 0.04 1.04 1")
	f("eve", start, end, 10, "all 0 0")

	// The view by itself, as an operator asks it: whole, and with an agent.
	got := db.Strings(`SELECT concatWithSeparator(' ', ifNull(toString(agent_id), '-'), service_name,
			model_name, toString(input_tokens), toString(output_tokens), channel,
			toString(service_cost), toString(agent700_cost), toString(revision), toString(unpriced))
		FROM user_billable_request_logs WHERE organization_id = {acme:UUID}
		ORDER BY created_at, input_tokens`, clickhouse.Named("acme", named("acme").String()))
	want := []string{
		"- voice other 11 1 external_api 0.5 0.7 1 1",
		"- voice m 20 2 external_api 0.02 1.02 0 1",
		"- voice m 40 4 external_api 0.04 1.04 1 1",
		named("agent").String() + " voice m 380 308 external_api 0.08 1.08 0 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the view (-want +got):\n%s", diff)
	}
}
