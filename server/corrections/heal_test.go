package corrections_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// refuse makes a table refuse inserts until allow is called.
func (w *world) refuse(table string) (allow func()) {
	w.t.Helper()
	w.db.Exec(fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT refuse CHECK 0", table))
	return func() { w.db.Exec(fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT refuse", table)) }
}

// briefly returns a context that ends before a correction that cannot be made gives up.
func briefly(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestHalfMadeIsFinished has the database refuse one step after another of a correction, and
// somebody else finish what was begun: a keeper, or the next correction, on another node.
func TestHalfMadeIsFinished(t *testing.T) {
	t.Parallel()
	for _, step := range []struct {
		refuses string
		made    bool // the correction is a fact before the step
	}{
		{"corrections", false},
		{"usage_events", true},
		{"billable_hourly", true},
		{"consumption_monthly", true},
		{"corrections_applied", true},
	} {
		t.Run(step.refuses, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			one, other := w.node(), w.node()
			e := event("one", 10)
			one.record(e)
			units := 10

			allow := w.refuse(step.refuses)
			_, err := one.Correct(briefly(t), addUnits(e, 1))
			if schema.KindOf(err) != schema.Unavailable {
				t.Fatalf("Correct = %v, want Unavailable", err)
			}
			allow()
			if step.made {
				units++
				w.found(other, "is not applied")
			}
			other.Start() // its keeper finishes
			w.eventually("the keeper to finish", func() bool {
				return w.total("consumption_monthly") == fmt.Sprintf("1 1 %d 0.75", units) &&
					!w.open()
			})
			other.Stop()
			w.check(other, fmt.Sprintf("1 1 %d 0.75", units))

			allow = w.refuse(step.refuses)
			if _, err := one.Correct(briefly(t), addUnits(e, 1)); err == nil {
				t.Fatal("the correction was made")
			}
			allow()
			if step.made {
				units++
			}
			if _, err := other.Correct(t.Context(), addUnits(e, 1)); err != nil {
				t.Fatal(err)
			}
			units++
			w.check(other, fmt.Sprintf("1 1 %d 0.75", units))
		})
	}
}

// TestLostAnswersAreReadBack has the engine do a step whose answer nobody hears.
func TestLostAnswersAreReadBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("one", 10)
	n.record(e)
	for i, table := range []string{"corrections", "usage_events", "corrections_applied"} {
		n.faults.loseAnswer(table)
		made, err := n.Correct(t.Context(), addUnits(e, 1))
		if err != nil || made.Event.Revision != uint32(i+1) {
			t.Errorf("%s: %+v, %v", table, made, err)
		}
		if got := n.faults.count(); got != i+1 {
			t.Errorf("%s: %d answers were lost, want %d", table, got, i+1)
		}
		w.check(n, fmt.Sprintf("1 1 %d 0.75", 11+i))
	}
}

// TestSlowWriterLoses has a writer read, another be first, and the slow one take up what that made.
func TestSlowWriterLoses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow, quick := w.node(), w.node()
	e := event("one", 10)
	slow.record(e)
	reads := 0
	p := addUnits(e, 1)
	add := p.Change
	p.Change = func(e schema.Event) (*schema.Event, error) {
		if reads++; reads == 1 {
			if _, err := quick.Correct(t.Context(), addUnits(e, 5)); err != nil {
				t.Error(err)
			}
			time.Sleep(1100 * time.Millisecond) // so long that the number is looked at again
		}
		if reads == 2 {
			if _, err := quick.Correct(t.Context(), addUnits(e, 5)); err != nil {
				t.Error(err)
			}
		}
		return add(e)
	}
	made, err := slow.Correct(t.Context(), p)
	if err != nil || made.Event.Revision != 3 || reads != 3 ||
		made.Event.Measurements[0].Quantity != schema.WholeQuantity(21) {
		t.Errorf("slow writer: %+v, %v after %d reads", made, err, reads)
	}
	w.check(quick, "1 1 21 0.75")
}

// TestForgottenTokenIsNoWayIn has a writer take so long that the table no longer knows the token of
// the number it saw free.
func TestForgottenTokenIsNoWayIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow, quick := w.node(), w.node()
	w.db.Exec("ALTER TABLE corrections MODIFY SETTING non_replicated_deduplication_window = 1")
	e := event("one", 10)
	slow.record(e)
	reads := 0
	p := addUnits(e, 1)
	add := p.Change
	p.Change = func(e schema.Event) (*schema.Event, error) {
		if reads++; reads == 1 {
			for range 3 {
				if _, err := quick.Correct(t.Context(), addUnits(e, 5)); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(1100 * time.Millisecond)
		}
		return add(e)
	}
	made, err := slow.Correct(t.Context(), p)
	if err != nil || made.Event.Revision != 4 || reads != 2 {
		t.Errorf("slow writer: %+v, %v after %d reads", made, err, reads)
	}
	w.check(quick, "1 1 26 0.75")
}

// TestLateWriterOfAnOldNumber sends a claim again long after its number was taken and applied: it
// changes nothing, and neither do the entries of an old correction.
func TestLateWriterOfAnOldNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("one", 10)
	n.record(e)
	for range 3 {
		if _, err := n.Correct(t.Context(), addUnits(e, 1)); err != nil {
			t.Fatal(err)
		}
	}
	first, ok, err := n.queries.Correction(t.Context(),
		queries.CorrectionParams{Organization: acme, Number: 1})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	late := first
	late.ID, late.Entries = named("late"), "not the same"
	if err := n.queries.InsertCorrection(t.Context(), late, time.Second); err != nil {
		t.Fatal(err)
	}
	var batch queries.EventBatch
	if err := ingest.ReadEvents(first.Entries, func(e *schema.Event) error {
		batch.Append(e, schema.CorrectionsNode(acme), 1)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	token := fmt.Sprintf("correction:%s:%d", acme, 1)
	if err := n.queries.InsertEvents(t.Context(), token, &batch); err != nil {
		t.Fatal(err)
	}
	if err := n.queries.MarkCorrectionApplied(t.Context(),
		queries.CorrectionParams{Organization: acme, Number: 1}); err != nil {
		t.Fatal(err)
	}
	w.check(n, "1 1 13 0.75")
	if _, err := n.Correct(t.Context(), addUnits(e, 1)); err != nil {
		t.Fatal(err)
	}
	w.check(n, "1 1 14 0.75")
}

// TestVerifySeesABrokenJournal breaks what no token can mend once it is forgotten.
func TestVerifySeesABrokenJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("one", 10)
	n.record(e)
	for range 3 {
		if _, err := n.Correct(t.Context(), addUnits(e, 1)); err != nil {
			t.Fatal(err)
		}
	}
	w.verify(n)
	const again = ` SELECT organization_id, number, generateUUIDv4(), corrected_at, actor, reason,
		events, entries FROM corrections WHERE number = 2`
	w.db.Exec("INSERT INTO corrections" + again)
	w.found(n, "is in the journal more than once")
	w.db.Exec("ALTER TABLE corrections DELETE WHERE number = 2 SETTINGS mutations_sync = 2")
	w.found(n, "is applied and not in the journal",
		"is the newest, and numbers before it are missing")
}

// TestVerifySeesTwoRevisions writes what two winners of one number would have written.
func TestVerifySeesTwoRevisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e, other, quiet := event("one", 10), event("other", 10), event("quiet", 1)
	n.record(e, other, quiet)
	for _, e := range []schema.Event{e, other} {
		if _, err := n.Correct(t.Context(), addUnits(e, 1)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(token string, number uint64, e schema.Event) {
		t.Helper()
		var batch queries.EventBatch
		batch.Append(&e, schema.CorrectionsNode(acme), number)
		if err := n.queries.InsertEvents(t.Context(), token, &batch); err != nil {
			t.Fatal(err)
		}
	}
	const negative = "is reversed more than once, or reversed and never recorded"
	second := n.revisions(e)[0].Event
	second.Entry = schema.Reversal
	write("reversed twice", 1, second)
	w.found(n, negative)
	third := n.revisions(other)[1].Event
	third.Revision = 3
	write("two at once", 2, third)
	w.found(n, negative, "counts in more than one revision")
	write("recorded twice", 2, third)
	w.found(n, negative, "counts more than once")
	ghost := quiet
	ghost.ID, ghost.Entry = named("ghost"), schema.Reversal
	write("never recorded", 1, ghost)
	w.found(n, negative, "counts more than once",
		"has more events in the ledger than in the journal")
}

// found fails the test unless verify finds these problems and no other.
func (w *world) found(n *node, problems ...string) {
	w.t.Helper()
	defects, err := n.queries.VerifyCorrections(w.t.Context(), queries.VerifyParams{})
	if err != nil {
		w.t.Fatal(err)
	}
	want, got := make(map[string]bool), make(map[string]bool)
	for _, p := range problems {
		want[p] = true
	}
	for _, d := range defects {
		got[d.Problem] = true
	}
	events, err := n.queries.VerifyEvents(w.t.Context(), queries.VerifyParams{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range events {
		got[d.Problem()] = true
	}
	for p := range got {
		if !want[p] {
			w.t.Errorf("verify found that something %s: %+v %+v", p, defects, events)
		}
	}
	for p := range want {
		if !got[p] {
			w.t.Errorf("verify did not find that something %s: %+v", p, defects)
		}
	}
}

// open reports whether any correction is written and not applied.
func (w *world) open() bool {
	return w.db.Strings(`SELECT toString((SELECT sum(number) FROM
		(SELECT max(number) AS number FROM corrections GROUP BY organization_id)) !=
		(SELECT sum(number) FROM
		(SELECT max(number) AS number FROM corrections_applied GROUP BY organization_id)))`)[0] == "1"
}

func (w *world) eventually(what string, reached func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !reached(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
