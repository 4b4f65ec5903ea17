package ingest

import (
	"math/rand/v2"
	"time"
)

// backoff doubles a wait up to a bound, with jitter so that nodes do not try in step.
type backoff struct{ wait, max time.Duration }

func newBackoff(first, max time.Duration) *backoff { return &backoff{wait: first, max: max} }

// next returns the time to wait before the next try: between half of and the whole current wait.
func (b *backoff) next() time.Duration {
	d := b.wait/2 + rand.N(b.wait/2+1)
	b.wait = min(2*b.wait, b.max)
	return d
}
