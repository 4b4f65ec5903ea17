package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// ledger is a database and what should be in it.
type ledger struct {
	*schematest.Database
	*queries.Queries
	t       testing.TB
	model   int64 // the sum of the quantities of every event that was acknowledged
	events  int64
	serials int64
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	db := schematest.New(t)
	q, err := queries.Open(t.Context(), queries.Config{Options: db.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return &ledger{Database: db, Queries: q, t: t}
}

// config is a node's on this database, whose inserts go by the tap.
func (l *ledger) config(dir string, s *tap) Config {
	s.behind = l.Queries
	c := testConfig(dir, s)
	c.Ledger = l
	c.poisonAge = 100 * time.Millisecond
	return c
}

// InsertEvents goes by no tap.
func (l *ledger) InsertEvents(ctx context.Context, token string, b *queries.EventBatch) error {
	return l.Queries.InsertEvents(ctx, token, b)
}

// record has a node accept events of a model, each of a quantity of its own.
func (l *ledger) record(in *Ingest, model string, n int) {
	l.t.Helper()
	var all []schema.Event
	for range n {
		l.serials++
		e := event("")
		e.Model = model
		e.Measurements[0].Quantity = schema.WholeQuantity(l.serials)
		all = append(all, e)
		l.model += l.serials
		l.events++
	}
	record(l.t, in, all...)
}

// wantOnce fails the test unless the ledger and every rollup have each acknowledged event once.
func (l *ledger) wantOnce() {
	l.t.Helper()
	want := fmt.Sprintf("%d %d", l.events, l.model)
	for _, table := range []string{
		"usage_events", "agent_usage_15m", "billable_hourly", "consumption_daily",
		"consumption_monthly",
	} {
		if got := l.sum(table); got != want {
			l.t.Errorf("%s has %s, want %s", table, got, want)
		}
	}
}

// sum returns how many measurements a table has, and the sum of their quantities.
func (l *ledger) sum(table string) string {
	l.t.Helper()
	count := "sum(measurements)"
	if table == "usage_events" {
		count = "count()"
	}
	return l.Strings(fmt.Sprintf("SELECT concat(toString(%s), ' ', toString(sum(quantity))) "+
		"FROM %s WHERE organization_id = '%s'", count, table, organization))[0]
}

// TestTwoBatchesAreInFlight: never three; one that is stored before an earlier one waits for it, and
// nobody is told that it is stored. Where a later batch takes the earlier ones with it, the first
// four events are called stored before anything of them is.
func TestTwoBatchesAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := map[string]chan struct{}{}
		var mu sync.Mutex
		var flying []string
		store := &tap{before: func(_ int, token string) error {
			bounds := strings.Split(token, ":")[1]
			mu.Lock()
			flying = append(flying, bounds)
			ch := release[bounds]
			mu.Unlock()
			<-ch
			return nil
		}}
		c := testConfig(t.TempDir(), store)
		c.BatchRowsMax = 2
		for _, bounds := range []string{"1-2", "3-4", "5-6", "7-8"} {
			release[bounds] = make(chan struct{})
		}
		in := mustOpen(t, c)
		in.Start()
		for range 4 {
			record(t, in, event(""), event(""))
		}
		want := func(stored uint64, sent ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			seen := map[string]bool{}
			for _, bounds := range flying {
				seen[bounds] = true
			}
			for _, bounds := range sent {
				if !seen[bounds] {
					t.Errorf("%s was not sent, of %v", bounds, flying)
				}
			}
			if len(seen) != len(sent) {
				t.Errorf("%v were sent, want %v", flying, sent)
			}
			in.batcher.mu.Lock()
			defer in.batcher.mu.Unlock()
			if in.batcher.sequence != stored {
				t.Errorf("stored up to %d, want %d", in.batcher.sequence, stored)
			}
		}
		want(0, "1-2", "3-4")
		close(release["3-4"])
		want(0, "1-2", "3-4")
		close(release["1-2"])
		want(4, "1-2", "3-4", "5-6", "7-8")
		close(release["7-8"])
		want(4, "1-2", "3-4", "5-6", "7-8")
		close(release["5-6"])
		want(8, "1-2", "3-4", "5-6", "7-8")
		stop(t, in)
	})
}

