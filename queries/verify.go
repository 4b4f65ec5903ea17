package queries

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// VerifyParams bounds what is verified: the UTC days, for monthly sums the months, that touch
// [From, To).
type VerifyParams struct {
	From time.Time   // zero: unbounded
	To   time.Time   // zero: unbounded
	Days []time.Time // starts of UTC days: only these of them; nil: all

	Window  time.Duration // how long an idempotency key is known; 0: 34 days
	Threads int           // of the database; 0: as many as it likes
}

// differencesMax bounds the rows of one answer; a finding is a finding whatever comes after.
const differencesMax = 1000

// settings let a question read the whole ledger beside everything else: it spills to disk rather
// than take the memory of writers.
func (p VerifyParams) settings() clickhouse.Settings {
	s := clickhouse.Settings{
		"max_execution_time":                 3600,
		"max_memory_usage":                   1 << 30,
		"max_bytes_before_external_group_by": 256 << 20,
		"max_bytes_before_external_sort":     256 << 20,
	}
	if p.Threads > 0 {
		s["max_threads"] = p.Threads
	}
	return s
}

// Sums are what a rollup keeps of the ledger.
type Sums struct {
	Quantity     schema.Quantity
	ProviderCost schema.USD
	BilledCost   schema.USD
	Events       int64
	Measurements int64
	Unpriced     int64

	// Keys tells apart what else of a rollup's key the sums are counted for: the hour, the model, the
	// agent. It is additive modulo 2^64, and 0 where nobody asked for it.
	Keys uint64
}

func (s *Sums) into() []any {
	return []any{
		&s.Quantity, &s.ProviderCost, &s.BilledCost, &s.Events, &s.Measurements, &s.Unpriced,
	}
}

// Add returns s + t.
func (s Sums) Add(t Sums) Sums {
	return Sums{
		Quantity:     s.Quantity.Add(t.Quantity),
		ProviderCost: s.ProviderCost.Add(t.ProviderCost),
		BilledCost:   s.BilledCost.Add(t.BilledCost),
		Events:       s.Events + t.Events,
		Measurements: s.Measurements + t.Measurements,
		Unpriced:     s.Unpriced + t.Unpriced,
		Keys:         s.Keys + t.Keys,
	}
}

// Sub returns s - t.
func (s Sums) Sub(t Sums) Sums {
	return s.Add(Sums{
		Quantity:     t.Quantity.Neg(),
		ProviderCost: t.ProviderCost.Neg(),
		BilledCost:   t.BilledCost.Neg(),
		Events:       -t.Events,
		Measurements: -t.Measurements,
		Unpriced:     -t.Unpriced,
		Keys:         -t.Keys,
	})
}

// The rollups, by their tables.
const (
	AgentUsage15m      = "agent_usage_15m"
	BillableHourly     = "billable_hourly"
	ConsumptionDaily   = "consumption_daily"
	ConsumptionMonthly = "consumption_monthly"
)

// Difference is a sum of a rollup that is not the ledger's, or that is counted for something else.
type Difference struct {
	Table        string // the rollup
	Organization uuid.UUID
	Period       time.Time // start of the UTC day; for consumption_monthly of the month
	UsageType    string
	Ledger       Sums
	Rollup       Sums
}

func (d *Difference) into() []any {
	into := []any{&d.Organization, &d.Period, &d.UsageType}
	into = append(append(into, d.Ledger.into()...), d.Rollup.into()...)
	return append(into, &d.Ledger.Keys, &d.Rollup.Keys)
}

func bindDays(p VerifyParams) []any {
	from, to := p.days()
	return []any{day("from", from), day("to", to), number("limit", differencesMax)}
}

func bindSomeDays(p VerifyParams) []any { return append(bindDays(p), days("days", p.Days)) }

// days is an Array(Date).
func days(name string, values []time.Time) any {
	return list(name, values, func(t time.Time) string { return t.UTC().Format(time.DateOnly) })
}

type monthsParams struct {
	VerifyParams
	organizations []uuid.UUID
}

// days returns the start of From's day and the end of To's last, or what of it Days are in.
func (p VerifyParams) days() (from, to time.Time) {
	from, to = storable(p.From).UTC().Truncate(24*time.Hour), latest
	if !p.To.IsZero() {
		to = dayAtOrAfter(storable(p.To))
	}
	if len(p.Days) > 0 {
		if least := slices.MinFunc(p.Days, time.Time.Compare); least.After(from) {
			from = least
		}
		end := slices.MaxFunc(p.Days, time.Time.Compare).AddDate(0, 0, 1)
		if end.Before(to) {
			to = end
		}
	}
	return from, to
}

