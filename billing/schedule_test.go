package billing_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/schema"
)

// leases are what the instances of a test share.
type leases struct {
	mu    sync.Mutex
	held  map[string]uuid.UUID
	down  bool
	asked []string
}

func (l *leases) take(
	_ context.Context, name string, holder uuid.UUID, _ time.Time,
) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, name)
	if l.down {
		return false, errors.New("no database")
	}
	if l.held == nil {
		l.held = make(map[string]uuid.UUID)
	}
	if _, taken := l.held[name]; !taken {
		l.held[name] = holder
	}
	return l.held[name] == holder, nil
}

// instance is a schedule and what it did, with the seconds since the test began.
type instance struct {
	*billing.Schedule
	mu       sync.Mutex
	began    time.Time
	runs     []int
	compared []int
	log      strings.Builder

	run     func(ctx context.Context) (schema.ReportRun, error)
	compare func(ctx context.Context) ([]schema.Comparison, error)
}

func newInstance(l *leases, interval time.Duration, jitter int) *instance {
	i := &instance{began: time.Now()}
	i.Schedule = billing.NewSchedule(billing.ScheduleConfig{
		Run: func(ctx context.Context) (schema.ReportRun, error) {
			i.note(&i.runs)
			if i.run == nil {
				return schema.ReportRun{End: schema.RunDone}, nil
			}
			return i.run(ctx)
		},
		Reconcile: func(ctx context.Context) ([]schema.Comparison, error) {
			i.note(&i.compared)
			if i.compare == nil {
				return nil, nil
			}
			return i.compare(ctx)
		},
		Lease: l.take, Interval: interval, Writer: uuid.New(), Now: time.Now,
		Jitter: func(below time.Duration) time.Duration {
			return below * time.Duration(jitter) / 100
		},
		Logger: slog.New(slog.NewTextHandler(&i.log, nil)),
	})
	return i
}

func (i *instance) note(into *[]int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	*into = append(*into, int(time.Since(i.began).Seconds()))
}

func (i *instance) want(t *testing.T, what string, got []int, want ...int) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("%s at %v seconds, want %v", what, got, want)
	}
}

const fiveMinutes = 5 * time.Minute

// TestOnePassAnInterval: synctest begins at midnight, and so intervals at whole five minutes.
func TestOnePassAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newInstance(&leases{}, fiveMinutes, 50)
		i.Start()
		time.Sleep(16 * time.Minute)
		i.Stop()
		i.want(t, "passes", i.runs, 4, 315, 615, 915)
		time.Sleep(time.Hour)
		i.want(t, "passes after Stop", i.runs, 4, 315, 615, 915)
	})
}

// TestOneInstanceMakesThePass: who is first has the lease. When its answer was passed over, both
// made all passes.
func TestOneInstanceMakesThePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &leases{}
		first, second := newInstance(shared, fiveMinutes, 10), newInstance(shared, fiveMinutes, 90)
		second.Start()
		first.Start()
		time.Sleep(11 * time.Minute)
		first.Stop() // the other goes on by itself
		time.Sleep(5 * time.Minute)
		second.Stop()
		first.want(t, "first's passes", first.runs, 3, 303, 603)
		second.want(t, "second's passes", second.runs, 927)
	})
}

// TestWokenAtOnce: however often it is woken, passes begin five seconds apart. Without the pause
// behind a pass there were two at 100 seconds, and two at 101.
func TestWokenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &leases{}
		i := newInstance(shared, time.Hour, 0)
		i.Start()
		time.Sleep(100 * time.Second)
		for range 10 {
			i.Wake()
		}
		time.Sleep(time.Second)
		for range 10 {
			i.Wake()
		}
		time.Sleep(100 * time.Second)
		i.Stop()
		i.want(t, "passes", i.runs, 3, 100, 105)
		if len(shared.asked) != 1 {
			t.Errorf("leases asked for: %v", shared.asked)
		}
		i.Wake() // of one that is stopped: nothing
	})
}

// TestAFailedPassIsNotTheLast. Without guard's recover the panic ended the program.
func TestAFailedPassIsNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &leases{}
		i := newInstance(shared, fiveMinutes, 0)
		n := 0
		i.run = func(context.Context) (schema.ReportRun, error) {
			switch n++; n {
			case 1:
				panic("first of the test")
			case 2:
				return schema.ReportRun{}, errors.New("second of the test")
			}
			return schema.ReportRun{End: schema.RunLimited}, nil
		}
		i.Start()
		time.Sleep(11 * time.Minute)
		shared.mu.Lock()
		shared.down = true
		shared.mu.Unlock()
		time.Sleep(5 * time.Minute)
		shared.mu.Lock()
		shared.down = false
		shared.mu.Unlock()
		time.Sleep(5 * time.Minute)
		i.Stop()
		i.want(t, "passes", i.runs, 3, 300, 600, 1200)
		for _, text := range []string{"first of the test", "no database"} {
			if !strings.Contains(i.log.String(), text) {
				t.Errorf("%q is not in the log:\n%s", text, i.log.String())
			}
		}
	})
}

// TestStopCutsAPassOff and waits for it. Nothing is said to have failed. Without waiting for the
// goroutines, Stop returned before the pass.
func TestStopCutsAPassOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newInstance(&leases{}, fiveMinutes, 0)
		ended := false
		i.run = func(ctx context.Context) (schema.ReportRun, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // what it has to write down
			ended = true
			return schema.ReportRun{}, ctx.Err()
		}
		i.Start()
		time.Sleep(time.Minute)
		i.Stop()
		if !ended {
			t.Error("Stop returned before the pass")
		}
		if i.log.Len() > 0 {
			t.Errorf("logged %s", i.log.String())
		}
		newInstance(&leases{}, fiveMinutes, 0).Stop() // one that was not started
	})
}

// TestComparedOnceADay by one of two instances, not in the first hour; one that failed is made
// again an hour later. When the lease's answer was passed over, both compared; without remembering
// the day, the first did every hour.
func TestComparedOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &leases{}
		first, second := newInstance(shared, fiveMinutes, 0), newInstance(shared, fiveMinutes, 50)
		n := 0
		first.compare = func(context.Context) ([]schema.Comparison, error) {
			if n++; n == 1 {
				return nil, fmt.Errorf("stripe is away")
			}
			return nil, nil
		}
		first.Start()
		second.Start()
		time.Sleep(50 * time.Hour)
		first.Stop()
		second.Stop()
		first.want(t, "first's comparisons", first.compared, 3600, 7200, 24*3600, 48*3600)
		second.want(t, "second's comparisons", second.compared)
		if text := first.log.String(); !strings.Contains(text, "stripe is away") {
			t.Errorf("logged %s", text)
		}
	})
}
