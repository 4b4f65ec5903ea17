package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// fakeEngine answers the statements of the reference; rows are counted, not stored.
type fakeEngine struct {
	*httptest.Server
	mu      sync.Mutex
	log     []string
	made    map[string]bool
	rows    int
	tokens  map[string]bool
	without bool // has no row of the run
}

const blockOfTests = "fifty rows"

func newFakeEngine(t *testing.T) *fakeEngine {
	f := &fakeEngine{made: map[string]bool{}, tokens: map[string]bool{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeEngine) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	sql := r.URL.Query().Get("query")
	if sql == "" {
		sql = string(body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, sql)
	if r.Header.Get("X-ClickHouse-Key") != "pass" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	answer, err := f.statement(r, sql, string(body))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, err)
		return
	}
	fmt.Fprint(w, answer)
}

func (f *fakeEngine) statement(r *http.Request, sql, body string) (string, error) {
	starts := func(prefix string) bool { return strings.HasPrefix(sql, prefix) }
	switch {
	case starts("SELECT count() FROM system.merges"):
		return "0\n", nil
	case starts("SELECT database FROM system.tables"):
		return "meterhouse\n", nil
	case starts("SELECT name FROM system.tables"):
		return "usage_events\na_view_of_b\nb_view\n", nil
	case starts("SHOW CREATE TABLE `meterhouse`."):
		name := strings.Trim(strings.Fields(sql)[3], "`")
		name = strings.TrimPrefix(name, "meterhouse`.`")
		return "CREATE TABLE meterhouse." + name + " (a Int64 DEFAULT 0)", nil
	case starts("CREATE TABLE bench_reference."):
		name := strings.TrimPrefix(strings.Fields(sql)[2], "bench_reference.")
		if name == "a_view_of_b" && !f.made["b_view"] {
			return "", fmt.Errorf("unknown table b_view")
		}
		f.made[name] = true
		return "", nil
	case starts("CREATE DATABASE bench_reference"), starts("DROP DATABASE IF EXISTS bench_ref"):
		return "", nil
	case starts("SELECT count() FROM (SELECT 1"):
		if f.without {
			return "0\n", nil
		}
		return "50\n", nil
	case starts("SELECT * FROM usage_events WHERE api_name = 'lt-"):
		return blockOfTests, nil
	case starts("SELECT count() FROM usage_events"):
		return fmt.Sprintln(f.rows), nil
	case starts("INSERT INTO `usage_events` FORMAT Native"):
		query := r.URL.Query()
		token := query.Get("insert_deduplication_token")
		if body != blockOfTests || query.Get("async_insert") != "0" || f.tokens[token] ||
			query.Get("database") != scratchDatabase {
			return "", fmt.Errorf("insert %q of %q", token, body)
		}
		f.tokens[token] = true
		f.rows += 50
		return "", nil
	}
	return "", fmt.Errorf("unexpected statement %q", sql)
}

func benched(t *testing.T, f *fake, args ...string) (code int, out, errs string) {
	t.Helper()
	all := []string{
		"bench", "--url", f.URL, "--token", tokenOfTests, "--duration", "30ms", "--settle", "0s",
		"--rounds", "2", "--connections", "4", "--events", "200", "--batch", "50",
		"--batch-connections", "2", "--wait", "5s",
	}
	for _, a := range agentsOfTests {
		all = append(all, "--agent", a.id+"="+a.secret)
	}
	return command(t, append(all, args...)...)
}

