package verify

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// ScheduleConfig is what a Schedule needs.
type ScheduleConfig struct {
	Verifier *Verifier
	Node     uuid.UUID     // this one; of the nodes that run, that with the least id verifies
	Every    time.Duration // 0: never
	Whole    time.Duration // how often all days are, not only those with new rows; default 24 h
	Now      func() time.Time
	Logger   *slog.Logger
	Metrics  prometheus.Registerer // nil: nobody looks
}

// Schedule verifies again and again beside everything else, with one thread of the database.
type Schedule struct {
	cfg     ScheduleConfig
	metrics *metrics

	last  time.Time // when the newest verification that succeeded began; zero: none did
	whole time.Time // likewise of all days
	idle  int       // turns in a row that were another node's

	mu     sync.Mutex
	status schema.SystemVerify

	cancel context.CancelFunc
	done   chan struct{}
}

// NewSchedule returns a Schedule. It starts nothing.
func NewSchedule(c ScheduleConfig) *Schedule {
	if c.Whole == 0 {
		c.Whole = 24 * time.Hour
	}
	return &Schedule{cfg: c, metrics: newMetrics(c.Metrics)}
}

// Start verifies until Stop, first after a tenth of Every.
func (s *Schedule) Start() {
	if s.cfg.Every == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		for wait := s.cfg.Every / 10; pause(ctx, wait/2+rand.N(wait)) == nil; wait = s.cfg.Every {
			s.turn(ctx)
		}
	}()
}

// Stop ends what Start began, if it did, and what it is asking.
func (s *Schedule) Stop() {
	if s.cancel != nil {
		s.cancel()
		<-s.done
	}
}

// turn verifies when it is this node's turn, and says what came of it.
func (s *Schedule) turn(ctx context.Context) {
	began := s.cfg.Now()
	mine, err := s.mine(ctx)
	if err == nil && !mine {
		s.handOver()
		return
	}
	s.idle = 0
	var report Report
	if err == nil {
		report, err = s.run(ctx, began)
	}
	if ctx.Err() != nil {
		return
	}
	s.metrics.ran(report, err, s.cfg.Now().Sub(began))
	s.note(report, err)
	if err != nil {
		s.cfg.Logger.Warn("verification could not be done, trying again later", "error", err)
		return
	}
	for i, f := range report.Findings {
		if i == shown {
			s.cfg.Logger.Error("verification found more: run `meterhouse verify`",
				"differences", len(report.Findings))
			break
		}
		s.cfg.Logger.Error("verification found a difference", "kind", f.Kind, "difference", f.Text)
	}
}

// shown is how many differences are told one by one.
const shown = 20

// handOver leaves it to another node to say what differs: as soon as that one had an interval to look
// at all days, as a node does first, this one says nothing of what it found long ago. Should it be
// this one's turn again, it looks at all days as well, for it does not know what the other found.
func (s *Schedule) handOver() {
	s.last, s.whole = time.Time{}, time.Time{}
	if s.idle++; s.idle != 2 {
		return
	}
	s.metrics.none()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = schema.SystemVerify{}
}

// note keeps what came of a verification, for Status.
func (s *Schedule) note(report Report, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now().UTC()
	s.status.LastRunAt = now
	if err != nil {
		s.status.Result = "failed" // what the one before found stays
		return
	}
	s.status.Result, s.status.Differences, s.status.More = "ok", nil, 0
	for i, f := range report.Findings {
		s.status.Result = "differences"
		if i < shown {
			s.status.Differences = append(s.status.Differences, f.Text)
		} else {
			s.status.More++
		}
	}
	if len(report.Findings) == 0 {
		s.status.LastSuccessAt = now
	}
}

// Status returns what came of the last verification that this node made; nothing when another node
// has made them since.
func (s *Schedule) Status() schema.SystemVerify {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Every = s.cfg.Every
	return status
}

// mine reports whether this node is the one that verifies. It only saves work: two that do at once
// do no harm.
func (s *Schedule) mine(ctx context.Context) (bool, error) {
	q := s.cfg.Verifier.cfg.Queries
	now, _, err := q.Hold(ctx)
	if err != nil {
		return false, err
	}
	nodes, err := q.Nodes(ctx)
	for _, n := range nodes { // ordered by id
		if n.Live(now) {
			return n.ID == s.cfg.Node, err
		}
	}
	return true, err
}

// run verifies the days that got rows since the last time, and an interval before that, for what
// waited in a log; or all days when that is due.
func (s *Schedule) run(ctx context.Context, began time.Time) (Report, error) {
	p := queries.VerifyParams{Threads: 1}
	whole := s.whole.IsZero() || began.Sub(s.whole) >= s.cfg.Whole
	if !whole {
		var err error
		p.Days, err = s.cfg.Verifier.cfg.Queries.DaysStoredSince(ctx, s.last.Add(-s.cfg.Every), p)
		if err != nil {
			return Report{}, err
		}
		if len(p.Days) == 0 { // nothing came: the newest day will do, the logs are verified whole
			p.Days = []time.Time{began.UTC().Truncate(24 * time.Hour)}
		}
	}
	report, err := s.cfg.Verifier.Run(ctx, p)
	if err == nil {
		s.last = began
		switch {
		case len(report.Findings) > 0:
			s.whole = time.Time{} // else the next one, of other days, would not see it and be clean
		case whole:
			s.whole = began
		}
	}
	return report, err
}
