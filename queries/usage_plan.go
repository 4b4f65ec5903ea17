package queries

import (
	"slices"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// usageSource is a table that can answer for whole grains of time.
type usageSource uint8

// The sources. Where several can answer, the first one does.
const (
	fromMonths   usageSource = iota // consumption_monthly
	fromDays                        // consumption_daily
	fromHours                       // billable_hourly
	fromQuarters                    // agent_usage_15m
	fromLedger                      // usage_events: exact to the microsecond, every dimension
	usageSources
)

// span is [from, to) in microseconds.
type span struct{ from, to int64 }

// usagePlan says what each source answers for: sorted, disjoint, and together the whole range.
type usagePlan [usageSources][]span

// The dimensions of the rollups. Those behind the dimension id of days and months are joined to it.
var (
	hourDimensions = []schema.Dimension{
		schema.DimensionModel, schema.DimensionChargeable, schema.DimensionUsageType,
	}
	quarterDimensions = append([]schema.Dimension{
		schema.DimensionAgent, schema.DimensionService,
	}, hourDimensions...)
	describedDimensions = []schema.Dimension{
		schema.DimensionService, schema.DimensionProvider, schema.DimensionModel,
		schema.DimensionPurpose, schema.DimensionChargeable,
	}
	dayDimensions = append([]schema.Dimension{
		schema.DimensionAgent, schema.DimensionUser, schema.DimensionUsageType,
	}, describedDimensions...)
)

func all(dims, of []schema.Dimension) bool {
	return !slices.ContainsFunc(dims, func(d schema.Dimension) bool {
		return !slices.Contains(of, d)
	})
}

// sourcesOf returns the rollups that know the dimensions a question groups and filters by, the
// coarsest first.
//
// Hours are never mixed with days and months, though these are coarser: an hour has as many rows as
// there are usage types and models, whatever the organization's size; a day or a month has that for
// every agent and user. Hours are first wherever they know enough.
func sourcesOf(dims []schema.Dimension) []usageSource {
	var sources []usageSource
	switch {
	case all(dims, hourDimensions):
		sources = append(sources, fromHours)
	case all(dims, dayDimensions):
		sources = append(sources, fromMonths, fromDays)
	}
	if all(dims, quarterDimensions) {
		sources = append(sources, fromQuarters)
	}
	return sources
}

// planUsage returns which source answers for what of [from, to): of each bucket the whole grains of
// the coarsest source that knows the dimensions, at its edges those of finer ones, and the rest
// from the ledger. A grain never lies in two buckets.
func planUsage(
	b *usageBuckets, from, to time.Time, dims []schema.Dimension,
) (plan usagePlan) {
	sources := sourcesOf(dims)
	whole := span{from.UnixMicro(), to.UnixMicro()}
	for _, s := range b.spans {
		part := span{
			max(whole.from, s.from*microsPerSecond), min(whole.to, s.to*microsPerSecond),
		}
		usable := sources
		if s.step > 0 {
			usable = fitting(sources, s)
		}
		plan.divide(part, usable)
	}
	return plan
}

const microsPerSecond = 1_000_000

// fitting returns the sources of whose grains every bucket of a span with a step is made: the
// buckets then need not be looked at one by one.
func fitting(sources []usageSource, s bucketSpan) []usageSource {
	var fit []usageSource
	for _, source := range sources {
		if grain := source.seconds(); grain > 0 && s.step%grain == 0 && mod(s.from, grain) == 0 {
			fit = append(fit, source)
		}
	}
	return fit
}

// divide gives a part of a bucket to the first of the sources as far as its grains go, and what is
// left on both sides to those after it.
func (p *usagePlan) divide(part span, sources []usageSource) {
	if part.from >= part.to {
		return
	}
	if len(sources) == 0 {
		p.add(fromLedger, part)
		return
	}
	source, finer := sources[0], sources[1:]
	inside := span{source.atOrAfter(part.from), source.atOrBefore(part.to)}
	if inside.from >= inside.to {
		p.divide(part, finer)
		return
	}
	p.divide(span{part.from, inside.from}, finer)
	p.add(source, inside)
	p.divide(span{inside.to, part.to}, finer)
}

// add appends a span, which is after those before it.
func (p *usagePlan) add(source usageSource, s span) {
	spans := p[source]
	if n := len(spans); n > 0 && spans[n-1].to == s.from {
		spans[n-1].to = s.to
		return
	}
	p[source] = append(spans, s)
}

// seconds returns the length of a grain, 0 where grains differ in length.
func (s usageSource) seconds() int64 {
	switch s {
	case fromDays:
		return 24 * 60 * 60
	case fromHours:
		return 60 * 60
	case fromQuarters:
		return 15 * 60
	}
	return 0
}

// atOrBefore returns the last start of a grain that is not after an instant.
func (s usageSource) atOrBefore(micros int64) int64 {
	if s == fromMonths {
		t := time.UnixMicro(micros).UTC()
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	}
	return micros - mod(micros, s.seconds()*microsPerSecond)
}

// atOrAfter returns the first start of a grain that is not before an instant.
func (s usageSource) atOrAfter(micros int64) int64 {
	start := s.atOrBefore(micros)
	switch {
	case start == micros:
		return start
	case s == fromMonths:
		return time.UnixMicro(start).UTC().AddDate(0, 1, 0).UnixMicro()
	}
	return start + s.seconds()*microsPerSecond
}

// only returns the one source that answers for everything, and false when several do.
func (p *usagePlan) only() (usageSource, bool) {
	only, n := fromLedger, 0
	for source, spans := range p {
		if len(spans) > 0 {
			only, n = usageSource(source), n+1
		}
	}
	return only, n == 1
}
