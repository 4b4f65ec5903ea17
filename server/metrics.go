package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requestMetrics counts requests by route pattern, never by path: a path may hold a secret.
type requestMetrics struct {
	seconds *prometheus.HistogramVec
}

func newRequestMetrics() *requestMetrics {
	return &requestMetrics{seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "meterhouse_request_seconds",
		Help:    "Time to answer a request.",
		Buckets: prometheus.ExponentialBuckets(250e-6, 2, 16),
	}, []string{"method", "route", "status"})}
}

func (m *requestMetrics) register(r prometheus.Registerer) error { return r.Register(m.seconds) }

func (m *requestMetrics) observe(method, route string, status int, took time.Duration) {
	m.seconds.WithLabelValues(strings.Clone(method), route, strconv.Itoa(status)).
		Observe(took.Seconds())
}
