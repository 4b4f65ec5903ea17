package deploy_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"go.yaml.in/yaml/v3"
)

// scraped are labels that Prometheus adds; le is of histograms.
var scraped = []string{"job", "instance", "le"}

// metricsOf returns the labels of every series that docs/metrics.md lists, by name.
func metricsOf(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{
		"up": nil, "process_start_time_seconds": nil, "process_resident_memory_bytes": nil,
	}
	row := regexp.MustCompile("(?m)^\\| [^|]+ \\| `(\\w+)` \\| (\\w+) \\| ([\\w ]*) \\|")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		names := strings.Fields(m[3])
		if m[2] != "histogram" {
			all[m[1]] = names
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			all[m[1]+suffix] = names
		}
	}
	if len(all) < 50 {
		t.Fatalf("%d metrics found: this test reads the table wrongly", len(all))
	}
	return all
}

// checkQuery parses a query as Prometheus does, and looks for its names in docs/metrics.md.
func checkQuery(t *testing.T, where, query string, known map[string][]string) {
	t.Helper()
	// Grafana's own variables are not PromQL.
	query = strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(query)
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v: %s", where, err, query)
		return
	}
	var has []string // labels of what is selected
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		selector, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		names, ok := known[selector.Name]
		if !ok {
			t.Errorf("%s: %s is no metric", where, selector.Name)
		}
		has = append(has, names...)
		for _, m := range selector.LabelMatchers {
			if m.Name != labels.MetricName && !slices.Contains(names, m.Name) &&
				!slices.Contains(scraped, m.Name) {
				t.Errorf("%s: %s has no label %s", where, selector.Name, m.Name)
			}
		}
		return nil
	})
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, name := range a.Grouping {
				if !slices.Contains(has, name) && !slices.Contains(scraped, name) {
					t.Errorf("%s: nothing has the label %s", where, name)
				}
			}
		}
		return nil
	})
}

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("prometheus/alerts.yml", false, model.UTF8Validation,
		parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// anchors returns what may stand behind the # of a link to a page.
func anchors(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		a := regexp.MustCompile("[^a-z0-9 -]").ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(a, " ", "-"))
	}
	return all
}

// TestAlertsNameWhatThereIs: a metric that is renamed, a label that is gone, a heading that is.
func TestAlertsNameWhatThereIs(t *testing.T) {
	const runbook = "https://github.com/meterhouse/meterhouse/blob/main/docs/operations.md#"
	known, headings := metricsOf(t), anchors(t, "../operations.md")
	for _, r := range alerts(t) {
		checkQuery(t, r.Alert, r.Expr, known)
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || len(r.Annotations["description"]) < 40 {
			t.Errorf("%s: says too little", r.Alert)
		}
		anchor, ok := strings.CutPrefix(r.Annotations["runbook_url"], runbook)
		if !ok || !slices.Contains(headings, anchor) {
			t.Errorf("%s: docs/operations.md has no heading for #%s", r.Alert, anchor)
		}
	}
}

