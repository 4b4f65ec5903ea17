package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// requestMetrics counts requests by route pattern, never by path: a path may hold a secret.
type requestMetrics struct {
	seconds *prometheus.HistogramVec
	events  *prometheus.CounterVec // dialect, result
}

func newRequestMetrics() *requestMetrics {
	return &requestMetrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "meterhouse_request_seconds",
			Help:    "Time to answer a request.",
			Buckets: prometheus.ExponentialBuckets(250e-6, 2, 16),
		}, []string{"method", "route", "status"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meterhouse_dialect_events_total",
			Help: "Events of requests by the API they came by and what became of them.",
		}, []string{"dialect", "result"}),
	}
}

func (m *requestMetrics) register(r prometheus.Registerer, s *Server) error {
	connections := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "meterhouse_connections", Help: "Connections of clients.",
	}, func() float64 { return float64(s.app.Server().GetOpenConnectionsCount()) })
	for _, c := range []prometheus.Collector{m.seconds, m.events, connections} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *requestMetrics) observe(method, route string, status int, took time.Duration) {
	m.seconds.WithLabelValues(strings.Clone(method), route, strconv.Itoa(status)).
		Observe(took.Seconds())
}

// dialectCounts count the events of one dialect.
type dialectCounts struct{ accepted, duplicate, rejected, refused prometheus.Counter }

func (m *requestMetrics) dialect(name string) dialectCounts {
	of := func(result string) prometheus.Counter { return m.events.WithLabelValues(name, result) }
	return dialectCounts{of("accepted"), of("duplicate"), of("rejected"), of("refused")}
}

func (c dialectCounts) recorded(events int, r dialect.Receipt, err error) {
	if err != nil {
		c.refused.Add(float64(events))
		return
	}
	c.accepted.Add(float64(r.Accepted))
	c.duplicate.Add(float64(r.Duplicates))
	c.rejected.Add(float64(len(r.Rejected)))
}
