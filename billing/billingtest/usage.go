package billingtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// Open returns a database of the test's own, and Queries on it with the settings of production.
func Open(t testing.TB) (*schematest.Database, *queries.Queries) {
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

// Use is usage of one type at a moment.
type Use struct {
	Organization uuid.UUID
	At           time.Time
	Type, Model  string
	Quantity     string
	Billed       string // USD; empty: it has no rate
	Free         bool   // not chargeable
}

// Usage stores events, one for each use, in one batch, and returns them.
func Usage(t testing.TB, q *queries.Queries, all ...Use) []schema.Event {
	t.Helper()
	events := Events(t, all...)
	if err := Store(t.Context(), q, events...); err != nil {
		t.Fatal(err)
	}
	return events
}

// Events returns an event for each use.
func Events(t testing.TB, all ...Use) []schema.Event {
	t.Helper()
	events := make([]schema.Event, 0, len(all))
	for _, u := range all {
		m := schema.Measurement{UsageType: u.Type, Quantity: quantity(t, u.Quantity)}
		if u.Billed != "" {
			m.BilledCost, m.Pricing = usd(t, u.Billed), schema.Given
			m.ProviderCost = m.BilledCost
		}
		events = append(events, schema.Event{
			Organization: u.Organization, ID: uuid.New(), Entry: schema.Record,
			Time: u.At.UTC(), IngestTime: u.At.UTC(), Model: u.Model, Chargeable: !u.Free,
			Measurements: []schema.Measurement{m},
		})
	}
	return events
}

// Correct replaces an event of one measurement by its next revision, which it returns.
func Correct(
	t testing.TB, q *queries.Queries, e schema.Event, newQuantity, newBilled string,
) schema.Event {
	t.Helper()
	both := Revise(t, e, newQuantity, newBilled)
	if err := Store(t.Context(), q, both...); err != nil {
		t.Fatal(err)
	}
	return both[1]
}

// Void takes an event back.
func Void(t testing.TB, q *queries.Queries, e schema.Event) {
	t.Helper()
	if err := Store(t.Context(), q, Reversal(e)); err != nil {
		t.Fatal(err)
	}
}

// Revise returns the reversal of an event of one measurement, and its next revision.
func Revise(t testing.TB, e schema.Event, newQuantity, newBilled string) []schema.Event {
	t.Helper()
	next := e
	next.Revision++
	next.Measurements = []schema.Measurement{e.Measurements[0]}
	next.Measurements[0].Quantity = quantity(t, newQuantity)
	next.Measurements[0].BilledCost = usd(t, newBilled)
	next.Measurements[0].ProviderCost = next.Measurements[0].BilledCost
	return []schema.Event{Reversal(e), next}
}

// Reversal returns what takes an event back.
func Reversal(e schema.Event) schema.Event {
	e.Entry = schema.Reversal
	back := make([]schema.Measurement, 0, len(e.Measurements))
	for _, m := range e.Measurements {
		m.Quantity, m.ProviderCost = m.Quantity.Neg(), m.ProviderCost.Neg()
		m.BilledCost = m.BilledCost.Neg()
		back = append(back, m)
	}
	e.Measurements = back
	return e
}

// Store inserts events in one batch under a token of its own.
func Store(ctx context.Context, q *queries.Queries, events ...schema.Event) error {
	var batch queries.EventBatch
	node := uuid.New()
	for i := range events {
		batch.Append(&events[i], node, uint64(i)+1)
	}
	return q.InsertEvents(ctx, "billingtest:"+node.String(), &batch)
}

// Catalog saves organizations and meters, over what there was of them.
func Catalog(
	t testing.TB, q *queries.Queries, organizations []schema.Organization, meters []schema.Meter,
) {
	t.Helper()
	version, err := q.CatalogVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := q.SaveCatalog(t.Context(), schema.CatalogChange{
		Upsert:  schema.Catalog{Organizations: organizations, Meters: meters},
		Version: version + 1, At: time.Now(), Actor: "billingtest",
	}); err != nil {
		t.Fatal(err)
	}
}

// Organization returns the id of an organization that a test calls by a name.
func Organization(name string) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("billingtest:"+name))
}

// USD writes micro-USD as a decimal.
func USD(micros int64) string {
	sign := ""
	if micros < 0 {
		sign, micros = "-", -micros
	}
	return fmt.Sprintf("%s%d.%06d", sign, micros/1_000_000, micros%1_000_000)
}

func quantity(t testing.TB, s string) schema.Quantity {
	t.Helper()
	q, err := schema.ParseQuantity(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return q
}

func usd(t testing.TB, s string) schema.USD {
	t.Helper()
	u, err := schema.ParseUSD(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return u
}
