//go:build upgrade

package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// oldProgram is the program of the last release, which .ci/upgrade builds.
func oldProgram(t *testing.T) string {
	t.Helper()
	path := os.Getenv("METERHOUSE_OLD")
	if path == "" {
		t.Fatal("METERHOUSE_OLD names no program of the last release: run .ci/upgrade")
	}
	return path
}

// polite is how clients speak to nodes that are being upgraded: what they are told must be an
// answer, or when to come again.
type polite struct {
	t *testing.T
	http.RoundTripper
}

func (p polite) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := p.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	later := answer.StatusCode == http.StatusTooManyRequests ||
		answer.StatusCode == http.StatusServiceUnavailable
	if later && answer.Header.Get("Retry-After") == "" || !later && answer.StatusCode >= 500 {
		p.t.Errorf("%s %s: %d %v", r.Method, r.URL.Path, answer.StatusCode, answer.Header)
	}
	return answer, nil
}

// TestUpgradeOfNodes is docs/operations.md#upgrades on two nodes, with clients that write, repeat,
// read and correct through both all the while. With a migration that drops users.email the old
// program could not be started again; with a program that keeps the log's progress under another
// name, 10,600 events were there twice.
func TestUpgradeOfNodes(t *testing.T) {
	c := &chaos{t: t, seed: uint64(newRand(t).Int64N(1_000_000)), engine: startEngine(t)}
	for i := range c.nodes {
		c.nodes[i] = newProgram(t, chaosCatalog)
		c.nodes[i].address = stableAddress(t)
		c.nodes[i].env = []string{"METERHOUSE_CLICKHOUSE=" + c.engine.dsn(c.engine.address)}
	}
	first, second := c.nodes[0], c.nodes[1]
	first.binary = oldProgram(t)
	c.migrate(first)
	if got := c.schemaVersion(); got != os.Getenv("METERHOUSE_OLD_SCHEMA") {
		t.Errorf("the last release makes schema version %s, .ci/released says %s", got,
			os.Getenv("METERHOUSE_OLD_SCHEMA"))
	}
	first.start()
	load := c.load()
	defer load.stop()
	load.goesOn(2 * time.Second)

	if err := second.tryStart(); err == nil ||
		!strings.Contains(second.stderrText(), "run `meterhouse migrate`") {
		t.Errorf("the new program on the old schema: %v\n%s", err, second.stderrText())
	}
	c.migrate(second)
	load.goesOn(2 * time.Second)
	first.kill() // the old program can be started on the new schema
	first.start()
	load.goesOn(2 * time.Second)
	second.start()
	load.goesOn(4 * time.Second)
	first.stop()
	load.goesOn(time.Second)
	first.binary = "" // on its log and its keys
	first.start()
	load.goesOn(4 * time.Second)
	second.stop()
	second.binary = oldProgram(t) // who is not content goes back
	second.start()
	load.goesOn(2 * time.Second)
	load.stop()
	c.check()
}

// TestUpgradeOfOneNode upgrades an installation without a ClickHouse of its own, which was killed:
// the new program migrates when it starts, and stores what the old one had in its log. With that
// program 10,858 events were there twice.
func TestUpgradeOfOneNode(t *testing.T) {
	p := newProgram(t, demoCatalog)
	p.address = stableAddress(t)
	p.binary = oldProgram(t)
	p.start()
	l := newLoad(p)
	l.start(newRand(t))
	l.wantProgress(20)
	p.kill()
	p.binary = ""
	p.start()
	l.wantProgress(20)
	l.stop()
	l.check(p, p.clickhouse())
	p.stop()
}

// migrate migrates ClickHouse with the program of a node.
func (c *chaos) migrate(p *program) {
	c.t.Helper()
	if out, err := p.command(c.t.Context(), "migrate").CombinedOutput(); err != nil {
		c.t.Fatalf("migrate: %v\n%s", err, out)
	}
}

func (c *chaos) schemaVersion() string {
	return strings.Join(c.engine.lines(c.t,
		"SELECT version FROM schema_migrations ORDER BY sequence DESC LIMIT 1"), " ")
}

// upgradeLoad is the clients at work.
type upgradeLoad struct {
	c       *chaos
	clients sync.WaitGroup
	finish  context.CancelFunc // what they began they end
	cancel  context.CancelFunc
}

func (c *chaos) load() *upgradeLoad {
	const clients = 6
	l := &upgradeLoad{c: c}
	ctx, cancel := context.WithCancel(context.Background())
	more, finish := context.WithCancel(ctx)
	l.cancel, l.finish = cancel, finish
	for i := range clients {
		client := newClient(c, i+1)
		client.http.Transport = polite{c.t, client.http.Transport}
		l.clients.Go(func() { client.run(ctx, more) })
	}
	return l
}

// goesOn returns after a while in which writes were acknowledged.
func (l *upgradeLoad) goesOn(while time.Duration) {
	l.c.t.Helper()
	before := l.c.counts.writes.Load()
	time.Sleep(while)
	eventually(l.c.t, "20 more writes are acknowledged", func() bool {
		return l.c.counts.writes.Load() >= before+20
	})
}

func (l *upgradeLoad) stop() {
	l.finish()
	if l.c.t.Failed() {
		l.cancel() // nobody may be there to answer
	}
	late := time.AfterFunc(2*clientTimeout, l.cancel)
	defer late.Stop()
	l.clients.Wait()
}
