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
	store(t, q, named("node"), 50, someDay)
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
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		all := make(map[string]float64)
		for _, f := range families {
			if f.GetName() != "meterhouse_verify_runs_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				all[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
		return all
	}
	await := func(result string, times float64) map[string]float64 {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if got := runs(); got[result] >= times || time.Now().After(deadline) {
				return got
			}
		}
	}
	if got := await("differences", 3); got["clean"] > 0 || got["differences"] < 3 {
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

// TestAHalfStoredBatchIsNoFinding has a node whose batch is in the ledger and not behind every view
// yet, for longer than looks are apart: it is whole when the node keeps the hold. With two looks
// and no hold, its events have no place and its dimension no description.
func TestAHalfStoredBatchIsNoFinding(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	store(t, q, named("node"), 20, someDay)
	db.Exec("TRUNCATE TABLE event_places")
	db.Exec("TRUNCATE TABLE dimensions")
	say(t, q, queries.Node{ID: named("node"), Stored: 20})
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
		queries.Node{ID: named("node"), Stored: 20, SaidAt: now, Hold: hold.ID}))
}
