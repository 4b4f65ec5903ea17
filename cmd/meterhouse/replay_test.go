package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The load test reads back exactly what it sent, over DigitalOcean's and Memori's routes, from the
// running program; requests sent again on purpose count once.
func TestReplayReadsBackWhatItSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loadtest := filepath.Join(dir, "loadtest")
	build := exec.Command("go", "build", "-o", loadtest, "./loadtest")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	trace := filepath.Join(dir, "trace.csv")
	if err := os.WriteFile(trace, []byte(makeTrace(5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newProgram(t, demoCatalog)
	p.start()
	f := func(args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		args = append([]string{
			"replay", "--flat", "--trace", trace, "--url", p.url(""),
			"--agents", filepath.Join(repository, "loadtest/demo-agents.csv"),
			"--token", "dop_v1_demo_ada", "--tenant", "www.acme.example",
			"--memori-token", "11111111-1111-4111-8111-111111111111",
		}, args...)
		out, err := exec.CommandContext(ctx, loadtest, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "each equal to what was sent") {
			t.Fatalf("%q: %v\n%s", args[len(args)-2:], err, out)
		}
	}
	f("--batch", "100", "--gzip")
	f("--batch", "1", "--resend-every", "7")
	p.verify()
	p.stop()
}

// makeTrace returns n requests at uneven intervals, their sizes spread like real ones: many small,
// few large.
func makeTrace(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	size := func(median, spread float64) int { return int(median * math.Exp(spread*r.NormFloat64())) }
	at := time.Date(2023, 11, 16, 18, 15, 46, 0, time.UTC)
	var b strings.Builder
	b.WriteString("TIMESTAMP,ContextTokens,GeneratedTokens\n")
	for range n {
		at = at.Add(time.Duration(r.ExpFloat64() * float64(100*time.Millisecond)))
		fmt.Fprintf(&b, "%s,%d,%d\n", at.Format("2006-01-02 15:04:05.0000000"),
			size(1000, 1), size(100, 1))
	}
	return b.String()
}
