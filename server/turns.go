package server

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/fair"
)

const (
	// turnWait is how long an analyst's question waits for its turn.
	turnWait = 10 * time.Second
	// turnsQueue is how many wait at once, each holding a connection.
	turnsQueue = 64
	// turnRetry is when to ask again: after a question of the usual size.
	turnRetry = 5 * time.Second
)

// turns lets so many of the analysts' questions run at once: dashboards find a core free, whatever
// analysts ask. Who has least running comes first, see fair.Budget.
type turns struct {
	budget  *fair.Budget
	metrics *readMetrics
	waiting atomic.Int64
}

// analystsAtOnce is how many of the analysts' questions run at once on a node: two organizations'
// at least, and one less of one organization. docs/adr/0012 has the measurements.
func analystsAtOnce() int { return min(max(2, runtime.GOMAXPROCS(0)/2), 4) }

func newTurns(atOnce int, metrics *readMetrics) *turns {
	return &turns{budget: fair.NewBudget(int64(atOnce)), metrics: metrics}
}

// take waits for an organization's turn, which lasts until give is called. The error is Overloaded,
// or ctx's.
func (t *turns) take(ctx context.Context, organization uuid.UUID) (give func(), err error) {
	if t.waiting.Add(1) > turnsQueue {
		t.waiting.Add(-1)
		return nil, t.refuse()
	}
	t.metrics.waiting.Inc()
	ok := t.budget.TakeUntil(ctx.Done(), organization, 1, turnWait)
	t.metrics.waiting.Dec()
	t.waiting.Add(-1)
	give = func() { t.budget.Give(organization, 1) }
	if err := ctx.Err(); err != nil {
		if ok {
			give()
		}
		return nil, err
	}
	if !ok {
		return nil, t.refuse()
	}
	return give, nil
}

func (t *turns) refuse() error {
	t.metrics.refused.Inc()
	return &schema.Error{
		Kind:       schema.Overloaded,
		Message:    "too many usage questions at once; try again",
		RetryAfter: turnRetry,
	}
}
