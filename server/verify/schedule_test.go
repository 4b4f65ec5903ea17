package verify_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/verify"
)

// TestADifferenceStaysFound damages a day to which nothing is written any more. With every
// verification but the first one of new days only, the second says that all is well.
func TestADifferenceStaysFound(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	store(t, q, named("node"), 5, someDay)
	db.Exec("ALTER TABLE billable_hourly DROP PARTITION 202603")
	registry := prometheus.NewRegistry()
	v := verify.New(verify.Config{Queries: q, Settle: time.Millisecond})
	s := verify.NewSchedule(verify.ScheduleConfig{
		Verifier: v, Node: named("node"), Every: 20 * time.Millisecond, Now: time.Now,
		Logger: slog.New(slog.DiscardHandler), Metrics: registry,
	})
	s.Start()
	defer s.Stop()
	runs := func() map[string]float64 {
		t.Helper()
		return gathered(t, registry, "meterhouse_verify_runs_total")
	}
	await := func(result string, times float64) map[string]float64 {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if got := runs(); got[result] >= times || time.Now().After(deadline) {
				return got
			}
		}
	}
	if got := await("differences", 2); got["clean"] > 0 || got["differences"] < 2 {
		t.Errorf("of a difference that nobody mended: %v", got)
	}
	if err := v.Rebuild(t.Context(), verify.RebuildParams{
		From: someDay, To: someDay.AddDate(0, 0, 1), Tables: []string{queries.BillableHourly},
	}); err != nil {
		t.Fatal(err)
	}
	if got := await("clean", 1); got["clean"] < 1 {
		t.Errorf("after it was mended: %v", got)
	}
}

// TestWhoHandsOverSaysNothing finds a difference and is not the node that verifies any more: whether
// it is mended only the other one knows. Without handOver its gauge and its status stay for ever.
func TestWhoHandsOverSaysNothing(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	store(t, q, named("node"), 5, someDay)
	db.Exec("ALTER TABLE billable_hourly DROP PARTITION 202603")
	registry := prometheus.NewRegistry()
	s := verify.NewSchedule(verify.ScheduleConfig{
		Verifier: verify.New(verify.Config{
			Queries: q, Settle: time.Millisecond, HoldWait: time.Second, // the other keeps none
		}),
		Node: uuid.Max, Every: 20 * time.Millisecond, Now: time.Now,
		Logger: slog.New(slog.DiscardHandler), Metrics: registry,
	})
	s.Start()
	defer s.Stop()
	await := func(what string, is func(differences float64) bool) {
		t.Helper()
		differences := 0.0
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			differences = 0
			for _, m := range gathered(t, registry, "meterhouse_verify_differences") {
				differences += m
			}
			if is(differences) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v differences, %+v", what, differences, s.Status())
			}
		}
	}
	await("alone", func(n float64) bool { return n > 0 && s.Status().Result == "differences" })
	other, later := uuid.UUID{15: 1}, time.Now().Add(time.Hour) // it runs until then
	say(t, q, queries.Node{ID: other, SaidAt: later})
	await("another verifies", func(n float64) bool { return n == 0 && s.Status().Result == "" })
	say(t, q, queries.Node{ID: other, SaidAt: later.Add(time.Minute), Stopped: true})
	await("the other is gone", func(n float64) bool { return n > 0 })
}

// gathered returns the values of a metric by its label.
func gathered(t *testing.T, r *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			all[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

// TestAHalfStoredBatchIsNoFinding has a node whose batch is in the ledger and not behind every view
// yet, for longer than looks are apart: it is whole when the node keeps the hold. With two looks
// and no hold, its events have no place and its dimension no description.
func TestAHalfStoredBatchIsNoFinding(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	store(t, q, named("node"), 5, someDay)
	db.Exec("TRUNCATE TABLE event_places")
	db.Exec("TRUNCATE TABLE dimensions")
	say(t, q, queries.Node{ID: named("node"), Stored: 5})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := endInsert(t.Context(), q); err != nil {
			t.Error(err)
		}
	}()
	v := verify.New(verify.Config{Queries: q, Settle: time.Millisecond})
	if got := texts(t, v); got != "" {
		t.Errorf("found %q", got)
	}
	<-done
}

// endInsert waits for a hold, ends an insert as its node does, and says that the hold is kept.
func endInsert(ctx context.Context, q *queries.Queries) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	now, hold, err := q.Hold(ctx)
	for ; err == nil && hold.ID == uuid.Nil; now, hold, err = q.Hold(ctx) {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		return err
	}
	p := queries.RebuildParams{From: someDay, To: someDay.AddDate(0, 0, 1)}
	return errors.Join(q.RebuildDimensions(ctx, p), q.RebuildEventPlaces(ctx, p), q.SayNode(ctx,
		queries.Node{ID: named("node"), Stored: 5, SaidAt: now, Hold: hold.ID}))
}
