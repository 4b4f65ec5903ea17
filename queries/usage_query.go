package queries

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// usageParams is a question with its plan.
type usageParams struct {
	query   schema.UsageQuery
	buckets usageBuckets
	plan    usagePlan
	ranking bool     // over the whole range, to find the top
	kept    []uint64 // what the ranking found
	limit   uint64
}

// usageCell is a row of the answer, as ClickHouse makes it.
type usageCell struct {
	Bucket      uint32
	Other       bool
	Labels      []string
	Combination uint64 // a hash of the labels; of a ranking
	schema.UsageRow
}

func intoUsage(r *usageCell) []any {
	return []any{
		&r.Bucket, &r.Other, &r.Labels, &r.Combination, &r.Quantity, &r.Events,
		&r.ProviderCost, &r.BilledCost, &r.Unpriced,
	}
}

func askUsage(name string, legs ...usageSource) question[usageParams, usageCell] {
	return ask(name, func(p usageParams) []any { return p.bind(legs) }, intoUsage).
		with(analystSettings())
}

// The same question of different tables. One of a single table plans in less than half the time of
// one of four, which is most of the time of a small answer.
var (
	usageOf = [usageSources]question[usageParams, usageCell]{
		fromMonths:   askUsage("usage_month", fromMonths),
		fromDays:     askUsage("usage_day", fromDays),
		fromHours:    askUsage("usage_hour", fromHours).with(hourSettings()),
		fromQuarters: askUsage("usage_quarter", fromQuarters),
		fromLedger:   askUsage("usage_event", fromLedger),
	}
	usageMixed      = askUsage("usage_mixed", fromMonths, fromDays, fromQuarters, fromLedger)
	usageMixedHours = askUsage("usage_mixed_hours", fromHours, fromQuarters, fromLedger)
)

func (p usageParams) question() question[usageParams, usageCell] {
	if source, ok := p.plan.only(); ok {
		return usageOf[source]
	}
	if len(p.plan[fromHours]) > 0 {
		return usageMixedHours
	}
	return usageMixed
}

// Usage asks query and hands each row to each, whose error ends it and is returned. The query is
// valid, as schema.UsageQuery.Validate says. An Invalid *schema.Error says that it has too many
// buckets; what the database says of a question that takes too much is for Narrow to read.
func (q *Queries) Usage(
	ctx context.Context, query schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	return q.usage(ctx, query, planUsage, each)
}

type planner func(b *usageBuckets, from, to time.Time, dims []schema.Dimension) usagePlan

func (q *Queries) usage(
	ctx context.Context, query schema.UsageQuery, plan planner, each func(schema.UsageRow) error,
) error {
	p, err := newUsageParams(query, query.Granularity, plan)
	if err != nil || len(p.buckets.runs) == 0 {
		return err
	}
	if query.Top > 0 {
		if p.kept, err = q.usageTop(ctx, query, plan); err != nil {
			return err
		}
	}
	return stream(ctx, q.conn, p.question(), p, func(c usageCell) error {
		return each(p.row(c))
	})
}

// usageTop returns the hashes of the combinations that are the greatest over the whole range. It is
// a question of its own, as it can be answered from coarser tables and then spares the other one to
// tell every combination apart. What arrives between the two counts in the rows of the second.
func (q *Queries) usageTop(
	ctx context.Context, query schema.UsageQuery, plan planner,
) ([]uint64, error) {
	p, err := newUsageParams(query, schema.Total, plan)
	if err != nil {
		return nil, err
	}
	p.ranking, p.limit = true, uint64(query.Top)
	var kept []uint64
	err = stream(ctx, q.conn, p.question(), p, func(c usageCell) error {
		kept = append(kept, c.Combination)
		return nil
	})
	return kept, err
}

// newUsageParams has no buckets when the range has no instant that could be stored.
func newUsageParams(
	query schema.UsageQuery, g schema.Granularity, plan planner,
) (p usageParams, err error) {
	from, to := storable(query.From), storable(query.To)
	p = usageParams{query: query, limit: math.MaxInt64}
	if !from.Before(to) {
		return p, nil
	}
	if p.buckets, err = bucketsOf(from, to, g, query.Zone); err != nil {
		return p, err
	}
	p.plan = plan(&p.buckets, from, to, p.dimensions())
	return p, nil
}

// dimensions returns what the question groups or filters by.
func (p usageParams) dimensions() []schema.Dimension {
	dims := slices.Clone(p.query.GroupBy)
	for d, values := range p.query.Filters {
		if len(values) > 0 && !slices.Contains(dims, d) {
			dims = append(dims, d)
		}
	}
	return dims
}

// types returns the usage types that count, none for all.
func (p usageParams) types() []string { return p.query.Filters[schema.DimensionUsageType] }

// counted reports whether each row is of one usage type; the other one is when only one counts.
func (p usageParams) counted(other bool) bool {
	return len(p.types()) == 1 ||
		!other && slices.Contains(p.query.GroupBy, schema.DimensionUsageType)
}

func (p usageParams) row(c usageCell) schema.UsageRow {
	r := c.UsageRow
	r.Time, r.Values, r.Other = p.buckets.start(c.Bucket), c.Labels, c.Other
	if p.query.Granularity == schema.Total {
		r.Time = p.query.From.In(p.query.Zone)
	}
	if c.Other {
		clear(r.Values)
	}
	if r.Counted = p.counted(c.Other); r.Counted {
		return r
	}
	r.Quantity = schema.Quantity{}
	// The other row has some types of an event and not others: its events cannot be told.
	if c.Other && p.counted(false) {
		r.Events = -1
	}
	return r
}

