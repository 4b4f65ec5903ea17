package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// usageAsked returns the questions of usage about an agent of one organization, where the table
// knows agents, by week and everything that the tables know.
func usageAsked(id uuid.UUID, from, to time.Time) []Asked {
	params := func(dims []schema.Dimension, source usageSource) usageParams {
		q := schema.UsageQuery{
			Organization: id, From: from, To: to, Granularity: schema.Week, Zone: time.UTC,
			GroupBy: dims, Filters: map[schema.Dimension][]string{},
		}
		if source != fromHours {
			q.Filters[schema.DimensionAgent] = []string{id.String()}
		}
		p, err := newUsageParams(q, q.Granularity, planUsage)
		if err != nil {
			panic(err)
		}
		return p
	}
	all := []Asked{
		asked(usageMixed, params(dayDimensions[:1], fromDays)),
		asked(usageMixedHours, params(hourDimensions, fromHours)),
		asked(usageVersion, params(dayDimensions, fromDays).partitions()),
	}
	for source, q := range usageOf {
		source := usageSource(source)
		p := params(source.dimensions(), source)
		p.plan = usagePlan{}
		p.plan[source] = []span{{from.UnixMicro(), to.UnixMicro()}}
		if source != fromLedger && !from.IsZero() {
			p.plan[source] = []span{
				{source.atOrBefore(from.UnixMicro()), source.atOrAfter(to.UnixMicro())},
			}
		}
		all = append(all, asked(q, p))
	}
	return all
}

// UsageOfLedger is Usage from the ledger alone.
func (q *Queries) UsageOfLedger(
	ctx context.Context, query schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	plan := func(_ *usageBuckets, from, to time.Time, _ []schema.Dimension) (p usagePlan) {
		p.add(fromLedger, span{from.UnixMicro(), to.UnixMicro()})
		return p
	}
	return q.usage(ctx, query, plan, each)
}

// UsagePlan returns what each source of a plan answers for, one line each.
func UsagePlan(query schema.UsageQuery) ([]string, error) {
	p, err := newUsageParams(query, query.Granularity, planUsage)
	if err != nil {
		return nil, err
	}
	var lines []string
	for source, spans := range p.plan {
		if len(spans) == 0 {
			continue
		}
		line := usageSource(source).table()
		for i, s := range spans {
			if i == 3 && len(spans) > 4 {
				line += fmt.Sprintf(" and %d more", len(spans)-i)
				break
			}
			line += " " + showMicros(s.from) + "/" + showMicros(s.to)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func showMicros(t int64) string {
	return time.UnixMicro(t).UTC().Format("2006-01-02T15:04:05.999999")
}

// UsageSpan is what a source answers for, in microseconds.
type UsageSpan struct {
	Source   string
	From, To int64
}

// UsageSpans returns all that a plan has, and how long the source's grains are; 1 is a
// microsecond's.
func UsageSpans(query schema.UsageQuery) (all []UsageSpan, err error) {
	p, err := newUsageParams(query, query.Granularity, planUsage)
	for source, spans := range p.plan {
		for _, s := range spans {
			all = append(all, UsageSpan{usageSource(source).table(), s.from, s.to})
		}
	}
	return all, err
}

// UsageBuckets returns the runs of a range's buckets, their width, and, for an instant, the start
// of the bucket it is in, computed as the .sql files do.
func UsageBuckets(from, to time.Time, g schema.Granularity, zone *time.Location) (
	runs []uint32, width uint32, of func(t time.Time) time.Time, err error,
) {
	b, err := bucketsOf(from, to, g, zone)
	return b.runs, b.width, func(t time.Time) time.Time {
		run := b.runs[0]
		for _, r := range b.runs {
			if int64(r) <= t.Unix() {
				run = r
			}
		}
		return b.start(run + uint32(t.Unix()-int64(run))/b.width*b.width)
	}, err
}