func TestBenchPrintsRatios(t *testing.T) {
	server, engine := newFake(t, agentsOfTests...), newFakeEngine(t)
	endpoint := write(t, "endpoint.json", fmt.Sprintf(
		`{"addr":%q,"password":"pass","pid":1}`, strings.TrimPrefix(engine.URL, "http://")))
	code, out, errs := benched(t, server, "--engine-endpoint", endpoint)
	wantCode(t, exitOK, code, out, errs)
	for _, want := range []string{
		"| single-event writes, raia, durable ack |", "(bare fiber)", "native with a key",
		"| batch writes, JSON array, until visible |", "(engine, pre-encoded)", "| 0.50 |",
		"OpenMeter", "Machine: ", "rounds", "| memory of `serve` during all of it, at most | 77 MB |",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	if len(engine.tokens) != 3*(1+2*4) {
		t.Errorf("%d inserts, want a warming one and two rounds of four, three times",
			len(engine.tokens))
	}
	if last := engine.log[len(engine.log)-1]; !strings.HasPrefix(last, "DROP DATABASE") {
		t.Errorf("the scratch database stays: %s", last)
	}
}

func TestBenchWithoutEngineHasNoRatio(t *testing.T) {
	server := newFake(t, agentsOfTests...)
	code, out, errs := benched(t, server, "--only", "batch-array")
	wantCode(t, exitOK, code, out, errs)
	if !strings.Contains(out, "events/s | — | — |") {
		t.Errorf("want no ratio:\n%s", out)
	}
}

func TestBenchFailsOnALostEvent(t *testing.T) {
	for _, work := range []string{"raia", "batch-ndjson"} {
		server := newFake(t, agentsOfTests...)
		server.copies = func(n int, _ *fakeEvent) int64 { return min(int64(n), 1) }
		code, out, errs := benched(t, server, "--only", work, "--wait", "100ms")
		wantCode(t, exitFailed, code, out, errs)
		if !strings.Contains(errs, "not what was acknowledged") {
			t.Errorf("%s: errors lack the reason:\n%s", work, errs)
		}
	}
}

func TestBenchOfAnotherEngineFails(t *testing.T) {
	server, engine := newFake(t, agentsOfTests...), newFakeEngine(t)
	engine.without = true
	code, out, errs := benched(t, server, "--only", "batch-ndjson", "--engine-url", engine.URL,
		"--engine-password", "pass")
	wantCode(t, exitFailed, code, out, errs)
	if !strings.Contains(errs, "is it the engine of the server under test") {
		t.Errorf("errors lack the hint:\n%s", errs)
	}
}

func TestLineMissesWhatIsAsked(t *testing.T) {
	l := &line{name: "l", ours: []float64{5, 6, 7}, others: []float64{10, 10, 10}, ratioMin: 0.6}
	if text := l.missed(); text != "" {
		t.Errorf("ratio 0.6 misses 0.6: %s", text)
	}
	l.ratioMin = 0.61
	if l.missed() == "" {
		t.Error("ratio 0.6 does not miss 0.61")
	}
	l.ratioMin, l.p99Max = 0, singleP99Max
	l.latency.add(2 * singleP99Max)
	if err := missed([]*line{{}, l}, 0); err == nil || !strings.Contains(err.Error(), "p99") {
		t.Errorf("p99 is not missed: %v", err)
	}
	if err := missed(nil, 512<<20); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("512 MB miss < 512 MB: %v", err)
	}
	if err := missed([]*line{{}}, 511<<20); err != nil {
		t.Error(err)
	}
}

func TestRenameDatabase(t *testing.T) {
	f := func(sql, want string) {
		t.Helper()
		if got := renameDatabase(sql, "default", "b"); got != want {
			t.Errorf("%q\n got %q\nwant %q", sql, got, want)
		}
	}
	f("CREATE TABLE default.a (x Int DEFAULT 0, y Int DEFAULT default.f)",
		"CREATE TABLE b.a (x Int DEFAULT 0, y Int DEFAULT b.f)")
	f("TO `default`.`a` AS SELECT 1 FROM (default.c),default.d", "TO b.`a` AS SELECT 1 FROM (b.c),b.d")
	f("dictGet('default.d', a) x.default.y mydefault.z", "dictGet('b.d', a) x.default.y mydefault.z")
	f("SOURCE(CLICKHOUSE(TABLE 'd' DB 'default'))", "SOURCE(CLICKHOUSE(TABLE 'd' DB 'b'))")
}

func TestBareAnswers201(t *testing.T) {
	child, err := startBare(console{errs: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(child.base+"/v1/events", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || len(body) > 0 || err != nil {
		t.Errorf("%d %q, %v", resp.StatusCode, body, err)
	}
	if err := child.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	con := console{out: io.Discard, errs: io.Discard}
	if code := run(context.Background(), con, []string{"bare", "--listen", "0.0.0.0:0"}); code != 2 {
		t.Errorf("listening beyond loopback: exit %d, want 2", code)
	}
}

func TestMachineHasACPUModel(t *testing.T) {
	text := "processor : 0\nmodel name\t: A  B  CPU\n"
	if model := cpuModel(strings.NewReader(text)); model != "A B CPU" {
		t.Errorf("model %q", model)
	}
	if model := cpuModel(strings.NewReader("")); model != "unknown CPU" {
		t.Errorf("model %q", model)
	}
}

func TestMedianAndThousands(t *testing.T) {
	if median(nil) != 0 || median([]float64{3, 1, 2}) != 2 || median([]float64{4, 1}) != 2.5 {
		t.Error("median")
	}
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", -100: "-100",
	} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
