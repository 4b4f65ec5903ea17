package main

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// outcome runs a command and returns what it printed, ids and days made plain, and its status.
func (p *program) outcome(subcommand string, args ...string) (string, int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := p.command(ctx, subcommand, args...).CombinedOutput()
	status := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		p.t.Fatal(err)
	}
	plain := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).ReplaceAllString(string(out), "ID")
	plain = regexp.MustCompile(`\d{4}-\d\d-\d\d`).ReplaceAllString(plain, "DAY")
	return plain, status
}

// TestVerifyAndRebuildAsAnOperatorRunsThem damages a rollup of a serve that runs.
func TestVerifyAndRebuildAsAnOperatorRunsThem(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.args = []string{"--verify-every", "1s"}
	p.start()
	if r := p.do("POST", "/external/resource-usage", `{"type":"OPENAI_TOKENS","amount":4567}`,
		"Agent-Secret-Key", "demo-agent-secret-1"); r.status != http.StatusCreated {
		t.Fatalf("write: %d %s", r.status, r.body)
	}
	p.waitStored()
	today := time.Now().UTC()
	days := []string{"--from", today.AddDate(0, 0, -1).Format(time.DateOnly),
		"--to", today.AddDate(0, 0, 2).Format(time.DateOnly)}
	f := func(status int, want, subcommand string, args ...string) {
		t.Helper()
		if got, s := p.outcome(subcommand, args...); got != want || s != status {
			t.Errorf("%s: status %d, want %d:\n%s\nwant\n%s", subcommand, s, status, got, want)
		}
	}
	const node = "node ID: 1..1, 0 missing\n"
	const clean = node + "every rollup equals the ledger, nothing is lost, nothing is there twice\n"
	f(0, clean, "verify")
	eventually(t, "serve has verified", func() bool {
		return p.metric("meterhouse_verify_last_success_timestamp_seconds") != "0"
	})
	p.clickhouse().lines(t, "TRUNCATE TABLE billable_hourly")
	f(1, "billable_hourly: organization ID, DAY, OPENAI_TOKENS: ledger quantity 4567, events 1, "+
		"measurements 1, unpriced 1, rollup nothing, delta quantity -4567, events -1, "+
		"measurements -1, unpriced -1: run `meterhouse rebuild --table billable_hourly --from DAY "+
		"--to DAY`\n"+node+"meterhouse verify: 1 differences\n", "verify")
	eventually(t, "serve has found the difference", func() bool {
		return p.metric(`meterhouse_verify_differences{kind="rollup"}`) == "1" &&
			strings.Contains(p.stderrText(), "verification found a difference")
	})
	const row = "billable_hourly DAY: organization ID, OPENAI_TOKENS: 1 rows, quantity 4567, " +
		"events 1, measurements 1, unpriced 1\n"
	f(0, row+"1 rows would change; nothing was written\n", "rebuild", append(days, "--dry-run")...)
	f(0, row+"1 rows changed\n", "rebuild", days...)
	f(0, "0 rows changed\n", "rebuild", days...)
	f(0, clean, "verify")
	f(2, "meterhouse rebuild: give a --from and a later --to\n", "rebuild")
	p.stop()
}