func (p usageParams) bind(legs []usageSource) []any {
	var by []uint64
	for _, d := range p.query.GroupBy {
		by = append(by, uint64(slices.Index(schema.Dimensions(), d))+1)
	}
	args := []any{
		id("organization", p.query.Organization),
		numbers("runs", p.buckets.runs),
		number("width", uint64(p.buckets.width)),
		numbers("by", by),
		numbers("kept", p.kept),
		flag("ranking", p.ranking),
		flag("counted", p.counted(false)),
		flag("partial", len(p.types()) > 1),
		number("order", p.order()),
		number("limit", p.limit),
	}
	if slices.Contains(legs, fromMonths) || slices.Contains(legs, fromDays) {
		args = append(args, flag("described", p.described()))
	}
	for _, source := range legs {
		args = append(args, p.plan.bindLeg(source)...)
	}
	return append(args, p.bindFilters(legs)...)
}

// described reports whether the table of dimensions has to be looked at.
func (p usageParams) described() bool {
	return len(p.plan[fromMonths])+len(p.plan[fromDays]) > 0 &&
		slices.ContainsFunc(p.dimensions(), func(d schema.Dimension) bool {
			return slices.Contains(describedDimensions, d)
		})
}

func (p usageParams) order() uint64 {
	switch p.query.OrderBy {
	case schema.OrderQuantity:
		return 1
	case schema.OrderBilledCost:
		return 2
	case schema.OrderEvents:
		return 3
	}
	return 0
}

// bindFilters binds the filters that the legs' tables know. The plan chose tables that know every
// filter of the question.
func (p usageParams) bindFilters(legs []usageSource) (args []any) {
	known := func(d schema.Dimension) bool {
		return slices.ContainsFunc(legs, func(s usageSource) bool {
			return slices.Contains(s.dimensions(), d)
		})
	}
	for _, d := range schema.Dimensions() {
		if !known(d) {
			continue
		}
		name := strings.TrimSuffix(string(d), "_id") + "s"
		switch values := p.query.Filters[d]; d {
		case schema.DimensionAgent, schema.DimensionUser:
			args = append(args, list(name, values, canonical))
		case schema.DimensionChargeable:
			args = append(args, list(name, values, truth))
		default:
			args = append(args, texts(name, values))
		}
	}
	return args
}

// canonical and truth return what needs no escaping, whatever they are given.
func canonical(s string) string {
	value, _ := uuid.Parse(s)
	return value.String()
}

func truth(s string) string {
	if s == "true" {
		return s
	}
	return "false"
}

// dimensions returns what a source knows.
func (s usageSource) dimensions() []schema.Dimension {
	switch s {
	case fromMonths, fromDays:
		return dayDimensions
	case fromHours:
		return hourDimensions
	case fromQuarters:
		return quarterDimensions
	}
	return schema.Dimensions()
}

// usageDaysMax bounds the dates a leg names: beyond, its index would prune little.
const usageDaysMax = 400

// bindLeg binds what one source answers for.
func (p *usagePlan) bindLeg(source usageSource) []any {
	name := [usageSources]string{"month", "day", "hour", "quarter", "event"}[source]
	from, to := earliest, earliest
	spans := p[source]
	if len(spans) > 0 {
		from = time.UnixMicro(spans[0].from)
		to = time.UnixMicro(spans[len(spans)-1].to)
	}
	var cuts, starts []int64
	if len(spans) > 1 {
		unit := int64(microsPerSecond)
		if source == fromLedger {
			unit = 1
		}
		for _, s := range spans {
			cuts = append(cuts, s.from/unit, s.to/unit)
			starts = append(starts, s.from/unit)
		}
	}
	args := []any{numbers(name+"_cuts", cuts), numbers(name+"_starts", starts)}
	if source == fromDays || source == fromQuarters || source == fromLedger {
		args = append(args, days(name+"_days", datesOf(spans)))
	}
	show := second
	switch source {
	case fromMonths, fromDays:
		show = day
	case fromLedger:
		show = moment
	}
	return append(args, show(name+"_from", from), show(name+"_to", to))
}

// datesOf returns the UTC dates that several spans lie in, none when there are too many.
func datesOf(spans []span) (dates []time.Time) {
	if len(spans) < 2 {
		return nil
	}
	for _, s := range spans {
		at := time.UnixMicro(fromDays.atOrBefore(s.from)).UTC()
		for ; at.UnixMicro() < s.to; at = at.AddDate(0, 0, 1) {
			if n := len(dates); n == 0 || dates[n-1].Before(at) {
				dates = append(dates, at)
			}
			if len(dates) > usageDaysMax {
				return nil
			}
		}
	}
	return dates
}

func flag(name string, value bool) any { return clickhouse.Named(name, value) }

// numbers is an Array of integers.
func numbers[T uint32 | uint64 | int64](name string, values []T) any {
	b := []byte{'['}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Append(b, v)
	}
	return clickhouse.Named(name, string(append(b, ']')))
}

// texts is an Array(String). clickhouse-go escapes them; no slice would be no array to it.
func texts(name string, values []string) any {
	return clickhouse.Named(name, append([]string{}, values...))
}
