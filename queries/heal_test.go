package queries_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestHalfFailedInsertHeals makes one table after another refuse a batch whose rows the tables
// before it took, then sends the batch again.
func TestHalfFailedInsertHeals(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	events := twoMonths(t)
	for i, table := range []string{
		"dimensions", "agent_usage_15m", "billable_hourly", "consumption_daily",
		"consumption_monthly",
	} {
		token := "batch for " + table
		refuse, allow := "ADD CONSTRAINT refuse CHECK 0", "DROP CONSTRAINT refuse"
		db.Exec(fmt.Sprintf("ALTER TABLE %s %s", table, refuse))
		for range 2 { // a retry that fails again does no harm either
			err := q.InsertEvents(t.Context(), token, batchOf(events))
			if err == nil || !strings.Contains(err.Error(), "refuse") {
				t.Fatalf("%s: the insert was not refused: %v", table, err)
			}
		}
		db.Exec(fmt.Sprintf("ALTER TABLE %s %s", table, allow))
		for range 2 {
			if err := q.InsertEvents(t.Context(), token, batchOf(events)); err != nil {
				t.Fatal(err)
			}
		}
		times := uint64(i + 1)
		checkSums(t, db, fmt.Sprint(4*times, 2*times, 2*times,
			" ", schema.QuantityOf(schema.Int128{Lo: 3_100_000_002 * times}),
			" ", schema.USDOf(schema.Int128{Lo: 2 * times}),
			" ", schema.USDOf(schema.Int128{Lo: 4 * times})))
	}
	defects, err := q.VerifyDimensions(t.Context(), queries.VerifyParams{})
	if err != nil || len(defects) > 0 {
		t.Errorf("VerifyDimensions = %+v, %v, want none", defects, err)
	}
}

// TestTargetGoneHeals takes a cascade's table away while a batch arrives.
func TestTargetGoneHeals(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	db.Exec("RENAME TABLE billable_hourly TO billable_elsewhere")
	if err := q.InsertEvents(t.Context(), "t", batchOf(twoMonths(t))); err == nil {
		t.Fatal("the insert was not refused")
	}
	db.Exec("RENAME TABLE billable_elsewhere TO billable_hourly")
	if err := q.InsertEvents(t.Context(), "t", batchOf(twoMonths(t))); err != nil {
		t.Fatal(err)
	}
	checkSums(t, db, "4 2 2 3100.000002 0.000000000002 0.000000000004")
}

// TestRollupsEqualLedger is P3 on random events, corrections among them, in random batches, each
// sent again at random.
func TestRollupsEqualLedger(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	db, q := open(t)
	world := world{r: r, t: t}
	var sent []*queries.EventBatch
	rows := 0
	for range 8 {
		b := batchOf(world.events(1 + r.IntN(400)))
		sent = append(sent, b)
		rows += b.Rows()
		for range 1 + r.IntN(3) {
			i := len(sent) - 1
			if r.IntN(3) == 0 {
				i = r.IntN(len(sent)) // an old batch again
			}
			if err := q.InsertEvents(t.Context(), fmt.Sprint("batch ", i), sent[i]); err != nil {
				t.Fatal(err)
			}
		}
		last := len(sent) - 1
		if err := q.InsertEvents(t.Context(), fmt.Sprint("batch ", last), sent[last]); err != nil {
			t.Fatal(err)
		}
	}
	if got := db.Strings("SELECT toString(count()) FROM usage_events")[0]; got != fmt.Sprint(rows) {
		t.Errorf("the ledger has %s rows, want %d", got, rows)
	}
	differences, err := q.VerifyRollups(t.Context(), queries.VerifyParams{})
	if err != nil || len(differences) > 0 {
		t.Errorf("VerifyRollups = %+v, %v, want none", differences, err)
	}
	doubled, err := q.VerifyEvents(t.Context(), queries.VerifyParams{})
	if err != nil || len(doubled) > 0 {
		t.Errorf("VerifyEvents = %+v, %v, want none", doubled, err)
	}
	defects, err := q.VerifyDimensions(t.Context(), queries.VerifyParams{})
	if err != nil || len(defects) > 0 {
		t.Errorf("VerifyDimensions = %+v, %v, want none", defects, err)
	}
	nodes, err := q.VerifySequences(t.Context(), queries.VerifyParams{})
	if err != nil || len(nodes) != 1 {
		t.Errorf("VerifySequences = %+v, %v, want one node", nodes, err)
	}
}

// world makes random events and corrections of them.
type world struct {
	r    *rand.Rand
	t    *testing.T
	past []schema.Event
	next int
}

func (w *world) events(n int) []schema.Event {
	var all []schema.Event
	for range n {
		if len(w.past) > 0 && w.r.IntN(5) == 0 {
			i := w.r.IntN(len(w.past))
			old := w.past[i]
			all = append(all, reversed(old))
			w.past = append(w.past[:i], w.past[i+1:]...)
			if w.r.IntN(2) == 0 {
				continue // deleted
			}
			old.Revision++
			old.Measurements = w.measurements()
			all, w.past = append(all, old), append(w.past, old)
			continue
		}
		w.next++
		start := at(w.t, "2025-12-31T00:00:00Z")
		e := schema.Event{
			Organization: w.pick("organization", 3), ID: named(fmt.Sprint("event ", w.next)),
			Entry: schema.Record, User: w.pick("user", 3), Agent: w.pick("agent", 4),
			Time:    start.Add(time.Duration(w.r.Int64N(int64(62 * 24 * time.Hour)))),
			Service: w.word("s", 2), Provider: w.word("p", 3), Model: w.word("m", 3),
			Chargeable: w.r.IntN(3) > 0, Purpose: w.word("u", 3), Measurements: w.measurements(),
		}
		all, w.past = append(all, e), append(w.past, e)
	}
	return all
}

func (w *world) measurements() []schema.Measurement {
	var all []schema.Measurement
	for i := range 1 + w.r.IntN(3) {
		m := schema.Measurement{UsageType: fmt.Sprint("TYPE_", i)}
		// Up to 10^19 units of 10^-6: a hundred of them leave 64 bits.
		m.Quantity = schema.QuantityOf(schema.Int128{Lo: w.r.Uint64N(1 << 63)})
		if m.Pricing = schema.Pricing(w.r.IntN(3)); m.Pricing != schema.Unpriced {
			m.ProviderCost = schema.USDOf(schema.Int128{Lo: w.r.Uint64N(1 << 62)})
			m.BilledCost = schema.USDOf(schema.Int128{Hi: 3, Lo: w.r.Uint64()})
		}
		all = append(all, m)
	}
	return all
}

func (w *world) pick(kind string, n int) uuid.UUID {
	i := w.r.IntN(n + 1)
	if i == n {
		return uuid.UUID{}
	}
	return named(fmt.Sprint(kind, i))
}

func (w *world) word(kind string, n int) string {
	i := w.r.IntN(n + 1)
	if i == n {
		return ""
	}
	return fmt.Sprint(kind, i)
}
