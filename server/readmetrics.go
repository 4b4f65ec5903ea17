package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/server/share"
)

// The kinds of reads: labels of metrics, and of questions that are shared.
const (
	agentUsageReads  = "agent_usage"
	billableReads    = "billable_requests"
	consumptionReads = "consumption_logs"
	unpricedReads    = "unpriced"
	usageQueryReads  = "usage_query"
	versionReads     = "usage_version"
	anomalyReads     = "anomalies"
	eventsReads      = "events"
	systemReads      = "system"
)

// readMetrics counts reads by kind, never by who asked.
type readMetrics struct {
	reads   *prometheus.CounterVec
	running *prometheus.GaugeVec
	waiting prometheus.Gauge
	refused prometheus.Counter
	seconds *prometheus.HistogramVec
}

func newReadMetrics() *readMetrics {
	m := &readMetrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meterhouse_reads_total",
			Help: "Reads: asked of the database, shared with one under way, or kept from before.",
		}, []string{"kind", "how"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "meterhouse_read_questions",
			Help: "Questions that the database is answering.",
		}, []string{"kind"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meterhouse_read_questions_waiting",
			Help: "Analysts' questions that wait for their turn.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_read_questions_refused_total",
			Help: "Analysts' questions that had no turn in time.",
		}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "meterhouse_read_question_seconds",
			Help:    "Time the database took to answer a question.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2, 16),
		}, []string{"kind"}),
	}
	for _, kind := range []string{
		agentUsageReads, billableReads, consumptionReads, unpricedReads, usageQueryReads, versionReads,
		anomalyReads, eventsReads, systemReads,
	} {
		m.running.WithLabelValues(kind)
		m.seconds.WithLabelValues(kind)
		for _, how := range []string{"asked", "shared", "kept"} {
			m.reads.WithLabelValues(kind, how)
		}
	}
	return m
}

func (m *readMetrics) register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{
		m.reads, m.running, m.waiting, m.refused, m.seconds,
	} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *readMetrics) joined(kind string, how share.How) {
	name := "asked"
	switch how {
	case share.Shared:
		name = "shared"
	case share.Kept:
		name = "kept"
	}
	m.reads.WithLabelValues(kind, name).Inc()
}

// asking counts a question until the returned function is called.
func (m *readMetrics) asking(kind string) (done func()) {
	began := time.Now()
	running := m.running.WithLabelValues(kind)
	running.Inc()
	return func() {
		running.Dec()
		m.seconds.WithLabelValues(kind).Observe(time.Since(began).Seconds())
	}
}
