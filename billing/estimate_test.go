package billing

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

func atTime(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

// TestOpenPeriodFollowsStripes has months as Stripe makes them: anchored to a day of the month, or
// its last day where it is shorter. Without a look at the start of a period that ends with its
// month, March after an anchor of 31 ended on the 28th; with one at every period's, a first period
// that is cut short made December end on January 20.
func TestOpenPeriodFollowsStripes(t *testing.T) {
	t.Parallel()
	f := func(now, start, end, wantFrom, wantTo string) {
		t.Helper()
		var periods []schema.StripePeriod
		source := fromCalendar
		if end != "" {
			source = fromStripe
			periods = []schema.StripePeriod{
				{Start: atTime(t, start).AddDate(0, -1, 0), End: atTime(t, start)}, // an older one
				{Start: atTime(t, start), End: atTime(t, end), Finalized: true},
			}
		}
		from, to, got := openPeriod(periods, atTime(t, now))
		if !from.Equal(atTime(t, wantFrom)) || !to.Equal(atTime(t, wantTo)) || got != source {
			t.Errorf("at %s after %s to %s: %v to %v from %s, want %s to %s from %s",
				now, start, end, from, to, got, wantFrom, wantTo, source)
		}
	}
	const none = ""
	f("2026-11-22T13:45:00Z", none, none, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
	f("2026-12-31T23:59:59Z", none, none, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
	f("2026-11-22T13:45:00Z", "2026-10-15T10:00:00Z", "2026-11-15T10:00:00Z",
		"2026-11-15T10:00:00Z", "2026-12-15T10:00:00Z")
	// Anchored to the 31st, over a short month.
	f("2026-02-28T10:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z",
		"2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z")
	f("2026-02-10T10:00:00Z", "2025-12-31T00:00:00Z", "2026-01-31T00:00:00Z",
		"2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z")
	f("2028-02-10T10:00:00Z", "2027-12-31T00:00:00Z", "2028-01-31T00:00:00Z",
		"2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z")
	// Anchored to the 28th: March's is the 28th again.
	f("2026-03-01T10:00:00Z", "2026-01-28T00:00:00Z", "2026-02-28T00:00:00Z",
		"2026-02-28T00:00:00Z", "2026-03-28T00:00:00Z")
	// A first period that is cut short says nothing of the anchor.
	f("2026-12-02T00:00:00Z", "2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z",
		"2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
	// Two months without a word from Stripe.
	f("2026-05-10T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z",
		"2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z")
	// The newest period is not over yet, by our clock.
	f("2026-11-14T23:59:59Z", "2026-10-15T00:00:00Z", "2026-11-15T00:00:00Z",
		"2026-10-15T00:00:00Z", "2026-11-15T00:00:00Z")
	// At the very end the next one begins.
	f("2026-11-15T00:00:00Z", "2026-10-15T00:00:00Z", "2026-11-15T00:00:00Z",
		"2026-11-15T00:00:00Z", "2026-12-15T00:00:00Z")
}

func TestEstimateRefusesWhatIsNoPeriod(t *testing.T) {
	t.Parallel()
	f := func(from, to, field string) {
		t.Helper()
		var p schema.EstimateParams
		if from != "" {
			p.From = atTime(t, from)
		}
		if to != "" {
			p.To = atTime(t, to)
		}
		err := checkPeriod(p)
		e, _ := err.(*schema.Error)
		if (err == nil) != (field == "") || e != nil && (e.Field != field || e.Kind != schema.Invalid) {
			t.Errorf("%s to %s: %v, want one about %q", from, to, err, field)
		}
	}
	f("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "")
	f("2026-11-01T00:00:00Z", "2027-12-06T00:00:00Z", "")
	f("", "2026-12-01T00:00:00Z", "from")
	f("2026-11-01T00:00:00Z", "", "to")
	f("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", "to")
	f("2026-11-02T00:00:00Z", "2026-11-01T00:00:00Z", "to")
	f("2026-11-01T00:00:00Z", "2027-12-06T01:00:00Z", "to")
	f("2026-11-01T00:00:00.5Z", "2026-12-01T00:00:00Z", "from")
	f("2026-11-01T00:00:00Z", "2026-12-01T00:30:00Z", "to")
	f("1969-11-01T00:00:00Z", "1970-12-01T00:00:00Z", "from")
	f("2199-12-01T00:00:00Z", "2200-01-01T00:00:00Z", "to")
}

// TestProjectionsAddUp holds projections against rationals: each part is the nearest decimal, what
// is above it is the sum of its parts, and at the period's end a projection is what was used.
func TestProjectionsAddUp(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(13, 14))
	for range 2000 {
		from := atTime(t, "2026-11-01T00:00:00Z")
		at := from.Add(time.Duration(r.Int64N(int64(30 * 24 * time.Hour))))
		e := schema.Estimate{
			From: from, To: from.AddDate(0, 1, 0), At: at,
			RecentFrom: latestOf(from, at.Truncate(time.Hour).Add(-estimateRecent)),
		}
		if r.IntN(8) == 0 {
			e.At = e.To
		}
		rest := e.To.Sub(e.At)
		rows := randomRows(r)
		if err := project(&e, rest, rows); err != nil {
			t.Fatal(err)
		}
		left, seen := int64(rest), int64(e.At.Sub(e.RecentFrom))
		if seen < int64(time.Hour) {
			left, seen = 0, 1
		}
		i := 0
		var cost, projected schema.USD
		for _, m := range e.Meters {
			var units, later schema.Quantity
			for _, model := range m.Models {
				row := rows[i]
				i++
				near(t, model.ProjectedUSD.Coefficient(), row.BilledCost.Coefficient(),
					row.RecentCost.Coefficient(), left, seen)
				near(t, model.Projected.Coefficient(), row.Quantity.Coefficient(),
					row.RecentQuantity.Coefficient(), left, seen)
				if left == 0 && (model.ProjectedUSD != model.CostUSD ||
					model.Projected != model.Quantity) {
					t.Fatal("a projection at the period's end is not what was used")
				}
				cost, projected = cost.Add(model.CostUSD), projected.Add(model.ProjectedUSD)
				if m.Unit == schema.MicroUSD {
					units, later = units.Add(row.BilledCost.Micro()),
						later.Add(model.ProjectedUSD.Micro())
				} else {
					units, later = units.Add(row.Quantity), later.Add(model.Projected)
				}
			}
			if m.Units != units.String() || m.Projected != later.String() {
				t.Fatalf("%s has %s and %s units, its models %s and %s",
					m.Meter, m.Units, m.Projected, units, later)
			}
		}
		if i != len(rows) || e.CostUSD != cost || e.ProjectedUSD != projected {
			t.Fatalf("%d of %d rows, %s of %s, %s of %s", i, len(rows), e.CostUSD, cost,
				e.ProjectedUSD, projected)
		}
	}
}

// near fails the test unless got is used + recent × left / seen, rounded half to even.
func near(t *testing.T, got, used, recent schema.Int128, left, seen int64) {
	t.Helper()
	exact := new(big.Rat).SetFrac(
		new(big.Int).Mul(recent.Big(), big.NewInt(left)), big.NewInt(seen))
	exact.Add(exact, new(big.Rat).SetInt(used.Big()))
	off := new(big.Rat).Sub(exact, new(big.Rat).SetInt(got.Big()))
	if off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
		t.Fatalf("projected %v, exactly %s", got.Big(), exact.FloatString(3))
	}
}

func randomRows(r *rand.Rand) (rows []queries.EstimateRow) {
	number := func() schema.Int128 {
		n := schema.Int128{Hi: r.Int64N(2), Lo: r.Uint64()}
		if r.IntN(2) == 0 {
			n = schema.Int128{Lo: r.Uint64N(1000)}
		}
		if r.IntN(4) == 0 { // corrections
			n = n.Neg()
		}
		return n
	}
	for m := range r.IntN(4) {
		unit := schema.MeterUnit(r.IntN(2))
		for model := range 1 + r.IntN(5) {
			rows = append(rows, queries.EstimateRow{
				Meter: fmt.Sprint("meter", m), Unit: unit, Model: fmt.Sprint("m", model),
				UsageType: schema.Input, Quantity: schema.QuantityOf(number()),
				BilledCost:     schema.USDOf(number()),
				RecentQuantity: schema.QuantityOf(number()),
				RecentCost:     schema.USDOf(number()), Unpriced: r.Int64N(3),
			})
		}
	}
	return rows
}

// In the first hour of a period one request a minute after midnight is no rate to go by. With
// estimateLeast taken out, its six units came to 259,200.
func TestNothingIsProjectedInTheFirstHour(t *testing.T) {
	t.Parallel()
	from := atTime(t, "2026-11-01T00:00:00Z")
	row := queries.EstimateRow{
		Quantity: schema.WholeQuantity(6), RecentQuantity: schema.WholeQuantity(6),
		Unit: schema.WholeUnits,
	}
	f := func(after time.Duration, want string) {
		t.Helper()
		e := schema.Estimate{
			From: from, To: from.AddDate(0, 1, 0), At: from.Add(after), RecentFrom: from,
		}
		if err := project(&e, e.To.Sub(e.At), []queries.EstimateRow{row}); err != nil {
			t.Fatal(err)
		}
		if got := e.Meters[0].Projected; got != want {
			t.Errorf("after %v: %s, want %s", after, got, want)
		}
	}
	f(0, "6")
	f(time.Minute, "6")
	f(time.Hour-1, "6")
	f(time.Hour, "4320")   // 6 × 720
	f(2*time.Hour, "2160") // 6 × 360
}

func TestProjectionsOutOfRangeAreAnError(t *testing.T) {
	t.Parallel()
	from := atTime(t, "2026-11-01T00:00:00Z")
	e := schema.Estimate{
		From: from, To: from.AddDate(0, 1, 0), At: from.Add(time.Hour), RecentFrom: from,
	}
	huge := schema.QuantityOf(schema.Int128{Hi: 1 << 61})
	rows := []queries.EstimateRow{{Quantity: huge, RecentQuantity: huge}}
	if err := project(&e, e.To.Sub(e.At), rows); err == nil {
		t.Error("a projection that wraps around is no error")
	}
}
