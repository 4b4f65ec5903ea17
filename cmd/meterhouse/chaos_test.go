package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	chaosSeeds = flag.Int("chaos-seeds", 1, "how many seeds TestChaos tries, from -seed on")
	chaosTime  = flag.Duration("chaos-time", 25*time.Second, "how long each seed's chaos lasts")
)

// chaos is two serves with data folders of their own, a ClickHouse behind a proxy for each, and
// clients that know what they were told.
type chaos struct {
	t       *testing.T
	seed    uint64
	engine  *standalone
	nodes   [2]*program
	proxies [2]*proxy
	history history
	counts  chaosCounts

	// Who is at work on a process or a proxy. An act that needs several locks them in this order.
	busyNode  [2]sync.Mutex
	busyProxy [2]sync.Mutex
	busy      sync.Mutex // ClickHouse
	acting    sync.WaitGroup
}

const chaosClients = 12

// TestChaos does to a whole installation what its seed says, under load, lets it recover, and
// compares the ledger with what clients were told. docs/chaos.md has what it is worth.
func TestChaos(t *testing.T) {
	first := *seedFlag
	if first == 0 {
		first = 1 + uint64(time.Now().UnixNano())%1_000_000
	}
	for seed := first; seed < first+uint64(*chaosSeeds); seed++ {
		began := time.Now()
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) { runChaos(t, seed) })
		t.Logf("seed %d took %v", seed, time.Since(began).Round(100*time.Millisecond))
		if !ok {
			return
		}
	}
}

func runChaos(t *testing.T, seed uint64) {
	plan := newPlan(seed, *chaosTime)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with: make chaos SEED=%d DURATION=%v\nthe acts of seed %d:\n%s",
				seed, *chaosTime, seed, planText(plan))
		}
	})
	c := newChaos(t, seed)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	more, finish := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for i := range chaosClients {
		clients.Go(func() { newClient(c, i+1).run(ctx, more) })
	}
	for i, s := range plan {
		time.Sleep(s.after)
		if t.Failed() {
			break
		}
		c.acting.Go(func() {
			began := time.Now()
			c.do(s)
			t.Logf("%3d %v: took %v", i+1, s, time.Since(began).Round(time.Millisecond))
		})
	}
	c.acting.Wait()
	c.revive()
	finish()
	late := time.AfterFunc(2*clientTimeout, cancel)
	defer late.Stop()
	if c.nodes[0].cmd == nil || c.nodes[1].cmd == nil {
		cancel()
	}
	clients.Wait()
	if ctx.Err() != nil {
		t.Error("clients or nodes were not at their ends, so that nothing was compared")
		return
	}
	c.check()
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{t: t, seed: seed, engine: startEngine(t)}
	for i := range c.nodes {
		p := newProgram(t, chaosCatalog)
		p.address = stableAddress(t)
		c.nodes[i], c.proxies[i] = p, newProxy(t, c.engine.address)
		p.env = append(p.env, "METERHOUSE_CLICKHOUSE="+c.engine.dsn(c.proxies[i].address))
	}
	if out, err := c.command("migrate").CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	for _, p := range c.nodes {
		p.start()
	}
	return c
}

// command is a call of the program on ClickHouse itself, past the proxies.
func (c *chaos) command(subcommand string, args ...string) *exec.Cmd {
	p := program{t: c.t, data: c.t.TempDir(), env: []string{
		"METERHOUSE_CLICKHOUSE=" + c.engine.dsn(c.engine.address),
	}}
	return p.command(c.t.Context(), subcommand, args...)
}

// do does a step, and undoes it.
func (c *chaos) do(s step) {
	switch s.act {
	case killNode, stopNode, pauseNode, fullDisk:
		c.busyNode[s.node].Lock()
		defer c.busyNode[s.node].Unlock()
		c.doNode(s, c.nodes[s.node])
	case faultNode:
		c.fault(s, s.node)
	case faultBoth:
		var both sync.WaitGroup
		for i := range c.proxies {
			both.Go(func() { c.fault(s, i) })
		}
		both.Wait()
	case killEngine, pauseEngine, fullEngine:
		c.busy.Lock()
		defer c.busy.Unlock()
		c.doEngine(s)
	case killAll:
		c.killAll(s)
	case verifyLive:
		c.verifyLive()
	}
}

