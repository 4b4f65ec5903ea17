package billing

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// ScheduleConfig is what a Schedule needs. All fields are required.
type ScheduleConfig struct {
	// Run logs how it ended, errors included.
	Run       func(ctx context.Context) (schema.ReportRun, error)
	Reconcile func(ctx context.Context) ([]schema.Comparison, error)
	// Lease reports whether a piece of work is this instance's.
	Lease func(ctx context.Context, name string, holder uuid.UUID, now time.Time) (bool, error)

	Interval time.Duration                           // between passes; 0: no schedule at all
	Writer   uuid.UUID                               // the instance
	Now      func() time.Time                        // decides which interval and day it is
	Jitter   func(below time.Duration) time.Duration // a random one, from 0 on
	Logger   *slog.Logger
}

// Schedule has passes made every so often, and at once when it is woken; and once a day what Stripe
// holds compared. Of all instances one makes each: a lease says which, and only saves work.
//
//	Start ──► passes ◄── Wake         one goroutine: a pass never runs beside another of its own
//	      └─► comparisons             another: it takes long, and passes go on
type Schedule struct {
	cfg    ScheduleConfig
	wake   chan struct{} // of one: who wakes while somebody has is one of them
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// A pass that was asked for begins so long after the one before: what came meanwhile goes with it.
const wakeGap = 5 * time.Second

// The first pass is made soon after the start, but not while everything else starts.
const firstPass = 3 * time.Second

// Comparisons are looked at every so often: whether this UTC day's has been made.
const reconcileEvery = time.Hour

// NewSchedule returns a Schedule. It starts nothing.
func NewSchedule(c ScheduleConfig) *Schedule {
	return &Schedule{cfg: c, wake: make(chan struct{}, 1)}
}

// Start makes passes until Stop.
func (s *Schedule) Start() {
	if s.cfg.Interval == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { s.passes(ctx) })
	s.done.Go(func() { s.comparisons(ctx) })
}

// Stop ends what Start began, if it did: a pass that is under way is cut off, and left to the next
// one, of whatever instance.
func (s *Schedule) Stop() {
	if s.cancel != nil {
		s.cancel()
		s.done.Wait()
	}
}

// Wake has a pass made soon. It does not wait for it.
func (s *Schedule) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// passes makes a pass in every interval. All instances ask at its beginning, so that whoever is
// first is so for all of it.
func (s *Schedule) passes(ctx context.Context) {
	wait := firstPass + s.cfg.Jitter(firstPass)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			s.guard(ctx, "pass", s.pass)
		case <-time.After(wait):
			s.guard(ctx, "pass", s.leasedPass)
		}
		ended := s.cfg.Now()
		if pause(ctx, wakeGap) != nil {
			return
		}
		wait = max(s.next(ended).Sub(s.cfg.Now()), 0)
	}
}

// next returns when to make the pass of the interval after now's.
func (s *Schedule) next(now time.Time) time.Time {
	const tenth = 10
	begins := time.Unix(0, (s.number(now)+1)*int64(s.cfg.Interval))
	return begins.Add(s.cfg.Jitter(s.cfg.Interval/tenth + 1))
}

// number counts the intervals since 1970: all instances give one the same.
func (s *Schedule) number(now time.Time) int64 {
	return now.UnixNano() / int64(s.cfg.Interval)
}

func (s *Schedule) leasedPass(ctx context.Context) error {
	now := s.cfg.Now()
	name := "report-" + strconv.FormatInt(s.number(now), 10)
	if mine, err := s.cfg.Lease(ctx, name, s.cfg.Writer, now); err != nil || !mine {
		return err
	}
	return s.pass(ctx)
}

func (s *Schedule) pass(ctx context.Context) error {
	_, _ = s.cfg.Run(ctx)
	return nil
}

func (s *Schedule) compare(ctx context.Context) error {
	_, err := s.cfg.Reconcile(ctx)
	return err
}

// comparisons compares once in a UTC day, never in the first hour after the start: an instance that
// cannot stay up has other sorrows.
func (s *Schedule) comparisons(ctx context.Context) {
	compared := ""
	for pause(ctx, reconcileEvery+s.cfg.Jitter(reconcileEvery/2)) == nil {
		now := s.cfg.Now()
		day := now.UTC().Format(time.DateOnly)
		if day == compared {
			continue
		}
		s.guard(ctx, "comparison", func(ctx context.Context) error {
			mine, err := s.cfg.Lease(ctx, "reconcile-"+day, s.cfg.Writer, now)
			if err == nil && mine {
				err = s.compare(ctx)
			}
			if err == nil {
				compared = day
			}
			return err
		})
	}
}

// guard does a piece of work whose failure, of whatever kind, does not end the schedule.
func (s *Schedule) guard(
	ctx context.Context, what string, work func(context.Context) error,
) {
	defer func() {
		if r := recover(); r != nil {
			s.cfg.Logger.Error("billing panicked, trying again later", "during", what,
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	level := slog.LevelWarn
	err := work(ctx)
	if schema.KindOf(err) == schema.Unavailable { // there is no key: that was said at the start
		level = slog.LevelDebug
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.Log(ctx, level, "billing failed, trying again later", "during", what,
			"error", err)
	}
}

// pause waits. The error is ctx's.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
