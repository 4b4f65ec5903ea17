package main

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	latencySubBits = 7
	latencySub     = 1 << latencySubBits
	latencyBuckets = (64 - latencySubBits) * latencySub
)

// latencies counts durations in buckets whose width is below 1% of their value. It is safe for
// concurrent use.
type latencies struct {
	counts  [latencyBuckets]atomic.Int64
	longest atomic.Int64 // nanoseconds
}

func (l *latencies) add(d time.Duration) {
	nanos := max(int64(d), 0)
	l.counts[latencyBucket(uint64(nanos))].Add(1)
	for {
		longest := l.longest.Load()
		if nanos <= longest || l.longest.CompareAndSwap(longest, nanos) {
			return
		}
	}
}

// quantile returns the smallest bucket bound that at least the share q of all durations is not
// above; 0 when nothing was counted.
func (l *latencies) quantile(q float64) time.Duration {
	var total int64
	for i := range l.counts {
		total += l.counts[i].Load()
	}
	if total == 0 {
		return 0
	}
	rank := max(int64(math.Ceil(q*float64(total))), 1)
	var seen int64
	for i := range l.counts {
		seen += l.counts[i].Load()
		if seen >= rank {
			return time.Duration(min(latencyBound(i), l.longest.Load()))
		}
	}
	return time.Duration(l.longest.Load())
}

// latencyBucket maps values below latencySub to a bucket each, and every further power of two
// to latencySub buckets.
func latencyBucket(v uint64) int {
	if v < latencySub {
		return int(v)
	}
	shift := bits.Len64(v) - latencySubBits - 1
	return shift*latencySub + int(v>>shift)
}

// latencyBound is the largest value of a bucket.
func latencyBound(bucket int) int64 {
	if bucket < 2*latencySub {
		return int64(bucket)
	}
	shift := bucket/latencySub - 1
	return (int64(bucket-shift*latencySub)+1)<<shift - 1
}