func (c *chaos) doNode(s step, p *program) {
	if p.cmd == nil {
		return // it could not be started, which failed the test
	}
	switch s.act {
	case killNode:
		p.kill()
		time.Sleep(s.lasts)
		c.start(p)
	case stopNode:
		if err := p.terminate(); err != nil {
			c.t.Errorf("SIGTERM of serve %c: %v", 'A'+s.node, err)
		}
		time.Sleep(s.lasts)
		c.start(p)
	case pauseNode:
		_ = p.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(s.lasts)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	case fullDisk:
		c.fillDisk(s, p.cmd)
	}
}

func (c *chaos) doEngine(s step) {
	switch s.act {
	case killEngine:
		c.engine.kill()
		time.Sleep(s.lasts)
		c.engine.start()
	case pauseEngine:
		_ = c.engine.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(s.lasts)
		_ = c.engine.cmd.Process.Signal(syscall.SIGCONT)
	case fullEngine:
		c.fillDisk(s, c.engine.cmd)
	}
	c.revive()
}

// revive starts a ClickHouse that gave up, as whoever supervises it would: one that can write
// nothing at all sometimes does.
func (c *chaos) revive() {
	if c.engine.died() {
		c.t.Log("ClickHouse ended by itself, and is started again")
		c.engine.kill()
		c.engine.start()
	}
}

func (c *chaos) fillDisk(s step, cmd *exec.Cmd) {
	for _, bytes := range []uint64{s.limit, unlimited} {
		err := limitFiles(cmd.Process.Pid, bytes)
		if err != nil && !errors.Is(err, syscall.ESRCH) { // it may have ended of it
			c.t.Errorf("limit the size of files to %d: %v", bytes, err)
		}
		if bytes != unlimited {
			time.Sleep(s.lasts)
		}
	}
}

func (c *chaos) fault(s step, i int) {
	c.busyProxy[i].Lock()
	defer c.busyProxy[i].Unlock()
	c.proxies[i].set(s.fault)
	time.Sleep(s.lasts)
	c.proxies[i].set(healthy)
}

func (c *chaos) killAll(s step) {
	for i := range c.nodes {
		c.busyNode[i].Lock()
		defer c.busyNode[i].Unlock()
	}
	c.busy.Lock()
	defer c.busy.Unlock()
	for _, kill := range []func(){c.nodes[s.node].kill, c.engine.kill, c.nodes[1-s.node].kill} {
		kill()
	}
	time.Sleep(s.lasts)
	c.engine.start()
	c.start(c.nodes[1-s.node])
	c.start(c.nodes[s.node])
}

// start starts a serve as whoever supervises it would: again, until it runs. It ends by itself
// where it cannot reach its ClickHouse.
func (c *chaos) start(p *program) {
	deadline := time.Now().Add(45 * time.Second)
	for {
		err := p.tryStart()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			lines := strings.Split(strings.TrimSpace(p.stderrText()), "\n")
			c.t.Errorf("serve does not start: %v: %s", err, lines[len(lines)-1])
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// terminate is SIGTERM; serve has ten seconds, on a machine that is busy with much else.
func (p *program) terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-p.exited:
		p.cmd = nil
		return err
	case <-time.After(15 * time.Second):
		p.kill()
		return errors.New("it did not end within 15 seconds")
	}
}

// verifyLive wants no difference while everything moves. It may fail to ask.
func (c *chaos) verifyLive() {
	out, err := c.command("verify").CombinedOutput()
	if exitCode(err) == exitFailed && strings.Contains(string(out), " difference") {
		c.t.Errorf("verify, live: %s", out)
	}
}
