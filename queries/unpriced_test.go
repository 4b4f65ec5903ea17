package queries_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// What has no rate is told by model and usage type until a correction prices it.
func TestUnpricedIsSeen(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	event := func(
		organization, model, when, id string, pricing schema.Pricing, revision uint32,
	) schema.Event {
		return schema.Event{
			Organization: named(organization), ID: named(id), Entry: schema.Record,
			Revision: revision, Time: at(t, when), Agent: named("agent"), Model: model,
			Chargeable: true,
			Measurements: []schema.Measurement{
				{UsageType: schema.Input, Quantity: quantity(t, "1.5"), Pricing: pricing},
			},
		}
	}
	token := 0
	insert := func(events ...schema.Event) {
		t.Helper()
		var b queries.EventBatch
		for i := range events {
			token++
			b.Append(&events[i], named("node"), uint64(token))
		}
		if err := q.InsertEvents(t.Context(), fmt.Sprint(token), &b); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(organization string, limit uint64, want ...string) {
		t.Helper()
		rows, err := q.Unpriced(t.Context(), queries.UnpricedParams{
			Organization: named(organization), Limit: limit,
			From: at(t, "2026-03-01T00:00:00Z"), To: at(t, "2026-04-01T00:00:00Z"),
		})
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]string{named("acme").String(): "acme", named("other").String(): "other"}
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprint(names[r.Organization.String()], " ", r.Model, " ",
				r.UsageType, " ", r.Measurements, " ", r.Quantity, " ",
				r.First.Format("02T15"), " ", r.Last.Format("02T15")))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", organization, diff)
		}
	}
	lost := event("acme", "new", "2026-03-31T23:59:59Z", "e3", schema.Unpriced, 0)
	insert(
		event("acme", "new", "2026-03-01T00:00:00Z", "e1", schema.Unpriced, 0),
		event("acme", "new", "2026-03-01T00:30:00Z", "e2", schema.Rated, 0), // in the same hour
		lost,
		event("acme", "new", "2026-03-02T00:00:00Z", "e4", schema.Rated, 0),
		event("acme", "new", "2026-02-28T23:59:59Z", "e5", schema.Unpriced, 0),
		event("acme", "new", "2026-04-01T00:00:00Z", "e6", schema.Unpriced, 0),
		event("acme", "known", "2026-03-02T00:00:00Z", "e7", schema.Given, 0),
		event("other", "new", "2026-03-05T00:00:00Z", "e8", schema.Unpriced, 0),
	)
	ask("", 10, "acme new INPUT 2 4.5 01T00 31T23", "other new INPUT 1 1.5 05T00 05T00")
	ask("", 1, "acme new INPUT 2 4.5 01T00 31T23")
	ask("other", 10, "other new INPUT 1 1.5 05T00 05T00")
	ask("nobody", 10)

	priced := event("acme", "new", "2026-03-31T23:59:59Z", "e3", schema.Rated, 1)
	insert(reversed(lost), priced)
	ask("acme", 10, "acme new INPUT 1 3 01T00 01T00")
}