// TestBusyBatchesWaitLonger: a few events are sent after BatchAge; where many come, and go on coming,
// they gather for twice as long.
func TestBusyBatchesWaitLonger(t *testing.T) {
	f := func(events int, going time.Duration, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			store := &tap{}
			c := testConfig(t.TempDir(), store)
			c.BatchAge, c.BatchRowsMax = 400*time.Millisecond, 1000
			in := mustOpen(t, c)
			in.Start()
			began := time.Now()
			for range events {
				record(t, in, event(""))
			}
			for rows := 0; rows == 0; _, rows = store.stored() {
				time.Sleep(10 * time.Millisecond)
				if time.Since(began) < going {
					record(t, in, event(""))
				}
			}
			if took := time.Since(began).Round(50 * time.Millisecond); took != want {
				t.Errorf("%d events, and more for %v, were sent after %v, want %v",
					events, going, took, want)
			}
			stop(t, in)
		})
	}
	f(1, 0, 400*time.Millisecond)
	f(1, 300*time.Millisecond, 400*time.Millisecond)
	f(40, 0, 400*time.Millisecond)
	f(40, 500*time.Millisecond, 600*time.Millisecond)
	f(40, time.Second, 800*time.Millisecond)
}

// TestProgressIsReadAsWritten, and so is what an earlier version wrote.
func TestProgressIsReadAsWritten(t *testing.T) {
	f := func(data []byte, want progress) {
		t.Helper()
		got, err := decodeProgress(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	at := time.Unix(1_800_000_000, 0)
	for _, p := range []progress{
		{Stored: 7, At: at},
		{Stored: 7, At: at, Fixed: []fixedBatch{{To: 9, Nonce: 5}}},
		{Stored: 7, At: at, Fixed: []fixedBatch{{To: 9, Nonce: 5}, {To: 12, Nonce: 1 << 63}}},
	} {
		f(p.encode(), p)
		for n := 1; n < len(p.encode()); n++ {
			if q, err := decodeProgress(p.encode()[:n]); err == nil && n != 17+16*len(q.Fixed) &&
				n != 16 {
				t.Errorf("%d bytes of %+v are read as %+v", n, p, q)
			}
		}
	}
	f(nil, progress{})
	f([]byte{7, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0}, progress{Stored: 7})
	f([]byte{7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0},
		progress{Stored: 7, Fixed: []fixedBatch{{To: 9}}})
	if _, err := decodeProgress(progress{Stored: 7, Fixed: []fixedBatch{{To: 7}}}.encode()); err == nil {
		t.Error("a batch of nothing was read")
	}
}

// TestCrashWithTwoInFlight kills the node when none, one, the other or both of two batches are in the
// ledger and no answer was heard. With nonces made anew after the restart instead of read, 8 of the
// 24 events are there twice; with only the first batch fixed, 4.
func TestCrashWithTwoInFlight(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, inserted := range []string{"", "1-2", "3-4", "1-2 3-4"} {
		dir := t.TempDir()
		var mu sync.Mutex
		tried := map[string]bool{}
		hear := func(_ int, token string) error {
			mu.Lock()
			defer mu.Unlock()
			tried[token] = true
			return errors.New("connection reset")
		}
		s := &tap{after: hear}
		s.before = func(try int, token string) error {
			if !strings.Contains(inserted, strings.Split(token, ":")[1]) {
				return hear(try, token)
			}
			return nil
		}
		c := l.config(dir, s)
		c.BatchRowsMax = 2
		in := mustOpen(t, c)
		in.Start()
		l.record(in, "", 2)
		l.record(in, "", 2)
		waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(tried) == 2 })
		l.record(in, "", 2)
		abandon(in)

		again := &tap{}
		c = l.config(dir, again)
		in = mustOpen(t, c)
		in.Start()
		flush(t, in)
		stop(t, in)
		tokens, _ := again.stored()
		for _, token := range tokens[:2] {
			if !tried[token] {
				t.Errorf("%q in the ledger: %s is another token than those tried before", inserted, token)
			}
		}
		l.wantOnce()
	}
}

