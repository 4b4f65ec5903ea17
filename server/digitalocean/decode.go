package digitalocean

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// interval is what the client asked for: both ends inclusive, UTC, in the precision they came in.
// A zero Start is the agent's first event.
type interval struct {
	Start time.Time
	Stop  time.Time
	Open  bool // no stop was given: Stop is about now
}

// The ledger's instants lie between these; its columns cannot hold much beyond.
var (
	earliest = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// bounds returns the microseconds of the interval as a half-open range. An event's time has whole
// microseconds, so a start between two of them is rounded up and a stop down: neither lets an
// event in that lies outside. The range is empty when from is not before to.
func (i interval) bounds() (from, to time.Time) {
	to = clamp(i.Stop).Truncate(time.Microsecond).Add(time.Microsecond)
	if i.Start.IsZero() {
		return time.Time{}, to
	}
	from = clamp(i.Start).Add(time.Microsecond - 1).Truncate(time.Microsecond)
	return from, to
}

func clamp(t time.Time) time.Time {
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}

// decodeAgent reads the path's segment. The client library's own sample has quotes inside the id;
// they are trimmed, so that a pasted sample works.
func decodeAgent(segment string) (uuid.UUID, bool) {
	s, err := url.PathUnescape(segment)
	if err != nil {
		return uuid.Nil, false
	}
	s = strings.Trim(s, `"'`)
	if len(s) != len(uuid.Nil.String()) { // uuid.Parse reads braces and URNs too
		return uuid.Nil, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// decodeInterval reads both parameters. An absent stop is now.
func decodeInterval(start, stop string, now time.Time) (interval, error) {
	from, _, err := decodeInstant("start", start)
	if err != nil {
		return interval{}, err
	}
	to, isDate, err := decodeInstant("stop", stop)
	if err != nil {
		return interval{}, err
	}
	open := to.IsZero()
	switch {
	case open:
		to = now.UTC().Truncate(time.Microsecond)
	case isDate:
		to = to.AddDate(0, 0, 1).Add(-time.Microsecond) // the last instant of the day
	}
	if from.After(to) {
		return interval{}, schema.Errorf(schema.Invalid, "start",
			"must not be after stop, which is now when absent")
	}
	return interval{Start: from, Stop: to, Open: open}, nil
}

// decodeInstant reads RFC 3339 or a date (isDate); the zero time when s is empty, or is a Go
// client's time that was never set (0001-01-01T00:00:00Z). Quotes around the value are trimmed, and
// a space before the offset is the '+' of a client that did not encode it.
func decodeInstant(field, s string) (t time.Time, isDate bool, err error) {
	s = strings.TrimSpace(strings.Trim(strings.TrimSpace(s), `"`))
	if s == "" {
		return time.Time{}, false, nil
	}
	if len(s) == len(time.DateOnly) {
		t, err = time.Parse(time.DateOnly, s)
		isDate = true
	} else {
		t, err = parseRFC3339(s)
	}
	t = t.UTC()
	if err != nil || t.Year() < 1 || t.Year() > 9999 { // other years RFC 3339 cannot write back
		return time.Time{}, false, schema.Errorf(schema.Invalid, field,
			"must be an RFC 3339 time such as 2026-01-31T23:59:59Z, or a date")
	}
	return t, isDate, nil
}

// parseRFC3339 is stricter than time.Parse, which lets a comma and a one-digit hour pass and drops
// what follows the ninth decimal: a dropped digit could let an event in that lies before start.
func parseRFC3339(s string) (time.Time, error) {
	const hour, offset = len("2026-01-01T00"), len("+00:00")
	if at := len(s) - offset; at >= 0 && s[at] == ' ' {
		s = s[:at] + "+" + s[at+1:]
	}
	if len(s) <= hour || s[hour] != ':' || strings.Contains(s, ",") || decimals(s) > 9 {
		return time.Time{}, errors.New("not RFC 3339, or too precise")
	}
	return time.Parse(time.RFC3339, strings.ToUpper(s))
}

func decimals(s string) (n int) {
	_, after, _ := strings.Cut(s, ".")
	for n < len(after) && after[n] >= '0' && after[n] <= '9' {
		n++
	}
	return n
}
