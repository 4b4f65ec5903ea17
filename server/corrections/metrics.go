package corrections

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	made      prometheus.Counter
	conflicts prometheus.Counter
	open      prometheus.Gauge
	swept     prometheus.Counter
}

// newMetrics registers with r unless it is nil. Two Correctors on one registry are a mistake of
// the program's.
func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		made: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_corrections_total",
			Help: "Corrections this node made.",
		}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_correction_conflicts_total",
			Help: "Corrections made anew because another writer was first.",
		}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meterhouse_corrections_open",
			Help: "Organizations with a correction that is written and not applied.",
		}),
		swept: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_duplicates_swept_total",
			Help: "Copies of events that two nodes accepted, taken back by this node.",
		}),
	}
	if r != nil {
		r.MustRegister(m.made, m.conflicts, m.open, m.swept)
	}
	return m
}
