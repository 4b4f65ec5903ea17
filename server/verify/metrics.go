package verify

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what a Schedule shows. Times are in seconds.
type metrics struct {
	runs        *prometheus.CounterVec
	last        prometheus.Gauge
	clean       prometheus.Gauge
	took        prometheus.Gauge
	differences *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meterhouse_verify_" + name, Help: help,
		})
	}
	m := &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meterhouse_verify_runs_total",
			Help: "Verifications this node did, by what came of them.",
		}, []string{"result"}),
		last:  gauge("last_run_timestamp_seconds", "When the last verification ended."),
		clean: gauge("last_success_timestamp_seconds", "When one last ended without a difference."),
		took:  gauge("last_run_seconds", "How long the last verification took."),
		differences: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "meterhouse_verify_differences",
			Help: "What the last verification found, by kind.",
		}, []string{"kind"}),
	}
	m.none()
	for _, result := range []string{"clean", "differences", "failed"} {
		m.runs.WithLabelValues(result)
	}
	if r != nil {
		r.MustRegister(m.runs, m.last, m.clean, m.took, m.differences)
	}
	return m
}

// none sets every kind's differences to 0.
func (m *metrics) none() {
	for _, kind := range kinds {
		m.differences.WithLabelValues(string(kind)).Set(0)
	}
}

func (m *metrics) ran(report Report, err error, took time.Duration) {
	m.last.SetToCurrentTime()
	m.took.Set(took.Seconds())
	if err != nil {
		m.runs.WithLabelValues("failed").Inc()
		return
	}
	m.none()
	for _, f := range report.Findings {
		m.differences.WithLabelValues(string(f.Kind)).Inc()
	}
	if len(report.Findings) > 0 {
		m.runs.WithLabelValues("differences").Inc()
		return
	}
	m.runs.WithLabelValues("clean").Inc()
	m.clean.SetToCurrentTime()
}
