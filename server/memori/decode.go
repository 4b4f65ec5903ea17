package memori

import (
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// subject is whose logs a route returns.
type subject uint8

const (
	tenantLogs subject = iota
	userLogs
	memoriLogs
)

// segments are the parts of a path after the route's literal; dates that were left out are empty.
type segments struct {
	token, name, period, dateFrom, dateTo string
}

// question is a request that is well formed; whether the caller may ask it, authorize decides.
type question struct {
	subject subject
	tenant  string    // of tenantLogs
	id      uuid.UUID // of userLogs and memoriLogs
	period  dialect.Period
	from    time.Time // start of the first period; zero: unbounded
	to      time.Time // end of the last one; zero: unbounded
	empty   bool      // no period can match
}

// decodePath splits {token}/{name}/{type}[/{from}[/{to}]]; NotFound for any other number of
// segments. The client escapes nothing, but a proxy on its way may: an escape that is none is text.
func decodePath(tail string) (segments, error) {
	parts := strings.Split(strings.TrimRight(tail, "/"), "/")
	if len(parts) < 3 || len(parts) > 5 {
		return segments{}, schema.Errorf(schema.NotFound, "", "no such route")
	}
	for i, part := range parts {
		if part == "" {
			return segments{}, schema.Errorf(schema.NotFound, "", "no such route")
		}
		if text, err := url.PathUnescape(part); err == nil {
			parts[i] = text
		}
	}
	parts = append(parts, "", "")
	return segments{parts[0], parts[1], parts[2], parts[3], parts[4]}, nil
}

// decodeQuestion reads everything but the token, in the order of the result codes: the type, the
// dates, the ids.
func decodeQuestion(s subject, path segments) (question, error) {
	q := question{subject: s}
	switch strings.ToLower(path.period) {
	case "daily":
		q.period = dialect.Daily
	case "monthly":
		q.period = dialect.Monthly
	default:
		return question{}, schema.Errorf(schema.Invalid, "strType", "must be Daily or Monthly")
	}
	from, ok := decodeDate(path.dateFrom)
	if !ok {
		return question{}, schema.Errorf(schema.Invalid, "strDateFrom", "must be yyyyMMdd")
	}
	to, ok := decodeDate(path.dateTo)
	if !ok {
		return question{}, schema.Errorf(schema.Invalid, "strDateTo", "must be yyyyMMdd")
	}
	q.from, q.to, q.empty = periodsOf(q.period, from, to)
	if s == tenantLogs {
		q.tenant = path.name
		return q, nil
	}
	if q.id, ok = decodeID(path.name); !ok {
		return question{}, schema.Errorf(schema.Invalid, fieldOf(s), "must be a UUID")
	}
	return q, nil
}

// fieldOf is the route's name of the segment that says whose logs.
func fieldOf(s subject) string {
	switch s {
	case userLogs:
		return "strUserID"
	case memoriLogs:
		return "strMemoriID"
	}
	return "tenantName"
}

func decodeID(s string) (uuid.UUID, bool) {
	if len(s) != len(uuid.Nil.String()) { // uuid.Parse reads braces and URNs too
		return uuid.Nil, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// decodeDate reads yyyyMMdd; the zero time when s is empty.
func decodeDate(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	t, err := time.Parse("20060102", s)
	return t, err == nil && t.Year() > 0
}

// The ledger's days lie between these; its columns cannot hold much beyond.
var (
	earliest = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// periodsOf returns the half-open range of whole periods that [first, last], both inclusive days
// and each unbounded when zero, touches. A bound that the ledger cannot reach is none.
func periodsOf(p dialect.Period, first, last time.Time) (from, to time.Time, empty bool) {
	bounded := !last.IsZero()
	if bounded && (last.Before(first) || last.Before(earliest)) || !first.Before(latest) {
		return time.Time{}, time.Time{}, true
	}
	if !first.Before(earliest) {
		from = periodStart(p, first)
	}
	if bounded && last.Before(latest) {
		to = nextPeriod(p, periodStart(p, last))
	}
	return from, to, false
}

func periodStart(p dialect.Period, day time.Time) time.Time {
	if p == dialect.Monthly {
		return day.AddDate(0, 0, 1-day.Day())
	}
	return day
}

func nextPeriod(p dialect.Period, start time.Time) time.Time {
	if p == dialect.Monthly {
		return start.AddDate(0, 1, 0)
	}
	return start.AddDate(0, 0, 1)
}
