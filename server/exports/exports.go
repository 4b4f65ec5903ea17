// Package exports makes saved exports in the background, part by part, so that one that was cut off
// goes on where it was.
//
//	Create ─► queued ─► a node's turn takes it: running, under a lease ─┬─► done ─► expired
//	                                                                    └─► failed
//	part: rows ─► file.part ─► fsync ─► rename ─► fsync of the folder ─► export_parts
//
// Every change of an export is the next version of its row, which one writer has: a job whose row
// went on without it was cancelled, or taken over by another node, and ends.
package exports

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
)

// Bounds of exports.
const (
	runningMax             = 2  // on a node at once
	runningOrganizationMax = 1  // of an organization, on all nodes
	keptMax                = 20 // of an organization: to be made, or with files
	lifetime               = 24 * time.Hour
	listedMax              = 100
)

// Bucket is where parts may be written instead of to files.
type Bucket struct {
	URL          string // http or https, without globs; keys are appended to it
	KeyID        string
	SecretKey    string
	Organization uuid.UUID // whose alone it is; zero: everybody's
}

// Config is what an Exporter needs. All fields are required but Buckets
// and those with a default.
type Config struct {
	Dir     string // of the files; made when it is needed
	Queries *queries.Queries
	Node    uuid.UUID // this one: its files are nobody else's
	Buckets map[string]Bucket
	Now     func() time.Time
	Logger  *slog.Logger
	Metrics prometheus.Registerer

	// BytesMax bounds the files of this node; default 10 GiB.
	BytesMax int64
	// Lease is how long a node that is not heard of keeps an export; default a minute. Clocks of
	// nodes may differ by less than half of it.
	Lease time.Duration
	// PartMeasurements is how many measurements a part of the ledger has, more or less: as many as
	// one question may well take, and so few that little is lost with one; default 500,000.
	PartMeasurements int64
	// Look is how often a node looks for what to do; default two seconds.
	Look time.Duration
}

// Exporter implements dialect.Exports.
type Exporter struct {
	cfg     Config
	metrics *metrics
	create  func(name string) (file, error)
	used    atomic.Int64 // bytes of the files here

	mu      sync.Mutex
	jobs    map[uuid.UUID]*job
	waiting map[uuid.UUID]retry // those that could not be made, until they are tried again

	ctx     context.Context // of what Start started
	cancel  context.CancelFunc
	kick    chan struct{}
	started sync.WaitGroup
}

// New returns an Exporter. It makes nothing until Start.
func New(c Config) *Exporter {
	if c.BytesMax == 0 {
		c.BytesMax = 10 << 30
	}
	if c.PartMeasurements == 0 {
		c.PartMeasurements = 500_000
	}
	if c.Lease == 0 {
		c.Lease = time.Minute
	}
	if c.Look == 0 {
		c.Look = 2 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Exporter{
		cfg: c, metrics: newMetrics(c.Metrics), create: createFile,
		jobs: make(map[uuid.UUID]*job), waiting: make(map[uuid.UUID]retry),
		ctx: ctx, cancel: cancel, kick: make(chan struct{}, 1),
	}
}

// Start makes what there is to make, until Stop.
func (e *Exporter) Start() {
	e.started.Go(func() {
		tick := time.NewTicker(e.cfg.Look)
		defer tick.Stop()
		for {
			e.turn(e.ctx)
			select {
			case <-e.ctx.Done():
				return
			case <-tick.C:
			case <-e.kick:
			}
		}
	})
}

// Stop ends what Start began. What was being made goes on at the next Start.
func (e *Exporter) Stop() {
	e.cancel()
	e.started.Wait()
}

// look makes the next turn come at once.
func (e *Exporter) look() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// turn looks after every export once: it removes files that nobody may have any more, ends jobs
// whose export went on without them, and takes what is to be made.
func (e *Exporter) turn(ctx context.Context) {
	rows, err := e.cfg.Queries.OpenExports(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.cfg.Logger.Warn("exports could not be looked for, trying again", "error", err)
		}
		return
	}
	now := e.cfg.Now()
	running := make(map[uuid.UUID]int)
	open := make(map[uuid.UUID]bool)
	for _, row := range rows {
		open[row.ID] = true
		if row.State == stateRunning && row.LeaseUntil.After(now) {
			running[row.Organization]++
		}
	}
	e.endAllBut(open)
	e.sweep(rows, now)
	for _, row := range rows {
		switch j := e.job(row.ID); {
		case ctx.Err() != nil:
			return
		case j != nil:
			e.tend(ctx, j, row, now)
		case row.State == stateDone:
			e.expire(ctx, row, now)
		case e.mayTake(row, running, now):
			if e.take(ctx, row, now) && !(row.State == stateRunning && row.LeaseUntil.After(now)) {
				running[row.Organization]++
			}
		}
	}
}

