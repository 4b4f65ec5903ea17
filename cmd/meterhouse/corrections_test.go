package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trackerRecord is a record as the usage tracker shows it.
type trackerRecord struct {
	ID    string      `json:"usage_id"`
	Units int64       `json:"units_used"`
	Cost  json.Number `json:"cost_usd"`
}

// tracker calls the usage tracker as Ada, who is an admin.
func (p *program) tracker(method, path, body string, want int) trackerRecord {
	p.t.Helper()
	r := p.do(method, path, body, "Authorization", "Bearer "+adaToken,
		"Content-Type", "application/json")
	var record trackerRecord
	if r.status != want {
		p.t.Fatalf("%s %s: %d %s, want %d", method, path, r.status, r.body, want)
	}
	if r.status < 300 && len(r.body) > 0 {
		if err := json.Unmarshal(r.body, &record); err != nil {
			p.t.Fatalf("%s %s: %v in %s", method, path, err, r.body)
		}
	}
	return record
}

const trackerBody = `{"api_name":"search","endpoint":"/find","units_used":346,"cost_usd":0.0043,` +
	`"api_key_used":"sk-live-abcdefgh"}`

// TestRecordsAreCorrected changes and deletes records of the tracker's, acknowledged a moment ago.
func TestRecordsAreCorrected(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.start()
	for _, base := range []string{"/usage", "/api/v1/usage"} {
		made := p.tracker("POST", base, trackerBody, http.StatusCreated)
		path := base + "/" + made.ID
		f := func(got trackerRecord, units int64, cost string) {
			t.Helper()
			if want := (trackerRecord{made.ID, units, json.Number(cost)}); got != want {
				t.Errorf("%s: %+v, want %+v", base, got, want)
			}
		}
		f(p.tracker("PUT", path, `{"units_used":7}`, 200), 7, "0.0043")
		f(p.tracker("GET", path, "", 200), 7, "0.0043")
		f(p.tracker("PUT", path, `{"cost_usd":"0.01"}`, 200), 7, "0.01")
		f(p.tracker("PUT", path, `{}`, 200), 7, "0.01")
		p.tracker("DELETE", path, "", http.StatusNoContent)
		p.tracker("DELETE", path, "", http.StatusNotFound)
		p.tracker("PUT", path, `{}`, http.StatusNotFound)
		p.tracker("GET", path, "", http.StatusNotFound)
	}
	for name, want := range map[string]string{
		"meterhouse_corrections_total": "6", "meterhouse_correction_conflicts_total": "0",
		"meterhouse_unpriced_measurements_total": "0",
	} {
		if got := p.metric(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	eventually(t, "no correction is open", func() bool {
		return p.metric("meterhouse_corrections_open") == "0"
	})
	if got := p.clickhouse().lines(t, `SELECT concatWithSeparator(' ', toString(count()),
		toString(sum(quantity)), toString(sum(billed_cost))) FROM usage_events`); got[0] != "12 0 0" {
		t.Errorf("the ledger has %s", got)
	}
	p.verify()
	p.stop()
}

// TestCorrectionsSurviveKills kills serve among PUTs: what was answered is there, what was begun is
// finished, and nothing is there twice.
func TestCorrectionsSurviveKills(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.address = stableAddress(t)
	p.start()
	r := newRand(t)
	const records = 4
	var ids []string
	for range records {
		body := strings.Replace(trackerBody, "346", "0", 1)
		ids = append(ids, p.tracker("POST", "/usage", body, http.StatusCreated).ID)
	}
	// Of each record the PUTs count up: what it has is the last that was answered, or a later one.
	sent, answered := make([]int64, records), make([]int64, records)
	for range 4 {
		var group sync.WaitGroup
		var progress atomic.Int64
		for i, id := range ids {
			group.Go(func() {
				for {
					sent[i]++
					request, _ := http.NewRequest("PUT", p.url("/usage/"+id),
						strings.NewReader(fmt.Sprintf(`{"units_used":%d}`, sent[i])))
					request.Header.Set("Authorization", "Bearer "+adaToken)
					answer, err := http.DefaultClient.Do(request)
					if err != nil {
						return
					}
					answer.Body.Close()
					if answer.StatusCode == http.StatusOK {
						answered[i] = sent[i]
						progress.Add(1)
					}
				}
			})
		}
		eventually(t, "some PUTs are answered", func() bool { return progress.Load() >= 5 })
		moment(r, 0, 300*time.Millisecond)
		p.kill()
		group.Wait()
		p.start()
	}
	for i, id := range ids {
		got := p.tracker("GET", "/usage/"+id, "", http.StatusOK).Units
		if got < answered[i] || got > sent[i] {
			t.Errorf("record %d has %d units; answered was %d, sent %d", i, got, answered[i], sent[i])
		}
		p.tracker("PUT", "/usage/"+id, `{"units_used":1000000}`, http.StatusOK)
	}
	t.Logf("answered %v of %v", answered, sent)
	eventually(t, "every correction to be applied", func() bool {
		return p.clickhouse().lines(t, `SELECT (SELECT max(number) FROM corrections) =
			(SELECT max(number) FROM corrections_applied)`)[0] == "1"
	})
	if got := p.clickhouse().lines(t, `SELECT sum(quantity) FROM usage_events`); got[0] != "4000000" {
		t.Errorf("the ledger has %s units, want 4000000", got)
	}
	p.verify()
	p.stop()
}

// TestReprice changes a rate and prices what was used again, beside a serve that is written to.
func TestReprice(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.start()
	event := `{"model":"gpt-4o-mini","provider":"OpenAI","usage":{"INPUT":1000000,"OUTPUT":1000000}}`
	for range 3 {
		if r := p.do("POST", "/v1/events?wait=stored", event,
			"Agent-Secret-Key", demoSecrets[0]); r.status != http.StatusCreated {
			t.Fatalf("write: %d %s", r.status, r.body)
		}
	}
	p.waitStored()
	dearer := strings.ReplaceAll(demoCatalog, `billed_usd_per_million: "0.78"`,
		`billed_usd_per_million: "1.78"`)
	if dearer == demoCatalog {
		t.Fatal("the demo catalog has another rate for output")
	}
	file := filepath.Join(t.TempDir(), "dearer.yaml")
	if err := os.WriteFile(file, []byte(dearer), 0o600); err != nil {
		t.Fatal(err)
	}
	p.apply(file)

	year := time.Now().UTC().Year()
	all := []string{"--from", fmt.Sprintf("%d-01-01", year-1), "--to", fmt.Sprintf("%d-01-01", year+1)}
	line := fmt.Sprintf("organization %s, gpt-4o-mini: 3 events, provider 2.25 → 2.25, "+
		"billed 2.925 → 5.925 USD\n", demoOrganization)
	f := func(want string, args ...string) {
		t.Helper()
		if out, status := p.reprice(args...); out != want || status != exitOK {
			t.Errorf("reprice %v: status %d, says %q, want %q", args, status, out, want)
		}
	}
	f(line+"3 events would be corrected; nothing was written\n", append(all, "--dry-run")...)
	f("0 events corrected\n", append(all, "--model", "another")...)
	f("0 events corrected\n", append(all, "--organization", demoAgents[0])...)
	f(line+"3 events corrected\n", all...)
	f("0 events corrected\n", all...)
	for _, args := range [][]string{
		nil, all[:2], {"--from", "2026-02-01", "--to", "2026-01-01"}, append(all, "more"),
		{"--from", "yesterday", "--to", "2026-01-01"}, append(all, "--organization", "acme"),
	} {
		if out, status := p.reprice(args...); status != exitUsage {
			t.Errorf("reprice %v: status %d, %s", args, status, out)
		}
	}
	made := p.clickhouse().lines(t, "SELECT actor, reason, events FROM corrections")
	columns := strings.Split(made[0], "\t")
	if len(made) != 1 || !strings.HasPrefix(columns[0], "reprice by ") ||
		!strings.Contains(columns[0], "@") || columns[2] != "3" ||
		!strings.HasPrefix(columns[1], "reprice --from "+fmt.Sprint(year-1)+"-01-01T00:00:00Z --to ") {
		t.Errorf("the journal has %q", made)
	}
	p.verify()
	p.stop()
}

// reprice runs `meterhouse reprice` and returns what it prints and its exit status.
func (p *program) reprice(args ...string) (string, int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := p.command(ctx, "reprice", slices.Clone(args)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil && !isExit(err) {
		p.t.Fatalf("reprice: %v\n%s", err, stderr.String())
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

func isExit(err error) bool {
	_, ok := err.(*exec.ExitError)
	return ok
}
