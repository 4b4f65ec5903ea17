package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/engine"
)

// everyNodeKnows is how soon a change of the catalog counts on every node.
const everyNodeKnows = 2 * time.Second

// startPair starts two nodes on one database: the first one's embedded engine.
func startPair(t *testing.T, env ...string) (first, second *program) {
	t.Helper()
	first = newProgram(t, demoCatalog)
	first.env = env
	first.start()
	e, err := engine.ReadEndpoint(filepath.Join(first.data, "engine"))
	if err != nil {
		t.Fatal(err)
	}
	second = newProgram(t, demoCatalog)
	second.env = append([]string{
		"METERHOUSE_CLICKHOUSE=http://default:" + e.Password + "@" + e.Addr + "/default",
	}, env...)
	second.start()
	return first, second
}

// until asks a node until it answers with a status, and fails the test when that is not soon.
func (p *program) until(what string, want int, since time.Time, path string, headers ...string) {
	p.t.Helper()
	for {
		asked := time.Now()
		got := p.do(http.MethodGet, path, "", headers...)
		if got.status == want {
			p.t.Logf("%s after %s", what, asked.Sub(since).Round(time.Millisecond))
			return
		}
		if asked.Sub(since) > everyNodeKnows {
			p.t.Errorf("%s: %d %s after %s", what, got.status, got.body, asked.Sub(since))
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A key that is retired on one node stops working on the other within two seconds, and so does a
// token that was issued for it; a new key starts working as soon.
func TestKeysCountOnEveryNodeWithinTwoSeconds(t *testing.T) {
	first, second := startPair(t, "METERHOUSE_JWT_SECRET=one secret of both nodes, 32 bytes")
	const asAda, record = "Bearer dop_v1_demo_ada", "/usage"
	for range 3 {
		made := first.do(http.MethodPost, "/v1/admin/credentials",
			`{"kind":"app_password","name":"short-lived"}`,
			"Authorization", asAda, "Content-Type", "application/json")
		since := time.Now()
		var key struct{ ID, Secret string }
		if err := json.Unmarshal(made.body, &key); err != nil || made.status != http.StatusCreated {
			t.Fatalf("made a key: %d %s", made.status, made.body)
		}
		bearer := []string{"Authorization", "Bearer " + key.Secret}
		if r := first.do(http.MethodGet, record, "", bearer...); r.status != http.StatusOK {
			t.Errorf("where it was made it counts at once: %d %s", r.status, r.body)
		}
		second.until("a new key counts", http.StatusOK, since, record, bearer...)

		issued := second.do(http.MethodPost, "/api/auth/app-login", `{"token":"`+key.Secret+`"}`,
			"Content-Type", "application/json")
		var login struct{ AccessToken string }
		if err := json.Unmarshal(issued.body, &login); err != nil || issued.status != http.StatusOK {
			t.Fatalf("login: %d %s", issued.status, issued.body)
		}
		token := []string{"Authorization", "Bearer " + login.AccessToken}
		for _, p := range []*program{first, second} {
			if r := p.do(http.MethodGet, record, "", token...); r.status != http.StatusOK {
				t.Errorf("a token of either node: %d %s", r.status, r.body)
			}
		}

		retired := first.do(http.MethodDelete, "/v1/admin/credentials/"+key.ID, "",
			"Authorization", asAda)
		since = time.Now()
		if retired.status/100 != 2 {
			t.Fatalf("retired the key: %d %s", retired.status, retired.body)
		}
		for _, h := range [][]string{bearer, token} {
			if r := first.do(http.MethodGet, record, "", h...); r.status != http.StatusUnauthorized {
				t.Errorf("where it was retired it counts no more: %d %s", r.status, r.body)
			}
		}
		second.until("a retired key is refused", http.StatusUnauthorized, since, record, bearer...)
		second.until("its token is refused", http.StatusUnauthorized, since, record, token...)
	}
}
