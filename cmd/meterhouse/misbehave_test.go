package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestMisbehaviourLosesNothing lets ClickHouse, and what lies between, answer in every wrong way,
// with writers that do not notice. What the batcher says of it is what the operator reads.
// Without the check of answers in queries, garbage with a status of 200 is said by nobody: a batch
// counts as stored that ClickHouse never saw.
func TestMisbehaviourLosesNothing(t *testing.T) {
	t.Run("answers", func(t *testing.T) {
		t.Parallel()
		wrongAnswers(t)
	})
	t.Run("poison", func(t *testing.T) {
		t.Parallel()
		poison(t)
	})
}

func wrongAnswers(t *testing.T) {
	o := newOutage(t)
	f := func(f fault, said string) {
		t.Helper()
		before := len(o.stderrText())
		o.during(f, func() {
			eventually(t, "the log says "+said, func() bool {
				return strings.Contains(o.stderrText()[before:], said)
			})
		})
		o.proxy.set(healthy)
		o.waitStored()
	}
	f(bare, "Internal Server Error")
	f(unavailable, "503")
	f(garbage, "no answer of ClickHouse")
	f(half, "unexpected EOF")
	f(reset, "connection reset by peer")
	f(lie, "TIMEOUT_EXCEEDED")
	f(tooManyParts, "TOO_MANY_PARTS")
	f(outOfMemory, "MEMORY_LIMIT_EXCEEDED")
	f(readOnly, "TABLE_IS_READ_ONLY")
	f(trickle, "")
	f(mixed, "")
	really(o)
	o.load.check(o.program, o.clickhouse)
	o.stop()
}

// really makes the engine itself refuse: the ledger, and one table behind a view when the ledger
// has the rows already.
func really(o *outage) {
	for _, table := range []string{"usage_events", "consumption_daily"} {
		before := len(o.stderrText())
		alter := "ALTER TABLE " + table
		o.clickhouse.lines(o.t, alter+" MODIFY SETTING parts_to_throw_insert = 1")
		o.load.start(o.random)
		eventually(o.t, "the log says TOO_MANY_PARTS", func() bool {
			return strings.Contains(o.stderrText()[before:], "(TOO_MANY_PARTS)")
		})
		o.load.wantProgress(2)
		o.load.stop()
		o.clickhouse.lines(o.t, alter+" RESET SETTING parts_to_throw_insert")
		o.waitStored()
	}
}

// poison lets the ledger refuse the rows of one model. Its batch is set aside after half a minute;
// the others go on, and it is stored when the ledger takes it.
func poison(t *testing.T) {
	o := newOutage(t)
	constraint := " CONSTRAINT no_poison"
	o.clickhouse.lines(t, "ALTER TABLE usage_events ADD"+constraint+" CHECK model != 'poison'")
	bad := loadRequest{
		kind: singleWrite, path: "/v1/events", headers: []string{"Agent-Secret-Key", demoSecrets[0]},
		body: `{"id":"bad","model":"poison","usage":{"INPUT":7}}`,
		events: map[string][]ledgerRow{
			eventID("bad"): {{demoAgents[0], "INPUT", "7"}},
		},
	}
	o.load.start(o.random)
	o.load.wantProgress(1)
	o.load.deliver(t.Context(), bad, false)
	for deadline := time.Now().Add(2 * time.Minute); o.metric("meterhouse_batches_aside") == "0"; {
		if time.Now().After(deadline) {
			t.Fatal("after two minutes nothing is set aside")
		}
		time.Sleep(100 * time.Millisecond)
	}
	o.load.wantProgress(2)
	o.load.stop()
	o.waitStored()
	if r := o.do("GET", "/readyz", ""); r.status != http.StatusOK {
		t.Errorf("readyz beside a batch that is set aside: %d %s", r.status, r.body)
	}
	if !strings.Contains(o.stderrText(), "meterhouse replay") {
		t.Error("the log does not say what to do")
	}
	replay := func(want string, status int, args ...string) {
		t.Helper()
		out, err := o.command(t.Context(), "replay", args...).CombinedOutput()
		if exitCode(err) != status || !strings.Contains(string(out), want) {
			t.Errorf("replay %v: %v\n%s\nwant status %d and %q", args, err, out, status, want)
		}
	}
	replay("no_poison", exitOK, "--list")
	replay("not stored", exitFailed)
	o.clickhouse.lines(t, "ALTER TABLE usage_events DROP"+constraint)
	replay("stored", exitOK)
	replay("0 files are set aside", exitOK)
	eventually(t, "nothing is set aside", func() bool {
		return o.metric("meterhouse_batches_aside") == "0"
	})
	o.load.check(o.program, o.clickhouse)
	o.stop()
}
