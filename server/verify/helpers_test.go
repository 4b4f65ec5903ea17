package verify_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/ingest"
	"github.com/meterhouse/meterhouse/server/verify"
)

// open returns a fresh database and Queries with the settings of production on it.
func open(t testing.TB) (*schematest.Database, *queries.Queries) {
	t.Helper()
	db := schematest.New(t)
	q, err := queries.Open(t.Context(), queries.Config{Options: db.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return db, q
}

func named(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)) }

// newVerifier returns a Verifier that does not wait long between looks.
func newVerifier(q *queries.Queries) *verify.Verifier {
	return verify.New(verify.Config{Queries: q, Settle: 300 * time.Millisecond})
}

var types = []string{schema.Input, schema.Output, schema.Sessions}

// model makes random events of some days and knows their sums.
type model struct {
	r    *rand.Rand
	days []time.Time
	sums map[string]int64 // whole units by organization and usage type
	n    int
}

func (m *model) events(n int) []schema.Event {
	var all []schema.Event
	for range n {
		m.n++
		e := schema.Event{
			Organization: named(fmt.Sprint("organization ", m.r.IntN(3))),
			Entry:        schema.Record,
			Time: m.days[m.r.IntN(len(m.days))].
				Add(time.Duration(m.r.Int64N(int64(24 * time.Hour)))),
			User: named(fmt.Sprint("user ", m.r.IntN(3))), Agent: named(fmt.Sprint("agent ", m.r.IntN(4))),
			Model: fmt.Sprint("m", m.r.IntN(3)), Provider: fmt.Sprint("p", m.r.IntN(2)),
			Chargeable: m.r.IntN(3) > 0,
		}
		for i := range 1 + m.r.IntN(3) {
			units := m.r.Int64N(1000)
			m.sums[e.Organization.String()+" "+types[i]] += units
			e.Measurements = append(e.Measurements, schema.Measurement{
				UsageType: types[i], Quantity: schema.WholeQuantity(units),
				BilledCost: schema.USDOf(schema.Int128{Lo: m.r.Uint64N(1 << 40)}), Pricing: schema.Given,
			})
		}
		all = append(all, e)
	}
	return all
}

// check compares the ledger and every rollup with what was sent.
func (m *model) check(t testing.TB, db *schematest.Database) {
	t.Helper()
	for _, table := range append([]string{"usage_events"}, verify.Tables()[2:]...) {
		got := make(map[string]int64)
		for _, line := range db.Strings(`SELECT toString(organization_id), toString(usage_type),
			toString(toInt64(sum(quantity))) FROM ` + table + `
			GROUP BY organization_id, usage_type HAVING sum(quantity) != 0`) {
			var organization, usageType string
			var units int64
			if _, err := fmt.Sscan(line, &organization, &usageType, &units); err != nil {
				t.Fatal(err)
			}
			got[organization+" "+usageType] = units
		}
		for key, want := range m.sums {
			if got[key] != want {
				t.Errorf("%s: %s is %d, sent were %d", table, key, got[key], want)
			}
			delete(got, key)
		}
		if len(got) > 0 {
			t.Errorf("%s: nobody sent %v", table, got)
		}
	}
}

// writer is a node that is sent a random model's events without a pause.
type writer struct {
	*ingest.Ingest
	model model
	stop  func()
}

func newWriter(t testing.TB, q *queries.Queries, seed uint64, days []time.Time) *writer {
	t.Helper()
	in, err := ingest.Open(ingest.Config{
		Dir: t.TempDir(), Store: q, Peers: q, Ledger: q, Now: time.Now,
		Snapshot: func() *access.Snapshot { return access.NewSnapshot(schema.Catalog{}) },
		Logger:   slog.New(slog.DiscardHandler), BatchAge: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	in.Start()
	w := &writer{Ingest: in, model: model{
		r: rand.New(rand.NewPCG(seed, 0)), days: days, sums: make(map[string]int64),
	}}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			events := w.model.events(1 + w.model.r.IntN(50))
			got, err := in.Record(context.Background(), events, false)
			if err != nil || got.Accepted != len(events) {
				t.Errorf("Record: %+v, %v", got, err)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := in.Flush(ctx); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if err := in.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}