// cases are series, in the notation of Prometheus' own tests, a value a minute for eight hours, on
// which an alert fires at the end, and on which it stays quiet.
var cases = map[string]struct{ fires, quiet string }{
	"MeterhouseDown":              {`up{job="meterhouse"} 0x480`, `up{job="meterhouse"} 1x480`},
	"MeterhouseNotReady":          {`meterhouse_ready 0x480`, `meterhouse_ready 1x480`},
	"MeterhouseClickHouseDown":    {`meterhouse_clickhouse_up 0x480`, `meterhouse_clickhouse_up 1x480`},
	"MeterhouseEngineRestarts":    {`meterhouse_engine_restarts_total 0+1x480`, `meterhouse_engine_restarts_total 7x480`},
	"MeterhouseLogFills":          {"meterhouse_log_pending_bytes 6x480\nmeterhouse_log_limit_bytes 10x480", "meterhouse_log_pending_bytes 4x480\nmeterhouse_log_limit_bytes 10x480"},
	"MeterhouseLagHigh":           {`meterhouse_lag_seconds 90x480`, `meterhouse_lag_seconds 1x480`},
	"MeterhouseInsertFailures":    {`meterhouse_batch_insert_failures_total 0+1x480`, `meterhouse_batch_insert_failures_total 9x480`},
	"MeterhouseBatchesAside":      {`meterhouse_batches_aside 1x480`, `meterhouse_batches_aside 0x480`},
	"MeterhouseLogDamaged":        {`meterhouse_log_damaged_events_total 0x470 3x9`, `meterhouse_log_damaged_events_total 3x480`},
	"MeterhouseKeysLost":          {`meterhouse_keys_lost 1x480`, `meterhouse_keys_lost 0x480`},
	"MeterhouseDiskLow":           {"meterhouse_disk_free_bytes 5x480\nmeterhouse_disk_size_bytes 100x480", "meterhouse_disk_free_bytes 50x480\nmeterhouse_disk_size_bytes 100x480"},
	"MeterhouseVerifyDifferences": {`meterhouse_verify_differences{kind="rollup"} 2x480`, `meterhouse_verify_differences{kind="rollup"} 0x480`},
	"MeterhouseVerifyNotRun":      {"meterhouse_verify_last_success_timestamp_seconds 0x480\nprocess_start_time_seconds{job=\"meterhouse\"} 0x480", "meterhouse_verify_last_success_timestamp_seconds 0+60x480\nprocess_start_time_seconds{job=\"meterhouse\"} 0x480"},
	"MeterhousePeersMissing":      {`meterhouse_peers 2x470 1x9`, `meterhouse_peers 2x480`},
	"MeterhouseCatalogStale":      {`meterhouse_catalog_age_seconds 300x480`, `meterhouse_catalog_age_seconds 1x480`},
	"MeterhouseErrors":            {"meterhouse_request_seconds_count{status=\"500\"} 0+5x480\nmeterhouse_request_seconds_count{status=\"200\"} 0+95x480", "meterhouse_request_seconds_count{status=\"429\"} 0+50x480\nmeterhouse_request_seconds_count{status=\"500\"} 0+0x480"},
	"MeterhouseSlowAppend":        {"meterhouse_log_append_seconds_bucket{le=\"0.2\"} 0+1x480\nmeterhouse_log_append_seconds_bucket{le=\"0.8\"} 0+9x480\nmeterhouse_log_append_seconds_bucket{le=\"+Inf\"} 0+9x480", "meterhouse_log_append_seconds_bucket{le=\"0.2\"} 0+9x480\nmeterhouse_log_append_seconds_bucket{le=\"+Inf\"} 0+9x480"},
	"MeterhouseSlowReads":         {"meterhouse_read_question_seconds_bucket{kind=\"agent_usage\",le=\"1\"} 0+1x480\nmeterhouse_read_question_seconds_bucket{kind=\"agent_usage\",le=\"4\"} 0+9x480\nmeterhouse_read_question_seconds_bucket{kind=\"agent_usage\",le=\"+Inf\"} 0+9x480", "meterhouse_read_question_seconds_bucket{kind=\"usage_query\",le=\"1\"} 0+1x480\nmeterhouse_read_question_seconds_bucket{kind=\"usage_query\",le=\"+Inf\"} 0+9x480"},
	"MeterhouseUnpriced":          {`meterhouse_unpriced_measurements_total 0+1x480`, `meterhouse_unpriced_measurements_total 5x480`},
	"MeterhouseReportStuck":       {"meterhouse_report_oldest_unsynced_seconds 20000x480\nmeterhouse_report_unsynced_slots 1x480", "meterhouse_report_oldest_unsynced_seconds 4000x480\nmeterhouse_report_unsynced_slots 1x480"},
	"MeterhouseReportConflicts":   {`meterhouse_report_conflicts 1x480`, `meterhouse_report_conflicts 0x480`},
	"MeterhouseReportRejected":    {`meterhouse_report_rejected_slots 1x480`, `meterhouse_report_rejected_slots 0x480`},
	"MeterhouseReportDiffers":     {`meterhouse_report_difference_units 1x480`, `meterhouse_report_difference_units 0x480`},
	"MeterhouseCorrectionsOpen":   {`meterhouse_corrections_open 1x480`, `meterhouse_corrections_open 0x480`},
	"MeterhouseSignInsFail":       {"meterhouse_console_signins_total{result=\"unknown\"} 0+4x480\nmeterhouse_console_signins_total{result=\"limited\"} 0+4x480", "meterhouse_console_signins_total{result=\"unknown\"} 0+1x480\nmeterhouse_console_signins_total{result=\"ok\"} 0+50x480"},
	"MeterhouseRetentionFails":    {`meterhouse_retention_failures_total 0+1x480`, `meterhouse_retention_failures_total 5x480`},
}

