package exports

import (
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// partsMax bounds the parts of an export: beyond it they are larger.
const partsMax = 1000

// cutEvents returns the bounds of the parts of a range of measurements: whole UTC hours, as many as
// make a part full.
func cutEvents(r schema.EventsRange, hours []queries.ExportHour, perPart int64) []time.Time {
	total := int64(0)
	for _, h := range hours {
		total += h.Measurements
	}
	full := max(perPart, total/partsMax+1)
	bounds, gathered := []time.Time{r.From}, int64(0)
	for _, h := range hours {
		if gathered > 0 && gathered+h.Measurements > full && h.Hour.After(r.From) {
			bounds, gathered = append(bounds, h.Hour), 0
		}
		gathered += h.Measurements
	}
	return append(bounds, r.To)
}

// daysPerPart is how many days of buckets a part has.
var daysPerPart = map[schema.Granularity]int{
	schema.QuarterHour: 8,
	schema.Hour:        32,
	schema.Day:         366,
	schema.Week:        7 * 104,
}

// cutQuery returns the bounds of the parts of a query's answer, which put together are the answer:
// buckets are not cut, and days on the clock of the query's zone are bounds of all that are shorter
// than a week. What is about the whole range at once is one part.
func cutQuery(q schema.UsageQuery) []time.Time {
	bounds := []time.Time{q.From}
	days := daysPerPart[q.Granularity]
	if days == 0 || q.Top > 0 {
		return append(bounds, q.To)
	}
	year, month, day := q.From.In(q.Zone).Date()
	if q.Granularity == schema.Week { // ISO 8601's start on a Monday
		day -= (int(q.From.In(q.Zone).Weekday()) + 6) % 7
	}
	for {
		day += days
		at := schema.DayStart(year, month, day, q.Zone)
		if !at.Before(q.To) {
			return append(bounds, q.To)
		}
		bounds = append(bounds, at.UTC())
	}
}
