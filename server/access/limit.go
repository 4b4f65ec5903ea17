package access

import (
	"sync/atomic"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// windowLength is what a rate limit counts in.
const windowLength = time.Minute

// A window counts the requests of the minute that runs: the minute's number since 1970 in the high
// half, the count in the low one, so that a request is one atomic addition and a minute's first
// request starts the count anew.
type window struct{ state atomic.Uint64 }

// add counts a request and returns the minute it counts in and the how-manieth of it it is.
func (w *window) add(now time.Time) (minute uint64, count int64) {
	current := uint64(max(now.Unix(), 0)) / uint64(windowLength/time.Second)
	state := w.state.Add(1)
	for {
		// The next minute, seen early, is a request's that overtook this one. Any other minute is
		// over, or is what a clock showed before it was set right.
		if m := state >> 32; m == current || m == current+1 {
			return m, int64(state & (1<<32 - 1))
		}
		if w.state.CompareAndSwap(state, current<<32|1) {
			return current, 1
		}
		state = w.state.Add(1)
	}
}

// admit counts a request against a limit, 0 being none. Over it the error is Overloaded, and the
// caller is nobody but has its allowance.
func admit(c Caller, w *window, limit int64, now time.Time) (Caller, error) {
	if limit <= 0 {
		return c, nil
	}
	minute, count := w.add(now)
	reset := time.Unix(int64(minute+1)*int64(windowLength/time.Second), 0).UTC()
	c.Allowance = Allowance{Limit: limit, Remaining: max(limit-count, 0), Reset: reset}
	if count <= limit {
		return c, nil
	}
	return Caller{Allowance: c.Allowance}, &schema.Error{
		Kind:       schema.Overloaded,
		Message:    "the credential has used up its requests of this minute; try again later",
		RetryAfter: reset.Sub(now),
	}
}
