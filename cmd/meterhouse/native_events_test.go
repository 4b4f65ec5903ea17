package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The native API's events, from their writing to their voiding, against the running program.

const adas = "Bearer dop_v1_demo_ada"

// anEvent is what of an event's revision these tests look at.
type anEvent struct {
	ID       string
	Revision int
	State    string
	Usage    map[string]string
	CostUSD  string `json:"cost_usd"`
	Pricing  map[string]struct {
		State           string
		ProviderCostUSD string `json:"provider_cost_usd"`
		BilledCostUSD   string `json:"billed_cost_usd"`
	}
	CorrectedBy  string `json:"corrected_by"`
	Reason       string
	VoidedReason string `json:"voided_reason"`
}

// native sends a request as Ada and decodes the answer's JSON into v, unless that is nil.
func (p *program) native(method, path, body string, status int, v any, headers ...string) response {
	p.t.Helper()
	r := p.do(method, "/v1/events"+path, body, append([]string{"Authorization", adas}, headers...)...)
	if r.status != status {
		p.t.Fatalf("%s %s: %d %s, want %d", method, path, r.status, r.body, status)
	}
	if v != nil {
		if err := json.Unmarshal(r.body, v); err != nil {
			p.t.Fatalf("%s %s: %v: %s", method, path, err, r.body)
		}
	}
	return r
}

// inputOf is what an agent used of INPUT today, as DigitalOcean's route has it.
func (p *program) inputOf(agent string) int64 {
	p.t.Helper()
	r := p.do("GET", "/v2/gen-ai/agents/"+agent+"/usage", "", "Authorization", adas)
	var answer struct {
		Usage struct {
			Measurements []struct {
				UsageType string `json:"usage_type"`
				Tokens    int64
			}
		}
	}
	if err := json.Unmarshal(r.body, &answer); err != nil || r.status != http.StatusOK {
		p.t.Fatalf("usage: %d %s: %v", r.status, r.body, err)
	}
	for _, m := range answer.Usage.Measurements {
		if m.UsageType == "INPUT" {
			return m.Tokens
		}
	}
	return 0
}

func TestEventsFromWritingToVoiding(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.start()
	const agent = "42345678-1234-4234-8234-123456789012"
	event := `{"agent_id":"` + agent + `","model":"gpt-4o-mini","usage":{"INPUT":1000000}}`
	envelope := `{"specversion":"1.0","type":"meterhouse.usage","source":"/shop","id":"1","data":` +
		event + `}`
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	body := string(encoder.EncodeAll([]byte(envelope), nil))
	var receipt struct {
		Accepted, Duplicates int
		Results              []struct{ ID, Status string }
	}
	headers := []string{"Content-Type", "application/cloudevents+json", "Content-Encoding", "zstd"}
	p.native("POST", "?wait=stored&results=true", body, http.StatusCreated, &receipt, headers...)
	if receipt.Accepted != 1 || len(receipt.Results) != 1 {
		t.Fatalf("%+v", receipt)
	}
	if got := p.inputOf(agent); got != 1_000_000 {
		t.Errorf("%d tokens as soon as they are stored, want 1000000", got)
	}
	p.native("POST", "?wait=stored&results=true", body, http.StatusCreated, &receipt, headers...)
	if receipt.Duplicates != 1 || receipt.Results[0].Status != "duplicate" {
		t.Errorf("again: %+v", receipt)
	}

	var e anEvent
	path := "/" + receipt.Results[0].ID
	r := p.native("GET", path, "", http.StatusOK, &e)
	if e.ID != receipt.Results[0].ID || e.Pricing["INPUT"].ProviderCostUSD != "0.15" ||
		e.Pricing["INPUT"].BilledCostUSD != "0.195" || r.header.Get("ETag") != `"0"` {
		t.Errorf("written: %+v, ETag %s", e, r.header.Get("ETag"))
	}
	r = p.native("PATCH", path+"?reason=miscounted", `{"usage":{"INPUT":2000000,"OUTPUT":7}}`,
		http.StatusOK, &e, "If-Match", r.header.Get("ETag"))
	if e.Revision != 1 || e.Reason != "miscounted" || e.Pricing["INPUT"].ProviderCostUSD != "0.3" ||
		!strings.HasPrefix(e.CorrectedBy, "user:7b0e6c1e") || r.header.Get("ETag") != `"1"` {
		t.Errorf("amended: %s", r.body)
	}
	if got := p.inputOf(agent); got != 2_000_000 {
		t.Errorf("%d tokens after the correction, want 2000000", got)
	}
	p.native("PATCH", path, `{}`, http.StatusPreconditionFailed, nil, "If-Match", `"0"`)
	p.native("PATCH", path, `{"model":"a\u0000"}`, http.StatusUnprocessableEntity, nil)
	p.native("PATCH", path, `{"usage":{"input":1}}`, http.StatusUnprocessableEntity, nil)
	p.native("PATCH", path, `{"usage":{"INPUT":-1}}`, http.StatusUnprocessableEntity, nil)
	p.verify()
	p.kill()
	p.start()

	p.native("GET", "/%2Fshop%201", "", http.StatusOK, &e) // by the CloudEvent's source and id
	if e.Revision != 1 || e.Usage["OUTPUT"] != "7" {
		t.Errorf("after a crash: %+v", e)
	}
	p.native("DELETE", path+"?reason=a%20test", "", http.StatusNoContent, nil)
	p.native("GET", path, "", http.StatusNotFound, nil)
	p.native("DELETE", path, "", http.StatusNotFound, nil)
	if got := p.inputOf(agent); got != 0 {
		t.Errorf("%d tokens after the event is voided, want none", got)
	}
	var history struct{ Revisions []anEvent }
	p.native("GET", path+"/history", "", http.StatusOK, &history)
	if all := history.Revisions; len(all) != 2 || all[0].State != "reversed" ||
		all[0].Usage["INPUT"] != "1000000" || all[1].State != "voided" ||
		all[1].VoidedReason != "a test" {
		t.Errorf("history: %+v", all)
	}
	p.verify()
	p.stop()
}

// TestAmendmentsUnderAConditionAreOneEach: of many who amend the revision they read, one does.
func TestAmendmentsUnderAConditionAreOneEach(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.start()
	p.native("POST", "", `{"id":"contested","usage":{"N":1}}`, http.StatusCreated, nil)
	const writers, rounds = 4, 3
	for round := range rounds {
		var all sync.WaitGroup
		statuses := make([]int, writers)
		for i := range writers {
			all.Go(func() {
				body := fmt.Sprintf(`{"usage":{"N":%d}}`, 100*(round+1)+i)
				r := p.do("PATCH", "/v1/events/contested", body, "Authorization", adas,
					"If-Match", fmt.Sprintf(`"%d"`, round))
				statuses[i] = r.status
			})
		}
		all.Wait()
		won := 0
		for _, status := range statuses {
			if status == http.StatusOK {
				won++
			} else if status != http.StatusPreconditionFailed {
				t.Errorf("round %d: %v", round, statuses)
			}
		}
		if won != 1 {
			t.Errorf("round %d: %d of %d amended the revision: %v", round, won, writers, statuses)
		}
	}
	r := p.native("GET", "/contested", "", http.StatusOK, nil)
	if !bytes.Contains(r.body, []byte(fmt.Sprintf(`"revision":%d`, rounds))) {
		t.Errorf("%s", r.body)
	}
	p.verify()
	p.stop()
}
