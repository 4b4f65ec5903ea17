package retention

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keeperMetrics count what retention does.
type keeperMetrics struct {
	removed prometheus.Counter
	failed  prometheus.Counter
	last    prometheus.Gauge
}

func newKeeperMetrics(r prometheus.Registerer) *keeperMetrics {
	m := &keeperMetrics{
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_retention_events_removed_total",
			Help: "Events that went with months that their organizations keep no longer.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_retention_failures_total",
			Help: "Passes of retention that failed.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meterhouse_retention_last_success_timestamp_seconds",
			Help: "When retention last succeeded on this node.",
		}),
	}
	if r != nil {
		r.MustRegister(m.removed, m.failed, m.last)
	}
	return m
}

func (m *keeperMetrics) ran(err error, now time.Time) {
	if err != nil {
		m.failed.Inc()
		return
	}
	m.last.Set(float64(now.Unix()))
}

func (m *keeperMetrics) gone(events uint64) { m.removed.Add(float64(events)) }

// eraserMetrics count erasures.
type eraserMetrics struct {
	done   prometheus.Counter
	late   prometheus.Counter
	failed prometheus.Counter
	open   prometheus.Gauge
}

func newEraserMetrics(r prometheus.Registerer) *eraserMetrics {
	m := &eraserMetrics{
		done: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_erasures_total",
			Help: "Times that what identified a person was replaced everywhere.",
		}),
		late: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_erasures_late_total",
			Help: "Times that usage of a person came in who had been erased.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_erasure_failures_total",
			Help: "Tries of an erasure that failed and will be made again.",
		}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meterhouse_erasures_open",
			Help: "Erasures under way, as this node last looked.",
		}),
	}
	if r != nil {
		r.MustRegister(m.done, m.late, m.failed, m.open)
	}
	return m
}

func (m *eraserMetrics) under(way int) { m.open.Set(float64(way)) }
