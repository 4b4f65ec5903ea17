package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// outage is a serve whose ClickHouse, another process, is reached through a proxy.
type outage struct {
	*program
	proxy      *proxy
	clickhouse clickhouse
	load       *load
	random     *rand.Rand
}

func newOutage(t *testing.T) *outage {
	t.Helper()
	o := &outage{random: newRand(t), clickhouse: startEngine(t).clickhouse, program: newProgram(t, demoCatalog)}
	o.proxy = newProxy(t, o.clickhouse.address)
	o.env = append(o.env, "METERHOUSE_CLICKHOUSE="+o.clickhouse.dsn(o.proxy.address))
	o.address = stableAddress(t)
	o.wantStartFailure("run `meterhouse migrate`")
	if out, err := o.command(t.Context(), "migrate").CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	o.start()
	o.load = newLoad(o.program)
	o.load.sendsTwo = true
	return o
}

// during runs the load while a fault lasts, at least until something has met it.
func (o *outage) during(f fault, also func()) {
	o.t.Helper()
	o.load.start(o.random)
	o.load.wantProgress(2)
	o.proxy.set(f)
	if f != refuse {
		o.proxy.wantFault()
	}
	also()
	o.load.wantProgress(10)
	if r := o.do("GET", "/readyz", ""); r.status != http.StatusOK {
		o.t.Errorf("readyz while ClickHouse is at fault (%v): %d %s", f, r.status, r.body)
	}
	if n := o.metric("meterhouse_log_pending_events"); n == "0" {
		o.t.Errorf("everything is stored while ClickHouse is at fault (%v)", f)
	}
	o.load.stop()
}

// TestOutagesLoseNothing lets ClickHouse fail in every way, with writers that do not notice. With
// another token for each try, 4,842 events are there twice.
func TestOutagesLoseNothing(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	for _, f := range []fault{refuse, hang, cut, swallow} {
		o.during(f, func() {
			if f == refuse {
				o.wantReadsUnavailable()
			}
			if f == hang {
				o.wantReadsWait()
			}
		})
		o.proxy.set(healthy)
		o.waitStored()
	}
	o.load.check(o.program, o.clickhouse)
	o.stop()
}

// TestUnknownOutcomeSurvivesACrash kills serve when ClickHouse has a batch and serve cannot know.
// With bounds of the batch chosen anew after the restart, 15,380 events are there twice.
func TestUnknownOutcomeSurvivesACrash(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.during(swallow, func() {})
	o.kill()
	o.start()
	o.during(swallow, func() {})
	o.kill()
	o.proxy.set(healthy)
	o.start()
	o.load.check(o.program, o.clickhouse)
	o.stop()
}

// TestStopWithoutClickHouse stops while nothing can be stored.
func TestStopWithoutClickHouse(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	for _, f := range []fault{refuse, hang} {
		o.during(f, func() {})
		o.stop()
		o.proxy.set(healthy)
		o.start()
		o.waitStored()
	}
	o.load.check(o.program, o.clickhouse)
	o.stop()
}

// unanswerable are reads that need ClickHouse, and the envelope of their dialect's errors: the
// names of its members.
var unanswerable = []struct {
	path, token, status string
	members             []string
}{
	{"/v2/gen-ai/agents/" + demoAgents[0] + "/usage", adaToken, "503", []string{"id", "message"}},
	{"/usage", adaToken, "503", []string{"detail"}},
	{"/usage/" + eventID("none"), adaToken, "503", []string{"detail"}},
	{
		"/api/v2/MemoriConsumptionLogs/" + adaLogin + "/" + demoAgents[0] + "/Daily", "", "200",
		[]string{"consumptionLogs", "requestDateTime", "requestID", "resultCode", "resultMessage"},
	},
}

// wantReadsUnavailable reads where ClickHouse cannot be reached.
func (o *outage) wantReadsUnavailable() {
	o.t.Helper()
	for _, read := range unanswerable {
		r := o.do("GET", read.path, "", "Authorization", "Bearer "+read.token)
		var members map[string]any
		if err := json.Unmarshal(r.body, &members); err != nil {
			o.t.Errorf("GET %s: %s: %v", read.path, r.body, err)
		}
		for _, name := range read.members {
			if _, ok := members[name]; !ok {
				o.t.Errorf("GET %s: %s has no %s", read.path, r.body, name)
			}
			delete(members, name)
		}
		delete(members, "request_id")
		code, memori := members["resultCode"]
		if len(members) > 0 || fmt.Sprint(r.status) != read.status || memori && code != 503.0 {
			o.t.Errorf("GET %s: %d %s", read.path, r.status, r.body)
		}
		if read.status == "503" && r.header.Get("Retry-After") == "" {
			o.t.Errorf("GET %s: no Retry-After", read.path)
		}
	}
}

// wantReadsWait reads from a ClickHouse that hangs. The reader gets its answer when the connection
// breaks, and nobody waits for it.
func (o *outage) wantReadsWait() {
	o.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.wantReadsUnavailable()
	}()
	o.load.wantProgress(10)
	o.proxy.set(refuse)
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		o.t.Error("reads hang although their connection broke")
	}
	o.proxy.set(hang)
	o.proxy.wantFault()
}

// wantStartFailure starts serve, which must say in one line why it cannot run.
func (p *program) wantStartFailure(why string) {
	p.t.Helper()
	out, err := p.command(p.t.Context(), "serve", "--listen", p.address, "--catalog", p.catalog).
		CombinedOutput()
	if err == nil || !strings.Contains(string(out), why) {
		p.t.Errorf("serve: %v\n%s\nwant %q", err, out, why)
	}
}
