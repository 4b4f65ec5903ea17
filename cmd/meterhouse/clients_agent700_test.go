package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// agent700 has no published client that logs usage, so its documentation's curl is the client;
// its command line client, which is Python, reads the bill: its requests are replayed.
func TestAgent700Samples(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.start()
	body, want := agent700Sample(t)
	logged := p.do("POST", "/api/billing/external-usage", body,
		"Authorization", "Bearer app_a7_demo_ada", "Content-Type", jsonType)
	if got := unique(logged.body); logged.status != 201 || got != unique([]byte(want)) {
		t.Errorf("the documentation's curl: %d %s, want %s", logged.status, got, want)
	}
	var members struct{ ID string }
	decodeExactly(t, logged.body, &members)

	// With a token instead of the password, as clients that log in first do.
	login := p.do("POST", "/api/auth/app-login", `{"token":"app_a7_demo_ada"}`,
		"Content-Type", jsonType)
	var session struct{ AccessToken string }
	decodeExactly(t, login.body, &session)
	eventually(t, "the bill to have it", func() bool {
		return strings.Contains(string(p.bill(session.AccessToken).body), members.ID)
	})
	// A token is refused as soon as nobody issued it: the client then asks once for another one.
	if r := p.bill("expired"); r.status != 401 ||
		string(r.body) != `{"error":"Invalid or expired token"}` {
		t.Errorf("an expired token: %d %s", r.status, r.body)
	}
	if r := p.do("POST", "/api/auth/refresh", ""); r.status != 404 ||
		string(r.body) != `{"error":"Not Found"}` {
		t.Errorf("refresh: %d %s", r.status, r.body)
	}
	p.stop() // a record that was acknowledged is there after a restart
	p.start()
	bill := p.bill("app_a7_demo_ada")
	var costs struct {
		TotalAgent700Cost, TotalCost json.Number
		BillingLogs                  []struct {
			ModelName                      string
			PromptTokens, CompletionTokens json.Number
			Agent700Cost                   json.Number
		}
	}
	decodeExactly(t, bill.body, &costs)
	if bill.status != 200 || costs.TotalAgent700Cost != "0.000507" || costs.TotalCost != "0.000507" ||
		len(costs.BillingLogs) != 1 || costs.BillingLogs[0].ModelName != "gpt-4o-mini" ||
		costs.BillingLogs[0].PromptTokens != "1200" || costs.BillingLogs[0].CompletionTokens != "350" ||
		costs.BillingLogs[0].Agent700Cost != "0.000507" {
		t.Errorf("bill: %d %s", bill.status, bill.body)
	}
	rows := p.clickhouse().lines(t, `SELECT concatWithSeparator(' ', toString(id), service_name,
		ifNull(toString(agent_id), 'none'), toString(agent700_cost)) FROM user_billable_request_logs`)
	if len(rows) != 1 || rows[0] != members.ID+" transcription none 0.000507" {
		t.Errorf("rows: %q", rows)
	}
	p.verify()
	p.stop()
}

// bill asks for the billing of these days as the command line client does.
func (p *program) bill(token string) response {
	now := time.Now().UTC()
	return p.do("GET", "/api/billing/user?start_date="+now.AddDate(0, 0, -1).Format(time.DateOnly)+
		"&end_date="+now.AddDate(0, 0, 1).Format(time.DateOnly), "",
		"Authorization", "Bearer "+token, "Content-Type", jsonType,
		"X-Screen-Resolution", "1920x1080", "X-Timezone-Offset", "0")
}

// agent700Sample returns the body of docs/agent700.md's curl and the answer it shows.
func agent700Sample(t *testing.T) (body, answer string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs", "agent700.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "-d '")
	body, rest, _ = strings.Cut(rest, "'\n")
	_, rest, _ = strings.Cut(rest, "\n\n")
	answer, _, ok := strings.Cut(rest, "\n```")
	if !ok {
		t.Fatal("no sample in docs/agent700.md")
	}
	return body, answer
}

var ofOneRecord = regexp.MustCompile(`("id"|"createdAt"):"[^"]+"`)

// unique takes out of a record what no other has.
func unique(record []byte) string {
	return ofOneRecord.ReplaceAllString(string(record), "$1")
}
