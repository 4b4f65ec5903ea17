package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// held is what the ledger has of an event.
type held struct {
	id    string
	agent string
	mark  string // its endpoint
	sums  amounts
}

// state is as amounts.state; an event whose sums are all zero is absent.
func (h held) state() string {
	for name, n := range h.sums {
		if n == 0 {
			delete(h.sums, name)
		}
	}
	if len(h.sums) == 0 {
		return absent
	}
	return h.sums.state(h.agent)
}

// ledger returns what is there of every event, copies and corrections added up.
func (c *chaos) ledger() map[string]held {
	all := make(map[string]held)
	for _, line := range c.engine.lines(c.t, `SELECT event_id, agent_id, endpoint, usage_type,
		toString(sum(quantity)) FROM usage_events WHERE usage_type != 'PROBE'
		GROUP BY ALL ORDER BY ALL`) {
		f := strings.Split(line, "\t")
		h, ok := all[f[0]]
		if !ok {
			h = held{f[0], f[1], f[2], amounts{}}
		}
		n, err := strconv.ParseInt(f[4], 10, 64)
		if err != nil {
			c.t.Fatalf("the ledger has a quantity of %s", f[4])
		}
		h.sums[f[3]] += n
		all[f[0]] = h
	}
	return all
}

// drained is how long everything may take to be stored once all works.
const drained = 45 * time.Second

// swept is how long copies of events may take to be swept: seconds as a rule, or a few more where a
// node was stopped that knew of them.
const swept = 45 * time.Second

// check waits until everything is stored and compares it with what the clients were told.
func (c *chaos) check() {
	t := c.t
	began := time.Now()
	c.wait("every event is stored", func() bool {
		for _, p := range c.nodes {
			if p.metric("meterhouse_log_pending_events") != "0" ||
				p.metric("meterhouse_corrections_open") != "0" {
				return false
			}
		}
		return true
	})
	var wrong wrongs
	var sums map[string]int64
	for deadline := began.Add(swept); ; time.Sleep(300 * time.Millisecond) {
		wrong, sums = c.compare()
		if wrong.count == 0 || time.Now().After(deadline) {
			break
		}
	}
	t.Logf("healed in %v", time.Since(began).Round(time.Millisecond))
	wrong.report(t)
	c.checkCosts()
	for _, p := range c.nodes {
		c.checkReads(p, sums)
	}
	c.checkVerify()
	c.summary()
	for _, p := range c.nodes {
		if err := p.terminate(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
	}
}

func (c *chaos) wait(what string, reached func() bool) {
	for deadline := time.Now().Add(drained); !reached(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Errorf("after %v it is not so that %s", drained, what)
			return
		}
	}
}

// compare returns what of the ledger nobody can have meant, and the sums of what it has.
func (c *chaos) compare() (wrong wrongs, sums map[string]int64) {
	ledger := c.ledger()
	marks := make(map[string][]string) // of events without a key: their ids
	for id, h := range ledger {
		marks[h.mark] = append(marks[h.mark], id)
		if h.mark == "" { // raia has no endpoint
			mark := fmt.Sprint("OPENAI_TOKENS=", h.sums["OPENAI_TOKENS"])
			marks[mark] = append(marks[mark], id)
		}
	}
	sums = make(map[string]int64)
	for _, f := range c.history.facts {
		ids := []string{f.id}
		if f.key == "" {
			ids = marks[f.mark]
		}
		state := absent
		if len(ids) > 0 {
			h := ledger[ids[0]]
			state = h.state()
			for name, n := range h.sums {
				sums[h.agent+" "+name] += n
			}
		}
		if len(ids) > 1 || !f.may[state] {
			wrong.add("event %q (id %s, mark %s, acknowledged: %v by node %d): the ledger has %q %v, "+
				"it may have %q", f.key, f.id, f.mark, f.acked, f.node, state, ids, keysOf(f.may))
		}
		for _, id := range ids {
			delete(ledger, id)
		}
	}
	for id, h := range ledger {
		wrong.add("event %s: nobody sent %+v", id, h)
	}
	return wrong, sums
}

func keysOf(set map[string]bool) []string {
	var all []string
	for k := range set {
		all = append(all, k)
	}
	return all
}

// checkCosts wants every cost to be that of the quantity: corrections and sweeps keep them equal.
func (c *chaos) checkCosts() {
	for _, line := range c.engine.lines(c.t, `SELECT event_id, usage_type, sum(quantity),
			sum(billed_cost) FROM usage_events WHERE usage_type IN ('INPUT', 'OUTPUT') GROUP BY ALL
		HAVING sum(billed_cost) != sum(quantity) *
			toDecimal128(if(usage_type = 'INPUT', '0.000000195', '0.00000078'), 12) LIMIT 10`) {
		c.t.Errorf("what it costs is not its quantity's cost: %s", line)
	}
}

// checkReads wants the read APIs of a node to say what the ledger has.
func (c *chaos) checkReads(p *program, sums map[string]int64) {
	want, got := make(map[string]int64), make(map[string]int64)
	for name, n := range sums {
		agent, usageType, _ := strings.Cut(name, " ")
		switch usageType {
		case "INPUT", "OUTPUT":
			want["digitalocean "+name] += n
			if strings.Contains(strings.Join(demoAgents, " "), agent) {
				want["memori "+name] += n
			}
		case "COMPLETIONS":
			if strings.Contains(strings.Join(demoAgents, " "), agent) {
				want["memori "+name] += n
			}
		case "OPENAI_TOKENS":
			want["digitalocean "+name] += n
		}
	}
	for i, who := range tenants {
		for _, agent := range who.agents {
			p.digitalOceanSums(agent, who.token, got)
			if i == 0 {
				p.memoriSums(agent, got)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("what the agents used (-ledger +answered):\n%s", diff)
	}
}

var missingLine = regexp.MustCompile(`(?m)^node .*, [1-9]\d* missing`)

func (c *chaos) checkVerify() {
	out, err := c.command("verify").CombinedOutput()
	if err != nil || missingLine.Match(out) {
		c.t.Errorf("verify: %v\n%s", err, out)
	}
}

// summary tells what was done, and wants that there was something.
func (c *chaos) summary() {
	n := &c.counts
	c.t.Logf("%d events of %d requests acknowledged; %d had no answer, %d were refused, %d went to "+
		"both nodes, %d were sent again; %d corrections, %d reads", n.events.Load(),
		n.writes.Load(), n.unknown.Load(), n.refused.Load(), n.doubled.Load(), n.resent.Load(),
		n.corrected.Load(), n.read.Load())
	c.t.Logf("%d and %d requests of the nodes met a fault", c.proxies[0].met.Load(),
		c.proxies[1].met.Load())
	if n.events.Load() < 100 || n.resent.Load() == 0 || n.read.Load() == 0 {
		c.t.Error("hardly anything happened")
	}
}
