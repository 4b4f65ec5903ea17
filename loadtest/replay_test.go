package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var agentsOfTests = []agent{
	{"12345678-1234-4234-8234-123456789012", "secret-1"},
	{"22345678-1234-4234-8234-123456789012", "secret-2"},
	{"32345678-1234-4234-8234-123456789012", "secret-3"},
}

// replayed runs a flat replay of 100 lines against a fake; further arguments come last.
func replayed(t *testing.T, f *fake, args ...string) (code int, out, errs string) {
	t.Helper()
	all := []string{
		"replay", "--trace", write(t, "trace.csv", traceText(100)), "--url", f.URL,
		"--token", tokenOfTests, "--settle", "0s", "--wait", "3s",
	}
	for _, a := range agentsOfTests {
		all = append(all, "--agent", a.id+"="+a.secret)
	}
	return command(t, append(all, args...)...)
}

func wantCode(t *testing.T, want, got int, out, errs string) {
	t.Helper()
	if got != want {
		t.Fatalf("exit %d, want %d\nout:\n%s\nerrs:\n%s", got, want, out, errs)
	}
}

func TestExactSumsPass(t *testing.T) {
	f := func(name string, args ...string) {
		t.Run(name, func(t *testing.T) {
			server := newFake(t, agentsOfTests...)
			code, out, errs := replayed(t, server, args...)
			wantCode(t, exitOK, code, out, errs)
			if len(server.events) != 100 {
				t.Fatalf("%d events arrived, want 100", len(server.events))
			}
			for _, want := range []string{"acknowledged", "p99", "retries       0", "visible"} {
				if !strings.Contains(out, want) {
					t.Errorf("output lacks %q:\n%s", want, out)
				}
			}
		})
	}
	f("one by one", "--flat")
	f("ndjson", "--flat", "--batch", "7")
	f("array", "--flat", "--batch", "7", "--format", "array")
	f("gzip", "--flat", "--batch", "1000", "--gzip", "--atomic")
	f("rhythm", "--speedup", "40", "--linger", "10ms", "--batch", "5")
	f("memori", "--flat", "--memori-token", memoriOfTests)
	f("tenant", "--flat", "--memori-token", memoriOfTests, "--tenant", tenantOfTests)
	f("long ago", "--flat", "--shift", "9000h")
	f("settled", "--flat", "--settle", "50ms")
}

func TestBodiesAreBatchedPerAgent(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	code, out, errs := replayed(t, server, "--flat", "--batch", "10", "--gzip")
	wantCode(t, exitOK, code, out, errs)
	// 34, 33 and 33 events: four requests each.
	if server.requests != 12 {
		t.Errorf("%d requests, want 12", server.requests)
	}
	for _, encoding := range server.encoding {
		if encoding != "gzip" {
			t.Errorf("Content-Encoding %q, want gzip", encoding)
		}
	}
}

func TestSumsAreReadAfterTheyBecomeVisible(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	server.visibleAfter = 300 * time.Millisecond
	code, out, errs := replayed(t, server, "--flat")
	wantCode(t, exitOK, code, out, errs)
}

func TestEarlierUsageIsSubtracted(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	for _, a := range agentsOfTests {
		server.accept(a.id, []*fakeEvent{{
			ID: "before" + a.id, Time: time.Now().UTC().Add(-61 * time.Second),
			UsageData: map[string]int64{"INPUT": 5, "OUTPUT": 6, "CACHED_INPUT": 7},
		}})
	}
	code, out, errs := replayed(t, server, "--flat", "--memori-token", memoriOfTests,
		"--tenant", tenantOfTests)
	wantCode(t, exitOK, code, out, errs)
}

func TestWrongCountsFail(t *testing.T) {
	f := func(name string, copies int64, want string) {
		t.Run(name, func(t *testing.T) {
			server := newFake(t, agentsOfTests...)
			server.copies = func(n int, _ *fakeEvent) int64 {
				if n == 57 {
					return copies
				}
				return 1
			}
			code, out, errs := replayed(t, server, "--flat", "--wait", "300ms")
			wantCode(t, exitFailed, code, out, errs)
			if !strings.Contains(errs, "1 of 3 reads are not exactly what was sent") {
				t.Errorf("errors lack the count:\n%s", errs)
			}
			if !strings.Contains(out, want) || !strings.Contains(out, "INPUT") {
				t.Errorf("table lacks the difference %s:\n%s", want, out)
			}
		})
	}
	f("lost", 0, "-1")
	f("doubled", 2, "+1")
}

func TestLateDoubleFails(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	server.copies = func(n int, e *fakeEvent) int64 {
		if n == 3 {
			late := *e
			late.ID, late.copies = "late", 1
			time.AfterFunc(200*time.Millisecond, func() { server.accept(e.agent, []*fakeEvent{&late}) })
		}
		return 1
	}
	code, out, errs := replayed(t, server, "--flat", "--settle", "600ms", "--wait", "1s")
	wantCode(t, exitFailed, code, out, errs)
}

