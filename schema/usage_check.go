package schema

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Bounds of a UsageQuery.
const (
	UsageRangeMax        = 3660 * 24 * time.Hour // ten years and some days
	UsageBucketsMax      = 50_000                // a year of quarter hours is 35,136
	UsageFilterValuesMax = 100                   // of one dimension
	UsageFiltersMax      = 500                   // values of all dimensions
	UsageTopMax          = 1000
)

// Granularities returns all of them, the shortest first.
func Granularities() []Granularity {
	return []Granularity{QuarterHour, Hour, Day, Week, Month, Total}
}

// UsageOrders returns all of them.
func UsageOrders() []UsageOrder {
	return []UsageOrder{OrderQuantity, OrderBilledCost, OrderEvents}
}

// Validate returns what is wrong with a question, nil when nothing is: an Unreadable Error whose
// Field is the parameter at fault as clients write it.
func (q UsageQuery) Validate() *Error {
	for _, check := range []func() *Error{
		q.checkRange, q.checkGroups, q.checkFilters, q.checkOrder,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func wrong(field, format string, args ...any) *Error {
	return Errorf(Unreadable, field, format, args...)
}

func (q UsageQuery) checkRange() *Error {
	switch {
	case q.Organization == uuid.Nil:
		return wrong("organization_id", "is required")
	case !slices.Contains(Granularities(), q.Granularity):
		return wrong("granularity", "must be one of %s", list(Granularities()))
	case q.Zone == nil:
		return wrong("tz", "must be the name of an IANA time zone, as Europe/Rome")
	}
	for _, at := range []struct {
		name string
		t    time.Time
	}{{"from", q.From}, {"to", q.To}} {
		switch {
		case at.t.IsZero():
			return wrong(at.name, "is required: a date or an RFC 3339 instant")
		case !InstantValid(at.t):
			return wrong(at.name, "must be between 1970 and 2199")
		}
	}
	switch {
	case !q.From.Before(q.To):
		return wrong("to", "must be after from")
	case q.To.Sub(q.From) > UsageRangeMax:
		return wrong("from", "must be at most %d days before to", UsageRangeMax/(24*time.Hour))
	}
	if n := q.buckets(); n > UsageBucketsMax {
		return wrong("granularity", "makes about %d buckets of this range, at most %d may be: "+
			"ask for a longer one or a shorter range", n, UsageBucketsMax)
	}
	return nil
}

// buckets returns about how many buckets the range has. Of those that are a day and longer there
// are never too many.
func (q UsageQuery) buckets() int64 {
	switch q.Granularity {
	case QuarterHour:
		return int64(q.To.Sub(q.From) / (15 * time.Minute))
	case Hour:
		return int64(q.To.Sub(q.From) / time.Hour)
	}
	return 0
}

func (q UsageQuery) checkGroups() *Error {
	for i, d := range q.GroupBy {
		if !slices.Contains(Dimensions(), d) {
			return wrong("group_by", "knows no %s: any of %s", show(d), list(Dimensions()))
		}
		if slices.Contains(q.GroupBy[:i], d) {
			return wrong("group_by", "has %s twice", d)
		}
	}
	return nil
}

// FilterName returns the parameter that filters by a dimension.
func FilterName(d Dimension) string { return "filter." + string(d) }

func (q UsageQuery) checkFilters() *Error {
	all := 0
	for d := range q.Filters {
		if !slices.Contains(Dimensions(), d) {
			return wrong(FilterName(Dimension(clip(string(d)))),
				"is not a parameter: filters are of %s", list(Dimensions()))
		}
	}
	for _, d := range Dimensions() {
		values, given := q.Filters[d]
		switch {
		case given && len(values) == 0:
			return wrong(FilterName(d), "must have a value")
		case len(values) > UsageFilterValuesMax:
			return wrong(FilterName(d), "has %d values, at most %d may be", len(values),
				UsageFilterValuesMax)
		}
		if all += len(values); all > UsageFiltersMax {
			return wrong(FilterName(d), "is one too many: all filters together may have %d values",
				UsageFiltersMax)
		}
		for _, v := range values {
			if message := checkFilter(d, v); message != "" {
				return wrong(FilterName(d), "%s", message)
			}
		}
	}
	return nil
}

// checkFilter returns what is wrong with a value; empty when nothing is.
func checkFilter(d Dimension, value string) string {
	switch d {
	case DimensionAgent, DimensionUser:
		if id, err := uuid.Parse(value); err != nil || id.String() != value {
			return "must be a UUID, or empty for none"
		}
	case DimensionChargeable:
		if value != "true" && value != "false" {
			return "must be true or false"
		}
	case DimensionUsageType:
		if !UsageTypeValid(value) {
			return "must be a usage type: A to Z, 0 to 9 and _, at most 64"
		}
	default:
		if err, wrong := CheckText(string(d), value).(*Error); wrong {
			return err.Message
		}
	}
	return ""
}

func (q UsageQuery) checkOrder() *Error {
	switch {
	case q.OrderBy != "" && !slices.Contains(UsageOrders(), q.OrderBy):
		return wrong("order_by", "must be one of %s", list(UsageOrders()))
	case q.Top < 0 || q.Top > UsageTopMax:
		return wrong("top", "must be 1 to %d", UsageTopMax)
	case q.Top > 0 && len(q.GroupBy) == 0:
		return wrong("top", "needs group_by: the greatest of what")
	case q.Top > 0 && q.OrderBy == "":
		return wrong("top", "needs order_by: one of %s", list(UsageOrders()))
	case q.OrderBy == OrderQuantity && !q.Counted():
		return wrong("order_by", "compares quantities of one usage type only: "+
			"group by usage_type, or give one filter.usage_type")
	}
	return nil
}

// Counted reports whether every row is of one usage type: see UsageRow.
func (q UsageQuery) Counted() bool {
	return slices.Contains(q.GroupBy, DimensionUsageType) ||
		len(q.Filters[DimensionUsageType]) == 1
}

// list names what may be.
func list[T ~string](all []T) string {
	text := ""
	for i, one := range all {
		if i > 0 {
			text += ", "
		}
		text += string(one)
	}
	return text
}

// show quotes what a client sent.
func show[T ~string](text T) string { return fmt.Sprintf("%q", clip(string(text))) }

// clip shortens what a client sent, to be shown.
func clip(text string) string {
	const charactersMax = 64
	if runes := []rune(text); len(runes) > charactersMax {
		return string(runes[:charactersMax]) + "…"
	}
	return text
}
