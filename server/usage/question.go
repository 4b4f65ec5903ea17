package usage

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// questionParams are the parameters of a question, its filters among them.
var questionParams = []string{
	"from", "to", "granularity", "tz", "group_by", filterPrefix, "top", "order_by",
	"organization_id",
}

// queryParams are those of a question and of its answer.
var queryParams = append(slices.Clone(questionParams), "format")

// question makes a question of parameters. It is valid once it is scoped: see scope. What is not
// given is as in the contract; a range that is not stays zero.
func (p params) question() (schema.UsageQuery, error) {
	q := schema.UsageQuery{Granularity: schema.Day, Zone: time.UTC}
	var err error
	if q.Organization, err = p.organization(); err != nil {
		return q, err
	}
	if name, ok := p.get("tz"); ok {
		if q.Zone, ok = schema.ParseZone(name); !ok {
			return q, schema.Errorf(schema.Unreadable, "tz",
				"must be the name of an IANA time zone, as Europe/Rome")
		}
	}
	if q.From, err = p.instant("from", q.Zone); err != nil {
		return q, err
	}
	if q.To, err = p.instant("to", q.Zone); err != nil {
		return q, err
	}
	if text, ok := p.get("granularity"); ok {
		q.Granularity = schema.Granularity(text)
	}
	for _, text := range p["group_by"] {
		for one := range strings.SplitSeq(text, ",") {
			if one = strings.TrimSpace(one); one != "" || len(text) > 0 {
				q.GroupBy = append(q.GroupBy, schema.Dimension(one))
			}
		}
	}
	if err := p.order(&q); err != nil {
		return q, err
	}
	q.Filters = p.filters()
	return q, nil
}

// get returns the value of a parameter that has one.
func (p params) get(name string) (string, bool) {
	if len(p[name]) == 0 {
		return "", false
	}
	return p[name][0], true
}

// organization returns the organization asked for; zero when none is.
func (p params) organization() (uuid.UUID, error) {
	text, ok := p.get("organization_id")
	if !ok {
		return uuid.Nil, nil
	}
	id, ok := parseID(text)
	if !ok || id == uuid.Nil {
		return id, schema.Errorf(schema.Unreadable, "organization_id", "must be a UUID")
	}
	return id, nil
}

func parseID(text string) (uuid.UUID, bool) {
	const length = 36 // uuid.Parse takes other forms too
	id, err := uuid.Parse(text)
	return id, err == nil && len(text) == length
}

// instant reads a date, which is the start of that day in a zone, or an RFC 3339 instant; zero when
// it is absent. Times of events are whole microseconds: an instant between two of them is the later
// one, for the start of a range and for its end.
func (p params) instant(name string, zone *time.Location) (time.Time, error) {
	text, ok := p.get(name)
	if !ok {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return schema.DayStart(day.Year(), day.Month(), day.Day(), zone), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		hint := ""
		if strings.Contains(text, " ") {
			hint = "; in a URL + is written %2B"
		}
		return t, schema.Errorf(schema.Unreadable, name,
			"must be a date or an RFC 3339 instant%s", hint)
	}
	if whole := t.Truncate(time.Microsecond); whole.Before(t) {
		t = whole.Add(time.Microsecond)
	}
	return t.In(zone), nil
}

// order reads which rows there are and in which order.
func (p params) order(q *schema.UsageQuery) error {
	if text, ok := p.get("order_by"); ok {
		if text == "" {
			return schema.Errorf(schema.Unreadable, "order_by", "must not be empty")
		}
		q.OrderBy = schema.UsageOrder(text)
	}
	if text, ok := p.get("top"); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > schema.UsageTopMax {
			return schema.Errorf(schema.Unreadable, "top", "must be 1 to %d", schema.UsageTopMax)
		}
		q.Top = n
	}
	return nil
}

// filters returns the values of each filter in one order and spelling, each once, so that the same
// question is the same however it is written.
func (p params) filters() map[schema.Dimension][]string {
	all := make(map[schema.Dimension][]string)
	for name, given := range p {
		if !isFilter(name) {
			continue
		}
		d := schema.Dimension(strings.TrimPrefix(name, filterPrefix))
		values := slices.Clone(given)
		if isID(d) {
			for i, text := range values {
				if id, ok := parseID(text); ok || text == "" { // none
					values[i] = id.String()
				}
			}
		}
		slices.Sort(values)
		all[d] = slices.Compact(values)
	}
	return all
}

// isID reports whether a dimension's values are ids.
func isID(d schema.Dimension) bool {
	return d == schema.DimensionAgent || d == schema.DimensionUser
}
