package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// analysts asks a database that takes a second for the first row of rows.
type analysts struct {
	*usageReads
	rows    int64
	fails   error
	asked   atomic.Int64
	running atomic.Int64
	atOnce  atomic.Int64 // the most that ran
	version atomic.Int64
}

func newAnalysts(rows int64, atOnce int) *analysts {
	a := &analysts{rows: rows}
	metrics := newReadMetrics()
	a.usageReads = &usageReads{
		queries: a, reads: newReads(time.Now, metrics), turns: newTurns(atOnce, metrics),
		answers: newAnswers(),
	}
	return a
}

func (a *analysts) Usage(
	ctx context.Context, _ schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	n := a.asked.Add(1)
	a.atOnce.Store(max(a.atOnce.Load(), a.running.Add(1)))
	defer a.running.Add(-1)
	select {
	case <-time.After(time.Second / 5):
	case <-ctx.Done():
		return ctx.Err()
	}
	for range a.rows {
		if err := each(schema.UsageRow{Events: n}); err != nil {
			return err
		}
	}
	return a.fails
}

func (a *analysts) UsageVersion(context.Context, schema.UsageQuery) (string, error) {
	return fmt.Sprint(a.version.Add(1)), nil
}

func (a *analysts) Anomalies(
	context.Context, schema.AnomaliesParams,
) ([]schema.Anomaly, error) {
	return nil, nil
}

var analyst = uuid.New()

// read returns how many rows there were, and which question they answer.
func (a *analysts) read(ctx context.Context, q schema.UsageQuery) (rows, of int64, err error) {
	if q.Organization == uuid.Nil {
		q.Organization = analyst
	}
	err = a.Query(ctx, q, func(r schema.UsageRow) error {
		rows, of = rows+1, r.Events
		return nil
	})
	return rows, of, err
}

func (a *analysts) answer(t *testing.T, q schema.UsageQuery, rows, of int64) {
	t.Helper()
	gotRows, gotOf, err := a.read(t.Context(), q)
	if err != nil || gotRows != rows || of > 0 && gotOf != of {
		t.Errorf("%d rows of question %d, %v; want %d of %d", gotRows, gotOf, err, rows, of)
	}
}

// TestAnalystsShare what is the same question, and nothing else. With lead not ending its flight
// with the rows, it does not end.
func TestAnalystsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnalysts(3, 4)
		q := schema.UsageQuery{Granularity: schema.Day, Zone: time.UTC}
		for range 10 {
			go a.answer(t, q, 3, 1)
		}
		time.Sleep(time.Second / 4)
		a.answer(t, q, 3, 1) // kept
		synctest.Wait()
		q.Filters = map[schema.Dimension][]string{schema.DimensionModel: {"\xff"}}
		a.answer(t, q, 3, 2)
		q.Filters = map[schema.Dimension][]string{schema.DimensionModel: {"\xfe"}}
		a.answer(t, q, 3, 3)
		q.Zone = time.FixedZone("elsewhere", 0)
		a.answer(t, q, 3, 4)
		q.Organization = uuid.New()
		a.answer(t, q, 3, 5)
	})
}

// TestLargeAnswersAreTheirAskers: they are not collected, and who joined asks by himself. With
// sharedRows without end, both get question 1's.
func TestLargeAnswersAreTheirAskers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnalysts(sharedRows+5, 4)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { a.answer(t, schema.UsageQuery{}, sharedRows+5, 0) })
		}
		wg.Wait()
		if n := a.asked.Load(); n != 2 {
			t.Errorf("%d questions", n)
		}
		a.rows = sharedRows
		wg.Go(func() { a.answer(t, schema.UsageQuery{}, sharedRows, 3) })
		wg.Go(func() { a.answer(t, schema.UsageQuery{}, sharedRows, 3) })
		wg.Wait()
	})
}

// TestAnAnalystWhoGoes takes nobody along: the next one asks. Without the End that is deferred in
// lead, who joined waits until its time is up; with Query not asking again, it has an error.
func TestAnAnalystWhoGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnalysts(3, 4)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/10)
		defer cancel()
		go func() {
			if _, _, err := a.read(ctx, schema.UsageQuery{}); err == nil {
				t.Error("who went has an answer")
			}
		}()
		synctest.Wait()
		a.answer(t, schema.UsageQuery{}, 3, 2)
	})
}