// TestAlertsFire evaluates every alert by Prometheus' own engine, for as long as it waits.
func TestAlertsFire(t *testing.T) {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		Parser: parser.NewParser(parser.Options{}),
	})
	for _, r := range alerts(t) {
		c, ok := cases[r.Alert]
		if !ok {
			t.Errorf("%s: has no case here", r.Alert)
			continue
		}
		const end = 8 * time.Hour
		if n := evaluate(t, engine, r.Expr, c.fires, end); n == 0 {
			t.Errorf("%s: does not fire", r.Alert)
		}
		if n := evaluate(t, engine, r.Expr, c.quiet, end); n > 0 {
			t.Errorf("%s: fires on what is well", r.Alert)
		}
		if wait := time.Duration(r.For); wait > 5*time.Minute && strings.Count(c.fires, "x9") == 0 {
			if n := evaluate(t, engine, r.Expr, c.fires, end-wait); n == 0 {
				t.Errorf("%s: is not pending for %s", r.Alert, wait)
			}
		}
	}
}

// evaluate returns how many series a query has at a time, of given ones.
func evaluate(t *testing.T, engine *promql.Engine, query, given string, at time.Duration) int {
	t.Helper()
	var all []promql.Series
	for line := range strings.Lines(given) {
		metric, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		s := promql.Series{Metric: labels.NewBuilder(metric).Set("instance", "a").Labels()}
		for i, v := range values {
			s.Floats = append(s.Floats, promql.FPoint{T: int64(i) * 60_000, F: v.Value})
		}
		all = append(all, s)
	}
	q, err := engine.NewInstantQuery(t.Context(), series(all), nil, query, time.UnixMilli(0).Add(at))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	result := q.Exec(t.Context())
	vector, err := result.Vector()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return len(vector)
}

// series is a storage of a few series.
type series []promql.Series

func (s series) Querier(int64, int64) (storage.Querier, error) { return querier{all: s}, nil }

type querier struct {
	storage.LabelQuerier
	all series
}

func (querier) Close() error { return nil }

func (q querier) Select(
	_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher,
) storage.SeriesSet {
	set := &found{at: -1}
	for _, s := range q.all {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
			return !m.Matches(s.Metric.Get(m.Name))
		}) {
			set.all = append(set.all, s)
		}
	}
	return set
}

type found struct {
	all series
	at  int
}

func (f *found) Next() bool                      { f.at++; return f.at < len(f.all) }
func (f *found) At() storage.Series              { return promql.NewStorageSeries(f.all[f.at]) }
func (*found) Err() error                        { return nil }
func (*found) Warnings() annotations.Annotations { return nil }

// panel is what is looked at of Grafana's.
type panel struct {
	Title, Type string
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
	Targets []struct{ Expr string }
	Panels  []panel
}

func TestDashboardNamesWhatThereIs(t *testing.T) {
	known := metricsOf(t)
	text, err := os.ReadFile("grafana/dashboards/meterhouse.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID, Title string
		Panels     []panel
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, p := range d.Panels {
		if p.Title == "" {
			t.Error("a panel without a title")
		}
		if p.Type == "row" {
			continue
		}
		if p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%s: without a unit, or a query", p.Title)
		}
		for _, target := range p.Targets {
			checkQuery(t, p.Title, target.Expr, known)
			shown++
		}
	}
	if d.UID == "" || shown < 30 {
		t.Errorf("a dashboard %q of %d queries", d.Title, shown)
	}
}

// TestMonitoringFilesAreFound: what names a file names one that is there.
func TestMonitoringFilesAreFound(t *testing.T) {
	var prometheus struct {
		RuleFiles []string `yaml:"rule_files"`
	}
	read(t, "prometheus/prometheus.yml", &prometheus)
	if len(prometheus.RuleFiles) == 0 {
		t.Error("Prometheus has no rules")
	}
	for _, name := range prometheus.RuleFiles {
		if _, err := os.Stat(filepath.Join("prometheus", name)); err != nil {
			t.Error(err)
		}
	}
	var provisioned struct {
		Datasources []struct{ UID, Type, URL string }
		Providers   []struct{ Options struct{ Path string } }
	}
	read(t, "grafana/provisioning/datasources/prometheus.yaml", &provisioned)
	read(t, "grafana/provisioning/dashboards/meterhouse.yaml", &provisioned)
	if len(provisioned.Datasources) != 1 || provisioned.Datasources[0].Type != "prometheus" ||
		len(provisioned.Providers) != 1 || provisioned.Providers[0].Options.Path == "" {
		t.Errorf("provisioned: %+v", provisioned)
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
