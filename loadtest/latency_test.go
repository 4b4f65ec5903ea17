package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	var l latencies
	if l.quantile(0.5) != 0 {
		t.Error("a quantile of nothing is not 0")
	}
	random := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(random.Int64N(int64(time.Second) >> random.IntN(20)))
		all = append(all, d)
		l.add(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
		want := all[max(int(q*10_000)-1, 0)]
		got := l.quantile(q)
		if got < want || float64(got) > 1.01*float64(want) {
			t.Errorf("quantile %v is %v, want %v to 1%% above", q, got, want)
		}
	}
}

func TestEveryDurationHasABucket(t *testing.T) {
	for shift := range 63 {
		for _, v := range []uint64{1<<shift - 1, 1 << shift, 1<<shift + 1, 1<<63 - 1} {
			bucket := latencyBucket(v)
			if bucket < 0 || bucket >= latencyBuckets {
				t.Fatalf("%d: bucket %d", v, bucket)
			}
			if bound := latencyBound(bucket); uint64(bound) < v {
				t.Errorf("%d: bound %d is below", v, bound)
			}
			if bucket > 0 && uint64(latencyBound(bucket-1)) >= v {
				t.Errorf("%d: belongs to a bucket before", v)
			}
		}
	}
}