// mayTake reports whether an export is this node's to make now: one that nobody makes, one whose
// node is not heard of any more, and one that this node was making when it ended.
func (e *Exporter) mayTake(row queries.Export, running map[uuid.UUID]int, now time.Time) bool {
	e.mu.Lock()
	busy, wait := len(e.jobs), e.waiting[row.ID]
	e.mu.Unlock()
	request, err := decode(row)
	if _, known := e.cfg.Buckets[request.Destination]; err != nil ||
		request.Destination != "" && !known {
		return false // another node may know it: a newer one, or one that has the bucket
	}
	switch {
	case busy >= runningMax || wait.until.After(now):
		return false
	case row.State == stateRunning:
		return row.Node == e.cfg.Node || !row.LeaseUntil.After(now)
	}
	return running[row.Organization] < runningOrganizationMax
}

// take makes an export this node's and starts its job; false when another node was first. The files
// of an attempt are on its node: another node starts from the beginning. Objects are everybody's.
func (e *Exporter) take(ctx context.Context, row queries.Export, now time.Time) bool {
	request, err := decode(row)
	if err != nil {
		return false
	}
	j := &job{exporter: e, row: row, request: request, ended: make(chan struct{})}
	err = j.save(ctx, func(next *queries.Export) {
		if row.State == stateRunning && row.Node != e.cfg.Node && request.Destination == "" {
			next.Attempt++
		}
		next.State, next.Node, next.LeaseUntil = stateRunning, e.cfg.Node, now.Add(e.cfg.Lease)
	})
	if err != nil {
		e.log("export could not be taken", row, err)
		return false
	}
	var own context.Context
	own, j.cancel = context.WithCancel(e.ctx)
	e.mu.Lock()
	e.jobs[row.ID] = j
	e.mu.Unlock()
	e.metrics.running.Inc()
	e.started.Go(func() {
		defer e.forget(j)
		j.end(own, j.run(own))
	})
	return true
}

// forget ends the life of a job.
func (e *Exporter) forget(j *job) {
	j.cancel()
	e.metrics.running.Dec()
	e.mu.Lock()
	delete(e.jobs, j.row.ID)
	e.mu.Unlock()
	close(j.ended)
	if e.ctx.Err() == nil {
		e.look()
	}
}

func (e *Exporter) job(id uuid.UUID) *job {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.jobs[id]
}

// endAllBut ends the jobs whose exports are not open any more.
func (e *Exporter) endAllBut(open map[uuid.UUID]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, j := range e.jobs {
		if !open[id] {
			j.cancel()
		}
	}
}

// tend renews the lease of a job, and ends one whose export went on without it.
func (e *Exporter) tend(ctx context.Context, j *job, row queries.Export, now time.Time) {
	known := j.newest()
	switch {
	case row.Version < known.Version:
		return // it was read before the job wrote
	case row.Version > known.Version || row.Writer != known.Writer:
		j.cancel()
		return
	case row.By != known.By || row.User != known.User || row.Request != known.Request:
		j.cancel() // somebody was erased from it: it goes on as it is now
		return
	case known.LeaseUntil.Sub(now) > e.cfg.Lease*2/3:
		return
	}
	if err := j.save(ctx, func(next *queries.Export) {
		next.LeaseUntil = now.Add(e.cfg.Lease)
	}); err != nil {
		e.log("lease of an export could not be renewed", row, err)
	}
}

// expire notes that the time of an export's files is over. Whose files they are removes them.
func (e *Exporter) expire(ctx context.Context, row queries.Export, now time.Time) {
	if row.ExpiresAt.After(now) {
		return
	}
	row.Version, row.Writer, row.State = row.Version+1, uuid.New(), stateExpired
	if _, err := e.cfg.Queries.SaveExport(ctx, row); err != nil {
		e.log("export could not be noted as expired", row, err)
	}
}

// sweep removes the files that belong to no export of this node's, or to one that is over.
func (e *Exporter) sweep(rows []queries.Export, now time.Time) {
	keep := make(map[string]bool)
	for _, row := range rows {
		if row.Node == e.cfg.Node && (row.State == stateRunning || row.ExpiresAt.After(now)) {
			keep[row.ID.String()] = true
		}
	}
	entries, err := os.ReadDir(e.cfg.Dir)
	if err != nil {
		if !os.IsNotExist(err) {
			e.cfg.Logger.Warn("files of exports could not be listed", "error", err)
		}
		return
	}
	for _, entry := range entries {
		id, _ := uuid.Parse(entry.Name())
		if keep[entry.Name()] || e.job(id) != nil {
			continue
		}
		e.remove(entry.Name())
	}
	e.mu.Lock()
	idle := len(e.jobs) == 0
	e.mu.Unlock()
	if idle { // what jobs count is exact while they write, and of files that are gone only here
		e.used.Store(usedBytes(e.cfg.Dir))
	}
	e.metrics.keeps(e.used.Load())
}

func (e *Exporter) log(message string, row queries.Export, err error) {
	if e.ctx.Err() == nil {
		e.cfg.Logger.Warn(message, "export", row.ID, "organization", row.Organization,
			"error", e.hide(fmt.Sprint(err)))
	}
}
