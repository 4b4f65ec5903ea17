package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/meterhouse/meterhouse/schema/schematest"
)

var update = flag.Bool("update", false, "write the documents that are made of the program")

// dsnOf is how serve is told about a test's database.
func dsnOf(d *schematest.Database) secret {
	scheme := "clickhouse"
	if d.Options.Protocol == ch.HTTP {
		scheme = "http"
	}
	dsn := url.URL{
		Scheme: scheme, User: url.UserPassword(d.Options.Auth.Username, d.Options.Auth.Password),
		Host: d.Options.Addr[0], Path: "/" + d.Options.Auth.Database,
	}
	return secret(dsn.String())
}

// nodeInProcess is a node in this process, wired as serve wires it, on a database of its own.
func nodeInProcess(t *testing.T) *node {
	t.Helper()
	n := newNodeOn(t, schematest.New(t))
	if err := n.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// newNodeOn is one that is not started.
func newNodeOn(t *testing.T, d *schematest.Database) *node {
	t.Helper()
	c := &config{
		listen: "127.0.0.1:0", data: t.TempDir(), clickhouse: dsnOf(d), demo: true,
		verifyEvery: time.Hour, logLimit: 1 << 30, window: 34 * 24 * time.Hour,
	}
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	if err := c.billingFlags(f); err != nil {
		t.Fatal(err)
	}
	n := newNode(c, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// stages name what a metric is of, by how its name begins; the first that fits counts.
var stages = []struct{ prefix, stage string }{
	{"meterhouse_request", "HTTP"},
	{"meterhouse_connections", "HTTP"},
	{"meterhouse_dialect", "HTTP"},
	{"meterhouse_console", "HTTP"},
	{"meterhouse_ready", "write: log"},
	{"meterhouse_read", "reads"},
	{"meterhouse_queue", "write: queue"},
	{"meterhouse_events_aside", "write: insert"},
	{"meterhouse_batches_aside", "write: insert"},
	{"meterhouse_events", "write: accept"},
	{"meterhouse_unpriced", "write: accept"},
	{"meterhouse_log", "write: log"},
	{"meterhouse_batch", "write: insert"},
	{"meterhouse_stored_lag", "write: visible"},
	{"meterhouse_lag", "write: visible"},
	{"meterhouse_keys", "known keys"},
	{"meterhouse_peers", "peers"},
	{"meterhouse_duplicates_swept", "sweep"},
	{"meterhouse_correction", "corrections"},
	{"meterhouse_verify", "verify"},
	{"meterhouse_retention", "retention"},
	{"meterhouse_erasure", "erasures"},
	{"meterhouse_exports", "exports"},
	{"meterhouse_report", "reports"},
	{"meterhouse_catalog", "catalog"},
	{"meterhouse_clickhouse", "ClickHouse"},
	{"meterhouse_engine", "ClickHouse"},
	{"meterhouse_disk", "node"},
	{"meterhouse_build", "node"},
	{"meterhouse_trace", "traces"},
	{"meterhouse_console", "console"},
	{"meterhouse_system", "node"},
}

func stageOf(name string) string {
	for _, s := range stages {
		if strings.HasPrefix(name, s.prefix) {
			return s.stage
		}
	}
	return ""
}

// described is Prometheus' own text of a descriptor.
var described = regexp.MustCompile(
	`^Desc\{fqName: "(.*)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

// families returns the rows of docs/metrics.md: every descriptor that is registered has one, seen or
// not.
func families(t *testing.T, r *prometheus.Registry) []string {
	t.Helper()
	gathered, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, f := range gathered {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	all := make(chan *prometheus.Desc)
	go func() { r.Describe(all); close(all) }()
	var rows []string
	for d := range all {
		m := described.FindStringSubmatch(d.String())
		switch {
		case m == nil:
			t.Errorf("%s: not as expected", d)
		case !strings.HasPrefix(m[1], "meterhouse_"):
		case kinds[m[1]] == "":
			t.Errorf("%s has no series before something happens: give it its zeros", m[1])
		case stageOf(m[1]) == "":
			t.Errorf("%s: name its stage in this test", m[1])
		default:
			help := strings.ReplaceAll(strings.ReplaceAll(m[2], `\"`, `"`), "|", `\|`)
			labels := strings.ReplaceAll(m[3], ",", " ")
			rows = append(rows, fmt.Sprintf("| %s | `%s` | %s | %s | %s |\n",
				stageOf(m[1]), m[1], kinds[m[1]], labels, help))
		}
	}
	slices.Sort(rows)
	return slices.Compact(rows)
}

const metricsHead = `# Metrics

What ` + "`GET /metrics`" + ` shows, beside Go's own (` + "`go_…`, `process_…`" + `). The table is made of the
program by a test. No label has values that clients choose: routes are patterns, and every other
set is closed. What to look at when is in [observability](observability.md); alerts and a dashboard
are in [deploy](deploy/).

| stage | name | type | labels | |
| --- | --- | --- | --- | --- |
`

// TestMetrics wires a node and looks at what it registers: docs/metrics.md lists it, Prometheus' own
// linter has nothing to say, and no label lets clients make series. With the path in place of the
// route's pattern the requests below made 60 series more.
func TestMetrics(t *testing.T) {
	t.Parallel()
	n := nodeInProcess(t)
	hammer(t, n, 1)
	t.Run("document", func(t *testing.T) {
		golden(t, "metrics.md", metricsHead+strings.Join(families(t, n.metrics), ""))
	})
	t.Run("names", func(t *testing.T) {
		all, err := n.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.NewWithMetricFamilies(all).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range slices.DeleteFunc(problems, func(p promlint.Problem) bool {
			return !strings.HasPrefix(p.Metric, "meterhouse_")
		}) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
	t.Run("series", func(t *testing.T) {
		before := seriesOf(t, n)
		hammer(t, n, 20)
		if after := seriesOf(t, n); after != before {
			t.Errorf("%d series were made by requests, of %d", after-before, before)
		}
	})
}

// hammer sends requests that no two runs have in common but their routes and answers.
func hammer(t *testing.T, n *node, times int) {
	t.Helper()
	base := "http://" + n.listener.Addr().String()
	for range times {
		id := uuid.NewString()
		for _, r := range []struct{ method, path, credential string }{
			{"GET", "/healthz", ""},
			{"GET", "/no/" + id, ""},
			{"GET", "/v1/events/" + id, id},
			{"POST", "/v1/events", id},
			{"GET", "/external/" + id, id},
			{"X" + id[:6], "/v1/events", ""},
			{"GET", "/v1/usage/query?agent_id=" + id, id},
		} {
			request, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path,
				strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Organization-ID", id)
			if r.credential != "" {
				request.Header.Set("Authorization", "Bearer "+r.credential)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
	}
}

func seriesOf(t *testing.T, n *node) (sum int) {
	t.Helper()
	all, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if strings.HasPrefix(f.GetName(), "meterhouse_") {
			sum += len(f.GetMetric())
		}
	}
	return sum
}

// golden compares a document with what the program makes of it; with -update it is written.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(repository, "docs", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	had, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(had), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("docs/%s is not what the program says; `go test ./cmd/meterhouse -run '%s' -update` "+
			"writes it (- it, + program):\n%s", name, strings.Split(t.Name(), "/")[0], diff)
	}
}
