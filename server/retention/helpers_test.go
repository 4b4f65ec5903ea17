package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/corrections"
	"github.com/meterhouse/meterhouse/server/ingest"
	"github.com/meterhouse/meterhouse/server/verify"
)

var quiet = slog.New(slog.DiscardHandler)

func named(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)) }

var acme, globex, root = named("acme"), named("globex"), named("root")

// world is a database, a catalog, and a node's write path, with a clock that tests move.
type world struct {
	t         *testing.T
	db        *schematest.Database
	queries   *queries.Queries
	directory *access.Directory
	ingest    *ingest.Ingest
	corrector *corrections.Corrector
	ahead     atomic.Int64 // of the clock
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// newWorld returns a world whose catalog has what it is given.
func newWorld(t *testing.T, c schema.Catalog) *world {
	t.Helper()
	w := &world{t: t, db: schematest.New(t)}
	var err error
	if w.queries, err = queries.Open(t.Context(), queries.Config{Options: w.db.Options}); err != nil {
		t.Fatal(err)
	}
	w.directory = access.NewDirectory(w.queries, quiet)
	w.change(c)
	w.ingest, err = ingest.Open(ingest.Config{
		Dir: t.TempDir(), Store: w.queries, Snapshot: w.directory.Snapshot, Now: w.now,
		Logger: quiet, BatchAge: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.ingest.Start()
	w.corrector = corrections.New(corrections.Config{
		Queries: w.queries, Snapshot: w.directory.Snapshot, Flush: w.ingest.Flush, Now: w.now,
		Logger: quiet, Gate: w.ingest.Gate(),
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(w.ingest.Stop(ctx), w.queries.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return w
}

func (w *world) change(c schema.Catalog) { w.plan(access.Change{Upsert: c}) }

// retire takes an organization out of the catalog.
func (w *world) retire(o schema.Organization) {
	w.plan(access.Change{Retire: schema.Catalog{Organizations: []schema.Organization{o}}})
}

func (w *world) plan(c access.Change) {
	w.t.Helper()
	if err := w.directory.Change(w.t.Context(), "user:"+root.String(),
		func(*access.Snapshot) (access.Change, error) { return c, nil }); err != nil {
		w.t.Fatal(err)
	}
}

// record has events stored and returns their ids.
func (w *world) record(events ...schema.Event) []uuid.UUID {
	w.t.Helper()
	all := make([]uuid.UUID, len(events))
	for i := range events {
		events[i].ID = uuid.Must(uuid.NewV7())
		all[i] = events[i].ID
	}
	got, err := w.ingest.Record(w.t.Context(), events, true)
	if err == nil && got.Accepted != len(events) {
		err = fmt.Errorf("%+v", got)
	}
	if err == nil {
		err = w.ingest.Flush(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// event is an event of a user of an organization, so many days ago.
func (w *world) event(organization, user uuid.UUID, days int) schema.Event {
	return schema.Event{
		Organization: organization, User: user, Agent: named("agent"),
		Time:  time.Now().AddDate(0, 0, -days),
		Model: "gpt", Service: "s", Provider: "p", Chargeable: true,
		Measurements: []schema.Measurement{
			{UsageType: schema.Input, Quantity: schema.WholeQuantity(int64(100 + days))},
			{
				UsageType: schema.Output, Quantity: schema.WholeQuantity(7), Pricing: schema.Given,
				BilledCost: schema.USDOf(schema.Int128{Lo: 1_000_000}),
			},
		},
	}
}

// sums are those of the ledger and of every rollup, by all but users.
func (w *world) sums(where string) map[string]string {
	w.t.Helper()
	all := make(map[string]string)
	for table, by := range map[string]string{
		"usage_events":        "organization_id, agent_id, model, toDate(event_time), usage_type",
		"agent_usage_15m":     "organization_id, agent_id, model, slot, usage_type",
		"billable_hourly":     "organization_id, model, hour, usage_type",
		"consumption_daily":   "organization_id, agent_id, dimension_id, day, usage_type",
		"consumption_monthly": "organization_id, agent_id, dimension_id, month, usage_type",
	} {
		all[table] = strings.Join(w.db.Strings(`SELECT toString(tuple(`+by+`, sum(quantity),
			sum(provider_cost), sum(billed_cost), count() > 0)) AS line FROM `+table+`
			WHERE `+where+` GROUP BY `+by+`
			HAVING sum(quantity) != 0 OR sum(billed_cost) != 0 ORDER BY line`), "\n")
	}
	return all
}

// verified fails the test when verify finds anything.
func (w *world) verified() {
	w.t.Helper()
	for _, f := range w.findings() {
		w.t.Errorf("verify: %s: %s", f.Kind, f.Text)
	}
}

func (w *world) findings() []verify.Finding {
	w.t.Helper()
	report, err := verify.New(verify.Config{
		Queries: w.queries, Settle: 20 * time.Millisecond,
	}).Run(w.t.Context(), queries.VerifyParams{})
	if err != nil {
		w.t.Fatal(err)
	}
	return report.Findings
}

// errCrash is what a step returns where a process is to end.
var errCrash = errors.New("crash")

// crashAt returns steps the first of which, of some name, ends the process.
func crashAt(name string) func(string) error {
	crashed := false
	return func(step string) error {
		if step != name || crashed {
			return nil
		}
		crashed = true
		return errCrash
	}
}
