package ingest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// TestLostCheckpointCountsNothingTwice: what the log still has is partly in the ledger: batches that
// were noted, one whose answer was lost, and of the rest nothing. Where doubted says no, or the
// ledger is not asked, the first fifteen events are counted twice, in the ledger and every rollup.
func TestLostCheckpointCountsNothingTwice(t *testing.T) {
	l := newLedger(t)
	dir := t.TempDir()
	var down, lost atomic.Bool
	store := &tap{
		before: func(int, string) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		},
		after: func(int, string) error {
			if lost.Load() {
				down.Store(true)
				return errors.New("the answer is lost")
			}
			return nil
		},
	}
	in := mustOpen(t, l.config(dir, store))
	in.Start()
	l.record(in, "noted", 10)
	flush(t, in)
	lost.Store(true)
	l.record(in, "unanswered", 5)
	waitFor(t, down.Load)
	l.record(in, "unsent", 7)
	node := in.Node()
	abandon(in)
	for _, d := range []string{dir, filepath.Join(dir, "wal")} {
		if err := os.Remove(filepath.Join(d, checkpointName)); err != nil {
			t.Fatal(err)
		}
	}

	c := l.config(dir, &tap{})
	c.InsertTimeout = 3 * time.Second
	in = mustOpen(t, c)
	in.Start()
	if in.Node() != node {
		t.Errorf("the node is %s, was %s", in.Node(), node)
	}
	l.record(in, "after", 3)
	flush(t, in)
	stop(t, in)
	l.wantOnce()
	aside, err := Aside(dir)
	if err != nil || len(aside) != 1 || aside[0].Kind != KindGap || aside[0].Node != node ||
		aside[0].First != 23 || aside[0].Last != 22+skipped {
		t.Errorf("aside is %+v, %v, want the sequences that were left out", aside, err)
	}
}

// TestMissingSegmentTakesNothingElse: of a log of several segments, all unsent, one is missing: the
// ledger and the rollups have all other events, once.
func TestMissingSegmentTakesNothingElse(t *testing.T) {
	l := newLedger(t)
	dir := t.TempDir()
	c := l.config(dir, &tap{before: func(int, string) error { return errors.New("down") }})
	c.segment = 2000
	in := mustOpen(t, c)
	in.Start()
	byEntry := []int64{0}
	for range 40 {
		l.record(in, "model", 1)
		byEntry = append(byEntry, l.serials)
	}
	abandon(in)
	all, err := filepath.Glob(filepath.Join(dir, "wal", "*.wal"))
	if err != nil || len(all) < 3 {
		t.Fatalf("segments %q, %v", all, err)
	}
	first, last := sequences(t, all[1])
	if err := os.Remove(all[1]); err != nil {
		t.Fatal(err)
	}
	for s := first; s <= last; s++ {
		l.events--
		l.model -= byEntry[s]
	}
	c = l.config(dir, &tap{})
	c.segment = 2000
	in = mustOpen(t, c)
	in.Start()
	l.record(in, "after", 1)
	flush(t, in)
	stop(t, in)
	l.wantOnce()
	aside, err := Aside(dir)
	if err != nil || len(aside) != 1 || aside[0].Kind != KindDamage ||
		aside[0].First != first || aside[0].Last != last {
		t.Errorf("aside is %+v, %v, want the sequences %d-%d", aside, err, first, last)
	}
}

// TestClockMayJump: ids, sequences, batches and known keys are as ever when the clock goes an hour
// back, and when it goes on.
func TestClockMayJump(t *testing.T) {
	var offset atomic.Int64
	store := &tap{}
	c := testConfig(t.TempDir(), store)
	c.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	in := mustOpen(t, c)
	in.Start()
	newest := uint64(0)
	keyed := event("said before")
	record(t, in, keyed)
	for _, jump := range []time.Duration{0, -time.Hour, time.Hour, 24 * time.Hour, -time.Minute} {
		offset.Store(int64(jump))
		for range 3 {
			r, err := in.Record(context.Background(), []schema.Event{event("")}, false)
			if err != nil || r.Sequence <= newest {
				t.Fatalf("%v: sequence %d after %d, %v", jump, r.Sequence, newest, err)
			}
			newest = r.Sequence
		}
		r, err := in.Record(context.Background(), []schema.Event{keyed}, false)
		if err != nil || r.Duplicates != 1 {
			t.Errorf("%v: receipt %+v, %v, want a duplicate", jump, r, err)
		}
		flush(t, in)
	}
	stop(t, in)
	tokens, rows := store.stored()
	if rows != 16 || len(tokens) == 0 || !strings.Contains(tokens[len(tokens)-1], "-16:") {
		t.Errorf("%d rows under %q, want 16", rows, tokens)
	}
}
