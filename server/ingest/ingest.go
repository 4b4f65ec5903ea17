package ingest

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/types"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/fair"
	"github.com/meterhouse/meterhouse/server/ingest/keys"
)

// Store takes batches into ClickHouse.
type Store interface {
	// InsertEvents inserts a batch under a deduplication token. An error leaves open whether it
	// was inserted; the same batch under the same token is then sent again.
	InsertEvents(ctx context.Context, token string, batch *queries.EventBatch) error
}

// Config is what an Ingest needs. Zero limits mean the defaults.
type Config struct {
	Dir      string // the node's data directory; the log lives in its folder wal
	Store    Store
	Peers    Peers                   // where the other nodes are met; nil: there are none
	Ledger   Ledger                  // the same; nil: a token is trusted, however old
	Snapshot func() *access.Snapshot // for rates

	// LedgerID is the ledger's. Where the log knows another, the database was restored: Restored is
	// told, once at least, up to before which sequence the log has nothing any more. Zero: any.
	LedgerID uuid.UUID
	Restored func(node uuid.UUID, next uint64) error

	Now     func() time.Time
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Tracer  trace.Tracer // of batches; nil: they are not traced

	LogBytesMax   int64         // of events not yet in ClickHouse; default 4 GiB
	QueueBytesMax int64         // of requests waiting for their fsync; default 64 MiB
	Window        time.Duration // how long an idempotency key is known; default 34 days
	Limit         int64         // events a minute of an organization without its own; 0: none
	BatchRowsMax  int           // a batch is closed at this many rows; default 50,000
	BatchAge      time.Duration // or at this age; default 400 ms
	InsertTimeout time.Duration // of one try; default 60 s

	disk       types.VFS     // where the log is; tests put a failing one here
	keysRecent int           // keys in memory; 0: the default of keys
	segment    int           // bytes of a segment of the log; default 64 MiB
	nonce      func() uint64 // of a batch; random
	poisonAge  time.Duration // how long a batch is refused before it is doubted; default 30 s
}

