package queries_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// open returns a fresh database and Queries with the settings of production on it.
func open(t testing.TB) (*schematest.Database, *queries.Queries) {
	t.Helper()
	db := schematest.New(t)
	q, err := queries.Open(t.Context(), queries.Config{Options: db.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, q
}

// named returns the id a test calls by a name; the empty name is the zero id.
func named(name string) uuid.UUID {
	if name == "" {
		return uuid.UUID{}
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name))
}

func quantity(t testing.TB, s string) schema.Quantity {
	t.Helper()
	q, err := schema.ParseQuantity(s)
	if err != nil {
		t.Fatalf("%s %v", s, err)
	}
	return q
}

func usd(t testing.TB, s string) schema.USD {
	t.Helper()
	u, err := schema.ParseUSD(s)
	if err != nil {
		t.Fatalf("%s %v", s, err)
	}
	return u
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

// reversed returns the event that takes e back.
func reversed(e schema.Event) schema.Event {
	e.Entry = schema.Reversal
	measurements := make([]schema.Measurement, len(e.Measurements))
	for i, m := range e.Measurements {
		m.Quantity = m.Quantity.Neg()
		m.ProviderCost = m.ProviderCost.Neg()
		m.BilledCost = m.BilledCost.Neg()
		measurements[i] = m
	}
	e.Measurements = measurements
	return e
}

// sums returns the rows, events, quantity and costs of the ledger and of each rollup, one line
// each: equal lines (but for the rows) are what P3 promises.
func sums(db *schematest.Database) map[string]string {
	all := map[string]string{}
	for _, table := range []string{
		"agent_usage_15m", "billable_hourly", "consumption_daily", "consumption_monthly",
	} {
		all[table] = db.Strings(fmt.Sprintf(`SELECT concatWithSeparator(' ',
			toString(sum(measurements)), toString(sum(events)), toString(sum(unpriced)),
			toString(sum(quantity)), toString(sum(provider_cost)), toString(sum(billed_cost)))
			FROM %s`, table))[0]
	}
	all["usage_events"] = db.Strings(`SELECT concatWithSeparator(' ',
		toString(sum(toInt64(entry))), toString(sumIf(toInt64(entry), ordinal = 0)),
		toString(sumIf(toInt64(entry), pricing = 'unpriced')),
		toString(sum(quantity)), toString(sum(provider_cost)), toString(sum(billed_cost)))
		FROM usage_events`)[0]
	return all
}

// checkSums fails the test when a rollup differs from the ledger or the ledger from want.
func checkSums(t testing.TB, db *schematest.Database, want string) {
	t.Helper()
	for table, got := range sums(db) {
		if got != want {
			t.Errorf("%s holds %q, want %q", table, got, want)
		}
	}
}