// TestForgottenTokenIsNoWayIn: a batch whose answer was lost is sent again a day later, when its
// token is forgotten, by a clock that is right, and by one that went back. Without the look at the
// ledger all three events are there twice; with one only at what is older than now,
// after the second.
func TestForgottenTokenIsNoWayIn(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		dir := t.TempDir()
		in := mustOpen(t, l.config(dir, &tap{
			after: func(int, string) error { return errors.New("connection reset") },
		}))
		in.Start()
		l.record(in, "", 3)
		waitFor(t, func() bool {
			return l.sum("usage_events") == fmt.Sprintf("%d %d", l.events, l.model)
		})
		abandon(in)
		l.forgetTokens()

		c := l.config(dir, &tap{})
		c.Now = func() time.Time { return time.Now().Add(jump) }
		in = mustOpen(t, c)
		in.Start()
		l.record(in, "", 2)
		flush(t, in)
		stop(t, in)
		l.wantOnce()
	}
}

// forgetTokens makes ClickHouse forget every token, as 10,000 further inserts do.
func (l *ledger) forgetTokens() {
	l.t.Helper()
	tables := l.Strings(`SELECT name FROM system.tables WHERE database = currentDatabase()
		AND engine LIKE '%MergeTree' AND create_table_query LIKE '%deduplication_window%'`)
	for _, table := range tables {
		l.Exec("ALTER TABLE " + table + " MODIFY SETTING non_replicated_deduplication_window = 1")
	}
	e := event("")
	e.ID = schema.EventID(organization, "another node's")
	e.Entry = schema.Record
	e.Time = time.Now().UTC()
	e.IngestTime = e.Time
	e.Organization[0]++
	for i := range 3 {
		var b queries.EventBatch
		b.Append(&e, e.ID, uint64(i))
		if err := l.InsertEvents(l.t.Context(), fmt.Sprint("other ", i), &b); err != nil {
			l.t.Fatal(err)
		}
	}
}

// TestEverythingIsStoredOnce is P2 and P3 under random failures: batches of random sizes, answers
// that are lost, inserts that never arrive, rollups that refuse for a while, and crashes.
func TestEverythingIsStoredOnce(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	l := newLedger(t)
	dir := t.TempDir()
	var mu sync.Mutex
	fails := func(int, string) error {
		mu.Lock()
		defer mu.Unlock()
		if r.IntN(4) == 0 {
			return errors.New("connection reset")
		}
		return nil
	}
	for round := range 4 {
		c := l.config(dir, &tap{before: fails, after: fails})
		c.BatchRowsMax, c.BatchAge = 1+r.IntN(40), 5*time.Millisecond
		c.poisonAge = time.Minute
		in := mustOpen(t, c)
		in.Start()
		refuse := []string{"consumption_monthly", "usage_events", "billable_hourly"}[round%3]
		l.Exec("ALTER TABLE " + refuse + " ADD CONSTRAINT refuse CHECK 0")
		for range 6 {
			mu.Lock()
			n := 1 + r.IntN(20)
			mu.Unlock()
			l.record(in, "", n)
		}
		l.Exec("ALTER TABLE " + refuse + " DROP CONSTRAINT refuse")
		for range 6 {
			mu.Lock()
			n := 1 + r.IntN(20)
			mu.Unlock()
			l.record(in, "", n)
		}
		if round%2 == 0 {
			abandon(in)
			continue
		}
		flush(t, in)
		stop(t, in)
		l.wantOnce()
	}
	if all, err := Aside(dir); err != nil || len(all) > 0 {
		t.Errorf("set aside: %+v, %v", all, err)
	}
}
