package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/schema"
)

// metrics is what moves here. Latencies are in seconds.
type metrics struct {
	accepted       prometheus.Counter
	duplicates     prometheus.Counter
	rejected       prometheus.Counter
	refused        prometheus.Counter
	unpriced       prometheus.Counter
	fsync          prometheus.Histogram
	groupEvents    prometheus.Histogram
	batches        prometheus.Counter
	batchRows      prometheus.Histogram
	insert         prometheus.Histogram
	insertFailures prometheus.Counter
	eventsAside    prometheus.Counter
	damaged        prometheus.Counter
	lag            prometheus.Histogram
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "meterhouse_" + name, Help: help})
	}
	histogram := func(name, help string, first, factor float64, n int) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "meterhouse_" + name, Help: help,
			Buckets: prometheus.ExponentialBuckets(first, factor, n),
		})
	}
	return &metrics{
		lag:        newLag(),
		accepted:   counter("events_accepted_total", "Events made durable."),
		duplicates: counter("events_duplicate_total", "Events whose key was already known."),
		rejected:   counter("events_rejected_total", "Events refused with a reason, for good."),
		refused:    counter("events_refused_total", "Events refused for now, to be sent again."),
		unpriced: counter("unpriced_measurements_total",
			"Measurements made durable that no rate priced."),
		fsync: histogram("log_append_seconds", "Write and fsync of a group.", 50e-6, 2, 16),
		groupEvents: histogram("log_group_events", "Events that shared one fsync.",
			1, 4, 10),
		batches:   counter("batches_total", "Batches stored in ClickHouse."),
		batchRows: histogram("batch_rows", "Rows of a stored batch.", 1, 4, 11),
		insert:    histogram("batch_insert_seconds", "One successful insert.", 1e-3, 2, 16),
		damaged: counter("log_damaged_events_total",
			"Acknowledged events whose bytes in the log were destroyed before they were stored."),
		insertFailures: counter("batch_insert_failures_total",
			"Inserts that failed and were or will be tried again."),
		eventsAside: counter("events_aside_total", "Events set aside with a refused batch."),
	}
}

func (m *metrics) register(r prometheus.Registerer, in *Ingest) error {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "meterhouse_" + name, Help: help}, value)
	}
	for _, c := range append(append(keysMetrics(in.keys), in.lagMetrics()...),
		m.accepted, m.duplicates, m.rejected, m.refused, m.unpriced, m.fsync, m.groupEvents,
		m.batches, m.batchRows, m.insert, m.insertFailures, m.eventsAside, m.damaged,
		gauge("batches_aside", "Batches set aside: they wait for `meterhouse replay`.",
			func() float64 { return float64(countAside(in.cfg.Dir)) }),
		gauge("log_pending_events", "Durable events not yet in ClickHouse.",
			func() float64 { return float64(in.Pending()) }),
		gauge("peers", "Other nodes that run.", in.peers.others),
		gauge("duplicates_swept_lag_seconds",
			"Age of what other nodes had stored when it was last free of duplicates.",
			in.peers.sweptLag),
		gauge("log_pending_bytes", "Log bytes not yet in ClickHouse.",
			func() float64 { return float64(in.batcher.bytes.Load()) }),
	) {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// unpricedOf returns how many of an event's measurements no rate priced.
func unpricedOf(e *schema.Event) (n uint8) {
	for i := range e.Measurements {
		if e.Measurements[i].Pricing == schema.Unpriced {
			n++
		}
	}
	return n
}

// unpricedNow sums up unpriced without the events that were there already.
func (r *request) unpricedNow() int {
	sum := 0
	for _, n := range r.unpriced {
		sum += int(n)
	}
	for _, position := range r.repeated {
		sum -= int(r.unpriced[position])
	}
	return sum
}