func TestRejectionFailsWithItsReason(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	server.reject = func(e *fakeEvent) string {
		if e.UsageData["INPUT"] == 1042 {
			return "must be lucky"
		}
		return ""
	}
	for _, batch := range []string{"1", "20"} {
		code, out, errs := replayed(t, server, "--flat", "--batch", batch)
		wantCode(t, exitFailed, code, out, errs)
		if !strings.Contains(errs, "usage.INPUT: must be lucky") {
			t.Errorf("batch %s: errors lack the reason:\n%s", batch, errs)
		}
	}
}

func TestWrongSecretFailsAtOnce(t *testing.T) {
	server := newFake(t, agentsOfTests[:2]...)
	code, out, errs := replayed(t, server, "--flat")
	wantCode(t, exitFailed, code, out, errs)
	if !strings.Contains(errs, "401") || strings.Contains(errs, "secret-3") {
		t.Errorf("want a 401 without the secret:\n%s", errs)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		var refusedAt, servedAt atomic.Int64
		server := newFake(t, agentsOfTests...)
		server.intercept = func(n int, w http.ResponseWriter, _ *http.Request, _ func()) bool {
			if n == 0 {
				refusedAt.Store(time.Now().UnixNano())
				w.Header().Set("Retry-After", "1")
				problem(w, status, "later")
				return true
			}
			servedAt.Store(time.Now().UnixNano())
			return false
		}
		code, out, errs := replayed(t, server, "--flat", "--batch", "100", "--connections", "1",
			"--resend-every", "0")
		wantCode(t, exitOK, code, out, errs)
		waited := time.Duration(servedAt.Load() - refusedAt.Load())
		if waited < time.Second {
			t.Errorf("%d: sent again after %v, want 1s", status, waited)
		}
		if !strings.Contains(out, "retries       1 after 429 or 503, 0 after") {
			t.Errorf("%d: the retry is not counted:\n%s", status, out)
		}
		if server.bodies[0] != server.bodies[1] {
			t.Errorf("%d: the retry's body differs", status)
		}
	}
}

func TestRefusalsWithoutEndFail(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	server.intercept = func(_ int, w http.ResponseWriter, _ *http.Request, _ func()) bool {
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusTooManyRequests, "always")
		return true
	}
	code, out, errs := replayed(t, server, "--flat", "--retry-for", "500ms")
	wantCode(t, exitFailed, code, out, errs)
	if !strings.Contains(errs, "gave up after 500ms: 429") {
		t.Errorf("errors lack the reason:\n%s", errs)
	}
}

// A connection that breaks before or after the events were taken is tried again with the same
// ids, and they count once.
func TestBrokenConnectionIsRetriedWithTheSameIDs(t *testing.T) {
	f := func(name string, taken bool) {
		t.Run(name, func(t *testing.T) {
			server := newFake(t, agentsOfTests...)
			server.intercept = func(n int, w http.ResponseWriter, _ *http.Request, accept func()) bool {
				if n%3 != 0 {
					return false
				}
				if taken {
					accept()
				}
				reset(t, w)
				return true
			}
			code, out, errs := replayed(t, server, "--flat", "--batch", "10")
			wantCode(t, exitOK, code, out, errs)
			if strings.Contains(out, " 0 after a broken connection") {
				t.Errorf("no retry is counted:\n%s", out)
			}
			if taken == strings.Contains(out, " 0 duplicates") {
				t.Errorf("duplicates are counted wrongly:\n%s", out)
			}
			if len(server.ids) != 100 {
				t.Errorf("%d ids, want 100", len(server.ids))
			}
		})
	}
	f("before", false)
	f("after", true)
}

func TestAcknowledgedRequestsSentAgainCountOnce(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	code, out, errs := replayed(t, server, "--flat", "--batch", "5", "--resend-every", "2")
	wantCode(t, exitOK, code, out, errs)
	if server.requests <= 20 || !strings.Contains(out, "sent again") {
		t.Errorf("%d requests, want more than 20:\n%s", server.requests, out)
	}
}

func TestUsedRunIDFails(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	code, out, errs := replayed(t, server, "--flat", "--run-id", "same")
	wantCode(t, exitOK, code, out, errs)
	code, out, errs = replayed(t, server, "--flat", "--run-id", "same")
	wantCode(t, exitFailed, code, out, errs)
	if !strings.Contains(errs, "--run-id") {
		t.Errorf("errors lack the hint:\n%s", errs)
	}
}

