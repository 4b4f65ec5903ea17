package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// VerifyParams bounds what is verified: the UTC days, for monthly sums the months, that touch
// [From, To).
type VerifyParams struct {
	From time.Time // zero: unbounded
	To   time.Time // zero: unbounded
}

// differencesMax bounds the rows of one answer; a finding is a finding whatever comes after.
const differencesMax = 1000

// verifySettings let a question read the whole ledger: it is asked by hand, and spills to disk
// rather than fail.
var verifySettings = clickhouse.Settings{
	"max_execution_time":                 3600,
	"max_bytes_before_external_group_by": 1 << 30,
	"max_bytes_before_external_sort":     1 << 30,
}

// Sums are what a rollup keeps of the ledger.
type Sums struct {
	Quantity     schema.Quantity
	ProviderCost schema.USD
	BilledCost   schema.USD
	Events       int64
	Measurements int64
	Unpriced     int64
}

func (s *Sums) into() []any {
	return []any{
		&s.Quantity, &s.ProviderCost, &s.BilledCost, &s.Events, &s.Measurements, &s.Unpriced,
	}
}

// Difference is a sum of a rollup that is not the ledger's.
type Difference struct {
	Table        string // the rollup
	Organization uuid.UUID
	Period       time.Time // start of the UTC day; for consumption_monthly of the month
	UsageType    string
	Ledger       Sums
	Rollup       Sums
}

func intoDifference(d *Difference) []any {
	into := []any{&d.Organization, &d.Period, &d.UsageType}
	return append(append(into, d.Ledger.into()...), d.Rollup.into()...)
}

func bindDays(p VerifyParams) []any {
	from, to := p.days()
	return []any{day("from", from), day("to", to), number("limit", differencesMax)}
}

func bindMonths(p VerifyParams) []any {
	from, to := p.days()
	from = time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	if to.Day() != 1 {
		to = time.Date(to.Year(), to.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	return []any{day("from", from), day("to", to), number("limit", differencesMax)}
}

// days returns the start of From's day and the end of To's last.
func (p VerifyParams) days() (from, to time.Time) {
	from, to = storable(p.From).UTC().Truncate(24*time.Hour), latest
	if !p.To.IsZero() {
		to = dayAtOrAfter(storable(p.To))
	}
	return from, to
}

// rollups are the questions of VerifyRollups, by the table they are about.
var rollups = []struct {
	table string
	asked question[VerifyParams, Difference]
}{
	{"agent_usage_15m", ask("verify_agent_usage_15m", bindDays, intoDifference)},
	{"billable_hourly", ask("verify_billable_hourly", bindDays, intoDifference)},
	{"consumption_daily", ask("verify_consumption_daily", bindDays, intoDifference)},
	{"consumption_monthly", ask("verify_consumption_monthly", bindMonths, intoDifference)},
}

// VerifyRollups returns where a rollup is not the sum of the ledger's rows, at most 1,000
// differences a rollup. An insert under way shows as a difference that is gone when asked again.
func (q *Queries) VerifyRollups(ctx context.Context, p VerifyParams) ([]Difference, error) {
	var all []Difference
	for _, r := range rollups {
		found, err := collect(ctx, q.conn, r.asked.with(verifySettings), p)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			d.Table = r.table
			all = append(all, d)
		}
	}
	return all, nil
}

// DimensionDefect is a dimension id in use that dimensions does not describe exactly once.
type DimensionDefect struct {
	Organization uuid.UUID
	ID           uint64
	FirstDay     time.Time // of its use
	Descriptions uint64
}

var verifyDimensions = ask("verify_dimensions", bindDays, func(d *DimensionDefect) []any {
	return []any{&d.Organization, &d.ID, &d.FirstDay, &d.Descriptions}
})

// VerifyDimensions returns the dimension ids in use whose description is missing or ambiguous, at
// most 1,000.
func (q *Queries) VerifyDimensions(
	ctx context.Context, p VerifyParams,
) ([]DimensionDefect, error) {
	return collect(ctx, q.conn, verifyDimensions.with(verifySettings), p)
}

// Duplicate is a row of the ledger that is there more than once.
type Duplicate struct {
	Organization uuid.UUID
	Event        uuid.UUID
	Revision     uint32
	Entry        schema.Entry
	Ordinal      uint8
	Copies       uint64
}

type duplicateRow struct {
	Duplicate
	entry int8
}

func bindMoments(p VerifyParams) []any {
	from, to := storable(p.From), latest
	if !p.To.IsZero() {
		to = storable(p.To)
	}
	return []any{moment("from", from), moment("to", to), number("limit", differencesMax)}
}

var verifyDuplicates = ask("verify_duplicates", bindMoments, func(d *duplicateRow) []any {
	return []any{&d.Organization, &d.Event, &d.Revision, &d.entry, &d.Ordinal, &d.Copies}
})

// VerifyDuplicates returns the rows of the ledger in [From, To) that are there more than once, at
// most 1,000.
func (q *Queries) VerifyDuplicates(ctx context.Context, p VerifyParams) ([]Duplicate, error) {
	rows, err := collect(ctx, q.conn, verifyDuplicates.with(verifySettings), p)
	if err != nil {
		return nil, err
	}
	var all []Duplicate
	for _, r := range rows {
		r.Duplicate.Entry = schema.Entry(r.entry)
		all = append(all, r.Duplicate)
	}
	return all, nil
}

// NodeSequences is what the ledger holds of the log of one node.
type NodeSequences struct {
	Node      uuid.UUID
	Sequences uint64 // how many different ones
	First     uint64
	Last      uint64
}

// Missing returns how many sequences between First and Last the ledger lacks: events that were
// known duplicates, or whose partition was dropped, or lost.
func (n NodeSequences) Missing() uint64 { return n.Last - n.First + 1 - n.Sequences }

func (n NodeSequences) String() string {
	return fmt.Sprintf("%s: %d..%d, %d missing", n.Node, n.First, n.Last, n.Missing())
}

var verifySequences = ask("verify_sequences", bindNone, func(n *NodeSequences) []any {
	return []any{&n.Node, &n.Sequences, &n.First, &n.Last}
})

// VerifySequences returns what the ledger holds of each node's log, ordered by node.
func (q *Queries) VerifySequences(ctx context.Context) ([]NodeSequences, error) {
	return collect(ctx, q.conn, verifySequences.with(verifySettings), none{})
}
