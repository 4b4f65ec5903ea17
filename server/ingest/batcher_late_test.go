package ingest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meterhouse/meterhouse/queries"
)

// TestRefusalsKeepNoTokenYoung: the answer to a try is lost, and then ClickHouse refuses for longer
// than it remembers a token. That it answers says nothing of the first try: where an answer makes
// the batch young again, all three events are there twice.
func TestRefusalsKeepNoTokenYoung(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	var offset atomic.Int64
	tries, allow := 0, func() {}
	var s tap
	s.before = func(_ int, token string) error {
		if !strings.Contains(token, ":1-3:") {
			return nil
		}
		if tries++; tries > 1 {
			offset.Add(int64(tokenTrust * 2 / 3))
		}
		if tries == 4 {
			allow()
			l.forgetTokens()
		}
		return nil
	}
	s.after = func(int, string) error {
		if tries == 1 {
			allow = l.refuse("usage_events", "0")
			return errors.New("connection reset")
		}
		return nil
	}
	c := l.config(t.TempDir(), &s)
	c.poisonAge = time.Hour
	c.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	in := mustOpen(t, c)
	in.Start()
	l.record(in, "", 3)
	flush(t, in)
	stop(t, in)
	l.wantOnce()
}

// appearing is a ledger in which an earlier try becomes visible in two steps.
type appearing struct {
	*tap
	asked int
}

func (a *appearing) BatchSequences(
	context.Context, queries.BatchSequencesParams,
) (map[uint64]struct{}, error) {
	if a.asked++; a.asked == 1 {
		return map[uint64]struct{}{1: {}}, nil
	}
	return map[uint64]struct{}{1: {}, 2: {}, 3: {}}, nil
}

// TestPartOfABatchMayGrow: an old batch's earlier try is under way while the ledger is asked, and
// one of its two months is there. Where the rest is sent at once, under its other token, two events
// are there twice. What is there whole is no sign that ClickHouse takes anything: nothing was sent.
func TestPartOfABatchMayGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		down := func(int, string) error { return errors.New("down") }
		in := mustOpen(t, testConfig(dir, &tap{before: down}))
		in.Start()
		record(t, in, event(""), event(""), event(""))
		time.Sleep(time.Second)
		if p, err := in.log.progress(); err != nil || len(p.Fixed) != 1 {
			t.Fatalf("progress %+v, %v", p, err)
		}
		abandon(in)
		store := &tap{}
		c := testConfig(dir, store)
		c.Ledger = &appearing{tap: store}
		c.Now = func() time.Time { return time.Now().Add(time.Hour) }
		in = mustOpen(t, c)
		in.Start()
		time.Sleep(2 * time.Minute)
		stop(t, in)
		tokens, rows := store.stored()
		if accepted := in.batcher.accepted.Load(); rows > 0 || accepted > 0 || in.Pending() > 0 {
			t.Errorf("%d rows are sent under %q, %d inserts accepted, %d events left",
				rows, tokens, accepted, in.Pending())
		}
	})
}
