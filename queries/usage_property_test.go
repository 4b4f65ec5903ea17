package queries_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "repeat the property test; 0: another each time")
	questionsFlag = flag.Int("questions", 60, "questions of the property test")
)

// TestUsageIsTheLedger asks random questions about random events and compares each answer with what
// Go makes of the events, by walking the clock of the zone, and with that of the ledger alone.
//
// Seen failing in a copy: with a plan that drops the tail of a bucket (a week of St John's ended with
// its last whole quarter hour), and with a cut of the ledger a microsecond late.
func TestUsageIsTheLedger(t *testing.T) {
	t.Parallel()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("repeat with -seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	_, q := open(t)
	w := usageWorld{r: r}
	w.make(t)
	for i := range 4 {
		// Several parts, some of whose rows of the rollups are of one slot.
		batch := batchOf(w.events[i*len(w.events)/4 : (i+1)*len(w.events)/4])
		if err := q.InsertEvents(t.Context(), fmt.Sprint("t", i), batch); err != nil {
			t.Fatal(err)
		}
	}
	sources := map[string]int{}
	for i := range *questionsFlag {
		query := w.question()
		if i == 0 { // months answer few random questions, and of some seeds none
			query = usageQuestion(t, "UTC", "2025-09-30T12:00:00Z", "2025-11-01T00:00:00Z",
				schema.Total, schema.DimensionUser, schema.DimensionUsageType)
			query.Organization = named("acme")
		}
		plan, err := queries.UsagePlan(query)
		if err != nil {
			t.Fatal(err)
		}
		got := usageRows(t, q.Usage, query)
		if diff := gocmp.Diff(showRows(w.answer(query)), showRows(got)); diff != "" {
			t.Fatalf("%s\nby %s\n(-want +got):\n%s", showQuestion(query), plan, diff)
		}
		for _, line := range plan {
			source, _, _ := strings.Cut(line, " ")
			sources[source]++
		}
		if len(plan) == 1 && strings.HasPrefix(plan[0], "usage_events") {
			continue
		}
		ledger := usageRows(t, q.UsageOfLedger, query)
		if diff := gocmp.Diff(showRows(ledger), showRows(got)); diff != "" {
			t.Fatalf("%s\nby %s\n(-ledger +got):\n%s", showQuestion(query), plan, diff)
		}
	}
	t.Logf("%d events; answered by %v", len(w.events), sources)
	for _, table := range []string{
		"usage_events", "agent_usage_15m", "billable_hourly", "consumption_daily",
		"consumption_monthly",
	} {
		if sources[table] == 0 && *questionsFlag >= 60 {
			t.Errorf("no question was answered by %s", table)
		}
	}
}

type usageFunc func(context.Context, schema.UsageQuery, func(schema.UsageRow) error) error

func usageRows(t testing.TB, usage usageFunc, query schema.UsageQuery) (rows []schema.UsageRow) {
	t.Helper()
	err := usage(t.Context(), query, func(row schema.UsageRow) error {
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", showQuestion(query), err)
	}
	return rows
}

// TestLongQuestionsFitARequest sends as many starts of buckets and cuts along as there may be: the
// parameters of a question travel in the URL where ClickHouse is asked by HTTP.
func TestLongQuestionsFitARequest(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	if err := q.InsertEvents(t.Context(), "t", batchOf(twoMonths(t))); err != nil {
		t.Fatal(err)
	}
	// Lord Howe's days are of two lengths, and begin in the middle of an hour.
	rows := usageRows(t, q.Usage, usageQuestion(t, "Australia/Lord_Howe",
		"2017-01-01T00:00:00.000001Z", "2027-01-01T00:00:00Z", schema.Day,
		schema.DimensionModel, schema.DimensionUsageType))
	if len(rows) != 2 || rows[0].Quantity != quantity(t, "2400.000002") {
		t.Errorf("%v", showRows(rows))
	}
}

// usageWorld is events, and questions about them.
type usageWorld struct {
	r      *rand.Rand
	events []schema.Event
}

var worldFrom = time.Date(2025, 9, 20, 0, 0, 0, 0, time.UTC)

const worldDays = 60 // over the end of daylight saving, and two whole months

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// instant returns one that is rather near to something: a grain's edge, or a bucket's.
func (w *usageWorld) instant() time.Time {
	r := w.r
	t := worldFrom.Add(time.Duration(r.Int64N(int64(worldDays * 24 * time.Hour))))
	t = t.Truncate(time.Microsecond)
	switch r.IntN(7) {
	case 0:
		return t
	case 1:
		t = t.Truncate(24 * time.Hour)
	case 2:
		t = t.Truncate(time.Hour)
	case 3:
		t = t.Truncate(15 * time.Minute)
	case 4: // around the change of the clocks
		t = time.Date(2025, 10, 26, 0, 0, 0, 0, time.UTC).
			Add(time.Duration(r.IntN(16)) * 15 * time.Minute)
	case 5:
		t = time.Date(2025, time.Month(9+r.IntN(4)), 1, 0, 0, 0, 0, time.UTC)
	case 6:
		y, m, d := t.Date()
		t = time.Date(y, m, d, 0, 0, 0, 0, w.zone()).UTC()
	}
	return t.Add(time.Duration(pick(r, 0, 0, 0, 1, -1)) * time.Microsecond)
}

func (w *usageWorld) zone() *time.Location {
	name := pick(w.r, "UTC", "UTC", "UTC", "Europe/Rome", "America/New_York", "Asia/Kolkata",
		"Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia")
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

// make makes events, some of them corrected or taken back, or there twice.
func (w *usageWorld) make(t *testing.T) {
	r := w.r
	for i := range 1500 {
		e := schema.Event{
			Organization: named(pick(r, "acme", "acme", "acme", "other")),
			ID:           named(fmt.Sprint("event", i)), Entry: schema.Record, Time: w.instant(),
		}
		e.IngestTime = e.Time.Add(time.Duration(r.IntN(100)) * time.Hour)
		w.describe(t, &e)
		w.events = append(w.events, e)
		if r.IntN(20) == 0 {
			w.events = append(w.events, e) // a copy that another node accepted
		}
		if r.IntN(5) > 0 {
			continue
		}
		w.events = append(w.events, reversed(e))
		if r.IntN(3) > 0 {
			e.Revision++
			w.describe(t, &e)
			w.events = append(w.events, e)
		}
	}
	// What belongs together may be stored in any order.
	r.Shuffle(len(w.events), func(i, j int) {
		w.events[i], w.events[j] = w.events[j], w.events[i]
	})
}

func (w *usageWorld) describe(t *testing.T, e *schema.Event) {
	r := w.r
	e.User, e.Agent = named(pick(r, "", "ada", "bob")), named(pick(r, "", "a1", "a2", "a3"))
	e.Service, e.Channel = pick(r, "", "s", schema.LogInsights), pick(r, "", "web", "voice")
	e.APIName, e.Endpoint = pick(r, "", "llm"), pick(r, "/chat", "/é'\\\n\"")
	e.Provider, e.ProviderKey = pick(r, "", "OpenAI"), pick(r, "", "sk-…abcd")
	e.Model, e.Purpose = pick(r, "", "gpt", hostile), pick(r, "", "QA", "qa")
	e.Chargeable = r.IntN(3) > 0
	e.Measurements = nil
	types := []string{schema.Input, schema.Output, "VAPI_SECONDS"}
	r.Shuffle(len(types), func(i, j int) { types[i], types[j] = types[j], types[i] })
	for _, usageType := range types[:1+r.IntN(len(types))] {
		m := schema.Measurement{
			UsageType: usageType, Quantity: quantity(t, fmt.Sprintf("%d.%06d", r.IntN(9), r.IntN(3))),
		}
		if m.Pricing = schema.Pricing(r.IntN(3)); m.Pricing != schema.Unpriced {
			m.ProviderCost = usd(t, fmt.Sprintf("0.%012d", r.IntN(9)))
			m.BilledCost = usd(t, fmt.Sprintf("%d.000000000001", r.IntN(3)))
		}
		e.Measurements = append(e.Measurements, m)
	}
}

func (w *usageWorld) question() schema.UsageQuery {
	r := w.r
	q := schema.UsageQuery{
		Organization: named("acme"), From: w.instant(), To: w.instant(),
		Granularity: pick(r, schema.Granularities()...), Zone: w.zone(),
		Filters: map[schema.Dimension][]string{},
	}
	for !q.From.Before(q.To) {
		q.From, q.To = w.instant(), w.instant()
	}
	some := pick(r, schema.Dimensions(), []schema.Dimension{
		schema.DimensionModel, schema.DimensionUsageType, schema.DimensionChargeable,
	}, []schema.Dimension{
		schema.DimensionAgent, schema.DimensionUsageType, schema.DimensionService,
	}, []schema.Dimension{
		schema.DimensionUser, schema.DimensionProvider, schema.DimensionAgent,
	})
	dims := slices.Clone(some)
	r.Shuffle(len(dims), func(i, j int) { dims[i], dims[j] = dims[j], dims[i] })
	q.GroupBy = dims[:min(len(dims), r.IntN(4))]
	for range r.IntN(3) {
		d := pick(r, some...)
		e := &w.events[r.IntN(len(w.events))]
		value := valueOf(d, e, &e.Measurements[0])
		if !slices.Contains(q.Filters[d], value) {
			q.Filters[d] = append(q.Filters[d], value)
		}
	}
	if r.IntN(3) == 0 {
		q.OrderBy = pick(r, schema.UsageOrders()...)
		if q.OrderBy == schema.OrderQuantity && !slices.Contains(q.GroupBy, schema.DimensionUsageType) {
			q.Filters[schema.DimensionUsageType] = []string{schema.Input}
		}
		if len(q.GroupBy) > 0 {
			q.Top = r.IntN(4)
		}
	}
	return q
}

func valueOf(d schema.Dimension, e *schema.Event, m *schema.Measurement) string {
	switch d {
	case schema.DimensionAgent:
		return e.Agent.String()
	case schema.DimensionUser:
		return e.User.String()
	case schema.DimensionService:
		return e.Service
	case schema.DimensionChannel:
		return e.Channel
	case schema.DimensionAPIName:
		return e.APIName
	case schema.DimensionEndpoint:
		return e.Endpoint
	case schema.DimensionProvider:
		return e.Provider
	case schema.DimensionModel:
		return e.Model
	case schema.DimensionPurpose:
		return e.Purpose
	case schema.DimensionChargeable:
		return fmt.Sprint(e.Chargeable)
	case schema.DimensionUsageType:
		return m.UsageType
	}
	panic(d)
}

// sum is a row under way.
type sum struct {
	schema.UsageRow
	firsts, entries int64
}

func (s *sum) add(e *schema.Event, m *schema.Measurement, ordinal int) {
	s.Quantity = s.Quantity.Add(m.Quantity)
	s.ProviderCost = s.ProviderCost.Add(m.ProviderCost)
	s.BilledCost = s.BilledCost.Add(m.BilledCost)
	s.entries += int64(e.Entry)
	if ordinal == 0 {
		s.firsts += int64(e.Entry)
	}
	if m.Pricing == schema.Unpriced {
		s.Unpriced += int64(e.Entry)
	}
}

// each hands every measurement that counts to do.
func (w *usageWorld) each(
	q schema.UsageQuery, do func(e *schema.Event, m *schema.Measurement, ordinal int),
) {
	for i := range w.events {
		e := &w.events[i]
		if e.Organization != q.Organization || e.Time.Before(q.From) || !e.Time.Before(q.To) {
			continue
		}
		for ordinal := range e.Measurements {
			m := &e.Measurements[ordinal]
			counts := true
			for d, values := range q.Filters {
				counts = counts && slices.Contains(values, valueOf(d, e, m))
			}
			if counts {
				do(e, m, ordinal)
			}
		}
	}
}

// answer is what Usage should return.
func (w *usageWorld) answer(q schema.UsageQuery) []schema.UsageRow {
	values := func(e *schema.Event, m *schema.Measurement) []string {
		labels := []string{}
		for _, d := range q.GroupBy {
			labels = append(labels, valueOf(d, e, m))
		}
		return labels
	}
	kept := w.kept(q, values)
	sums := map[string]*sum{}
	w.each(q, func(e *schema.Event, m *schema.Measurement, ordinal int) {
		row := schema.UsageRow{Time: walkToStart(q, e.Time), Values: values(e, m)}
		if q.Top > 0 && !slices.Contains(kept, strings.Join(row.Values, "\x00")) {
			row.Other, row.Values = true, make([]string, len(row.Values))
		}
		key := fmt.Sprint(row.Time.UnixMicro(), row.Other, strings.Join(row.Values, "\x00"))
		if sums[key] == nil {
			sums[key] = &sum{UsageRow: row}
		}
		sums[key].add(e, m, ordinal)
	})
	var rows []schema.UsageRow
	for _, s := range sums {
		if s.entries != 0 {
			rows = append(rows, s.finish(q))
		}
	}
	slices.SortFunc(rows, func(a, b schema.UsageRow) int {
		return cmp.Or(a.Time.Compare(b.Time), compareBool(a.Other, b.Other),
			-compareMeasure(q.OrderBy, a, b), slices.Compare(a.Values, b.Values))
	})
	return rows
}

// kept returns the combinations of the top.
func (w *usageWorld) kept(
	q schema.UsageQuery, values func(*schema.Event, *schema.Measurement) []string,
) (kept []string) {
	if q.Top == 0 {
		return nil
	}
	sums := map[string]*sum{}
	w.each(q, func(e *schema.Event, m *schema.Measurement, ordinal int) {
		key := strings.Join(values(e, m), "\x00")
		if sums[key] == nil {
			sums[key] = &sum{UsageRow: schema.UsageRow{Values: values(e, m)}}
		}
		sums[key].add(e, m, ordinal)
	})
	var rows []schema.UsageRow
	for _, s := range sums {
		if s.entries != 0 {
			rows = append(rows, s.finish(q))
		}
	}
	slices.SortFunc(rows, func(a, b schema.UsageRow) int {
		return cmp.Or(-compareMeasure(q.OrderBy, a, b), slices.Compare(a.Values, b.Values))
	})
	for _, row := range rows[:min(q.Top, len(rows))] {
		kept = append(kept, strings.Join(row.Values, "\x00"))
	}
	return kept
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func compareMeasure(order schema.UsageOrder, a, b schema.UsageRow) int {
	switch order {
	case schema.OrderQuantity:
		return a.Quantity.Add(b.Quantity.Neg()).Sign()
	case schema.OrderBilledCost:
		return a.BilledCost.Add(b.BilledCost.Neg()).Sign()
	case schema.OrderEvents:
		return cmp.Compare(a.Events, b.Events)
	}
	return 0
}

func (s *sum) finish(q schema.UsageQuery) schema.UsageRow {
	row, types := s.UsageRow, q.Filters[schema.DimensionUsageType]
	grouped := slices.Contains(q.GroupBy, schema.DimensionUsageType)
	row.Counted = len(types) == 1 || grouped && !row.Other
	switch {
	case row.Counted:
		row.Events = s.entries
	case len(types) > 1 || grouped:
		row.Events, row.Quantity = -1, schema.Quantity{}
	default:
		row.Events, row.Quantity = s.firsts, schema.Quantity{}
	}
	return row
}

// walkToStart goes back minute by minute, until the clock of the zone shows something of another
// bucket or another offset.
func walkToStart(q schema.UsageQuery, t time.Time) time.Time {
	if q.Granularity == schema.Total {
		return q.From
	}
	shown := func(t time.Time) string {
		t = t.In(q.Zone)
		_, offset := t.Zone()
		switch q.Granularity {
		case schema.QuarterHour:
			return fmt.Sprint(t.Format("2006-01-02 15 "), t.Minute()/15, offset)
		case schema.Hour:
			return fmt.Sprint(t.Format("2006-01-02 15"), offset)
		case schema.Day:
			return t.Format(time.DateOnly)
		case schema.Week:
			year, week := t.ISOWeek()
			return fmt.Sprint(year, " ", week)
		}
		return t.Format("2006-01")
	}
	at := t.Truncate(time.Minute)
	step := 15 * time.Minute
	if q.Granularity == schema.Week || q.Granularity == schema.Month {
		step = time.Hour
	}
	want := shown(t)
	// Long steps first, then minutes.
	for shown(at.Add(-step)) == want {
		at = at.Add(-step)
	}
	for shown(at.Add(-time.Minute)) == want {
		at = at.Add(-time.Minute)
	}
	return at
}

func showQuestion(q schema.UsageQuery) string {
	return fmt.Sprintf("%s/%s by %s in %s, group by %v, filters %q, top %d by %q",
		q.From.Format(time.RFC3339Nano), q.To.Format(time.RFC3339Nano), q.Granularity, q.Zone,
		q.GroupBy, q.Filters, q.Top, q.OrderBy)
}

func showRows(rows []schema.UsageRow) []string {
	shown := make([]string, len(rows))
	for i, r := range rows {
		shown[i] = fmt.Sprintf("%s %q other=%t counted=%t %s events=%d %s %s unpriced=%d",
			r.Time.UTC().Format(time.RFC3339Nano), r.Values, r.Other, r.Counted, r.Quantity, r.Events,
			r.ProviderCost, r.BilledCost, r.Unpriced)
	}
	return shown
}
