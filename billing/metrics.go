package billing

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// metrics are what a Reporter counts. Prometheus counts in floats: no number here goes anywhere
// else.
type metrics struct {
	runs     *prometheus.CounterVec // end
	calls    *prometheus.CounterVec // verdict
	carries  prometheus.Counter
	carried  *prometheus.CounterVec // direction
	alerts   *prometheus.CounterVec // reason
	races    prometheus.Counter
	duration prometheus.Gauge
	lastRun  prometheus.Gauge
	lastDone prometheus.Gauge

	unsynced      prometheus.Gauge
	oldest        prometheus.Gauge
	unmapped      prometheus.Gauge
	unmappedUnits prometheus.Gauge
	rejected      prometheus.Gauge
	tooLarge      prometheus.Gauge
	conflicts     prometheus.Gauge

	notices    *prometheus.CounterVec // step
	found      prometheus.Counter
	compared   *prometheus.CounterVec // result
	difference prometheus.Gauge
	lastLook   prometheus.Gauge
}

// newMetrics registers with r unless it is nil. Two Reporters on one registry are a mistake of the
// program's.
func newMetrics(r prometheus.Registerer) *metrics {
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(
			prometheus.CounterOpts{Name: "meterhouse_report_" + name, Help: help})
		all = append(all, c)
		return c
	}
	counters := func(name, label, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "meterhouse_report_" + name, Help: help}, []string{label})
		all = append(all, c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "meterhouse_report_" + name, Help: help})
		all = append(all, g)
		return g
	}
	m := &metrics{
		runs: counters("runs_total", "end", "Passes of the reporter, by how they ended."),
		calls: counters("calls_total", "verdict",
			"Tries to tell Stripe of a slot, by what came of them."),
		carries: counter("carries_total",
			"Carries out of closed periods and of hours too old for Stripe."),
		carried: counters("carried_units_total", "direction",
			"Units that were carried: added to an open slot, or taken off one."),
		alerts: counters("alerts_total", "reason",
			"What somebody has to look at; each is in the log with what to do."),
		races: counter("races_total",
			"Batches of intents planned anew because another writer was first."),
		duration: gauge("last_run_seconds", "How long the last pass took."),
		lastRun:  gauge("last_run_timestamp_seconds", "When the last pass ended."),
		lastDone: gauge("last_done_timestamp_seconds",
			"When a pass last told everything that could be."),

		unsynced: gauge("unsynced_slots", "Slots of which Stripe was not told what is billable."),
		oldest: gauge("oldest_unsynced_seconds",
			"How long ago the hour of the oldest slot began that Stripe was not told; 0: none."),
		unmapped: gauge("unmapped_slots", "Slots with usage that no meter counts."),
		unmappedUnits: gauge("unmapped_micro_usd",
			"Billed cost, in micro-USD, of usage that no meter counts."),
		rejected: gauge("rejected_slots", "Slots whose newest revision Stripe refused."),
		tooLarge: gauge("too_large_slots", "Slots of more units than Stripe takes."),
		conflicts: gauge("conflicts",
			"Revisions for which Stripe had another value: must be none."),

		notices: counters("notices_total", "step",
			"Events that Stripe sent: received, repetitions included, and dealt with."),
		found: counter("invoices_found_total",
			"Periods of invoices that were learned from Stripe's list: no webhook told of them."),
		compared: counters("compared_total", "result",
			"Ranges and slots whose units were compared with Stripe's, or could not be."),
		difference: gauge("difference_units",
			"Units by which Stripe's sums differed when each meter was last compared, by any node."),
		lastLook: gauge("last_reconciled_timestamp_seconds",
			"When what Stripe has was last compared."),
	}
	m.zeros()
	for end := schema.RunDone; end <= schema.RunFailed; end++ {
		m.runs.WithLabelValues(end.String())
	}
	if r != nil {
		r.MustRegister(all...)
	}
	return m
}

// zeros makes every series be there from the start, so that a first increase is seen as one.
func (m *metrics) zeros() {
	for verdict := schema.NotSent; verdict <= schema.Differs; verdict++ {
		if name := verdict.String(); name != "" {
			m.calls.WithLabelValues(name)
		}
	}
	for v, names := range map[*prometheus.CounterVec][]string{
		m.carried: {"on", "off"},
		m.alerts: {
			"carry", "conflict", "credit", "no_item", "notice", "refused", "shared", "unsettled",
		},
		m.notices:  {"received", "dealt"},
		m.compared: {"equal", "differs", "skipped"},
	} {
		for _, name := range names {
			v.WithLabelValues(name)
		}
	}
}

// ended counts a pass.
func (m *metrics) ended(run schema.ReportRun) {
	m.runs.WithLabelValues(run.End.String()).Inc()
	m.duration.Set(run.EndedAt.Sub(run.StartedAt).Seconds())
	m.lastRun.Set(float64(run.EndedAt.Unix()))
	if run.End == schema.RunDone {
		m.lastDone.Set(float64(run.EndedAt.Unix()))
	}
}

// reconciled counts what a reconciliation found: how many comparisons were equal, differed, and
// could not be made.
func (m *metrics) reconciled(at time.Time, equal, differ, skipped int) {
	m.lastLook.Set(float64(at.Unix()))
	m.compared.WithLabelValues("equal").Add(float64(equal))
	m.compared.WithLabelValues("differs").Add(float64(differ))
	m.compared.WithLabelValues("skipped").Add(float64(skipped))
}

// differs shows what the newest comparisons of all instances came to.
func (m *metrics) differs(d queries.Differences) {
	m.difference.Set(float64(d.Units))
	if !d.Newest.IsZero() {
		m.lastLook.Set(float64(d.Newest.Unix()))
	}
}

// learned counts periods that no webhook told of.
func (m *metrics) learned(periods int) { m.found.Add(float64(periods)) }

// moved counts a carry.
func (m *metrics) moved(units int64) {
	m.carries.Inc()
	if units < 0 {
		m.carried.WithLabelValues("off").Add(-float64(units))
		return
	}
	m.carried.WithLabelValues("on").Add(float64(units))
}

// called counts a try.
func (m *metrics) called(verdict schema.Verdict) {
	m.calls.WithLabelValues(verdict.String()).Inc()
}

// backlog shows how far the reports are, as of now.
func (m *metrics) backlog(b queries.ReportBacklog, now time.Time) {
	m.unsynced.Set(float64(b.Unsynced))
	m.oldest.Set(0)
	if b.Unsynced > 0 && !b.Oldest.IsZero() {
		m.oldest.Set(now.Sub(b.Oldest).Seconds())
	}
	m.unmapped.Set(float64(b.Unmapped))
	m.unmappedUnits.Set(float64(b.UnmappedUnits))
	m.rejected.Set(float64(b.Rejected))
	m.tooLarge.Set(float64(b.TooLarge))
	m.conflicts.Set(float64(b.Conflicts))
}
