package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/engine"
)

// clickhouse is where a test asks the database itself, past the program.
type clickhouse struct {
	address, password string
}

// clickhouse returns the way to the embedded engine.
func (p *program) clickhouse() clickhouse {
	p.t.Helper()
	e, err := engine.ReadEndpoint(filepath.Join(p.data, "engine"))
	if err != nil {
		p.t.Fatal(err)
	}
	return clickhouse{e.Addr, e.Password}
}

// lines returns a question's rows, tab-separated.
func (c clickhouse) lines(t testing.TB, sql string) []string {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+c.address+"/?"+url.Values{
		"default_format": {"TSV"},
	}.Encode(), strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-ClickHouse-User", "default")
	request.Header.Set("X-ClickHouse-Key", c.password)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", sql, answer.StatusCode, body, err)
	}
	return strings.FieldsFunc(string(body), func(r rune) bool { return r == '\n' })
}

// ledger returns every row of the ledger by event id, ordered by usage type.
func (c clickhouse) ledger(t testing.TB) map[string][]ledgerRow {
	t.Helper()
	rows := make(map[string][]ledgerRow)
	for _, line := range c.lines(t, `SELECT event_id, agent_id, usage_type, toString(quantity)
		FROM usage_events WHERE revision = 0 AND entry = 'record' AND usage_type != 'PROBE'
		ORDER BY event_id, usage_type`) {
		f := strings.Split(line, "\t")
		rows[f[0]] = append(rows[f[0]], ledgerRow{f[1], f[2], f[3]})
	}
	return rows
}

// check compares the ledger, and what the program answers from its rollups, with what was sent:
// every acknowledged event is there once; an event whose answer never came is there once or not at
// all, and so are all the events of its request; nothing else is there.
func (l *load) check(p *program, c clickhouse) {
	t := p.t
	t.Helper()
	p.waitStored()
	ledger := c.ledger(t)
	var wrong wrongs
	take := func(request loadRequest) {
		for id, want := range request.events {
			if got := ledger[id]; !slices.Equal(got, want) {
				wrong.add("%s event %s: ledger has %v, want %v", request.kind, id, got, want)
			}
			delete(ledger, id)
		}
	}
	stored := slices.Clone(l.acknowledged)
	for _, request := range l.acknowledged {
		take(request)
	}
	for _, request := range l.unknown {
		if slices.ContainsFunc(slices.Collect(maps.Keys(request.events)), func(id string) bool {
			return ledger[id] != nil
		}) {
			stored = append(stored, request)
			take(request)
		}
	}
	for id, rows := range ledger {
		wrong.add("event %s: nobody sent %v", id, rows)
	}
	wrong.report(t)
	checkSums(p, stored)
	checkTracker(p, l.acknowledged)
	checkVerify(p)
	t.Logf("acknowledged %v, sent again %d, answers that never came %d (%d of them stored)",
		l.acknowledgedNow(), l.resent, len(l.unknown), len(stored)-len(l.acknowledged))
}

// wrongs keeps a test's report readable when everything is wrong.
type wrongs struct {
	first []string
	count int
}

func (w *wrongs) add(format string, args ...any) {
	if w.count++; w.count <= 10 {
		w.first = append(w.first, fmt.Sprintf(format, args...))
	}
}

func (w *wrongs) report(t testing.TB) {
	t.Helper()
	if w.count > 0 {
		t.Errorf("%d wrong events:\n%s", w.count, strings.Join(w.first, "\n"))
	}
}

// waitStored returns when everything acknowledged is in ClickHouse.
func (p *program) waitStored() {
	p.t.Helper()
	eventually(p.t, "every event is stored", func() bool {
		return p.metric("meterhouse_log_pending_events") == "0"
	})
}

