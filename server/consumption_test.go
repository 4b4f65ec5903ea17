package server

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// TestLargeConsumptionIsNotCollected: who asks the same shares rows that are few. Many go to their
// askers as they come, in turns: one organization's at a time where two may run. With
// consumptionShared without end, the large ones share one question and its rows; without the turn,
// three run at once.
func TestLargeConsumptionIsNotCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics := newReadMetrics()
		var asked, handing, most atomic.Int64
		rows := 0
		c := consumption{reads: newReads(time.Now, metrics), turns: newTurns(2, metrics)}
		c.ask = func(
			ctx context.Context, _ queries.ConsumptionParams, each func(queries.ConsumptionRow) error,
		) error {
			asked.Add(1)
			time.Sleep(time.Second / 10)
			for i := range rows {
				if i == consumptionShared+1 { // nobody but who has it as it comes is still here
					most.Store(max(most.Load(), handing.Add(1)))
					defer handing.Add(-1)
					time.Sleep(time.Second)
				}
				if err := each(queries.ConsumptionRow{}); err != nil {
					return err
				}
			}
			return nil
		}
		f := func(n int, wantAsked, wantMost int64) {
			t.Helper()
			rows = n
			asked.Store(0)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					got := 0
					p := dialect.ConsumptionLogsParams{Organization: analyst, Period: dialect.Daily}
					err := c.logs(t.Context(), p, func(dialect.Consumption) error {
						got++
						return nil
					})
					if err != nil || got != n {
						t.Errorf("%d of %d rows, %v", got, n, err)
					}
				})
			}
			wg.Wait()
			if asked.Load() != wantAsked || most.Load() != wantMost {
				t.Errorf("%d rows: asked %d times, %d at once", n, asked.Load(), most.Load())
			}
		}
		f(consumptionShared, 1, 0)
		c.reads.group.Renew(analyst)
		f(consumptionShared+2, 4, 1)
		if c.turns.budget.Take(uuid.New(), 2, 0) == false {
			t.Error("a turn is not given back")
		}
	})
}
