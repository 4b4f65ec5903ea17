package retention

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// loop does something again and again between start and stop.
type loop struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (l *loop) start(first, every time.Duration, do func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.done = cancel, make(chan struct{})
	go func() {
		defer close(l.done)
		for wait := first; pause(ctx, wait) == nil; wait = every {
			do(ctx)
		}
	}()
}

func (l *loop) stop() {
	if l.cancel != nil {
		l.cancel()
		<-l.done
	}
}

// pause waits; the error is ctx's.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

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