func TestCopiesHaveIDsAndTimesOfTheirOwn(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	code, out, errs := replayed(t, server, "--flat", "--copies", "3", "--run-id", "r")
	wantCode(t, exitOK, code, out, errs)
	if len(server.ids) != 300 || !server.ids["r-2-1-101"] || server.ids["r-0-1-1"] {
		t.Errorf("%d ids, want 300 from r-0-1-2 to r-2-1-101", len(server.ids))
	}
}

func TestUnknownMemoriTokenFails(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	code, out, errs := replayed(t, server, "--flat", "--memori-token", "nobody")
	wantCode(t, exitFailed, code, out, errs)
	if !strings.Contains(errs, "resultCode -101") || len(server.events) > 0 {
		t.Errorf("want the result code before anything is sent:\n%s", errs)
	}
}

func TestServerThatIsGoneFails(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	server.Close()
	code, out, errs := replayed(t, server, "--flat", "--wait", "100ms")
	wantCode(t, exitFailed, code, out, errs)
}

func TestWrongUsage(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	f := func(want string, args ...string) {
		t.Helper()
		code, out, errs := replayed(t, server, args...)
		if code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%q: exit %d, want %d and %q\n%s%s", args, code, exitUsage, want, out, errs)
		}
	}
	f("exclude", "--flat", "--speedup", "3")
	f("--batch", "--batch", "10001")
	f("not a loopback address", "--url", "http://192.0.2.1:8080")
	f("without a path", "--url", "http://127.0.0.1:8080/compat")
	f("400 days", "--shift", "9601h")
	f("4 minutes ahead", "--shift=-10m")
	f("--shift", "--shift", "yesterday")
	f("--run-id", "--run-id", `"`)
	f("given twice", "--agent", agentsOfTests[0].id+"=other")
	f("ID=SECRET", "--agent", "other")
	f("not defined", "--nonsense")
	f("unexpected argument", "more")
	f("--memori-token", "--tenant", "t")
	code, _, _ := command(t, "replay", "--trace", "x")
	if code != exitUsage {
		t.Errorf("no agents: exit %d, want %d", code, exitUsage)
	}
	code, _, _ = command(t)
	if code != exitUsage {
		t.Errorf("no command: exit %d, want %d", code, exitUsage)
	}
}

func TestHelp(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		code, out, errs := command(t, args...)
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("%q: exit %d, want %q\n%s%s", args, code, want, out, errs)
		}
	}
	f("replay", "help")
	f("-speedup", "help", "replay")
	f("-engine-url", "bench", "-h")
	f("-listen", "bare", "--help")
}

func TestProgressIsPlainLinesOrOneLine(t *testing.T) {
	f := func(terminal bool, want, not string) {
		t.Helper()
		var b lockedBuffer
		n := 0
		p := startProgress(&b, terminal, time.Millisecond, func() string { n++; return "line" })
		time.Sleep(30 * time.Millisecond)
		p.stop()
		if text := b.String(); !strings.Contains(text, want) || strings.Contains(text, not) {
			t.Errorf("terminal %v: %q", terminal, text)
		}
	}
	f(false, "line\n", "\r")
	f(true, "\rline\x1b[K", "\n")
}

func TestProgressLineIsOfTheRun(t *testing.T) {
	lines, err := decodeTrace("t", 1, strings.NewReader(traceText(10)))
	if err != nil {
		t.Fatal(err)
	}
	c := &replayConfig{speedup: 1, connections: 1, target: target{base: "http://127.0.0.1:1"}}
	s := newSender(c, &plan{lines: lines, copies: 1, agents: 1, end: time.Now()})
	s.started = time.Now()
	for range 2 {
		s.sent.Add(4)
		s.acked.Add(3)
		if text := s.progress(); !strings.Contains(text, "acknowledged") {
			t.Errorf("progress %q", text)
		}
		time.Sleep(time.Millisecond)
	}
	if text := s.progress(); !strings.Contains(text, "acknowledged 6 of 10 (60%)") {
		t.Errorf("progress %q", text)
	}
}

func TestEventsAreTheContractsOwn(t *testing.T) {
	p := &plan{
		run: "r", copies: 1, agents: 1, end: time.Date(2026, 11, 21, 10, 0, 0, 123e6, time.UTC),
		lines: []traceLine{{atNanos: 5, input: 1200, output: 350, file: 1, line: 2}},
	}
	got := string(newEventWriter("Open\"AI", "m").appendTraced(nil, p, p.event(0)))
	want := `{"id":"r-0-1-2","time":"2026-11-21T10:00:00.123Z","provider":"Open\"AI","model":"m",` +
		`"usage":{"INPUT":1200,"OUTPUT":350}}`
	if got != want {
		t.Errorf("event\n%s\nwant\n%s", got, want)
	}
	if !json.Valid([]byte(got)) {
		t.Error("not JSON")
	}
}
