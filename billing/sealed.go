package billing

import (
	"context"
	"time"

	"github.com/meterhouse/meterhouse/queries"
)

const (
	sweepMargin  = time.Minute // an event of an hour's last second is stored within it
	sweepWaitMax = time.Hour   // a node that cannot look keeps nobody's bill longer
)

// sealed returns the end of the last hour that is told, as of now. What came in for it has had the
// seal delay to be stored, and every node that runs has looked among it for copies of what another
// node accepted. Copies that are found after an hour's wait are corrected, and told, later.
func (r *Reporter) sealed(ctx context.Context, now time.Time) (time.Time, error) {
	s, err := r.cfg.Queries.Standing(ctx)
	if err != nil {
		return time.Time{}, err
	}
	delay := r.cfg.SealDelay
	if behind := sweepBehind(s); behind > 0 {
		delay = max(delay, min(behind+sweepMargin, r.cfg.SealDelay+sweepWaitMax))
	}
	return now.Add(-delay), nil
}

// sweepBehind returns how long ago, by the database's clock, the last of the nodes that run had
// looked for copies; 0 when none runs.
func sweepBehind(s queries.Standing) time.Duration {
	var behind time.Duration
	for _, n := range s.Nodes {
		if n.Live(s.Now) {
			behind = max(behind, s.Now.Sub(n.SweptAt))
		}
	}
	return behind
}
