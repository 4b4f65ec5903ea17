package schema

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestUsageQueryValidate(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := func(want string, change func(q *UsageQuery)) {
		t.Helper()
		q := UsageQuery{
			Organization: uuid.New(), From: from, To: from.AddDate(0, 1, 0), Granularity: Day,
			Zone: time.UTC,
		}
		change(&q)
		got, ok := "", true
		if err := q.Validate(); err != nil {
			got, ok = err.Error(), err.Kind == Unreadable
		}
		if !ok || want == "" && got != "" || want != "" && !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("", func(*UsageQuery) {})
	f("organization_id: is required", func(q *UsageQuery) { q.Organization = uuid.Nil })
	f("granularity: must be one of 15m, hour, day, week, month, total",
		func(q *UsageQuery) { q.Granularity = "year" })
	f("tz: must", func(q *UsageQuery) { q.Zone = nil })

	f("from: is required", func(q *UsageQuery) { q.From = time.Time{} })
	f("to: is required", func(q *UsageQuery) { q.To = time.Time{} })
	f("from: must be between", func(q *UsageQuery) { q.From = time.Unix(-1, 0) })
	f("to: must be between", func(q *UsageQuery) { q.To = from.AddDate(300, 0, 0) })
	f("to: must be after from", func(q *UsageQuery) { q.To = q.From })
	f("to: must be after from", func(q *UsageQuery) { q.From, q.To = q.To, q.From })
	f("", func(q *UsageQuery) { q.To = q.From.Add(3660 * 24 * time.Hour) })
	f("from: must be at most 3660 days before to", func(q *UsageQuery) {
		q.To = q.From.Add(3660*24*time.Hour + time.Microsecond)
	})
	f("", func(q *UsageQuery) { q.Granularity, q.To = QuarterHour, from.AddDate(1, 0, 0) })
	f("granularity: makes about 70080 buckets", func(q *UsageQuery) {
		q.Granularity, q.To = QuarterHour, from.AddDate(2, 0, 0)
	})
	f("granularity: makes about 52560 buckets", func(q *UsageQuery) {
		q.Granularity, q.To = Hour, from.AddDate(6, 0, -1)
	})

	f("", func(q *UsageQuery) { q.GroupBy = Dimensions() })
	f(`group_by: knows no "day": any of agent_id, user_id,`,
		func(q *UsageQuery) { q.GroupBy = []Dimension{"day"} })
	f("group_by: has model twice",
		func(q *UsageQuery) { q.GroupBy = []Dimension{"model", "agent_id", "model"} })

	filter := func(d Dimension, values ...string) func(q *UsageQuery) {
		return func(q *UsageQuery) { q.Filters = map[Dimension][]string{d: values} }
	}
	f("", filter("agent_id", uuid.Nil.String(), uuid.NewString()))
	f("filter.agent_id: must be a UUID", filter("agent_id", ""))
	f("filter.user_id: must be a UUID", filter("user_id", strings.ToUpper(uuid.NewString())))
	f("filter.chargeable: must be true or false", filter("chargeable", "1"))
	f("filter.usage_type: must be a usage type", filter("usage_type", "input"))
	f("", filter("model", "", "' OR 1=1 --", strings.Repeat("é", 256)))
	f("filter.model: must have at most 256 characters", filter("model", strings.Repeat("é", 257)))
	f("filter.model: must be valid UTF-8", filter("model", "\xff"))
	f("filter.purpose: must not contain control characters", filter("purpose", "a\x00b"))
	f("filter.model: must have a value", filter("model"))
	f("filter.time: is not a parameter", filter("time", "x"))
	many := make([]string, 101)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	f("", filter("model", many[:100]...))
	f("filter.model: has 101 values, at most 100 may be", filter("model", many...))
	f("filter.purpose: is one too many", func(q *UsageQuery) {
		q.Filters = map[Dimension][]string{"usage_type": {"A"}, "purpose": many[:100]}
		for _, d := range []Dimension{"service", "channel", "endpoint", "model", "provider"} {
			q.Filters[d] = many[:90]
		}
	})

	f("", func(q *UsageQuery) { q.OrderBy = OrderEvents })
	f("order_by: must be one of quantity, billed_cost, events",
		func(q *UsageQuery) { q.OrderBy = "time" })
	top := func(n int, order UsageOrder, by ...Dimension) func(q *UsageQuery) {
		return func(q *UsageQuery) { q.Top, q.OrderBy, q.GroupBy = n, order, by }
	}
	f("", top(1000, OrderBilledCost, "model"))
	f("top: must be 1 to 1000", top(1001, OrderBilledCost, "model"))
	f("top: must be 1 to 1000", top(-1, OrderBilledCost, "model"))
	f("top: needs group_by", top(1, OrderBilledCost))
	f("top: needs order_by", top(1, "", "model"))
	f("order_by: compares quantities", top(1, OrderQuantity, "model"))
	f("", top(1, OrderQuantity, "usage_type"))
	f("", func(q *UsageQuery) {
		top(1, OrderQuantity, "model")(q)
		filter("usage_type", "INPUT")(q)
	})
	f("order_by: compares quantities", func(q *UsageQuery) {
		top(1, OrderQuantity, "model")(q)
		filter("usage_type", "INPUT", "OUTPUT")(q)
	})
}
