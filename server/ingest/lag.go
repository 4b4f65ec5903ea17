package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Lag is how far ClickHouse is behind the log, on each batch's oldest event: from when it came in.

// toStore notes the oldest event that is in a batch and not stored; the zero time: there is none.
func (b *batcher) toStore() {
	oldest := time.Time{}
	switch {
	case len(b.flying) > 0:
		oldest = b.flying[0].oldest
	case b.next != nil:
		oldest = b.next.oldest
	}
	at := int64(0)
	if !oldest.IsZero() {
		at = oldest.UnixNano()
	}
	b.oldest.Store(at)
}

// Lag returns how long ago the oldest event came in that is being stored; 0 when there is none.
func (in *Ingest) Lag() time.Duration {
	at := in.batcher.oldest.Load()
	if at == 0 {
		return 0
	}
	return max(0, in.cfg.Now().Sub(time.Unix(0, at)))
}

// stored observes how long batches took that are stored now.
func (m *metrics) stored(batches []*batch, now time.Time) {
	for _, f := range batches {
		if !f.oldest.IsZero() {
			m.lag.Observe(max(0, now.Sub(f.oldest)).Seconds())
		}
	}
}

func newLag() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "meterhouse_stored_lag_seconds",
		Help: "From when a batch's oldest event came in until it was stored in ClickHouse.",
		// Half a second is usual; an outage takes hours.
		Buckets: prometheus.ExponentialBuckets(0.05, 2, 18),
	})
}

// lagMetrics are of what is on its way to the log, and from it.
func (in *Ingest) lagMetrics() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "meterhouse_" + name, Help: help}, value)
	}
	return []prometheus.Collector{
		in.metrics.lag,
		gauge("lag_seconds", "How long ago the oldest event came in that is being stored; 0: none.",
			func() float64 { return in.Lag().Seconds() }),
		gauge("queue_bytes", "Events that wait for their fsync.",
			func() float64 { return float64(in.queued.Load()) }),
		gauge("log_limit_bytes", "Log bytes not yet in ClickHouse at which writers are refused.",
			func() float64 { return float64(in.cfg.LogBytesMax) }),
		gauge("ready", "1 while this node accepts writes.", func() float64 {
			if in.Ready() != nil {
				return 0
			}
			return 1
		}),
	}
}
