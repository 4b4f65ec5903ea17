package server

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// requestMetrics counts requests by route pattern, never by path: a path may hold a secret.
type requestMetrics struct {
	seconds *prometheus.HistogramVec
	events  *prometheus.CounterVec // dialect, result

	mu    sync.Mutex // held to add to known
	known atomic.Pointer[map[outcome]prometheus.Observer]
}

// outcome is what a request's time is counted under.
type outcome struct {
	method, route string
	status        int
}

func newRequestMetrics() *requestMetrics {
	m := &requestMetrics{
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
	m.known.Store(&map[outcome]prometheus.Observer{})
	return m
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

// observe looks up what it counts under by itself: the library's way costs five times as much, and
// two allocations.
func (m *requestMetrics) observe(method, route string, status int, took time.Duration) {
	of, ok := (*m.known.Load())[outcome{method, route, status}]
	if !ok {
		of = m.know(outcome{strings.Clone(method), route, status})
	}
	of.Observe(took.Seconds())
}

// know adds an outcome: there are as many as routes have answers.
func (m *requestMetrics) know(o outcome) prometheus.Observer {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := maps.Clone(*m.known.Load())
	known[o] = m.seconds.WithLabelValues(o.method, o.route, strconv.Itoa(o.status))
	m.known.Store(&known)
	return known[o]
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
	add(c.accepted, r.Accepted)
	add(c.duplicate, r.Duplicates)
	add(c.rejected, len(r.Rejected))
}

// add leaves alone what most requests have none of: a counter is shared by all processors.
func add(c prometheus.Counter, n int) {
	if n > 0 {
		c.Add(float64(n))
	}
}
