package queries_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// long runs for hours.
const long = "SELECT toString(max(cityHash64(number))) FROM numbers(1000000000000) WHERE "

// TestWhatTakesTooMuchSaysWhatToNarrow provokes each of ClickHouse's refusals by a tiny limit. With
// a code taken out of Narrow, its row is internal.
func TestWhatTakesTooMuchSaysWhatToNarrow(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	f := func(what, text string, settings map[string]any, kind schema.Kind, message string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := queries.AskText(ctx, q, text, settings, func(string) error { return nil })
		refusal(t, what, err, kind, message)
	}
	f("time", long+"1", map[string]any{"max_execution_time": 0.2}, schema.TooLarge,
		"takes longer than a question may: shorten the range, use a coarser granularity")
	f("speed", long+"2", map[string]any{
		"min_execution_speed": 1_000_000_000_000_000, "timeout_before_checking_execution_speed": 1,
		"max_execution_time": 30,
	}, schema.TooLarge, "takes longer than")
	f("memory", "SELECT toString(length(groupArray(number))) FROM numbers(10000000)",
		map[string]any{"max_memory_usage": 20_000_000}, schema.TooLarge, "takes more memory than")
	f("rows read", "SELECT toString(count()) FROM numbers(100) WHERE number > 1",
		map[string]any{"max_rows_to_read": 10}, schema.TooLarge, "reads more than")
	f("bytes read", "SELECT toString(count()) FROM numbers(100) WHERE number > 1",
		map[string]any{"max_bytes_to_read": 10}, schema.TooLarge, "reads more than")
	f("rows", "SELECT toString(number) FROM numbers(100)",
		map[string]any{"max_result_rows": 10}, schema.TooLarge, "has more rows than an answer may")
	f("rows, of which many have come", "SELECT toString(number) FROM numbers(3000000)",
		map[string]any{"max_result_rows": 2_000_000}, schema.TooLarge, "has more rows than")
	f("another error", "SELECT toString(throwIf(number = 1)) FROM numbers(2)", map[string]any{},
		schema.Internal, "")

	slow := make(chan error, 1)
	mark := strings.ReplaceAll(named(t.Name()).String(), "-", "")
	go func() {
		slow <- queries.AskText(t.Context(), q, long+"'"+mark+"' != ''", nil,
			func(string) error { return nil })
	}()
	waitFor(t, "the question runs", func() bool { return running(db, mark) == 1 })
	f("too many at once", "SELECT '1'", map[string]any{"max_concurrent_queries_for_all_users": 1},
		schema.Overloaded, "the database has too many questions at once; try again")
	db.Exec("KILL QUERY WHERE query LIKE '%" + mark + "%' AND query NOT LIKE '%KILL%' ASYNC")
	refusal(t, "broken off", <-slow, schema.Unavailable, "the database has broken the question off")
}

func refusal(t *testing.T, what string, err error, kind schema.Kind, message string) {
	t.Helper()
	err = queries.Narrow(err)
	e := (*schema.Error)(nil)
	if kind == schema.Internal {
		if err == nil || errors.As(err, &e) {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Message, message) {
		t.Errorf("%s: %v (%T), want %q", what, err, err, message)
		return
	}
	if e.Cause == nil || strings.Contains(e.Message, "ClickHouse") {
		t.Errorf("%s: %q, because %v", what, e.Message, e.Cause)
	}
	if waits := kind != schema.TooLarge; waits != (e.RetryAfter > 0) {
		t.Errorf("%s: try again after %v", what, e.RetryAfter)
	}
}

// running counts the questions under way whose text has a mark.
func running(db *schematest.Database, mark string) int {
	return len(db.Strings("SELECT query_id FROM system.processes WHERE query LIKE '%" + mark +
		"%' AND query NOT LIKE '%processes%'"))
}

func waitFor(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

// TestWhoGoesEndsTheQuestion: a question whose context ends is soon no longer under way.
func TestWhoGoesEndsTheQuestion(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	mark := strings.ReplaceAll(named(t.Name()).String(), "-", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- queries.AskText(ctx, q, long+"'"+mark+"' != ''", queries.AnalystSettings(),
			func(string) error { return nil })
	}()
	waitFor(t, "the question runs", func() bool { return running(db, mark) == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	began := time.Now()
	waitFor(t, "the question ended", func() bool { return running(db, mark) == 0 })
	t.Logf("it ended %v after its context", time.Since(began))
}

// TestAnalystsAreBounded: the settings arrive, whatever the deadline of the context is. Without
// ownTime, clickhouse-go makes 65 s of the 30.
func TestAnalystsAreBounded(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, want := range map[string]string{
		"max_execution_time":                 "30",
		"timeout_overflow_mode":              "throw",
		"max_memory_usage":                   "1073741824",
		"max_bytes_before_external_group_by": "268435456",
		"max_bytes_before_external_sort":     "268435456",
		"max_result_rows":                    "1000000",
	} {
		got := ""
		err := queries.AskText(ctx, q, "SELECT toString(getSetting('"+name+"'))",
			queries.AnalystSettings(), func(s string) error { got = s; return nil })
		if err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", name, got, want, err)
		}
	}
}
