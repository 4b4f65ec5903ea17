package queries_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// rhythm is what an agent uses in an hour, counted from the first; 0: nothing.
type rhythm func(n int, random *rand.Rand) int64

// The agents of twelve weeks that begin on a Monday. Each has a habit, all are noisy.
var rhythms = map[string]rhythm{
	// By day and on weekdays, give or take a third; eleven times as much once, and nothing once.
	"office": func(n int, random *rand.Rand) int64 {
		hour, day := n%24, n/24
		usual := 7_000 + random.Int64N(6_000)
		switch {
		case hour < 8 || hour >= 18 || day%7 >= 5, n == silence:
			return 0
		case n == burst:
			return 11 * usual
		}
		return usual
	},
	// Around the clock, a thousand calls an hour by night and ten by day.
	"batch": func(n int, random *rand.Rand) int64 {
		if n%24 < 6 {
			return 900_000 + random.Int64N(200_000)
		}
		return 8_000 + random.Int64N(4_000)
	},
	// Nothing but the same, and now and then a hundredth more.
	"constant": func(n int, _ *rand.Rand) int64 { return 10_000 + int64(n%13/12)*100 },
	// One hour of twenty, of any size between one and a hundred.
	"rare": func(_ int, random *rand.Rand) int64 {
		if random.IntN(20) > 0 {
			return 0
		}
		return 100 << random.IntN(7)
	},
	// Twice, and the second time more.
	"shy": func(n int, _ *rand.Rand) int64 { return map[int]int64{400: 3, 1800: 7}[n] },
	// Weekdays since the eighth week; a burst when it is 16 days old, after its second weekend.
	"newer": func(n int, random *rand.Rand) int64 {
		hour, day := n%24, n/24
		usual := 7_000 + random.Int64N(6_000)
		switch {
		case n < 7*7*24 || hour < 8 || hour >= 18 || day%7 >= 5:
			return 0
		case n == 9*7*24+2*24+11:
			return 30 * usual
		}
		return usual
	},
	// Around the clock, but for one hour of fifty.
	"flaky": func(_ int, random *rand.Rand) int64 {
		if random.IntN(50) == 0 {
			return 0
		}
		return 9_000 + random.Int64N(2_000)
	},
	// Around the clock, and at three at night, in one night of ten, twelve times as much.
	"nightly": func(n int, random *rand.Rand) int64 {
		usual := 9_000 + random.Int64N(2_000)
		if n%24 == 3 && random.IntN(10) == 0 {
			return 12 * usual
		}
		return usual
	},
	// One an hour, and once four.
	"sessions": func(n int, _ *rand.Rand) int64 {
		return map[bool]int64{false: 1, true: 4}[n == 1900]
	},
	// Since the ninth week, ten times as much on Mondays.
	"mondays": func(n int, random *rand.Rand) int64 {
		switch {
		case n < 8*7*24:
			return 0
		case n/24%7 == 0:
			return 90_000 + random.Int64N(20_000)
		}
		return 9_000 + random.Int64N(2_000)
	},
	// Since ten days before the end.
	"fresh": func(n int, random *rand.Rand) int64 {
		if n < hoursAll-240 {
			return 0
		}
		return random.Int64N(1_000_000)
	},
	// What was ten times as much was taken back.
	"mended": func(n int, _ *rand.Rand) int64 { return 10_000 },
}

const (
	hoursAll = 12 * 7 * 24
	burst    = 10*7*24 + 3*24 + 11 // a Thursday
	silence  = 11*7*24 + 1*24 + 9  // a Tuesday
	mended   = 11*7*24 + 2*24 + 9
)