func (p *program) metric(name string) string {
	p.t.Helper()
	for line := range strings.Lines(string(p.do("GET", "/metrics", "").body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	p.t.Fatalf("there is no metric %s", name)
	return ""
}

// checkSums asks the read APIs what each agent used.
func checkSums(p *program, stored []loadRequest) {
	p.t.Helper()
	want, got := make(map[string]int64), make(map[string]int64)
	for _, request := range stored {
		for _, rows := range request.events {
			for _, row := range rows {
				n, err := strconv.ParseInt(row.quantity, 10, 64)
				if err != nil {
					p.t.Fatal(err)
				}
				switch row.usageType {
				case "UNITS":
				case "COMPLETIONS":
					want["memori "+row.agent+" COMPLETIONS"] += n
				case "INPUT", "OUTPUT":
					want["memori "+row.agent+" "+row.usageType] += n
					fallthrough
				default:
					want["digitalocean "+row.agent+" "+row.usageType] += n
				}
			}
		}
	}
	for _, agent := range demoAgents {
		p.digitalOceanSums(agent, adaToken, got)
		p.memoriSums(agent, got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("what the agents used (-sent +answered):\n%s", diff)
	}
}

func (p *program) digitalOceanSums(agent, token string, sums map[string]int64) {
	p.t.Helper()
	var answer struct {
		Usage struct {
			Measurements []struct {
				Tokens    int64
				UsageType string `json:"usage_type"`
			}
		}
	}
	p.read("/v2/gen-ai/agents/"+agent+"/usage", &answer, "Authorization", "Bearer "+token)
	for _, m := range answer.Usage.Measurements {
		sums["digitalocean "+agent+" "+m.UsageType] += m.Tokens
	}
}

func (p *program) memoriSums(agent string, sums map[string]int64) {
	p.t.Helper()
	var answer struct {
		ConsumptionLogs []struct {
			Completions                    int64
			PromptTokens, CompletionTokens map[string]string
		}
	}
	p.read("/api/v2/MemoriConsumptionLogs/"+adaLogin+"/"+agent+"/Daily", &answer)
	add := func(usageType string, tokens map[string]string) {
		for _, text := range tokens {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				p.t.Error(err)
			}
			sums["memori "+agent+" "+usageType] += n
		}
	}
	for _, day := range answer.ConsumptionLogs {
		sums["memori "+agent+" COMPLETIONS"] += day.Completions
		add("INPUT", day.PromptTokens)
		add("OUTPUT", day.CompletionTokens)
	}
}

// read asks a question that must be answered.
func (p *program) read(path string, into any, headers ...string) {
	p.t.Helper()
	r := p.do("GET", path, "", headers...)
	if err := json.Unmarshal(r.body, into); err != nil || r.status != http.StatusOK {
		p.t.Errorf("GET %s: %d %s %v", path, r.status, r.body, err)
	}
}

// checkTracker reads some tracker records back by their id.
func checkTracker(p *program, acknowledged []loadRequest) {
	p.t.Helper()
	left := 25
	for _, request := range slices.Backward(acknowledged) {
		if request.kind != trackerWrite || left == 0 {
			continue
		}
		left--
		for id, rows := range request.events {
			var got struct {
				UsageID string      `json:"usage_id"`
				Units   json.Number `json:"units_used"`
			}
			p.read("/usage/"+id, &got, "Authorization", "Bearer "+adaToken)
			if got.UsageID != id || got.Units.String() != rows[0].quantity {
				p.t.Errorf("tracker record %s: %+v, want %s units", id, got, rows[0].quantity)
			}
		}
	}
}

var sequencesLine = regexp.MustCompile(`(?m)^node \S+: 1\.\.\d+, 0 missing$`)

// checkVerify runs `meterhouse verify`: no difference, and one node with no sequence missing.
func checkVerify(p *program) {
	p.t.Helper()
	out, err := p.command(p.t.Context(), "verify").CombinedOutput()
	if err != nil || strings.Count(string(out), "\nnode ")+1 > 2 ||
		len(sequencesLine.FindAll(out, -1)) != 1 {
		p.t.Errorf("verify: %v\n%s", err, out)
	}
}
