package queries

import (
	"math"
	"slices"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// usageRunsMax bounds what a question sends along to say where its buckets start: eleven years of
// days.
const usageRunsMax = 4000

// usageBuckets says which bucket an instant is in, in a form that ClickHouse computes without
// knowing time zones: the last run that is not after it, and so many widths on.
type usageBuckets struct {
	zone  *time.Location
	first time.Time // start of the first bucket, which may be before every instant ClickHouse has
	runs  []uint32  // sorted, in seconds; the first one stands for first
	width uint32    // in seconds

	// spans are stretches of time, one after the other, that hold whole buckets: one each, or as
	// many as fit where they have a step.
	spans []bucketSpan
}

// bucketSpan is [from, to) in seconds; the step, when it is not 0, is that of its buckets.
type bucketSpan struct{ from, to, step int64 }

// start returns when the bucket with a key starts, in the zone.
func (b *usageBuckets) start(key uint32) time.Time {
	if key == b.runs[0] {
		return b.first
	}
	return time.Unix(int64(key), 0).In(b.zone)
}

// bucketsOf returns the buckets of [from, to), which is not empty and as storable makes it. The
// error is a *schema.Error: there are too many.
func bucketsOf(
	from, to time.Time, g schema.Granularity, zone *time.Location,
) (usageBuckets, error) {
	b := usageBuckets{zone: zone, width: math.MaxUint32}
	switch g {
	case schema.QuarterHour:
		b.clock(from, to, 15*60)
	case schema.Hour:
		b.clock(from, to, 60*60)
	case schema.Total:
		b.first, b.runs = from.In(zone), []uint32{0}
		b.spans = []bucketSpan{{from: from.Unix(), to: ceilSecond(to)}}
	case schema.Day, schema.Week, schema.Month:
		b.calendar(from, to, g)
	default:
		return b, schema.Errorf(schema.Invalid, "granularity", "is unknown")
	}
	if len(b.runs) > usageRunsMax {
		return b, schema.Errorf(schema.Invalid, "granularity",
			"makes more than %d buckets of this range: take a coarser one, or a shorter range",
			usageRunsMax)
	}
	return b, nil
}

func ceilSecond(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// add notes where a run starts. ClickHouse's times are not negative.
func (b *usageBuckets) add(start int64) {
	if len(b.runs) == 0 {
		b.first = time.Unix(start, 0).In(b.zone)
	}
	b.runs = append(b.runs, uint32(max(start, 0)))
}

// clock makes buckets of step seconds, on the hour of the zone's clock. A change of the offset ends
// one early, and starts one where the clock then is: what is left until the next full step.
func (b *usageBuckets) clock(from, to time.Time, step int64) {
	b.width = uint32(step)
	end := ceilSecond(to)
	for at := from; at.Unix() < end; {
		offset, since, until := offsetBounds(at, b.zone, from.Add(-time.Hour), to)
		start := max(since, at.Unix()-mod(at.Unix()+offset, step))
		until = min(until, end)
		// The first full step is a run of its own after a part of one, and after one that began
		// before ClickHouse's time.
		full := start + mod(-(start+offset), step)
		if start < 0 {
			full = start + step
		}
		if full > start {
			b.add(start)
			b.spans = append(b.spans, bucketSpan{from: start, to: min(full, until)})
		}
		if full < until {
			b.add(full)
			b.spans = append(b.spans, bucketSpan{from: full, to: until, step: step})
		}
		at = time.Unix(until, 0)
	}
}

// offsetBounds returns a zone's offset at t and the seconds [since, until) of it. They need not be
// exact outside [from, to).
func offsetBounds(t time.Time, zone *time.Location, from, to time.Time) (
	offset, since, until int64,
) {
	_, seconds := t.In(zone).Zone()
	since, until = math.MinInt64, math.MaxInt64
	same := func(t time.Time) bool {
		_, other := t.In(zone).Zone()
		return other == seconds
	}
	// A change of nothing but the zone's name is none.
	start, end := t.In(zone).ZoneBounds()
	for !start.IsZero() && start.After(from) && same(start.Add(-1)) {
		start, _ = start.Add(-1).ZoneBounds()
	}
	for !end.IsZero() && end.Before(to) && same(end) {
		_, end = end.ZoneBounds()
	}
	if !start.IsZero() {
		since = start.Unix()
	}
	if !end.IsZero() {
		until = end.Unix()
	}
	return int64(seconds), since, until
}

// mod is the remainder that is never negative.
func mod(a, b int64) int64 { return (a%b + b) % b }

// calendar makes buckets of local dates: each starts at the first instant of its first date and
// ends at the first one of the next bucket's. A date that a zone skipped has none.
func (b *usageBuckets) calendar(from, to time.Time, g schema.Granularity) {
	year, month, day := from.In(b.zone).Date()
	date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	next := func(d time.Time) time.Time { return d.AddDate(0, 0, 1) }
	switch g {
	case schema.Week:
		date = date.AddDate(0, 0, -int(date.Weekday()+6)%7)
		next = func(d time.Time) time.Time { return d.AddDate(0, 0, 7) }
	case schema.Month:
		date = date.AddDate(0, 0, 1-day)
		next = func(d time.Time) time.Time { return d.AddDate(0, 1, 0) }
	}
	start := firstInstant(date, b.zone)
	for start.Before(to) && len(b.runs) <= usageRunsMax {
		date = next(date)
		end := firstInstant(date, b.zone)
		// A clock set back over midnight shows the last of a date again after the next has begun.
		if end.After(start) && end.After(from) {
			b.add(start.Unix())
			b.spans = append(b.spans, bucketSpan{from: start.Unix(), to: end.Unix()})
		}
		start = end
	}
	b.steady()
}

// steady makes one run of buckets that are equally long.
func (b *usageBuckets) steady() {
	length := b.spans[0].to - b.spans[0].from
	other := func(s bucketSpan) bool { return s.to-s.from != length }
	if b.spans[0].from < 0 || slices.ContainsFunc(b.spans, other) {
		return
	}
	b.runs, b.width = b.runs[:1], uint32(length)
}

// firstInstant returns the first instant whose date in the zone is a date, given as its midnight in
// UTC, or a later one.
func firstInstant(date time.Time, zone *time.Location) time.Time {
	// No offset is as large as a day.
	for at := date.AddDate(0, 0, -1).In(zone); ; {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		start := date.Add(-time.Duration(offset) * time.Second).In(zone)
		if start.Before(at) {
			start = at
		}
		if end.IsZero() || start.Before(end) {
			return start
		}
		at = end.In(zone)
	}
}