// TestWhatFailsFailsForAll who asked it: heavy questions that take too much are not asked again by
// each. With lead telling ErrGone instead, they ask one after another.
func TestWhatFailsFailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnalysts(0, 4)
		a.fails = schema.Errorf(schema.TooLarge, "", "too much")
		for range 10 {
			go func() {
				if _, _, err := a.read(t.Context(), schema.UsageQuery{}); schema.KindOf(err) !=
					schema.TooLarge {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if n := a.asked.Load(); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

// TestVersionsAreNotNewerThanAnswers: a client that was told a version gets an answer from after
// it. Without Forget, the last answer is question 3's, older than version 3.
func TestVersionsAreNotNewerThanAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnalysts(1, 4)
		f := func(version string, of int64) {
			t.Helper()
			got, err := a.Version(t.Context(), schema.UsageQuery{Organization: analyst})
			if err != nil || got != version {
				t.Errorf("version %s, want %s: %v", got, version, err)
			}
			a.answer(t, schema.UsageQuery{}, 1, of)
		}
		f("1", 1)
		time.Sleep(time.Second / 10)
		f("1", 1)
		time.Sleep(time.Second / 10)
		a.answer(t, schema.UsageQuery{}, 1, 1)
		time.Sleep(keepAnswers)
		f("2", 2)
		time.Sleep(time.Second / 4)
		a.reads.group.Renew(analyst)
		a.answer(t, schema.UsageQuery{}, 1, 3)
		f("3", 4)
	})
}

// TestAnalystsTakeTurns: so many at once, and another organization's before one's second. Whoever
// has no turn in time is told when to come back. With take letting everybody in, 6 run at once.
func TestAnalystsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnalysts(1, 2)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() { a.answer(t, schema.UsageQuery{Top: i}, 1, 0) })
		}
		synctest.Wait()
		if n := a.running.Load(); n != 1 {
			t.Errorf("one organization runs %d of two", n)
		}
		began := time.Now()
		a.answer(t, schema.UsageQuery{Organization: uuid.New()}, 1, 0)
		if took := time.Since(began); took != time.Second/5 {
			t.Errorf("another organization waited %v", took)
		}
		wg.Wait()
		if n := a.atOnce.Load(); n > 2 {
			t.Errorf("%d at once", n)
		}
	})
}

// TestTurnsEnd for who waits too long, for who is one too many, and for who goes; nothing is left.
func TestTurnsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(2, newReadMetrics())
		give, err := turns.take(t.Context(), analyst)
		if err != nil {
			t.Fatal(err)
		}
		f := func(what string, ctx context.Context, want schema.Kind, after time.Duration) {
			t.Helper()
			began := time.Now()
			_, err := turns.take(ctx, analyst)
			e := (*schema.Error)(nil)
			if time.Since(began) != after || schema.KindOf(err) != want ||
				errors.As(err, &e) && e.RetryAfter != turnRetry {
				t.Errorf("%s: %v after %v", what, err, time.Since(began))
			}
		}
		f("too long", t.Context(), schema.Overloaded, turnWait)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f("gone", ctx, schema.Internal, time.Second)
		for range turnsQueue {
			go func() { _, _ = turns.take(t.Context(), analyst) }()
		}
		synctest.Wait()
		f("one too many", t.Context(), schema.Overloaded, 0)
		time.Sleep(turnWait)
		synctest.Wait()
		give()
		if give, err = turns.take(t.Context(), analyst); err != nil {
			t.Fatal(err)
		}
		give()
	})
}

// TestWhatWasPromisedIsShown: a correction and an erasure, also ones that failed, make the next
// read ask anew. Without Renew in each, it gets question 1's answer.
func TestWhatWasPromisedIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnalysts(1, 4)
		of := int64(1)
		a.answer(t, schema.UsageQuery{}, 1, of)
		for _, promise := range []func(){
			func() {
				c := &corrector{failing{}, a.reads.group}
				_, _ = c.Correct(t.Context(), dialect.CorrectParams{Organization: analyst})
			},
			func() {
				e := &erasures{failing{}, a.reads.group}
				_, _ = e.Erase(t.Context(), analyst, uuid.New(), "")
			},
		} {
			a.answer(t, schema.UsageQuery{}, 1, of)
			promise()
			of++
			a.answer(t, schema.UsageQuery{}, 1, of)
		}
	})
}

type failing struct{}

func (failing) Correct(context.Context, dialect.CorrectParams) (dialect.Revision, error) {
	return dialect.Revision{}, errors.New("failed")
}

func (failing) Erase(
	context.Context, uuid.UUID, uuid.UUID, string,
) (schema.Erasure, error) {
	return schema.Erasure{}, errors.New("failed")
}