// TestAnomaliesAreFound is twelve weeks of agents with habits, each week asked for: what is outside
// them is found, and nothing else; what a correction takes back is not there any more.
//
// Seen to fail, with a line of the question changed: without any_change "flaky" is named 14 times
// in four weeks, without clock_change "nightly" three times; with "expected + 5" made "expected"
// so is "sessions"; with 0.001 for 0.1 a score is another one. Before the weeks were asked for
// together also: with the hours of the young bounded by their median "mondays" had all its Mondays
// named, and with reversals left out the last check failed.
func TestAnomaliesAreFound(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	start := at(t, "2026-02-02T00:00:00Z") // a Monday
	var b queries.EventBatch
	for name, usual := range rhythms {
		random := rand.New(rand.NewPCG(1, uint64(len(name))))
		for n := range hoursAll {
			if e := hourOf(name, "", start, n, usual(n, random)); len(e.Measurements) > 0 {
				b.Append(&e, named("node"), uint64(b.Rows()+1))
			}
		}
	}
	wrong := hourOf("mended", "wrong", start, mended, 90_000)
	b.Append(&wrong, named("node"), uint64(b.Rows()+1))
	if err := q.InsertEvents(t.Context(), "t", &b); err != nil {
		t.Fatal(err)
	}
	check := func(p schema.AnomaliesParams, from, to int, want ...string) {
		t.Helper()
		p.From = start.Add(time.Duration(from) * time.Hour)
		p.To = start.Add(time.Duration(to) * time.Hour)
		found, err := q.Anomalies(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, anomalyLines(found, start)); diff != "" {
			t.Errorf("hours %d to %d (-want +got):\n%s", from, to, diff)
		}
	}
	const week = 7 * 24
	const (
		newerBurst    = "newer 1571 INPUT 293670 9627 16 1432"
		officeBurst   = "office 1763 INPUT 117733 10028.5 8 980"
		officeSilence = "office 1881 INPUT 0 9667.5 8 -1671"
		mendedBurst   = "mended 1905 INPUT 100000 10000 8 2217"
	)
	all := schema.AnomaliesParams{Organization: named("acme"), Limit: 100}
	check(all, 0, 4*week)
	check(all, 4*week, 8*week)
	check(all, 8*week, 9*week)
	check(all, 9*week, 10*week, newerBurst)
	check(all, 10*week, 12*week, mendedBurst, officeSilence, officeBurst)
	check(all, burst, silence, officeBurst)

	one, other, first := all, all, all
	one.Agent = named("office")
	check(one, 10*week, 12*week, officeSilence, officeBurst)
	other.Organization = named("globex")
	check(other, 10*week, 12*week)
	first.Limit = 1
	check(first, 10*week, 12*week, mendedBurst)
	check(all, 12*week, 8*week)

	b.Reset()
	taken := reversed(wrong)
	b.Append(&taken, named("node"), 1)
	if err := q.InsertEvents(t.Context(), "taken back", &b); err != nil {
		t.Fatal(err)
	}
	check(all, 10*week, 12*week, officeSilence, officeBurst)
}

func less(a, b schema.Quantity) bool { return a.Add(b.Neg()).Sign() < 0 }

func anomalyLines(found []schema.Anomaly, start time.Time) []string {
	names := map[uuid.UUID]string{}
	for name := range rhythms {
		names[named(name)] = name
	}
	var lines []string
	for _, a := range found {
		if inside := !less(a.Quantity, a.Low) && !less(a.High, a.Quantity); inside ||
			less(a.Expected, a.Low) || less(a.High, a.Expected) {
			lines = append(lines, fmt.Sprint("bounds ", a.Low, " and ", a.High))
		}
		lines = append(lines, fmt.Sprint(names[a.Agent], " ", int(a.Hour.Sub(start).Hours()), " ",
			a.UsageType, " ", a.Quantity, " ", a.Expected, " ",
			a.Hours, " ", a.Score))
	}
	return lines
}

// hourOf returns an event of what an agent used in an hour, without measurements for nothing.
func hourOf(agent, id string, start time.Time, n int, amount int64) schema.Event {
	e := schema.Event{
		Organization: named("acme"), Agent: named(agent), ID: named(fmt.Sprint(agent, id, n)),
		Entry: schema.Record, Time: start.Add(time.Duration(n)*time.Hour + 10*time.Minute),
	}
	if amount > 0 {
		e.Measurements = []schema.Measurement{
			{UsageType: schema.Input, Quantity: schema.WholeQuantity(amount)},
		}
	}
	return e
}
