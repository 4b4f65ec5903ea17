package exports

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	running prometheus.Gauge
	ended   *prometheus.CounterVec
	bytes   prometheus.Counter
	kept    prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meterhouse_exports_running",
			Help: "Exports that this node is making.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meterhouse_exports_ended_total",
			Help: "Exports that this node ended, by state: done or failed.",
		}, []string{"state"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meterhouse_exports_written_bytes_total",
			Help: "What the whole parts of exports came to.",
		}),
		kept: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meterhouse_exports_kept_bytes",
			Help: "What the files of exports take on this node's disk.",
		}),
	}
	for _, state := range []string{string(stateDone), string(stateFailed)} {
		m.ended.WithLabelValues(state)
	}
	r.MustRegister(m.running, m.ended, m.bytes, m.kept)
	return m
}

func (m *metrics) wrote(bytes uint64) { m.bytes.Add(float64(bytes)) }

func (m *metrics) keeps(bytes int64) { m.kept.Set(float64(bytes)) }
