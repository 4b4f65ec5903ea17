package queries_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestOneWriterWinsABatch lets sixteen writers fix different intents under one number: over one
// month or two, of one slot or of others. With tokens that differed four had won; with the table
// partitioned by month rows of three writers were there, for one of them had won.
func TestOneWriterWinsABatch(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	for round := range 4 {
		number := uint64(round + 1)
		won := make([]bool, 16)
		var all sync.WaitGroup
		for w := range won {
			all.Go(func() {
				b := queries.IntentBatch{Number: number, ID: uuid.New()}
				for i := range 1 + w%3 {
					s := l.slot(fmt.Sprint("o", w%4), "usage", 24*30*i)
					intent := l.intent(s, uint32(number), int64(w))
					intent.Writer = named(fmt.Sprint("writer ", w))
					b.Intents = append(b.Intents, intent)
				}
				if err := l.q.FreezeIntents(t.Context(), b, time.Minute); err != nil {
					t.Error(err)
				}
				ok, err := l.q.BatchFrozen(t.Context(), b)
				if err != nil {
					t.Error(err)
				}
				won[w] = ok
			})
		}
		all.Wait()
		winner := slices.Index(won, true)
		if winner < 0 || slices.Contains(won[winner+1:], true) {
			t.Fatalf("round %d: won %v", round, won)
		}
		got := l.db.Strings(`SELECT toString(writer), toString(count()) FROM report_intents
			WHERE batch = ? GROUP BY writer`, number)
		want := fmt.Sprint(named(fmt.Sprint("writer ", winner)), " ", 1+winner%3)
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("round %d (-want +got):\n%s", round, diff)
		}
	}
	if newest, err := l.q.NewestBatch(t.Context()); newest != 4 || err != nil {
		t.Errorf("NewestBatch = %d, %v", newest, err)
	}
	for _, b := range []queries.IntentBatch{
		{ID: uuid.New(), Intents: make([]schema.Intent, 1)},
		{Number: 5, Intents: make([]schema.Intent, 1)},
		{Number: 5, ID: uuid.New()},
	} {
		if err := l.q.FreezeIntents(t.Context(), b, time.Minute); err == nil {
			t.Errorf("%+v was frozen", b)
		}
	}
}

// TestOneWriterWinsACarry lets sixteen writers carry different units under one number. With tokens
// that differed more than one had won.
func TestOneWriterWinsACarry(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	s := l.slot("o1", "usage", 900)
	for round := range 4 {
		won := make([]bool, 16)
		var all sync.WaitGroup
		for w := range won {
			all.Go(func() {
				c := schema.Carry{
					Organization: s.Organization, Meter: s.Meter, From: s.Start,
					Number: uint32(round + 1), ID: uuid.New(), To: l.hour(w),
					Units: int64(w), CreatedAt: l.now, Writer: named("writer"),
				}
				if err := l.q.InsertCarry(t.Context(), c, time.Minute); err != nil {
					t.Error(err)
				}
				ok, err := l.q.CarryWritten(t.Context(), c)
				if err != nil {
					t.Error(err)
				}
				won[w] = ok
			})
		}
		all.Wait()
		winner := slices.Index(won, true)
		if winner < 0 || slices.Contains(won[winner+1:], true) {
			t.Fatalf("round %d: won %v", round, won)
		}
		there, err := l.q.SlotCarries(t.Context(), s)
		if err != nil || len(there) != round+1 || there[round].Units != int64(winner) {
			t.Errorf("round %d: %+v, %v, want %d of writer %d", round, there, err, round+1, winner)
		}
	}
}

// TestStateIsTheGreatestVerdict writes outcomes in random order and pieces, some twice, and folds
// them in Go.
func TestStateIsTheGreatestVerdict(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	r := rand.New(rand.NewPCG(3, 4))
	verdicts := []schema.Verdict{
		schema.Unknown, schema.Retry, schema.Rotate, schema.Abandoned, schema.Rejected,
		schema.KeyConflict, schema.Accepted, schema.Duplicate, schema.Settled, schema.Refused,
		schema.Differs,
	}
	var said []schema.Outcome
	want := map[string]queries.Reported{}
	for i := range 60 {
		s := l.slot(fmt.Sprint("o", i), "usage", 3)
		w := queries.Reported{Slot: s, Customer: "cus", Item: "si", Settled: true}
		for revision := range uint32(1 + r.IntN(4)) {
			total := r.Int64N(1000)
			l.freeze(l.intent(s, revision+1, total))
			state := schema.NotSent
			for range r.IntN(4) {
				v := verdicts[r.IntN(len(verdicts))]
				state = max(state, v)
				said = append(said, schema.Outcome{
					Slot: s, Revision: revision + 1, Verdict: v, At: l.now,
				})
			}
			w.Latest = revision + 1
			w.Settled = !state.Open()
			if state.Delivered() {
				w.Told = total
			}
		}
		want[s.Organization.String()] = w
	}
	l.flush()
	said = append(said, said[:len(said)/3]...)
	r.Shuffle(len(said), func(i, j int) { said[i], said[j] = said[j], said[i] })
	for len(said) > 0 {
		n := min(len(said), 1+r.IntN(60))
		if err := l.q.InsertOutcomes(t.Context(), said[:n]); err != nil {
			t.Fatal(err)
		}
		said = said[n:]
	}
	got, err := l.q.Reported(t.Context(), queries.ReportedParams{
		Mode: schema.Preaggregated, From: l.hour(3), To: l.hour(2), Settled: l.now,
	})
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d slots, %v, want %d", len(got), err, len(want))
	}
	for _, g := range got {
		if diff := cmp.Diff(want[g.Slot.Organization.String()], g); diff != "" {
			t.Errorf("%s (-want +got):\n%s", g.Slot, diff)
		}
	}
}