// months returns the months that days touches.
func (p VerifyParams) months() (from, to time.Time) {
	from, to = p.days()
	from = time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	if to.Day() != 1 {
		to = time.Date(to.Year(), to.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	return from, to
}

var (
	verifyRollups = ask("verify_rollups", bindSomeDays, func(d *Difference) []any {
		return append([]any{&d.Table}, d.into()...)
	})
	verifyMonths = ask("verify_consumption_monthly", func(p monthsParams) []any {
		from, to := p.months()
		return []any{
			day("from", from), day("to", to), ids("organizations", p.organizations),
			number("limit", differencesMax),
		}
	}, (*Difference).into)
)

// VerifyRollups returns where a rollup is not the sum of the ledger's rows, at most 1,000
// differences of each rollup, ordered by table, period, organization and usage type. An
// insert under way shows as a difference that is another one, or gone, when asked again. Of a month
// whose days are not all asked about, the others are taken to be right in consumption_daily.
func (q *Queries) VerifyRollups(ctx context.Context, p VerifyParams) ([]Difference, error) {
	all, err := collect(ctx, q.conn, verifyRollups.with(p.settings()), p)
	if err != nil {
		return nil, err
	}
	// A month is held against its days, of which there are few rows, and what these lack of the
	// ledger is added: reading the ledger for the days is enough.
	var organizations []uuid.UUID
	lacking := make(map[Difference]Sums) // without sums: of a month
	for _, d := range all {
		if d.Table != ConsumptionDaily {
			continue
		}
		if !slices.Contains(organizations, d.Organization) {
			organizations = append(organizations, d.Organization)
		}
		key := d.ofMonth()
		lacking[key] = lacking[key].Add(d.Ledger.Sub(d.Rollup))
	}
	months, err := collect(ctx, q.conn, verifyMonths.with(p.settings()),
		monthsParams{p, organizations})
	if err != nil {
		return nil, err
	}
	for _, d := range months {
		key := d.ofMonth()
		d.Table, d.Ledger = ConsumptionMonthly, d.Ledger.Add(lacking[key])
		delete(lacking, key)
		if d.Ledger != d.Rollup {
			all = append(all, d)
		}
	}
	for key, sums := range lacking { // neither the month nor its days have any of it
		key.Ledger = sums
		all = append(all, key)
	}
	slices.SortStableFunc(all, (Difference).compare)
	return all, nil
}

// compare orders differences by table, period, organization and usage type.
func (d Difference) compare(e Difference) int {
	return cmp.Or(
		strings.Compare(d.Table, e.Table),
		d.Period.Compare(e.Period),
		bytes.Compare(d.Organization[:], e.Organization[:]),
		strings.Compare(d.UsageType, e.UsageType),
	)
}

// ofMonth returns the difference's place in consumption_monthly, without sums.
func (d Difference) ofMonth() Difference {
	d.Table = ConsumptionMonthly
	d.Period = time.Date(d.Period.Year(), d.Period.Month(), 1, 0, 0, 0, 0, time.UTC)
	d.Ledger, d.Rollup = Sums{}, Sums{}
	return d
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
	return collect(ctx, q.conn, verifyDimensions.with(p.settings()), p)
}

// PlacesDefect is a UTC day some of whose events event_places has no place for.
type PlacesDefect struct {
	Day     time.Time
	Lacking uint64
}

type placesParams struct {
	VerifyParams
	part, parts uint64
}

var verifyPlaces = ask("verify_places", func(p placesParams) []any {
	return append(bindDays(p.VerifyParams), number("part", p.part), number("parts", p.parts))
}, func(d *PlacesDefect) []any { return []any{&d.Day, &d.Lacking} })

// monthSize is how many rows the ledger has of a month.
type monthSize struct {
	month time.Time
	rows  uint64
}

var verifyMonthSizes = ask("verify_month_sizes", func(p VerifyParams) []any {
	from, to := p.days()
	return []any{day("from", from), day("to", to)}
}, func(m *monthSize) []any { return []any{&m.month, &m.rows} })

// VerifyPlaces returns the days of which event_places lacks places. It asks month by month, and of
// large months in parts, so that its memory does not grow with the ledger.
func (q *Queries) VerifyPlaces(ctx context.Context, p VerifyParams) ([]PlacesDefect, error) {
	months, err := collect(ctx, q.conn, verifyMonthSizes.with(p.settings()), p)
	if err != nil {
		return nil, err
	}
	lacking := make(map[time.Time]uint64)
	for _, m := range months {
		of := p
		if of.From.Before(m.month) {
			of.From = m.month
		}
		if end := m.month.AddDate(0, 1, 0); of.To.IsZero() || end.Before(of.To) {
			of.To = end
		}
		parts := m.rows/rowsOfPart + 1
		for part := range parts {
			found, err := collect(ctx, q.conn, verifyPlaces.with(p.settings()),
				placesParams{of, part, parts})
			if err != nil {
				return nil, err
			}
			for _, d := range found {
				lacking[d.Day] += d.Lacking
			}
		}
	}
	var all []PlacesDefect
	for day, n := range lacking {
		all = append(all, PlacesDefect{day, n})
	}
	slices.SortFunc(all, func(a, b PlacesDefect) int { return a.Day.Compare(b.Day) })
	return all, nil
}

var verifyDays = ask("verify_days", func(since time.Time) []any {
	return []any{moment("since", storable(since))}
}, func(t *time.Time) []any { return []any{t} })

// DaysStoredSince returns the UTC days of the events that were accepted since a moment.
func (q *Queries) DaysStoredSince(
	ctx context.Context, since time.Time, p VerifyParams,
) ([]time.Time, error) {
	return collect(ctx, q.conn, verifyDays.with(p.settings()), since)
}