func (c Config) withDefaults() Config {
	setDefault(&c.LogBytesMax, 4<<30)
	setDefault(&c.QueueBytesMax, 64<<20)
	setDefault(&c.Window, 34*24*time.Hour)
	setDefault(&c.BatchRowsMax, 50_000)
	setDefault(&c.BatchAge, 400*time.Millisecond)
	setDefault(&c.InsertTimeout, time.Minute)
	setDefault(&c.segment, wal.DefaultSegmentSize)
	setDefault(&c.poisonAge, 30*time.Second)
	if c.disk == nil {
		c.disk = newSegmentDisk()
	}
	if c.nonce == nil {
		c.nonce = rand.Uint64
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// Ingest is the write path of one node. It is safe for concurrent use.
type Ingest struct {
	cfg     Config
	log     *logFile
	keys    *keys.Store
	gate    Gate // before the ledger
	metrics *metrics
	totals  totals
	next    uint64 // sequence of the next event, as recovered

	traced tracedRequests // whose events are in no batch yet

	keysBytes int64 // of the log since the keys were last told to save; the committer's

	stopping sync.RWMutex // held for reading while a Record may send to queue
	stopped  bool
	queue    chan *request
	queued   atomic.Int64 // bytes in queue
	accounts accounts
	commits  fair.Meter // the queue into the log
	requests sync.Pool
	broken   atomic.Pointer[error] // why the log cannot be written; nil: it can

	committerDone chan struct{}
	batcher       *batcher
	peers         *peers
}

// queueMax is how many requests may wait for an fsync: as many as there may be connections.
const queueMax = 8192

// Open opens the node's log, and reads what of it ClickHouse does not have yet. It starts nothing.
func Open(c Config) (*Ingest, error) {
	c = c.withDefaults()
	log, err := openLog(filepath.Join(c.Dir, "wal"), c)
	if err != nil {
		return nil, err
	}
	restored, err := c.restored(log)
	if err != nil {
		return nil, errors.Join(err, log.close())
	}
	known, err := openKeys(c, log)
	if err != nil {
		return nil, errors.Join(err, log.close())
	}
	if restored {
		if err := c.relearn(log, known); err != nil {
			return nil, errors.Join(err, known.Close(), log.close())
		}
	}
	in := &Ingest{
		cfg:           c,
		log:           log,
		keys:          known,
		metrics:       newMetrics(),
		queue:         make(chan *request, queueMax),
		committerDone: make(chan struct{}),
	}
	in.accounts.perMinute = c.Limit
	in.requests.New = func() any { return &request{done: make(chan struct{}, 1)} }
	in.batcher = newBatcher(in)
	in.peers = newPeers(in)
	if err := in.recover(); err != nil {
		return nil, errors.Join(err, known.Close(), log.close())
	}
	if c.Metrics != nil {
		if err := in.metrics.register(c.Metrics, in); err != nil {
			return nil, errors.Join(err, known.Close(), log.close())
		}
	}
	return in, nil
}

// Gate returns what stands before the ledger: others who insert into it enter by it too.
func (in *Ingest) Gate() *Gate { return &in.gate }

// Node returns the id of this node's log: with a sequence, it names an event for ever.
func (in *Ingest) Node() uuid.UUID { return in.log.node }

// Start starts committing and batching. Where there are other nodes it takes the few seconds first
// in which most of what they accepted is learned.
func (in *Ingest) Start() {
	in.keys.Start()
	in.peers.start()
	c := &committer{ingest: in, next: in.next}
	go func() {
		defer close(in.committerDone)
		c.run()
	}()
	in.batcher.start()
}

// Stop refuses new events, makes the waiting ones durable, and stores what it can until ctx ends;
// what is left stays in the log for the next start.
func (in *Ingest) Stop(ctx context.Context) error {
	in.stopping.Lock()
	if in.stopped {
		in.stopping.Unlock()
		return nil
	}
	in.stopped = true
	close(in.queue)
	in.stopping.Unlock()
	<-in.committerDone
	in.flushKeys(ctx)
	in.batcher.stop(ctx)
	in.peers.stop(ctx)
	if left := in.Pending(); left > 0 {
		in.cfg.Logger.Warn("events stay in the log until the next start", "events", left)
	}
	return errors.Join(in.keys.Close(), in.log.close())
}

// Ready returns nil when Record can accept events of an organization that has its share yet, else
// why not, as a *schema.Error.
func (in *Ingest) Ready() error {
	return in.ready(&in.accounts.others)
}

func (in *Ingest) ready(a *account) error {
	if in.broken.Load() != nil {
		return errBroken()
	}
	if in.keys.Full() {
		return errKeysFull()
	}
	return in.admit(a, 0)
}

// Pending returns the number of durable events that are not in ClickHouse yet.
func (in *Ingest) Pending() int64 { return in.batcher.events.Load() }

// Record implements dialect.Recorder.
func (in *Ingest) Record(
	ctx context.Context, events []schema.Event, atomic bool,
) (dialect.Receipt, error) {
	if len(events) == 0 {
		return dialect.Receipt{}, nil
	}
	snapshot := in.cfg.Snapshot()
	account := in.accounts.of(snapshot, events[0].Organization)
	if err := in.ready(account); err != nil {
		in.metrics.refused.Add(float64(len(events)))
		in.totals.refused.Add(int64(len(events)))
		return dialect.Receipt{}, err
	}
	r := in.requests.Get().(*request)
	r.reset()
	r.account = account
	defer in.requests.Put(r)
	rejected := in.encode(r, events, snapshot)
	if n := len(rejected); n > 0 {
		in.metrics.rejected.Add(float64(n))
		in.totals.rejected.Add(int64(n))
	}
	if len(r.ends) == 0 || atomic && len(rejected) > 0 {
		return dialect.Receipt{Rejected: rejected}, nil
	}
	span := traceAppend(ctx, r)
	if err := in.send(r); err != nil {
		endSpan(span, err)
		in.metrics.refused.Add(float64(len(r.ends)))
		in.totals.refused.Add(int64(len(r.ends)))
		return dialect.Receipt{}, err
	}
	<-r.done
	endSpan(span, r.err)
	if r.err != nil {
		in.metrics.refused.Add(float64(len(r.ends)))
		in.totals.refused.Add(int64(len(r.ends)))
		return dialect.Receipt{}, in.commitError(r.err)
	}
	in.answered(r)
	return dialect.Receipt{
		Accepted:   r.accepted,
		Duplicates: len(r.repeated),
		Rejected:   rejected,
		Repeated:   positions(r.repeated, rejected),
		Sequence:   r.last,
	}, nil
}

// answered counts what became of a request's events. What most requests have none of is left
// alone: the counters are shared by all processors.
func (in *Ingest) answered(r *request) {
	in.metrics.accepted.Add(float64(r.accepted))
	in.totals.accepted.Add(int64(r.accepted))
	if n := len(r.repeated); n > 0 {
		in.totals.duplicates.Add(int64(n))
		in.metrics.duplicates.Add(float64(n))
	}
	if n := r.unpricedNow(); n > 0 {
		in.metrics.unpriced.Add(float64(n))
	}
}

// positions turns positions among the events that were not rejected into those of the request.
func positions(among []int, rejected []dialect.Rejection) []int {
	if len(among) == 0 {
		return nil
	}
	all := make([]int, len(among))
	skipped := 0
	for i, position := range among {
		for skipped < len(rejected) && rejected[skipped].Index <= position+skipped {
			skipped++
		}
		all[i] = position + skipped
	}
	return all
}

// encode validates and prices events and writes the good ones into r.
func (in *Ingest) encode(
	r *request, events []schema.Event, rates *access.Snapshot,
) (rejected []dialect.Rejection) {
	now := in.cfg.Now().UTC()
	for i := range events {
		e := &events[i]
		complete(e, now)
		err := validate(e, now)
		if err == nil {
			err = rates.Price(e)
		}
		if err != nil {
			rejected = append(rejected, dialect.Rejection{Index: i, Err: err})
			continue
		}
		if e.Key != "" && len(r.keyed) == 0 {
			for range r.ends {
				r.keyed = append(r.keyed, uuid.Nil)
			}
		}
		r.data = appendEvent(r.data, e)
		r.ends = append(r.ends, len(r.data))
		r.unpriced = append(r.unpriced, unpricedOf(e))
		switch {
		case e.Key != "":
			r.keyed = append(r.keyed, e.ID)
		case len(r.keyed) > 0:
			r.keyed = append(r.keyed, uuid.Nil)
		}
	}
	return rejected
}

// complete fills in what a dialect may leave to ingest.
func complete(e *schema.Event, now time.Time) {
	if e.Time.IsZero() {
		e.Time = now
	}
	if e.IngestTime.IsZero() {
		e.IngestTime = now
	}
	if e.Entry == 0 {
		e.Entry = schema.Record
	}
	if e.ID != uuid.Nil {
		return
	}
	if e.Key != "" {
		e.ID = schema.EventID(e.Organization, e.Key)
		return
	}
	e.ID = schema.NewEventID(now)
}

// send queues a request; the committer answers on r.done.
func (in *Ingest) send(r *request) error {
	in.stopping.RLock()
	defer in.stopping.RUnlock()
	if in.stopped {
		return &schema.Error{
			Kind:       schema.Unavailable,
			Message:    "this node is stopping; nothing was accepted, try again",
			RetryAfter: time.Second,
		}
	}
	a, size := r.account, int64(len(r.data))
	in.queued.Add(size)
	a.queued.Add(size)
	err := in.admit(a, size) // many that are admitted at once must not be too many
	if err == nil {
		err = in.count(a, len(r.ends))
	}
	if err == nil {
		select {
		case in.queue <- r:
			return nil
		default:
			a.bucket.Return(len(r.ends), a.limit.Load())
			err = in.queueFull(in.queued.Load())
		}
	}
	in.queued.Add(-size)
	a.queued.Add(-size)
	return err
}

// commitError hides a cause that was logged once already.
func (in *Ingest) commitError(err error) error {
	if e := (*schema.Error)(nil); errors.As(err, &e) {
		return err
	}
	return errBroken()
}

// setBroken notes why the log cannot be written, or that it can again.
func (in *Ingest) setBroken(cause error) {
	if cause == nil {
		in.broken.Store(nil)
		in.cfg.Logger.Info("log is writable again")
		return
	}
	if in.broken.Swap(&cause) == nil {
		in.cfg.Logger.Error("log cannot be written, refusing events until it can",
			"error", cause, "do", advice(cause))
	}
}

// committed tells the batcher about a durable entry.
func (in *Ingest) committed(index uint64, bytes int, events uint64) {
	in.batcher.committed(index, int64(bytes), int64(events))
}

// WaitStored returns once every event up to a sequence of this node is in ClickHouse, and makes
// the batcher hurry. The error is ctx's.
func (in *Ingest) WaitStored(ctx context.Context, sequence uint64) error {
	return in.batcher.waitStored(ctx, sequence)
}

// Flush is WaitStored for everything acknowledged so far.
func (in *Ingest) Flush(ctx context.Context) error {
	return in.batcher.flush(ctx)
}

// recover reads the entries that ClickHouse does not have: their size, their keys, and the
// sequence that follows them.
func (in *Ingest) recover() error {
	p, err := in.log.progress()
	if err != nil {
		return err
	}
	in.log.damage = in.lostEvents
	in.next = in.log.next
	last := in.log.last
	in.batcher.recovered(p)
	if err := in.knowStored(p.Stored); err != nil {
		return err
	}
	err = in.log.each(p.Stored+1, last, func(index uint64, e entry, size int) error {
		if err := in.know(index, e, size); err != nil {
			return err
		}
		in.batcher.committed(index, int64(size), int64(e.count))
		return nil
	})
	if err != nil {
		return err
	}
	if n := in.Pending(); n > 0 {
		in.cfg.Logger.Info("log holds events to store", "events", n)
	}
	return nil
}
