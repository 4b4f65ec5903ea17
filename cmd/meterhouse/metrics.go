package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/meterhouse/meterhouse/queries"
)

// How often ClickHouse is asked for a sign of life, and how long it has to give one.
const (
	pulseEvery   = 5 * time.Second
	pulseTimeout = 3 * time.Second
)

// pulse knows whether ClickHouse answers.
type pulse struct {
	queries *queries.Queries
	up      atomic.Bool
	took    atomic.Int64 // of the last answer
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newPulse(q *queries.Queries) *pulse {
	p := &pulse{queries: q}
	p.up.Store(true) // it has answered when the node started
	return p
}

// Start asks until Stop.
func (p *pulse) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.running.Go(func() {
		tick := time.NewTicker(pulseEvery)
		defer tick.Stop()
		for p.feel(ctx); ; p.feel(ctx) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// Stop ends what Start began.
func (p *pulse) Stop() {
	p.cancel()
	p.running.Wait()
}

func (p *pulse) feel(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pulseTimeout)
	defer cancel()
	began := time.Now()
	up := p.queries.Ping(ctx) == nil
	p.up.Store(up)
	if up {
		p.took.Store(int64(time.Since(began)))
	}
}

// startMetrics adds what is of the node as a whole.
func (n *node) startMetrics() {
	n.pulse = newPulse(n.database.queries)
	n.pulse.Start()
	gauge := func(name, help string, value func() float64) {
		n.metrics.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "meterhouse_" + name, Help: help}, value))
	}
	gauge("clickhouse_up", "1 while ClickHouse answers.", func() float64 {
		return oneIf(n.pulse.up.Load())
	})
	gauge("clickhouse_ping_seconds", "How long its last sign of life took.", func() float64 {
		return time.Duration(n.pulse.took.Load()).Seconds()
	})
	gauge("catalog_age_seconds", "How long ago the catalog was last seen to be the newest.",
		func() float64 { return n.directory.Age().Seconds() })
	gauge("disk_free_bytes", "Room for this program on the disk of --data.", func() float64 {
		free, _ := diskOf(n.config.data)
		return free
	})
	gauge("disk_size_bytes", "Size of the disk of --data.", func() float64 {
		_, size := diskOf(n.config.data)
		return size
	})
	gauge("engine_up", "1 while the embedded engine runs; 0 also where there is none.",
		func() float64 { return oneIf(n.database.engine != nil && n.database.engine.Healthy()) })
	n.metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "meterhouse_engine_restarts_total",
		Help: "Times that the embedded engine was started in place of one that died.",
	}, func() float64 {
		if n.database.engine == nil {
			return 0
		}
		return float64(n.database.engine.Restarts())
	}))
}

// newMetrics returns a registry with what is of the process.
func newMetrics() *prometheus.Registry {
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "meterhouse_build_info", Help: "1, with what was built of what.",
	}, []string{"version", "revision", "goversion"})
	build.WithLabelValues(versionText(), revision(), runtime.Version()).Set(1)
	r := prometheus.NewRegistry()
	r.MustRegister(build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// revision is the commit that the program was built of, as far as the build knows.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// diskOf returns a disk's room and size in bytes; zeros when it cannot be asked.
func diskOf(dir string) (free, size float64) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0
	}
	block := float64(s.Bsize)
	return float64(s.Bavail) * block, float64(s.Blocks) * block
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
