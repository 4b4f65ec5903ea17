package schema

import (
	"strings"
	"time"
	_ "time/tzdata" // zones are the same wherever we run
)

// zoneBytesMax is more than any name has.
const zoneBytesMax = 64

// ParseZone returns the time zone of an IANA name, as Europe/Rome; false when there is none. Not
// taken is what a machine's own database has beside: names of its files start in lower case, and
// Local means whatever zone it is in.
func ParseZone(name string) (*time.Location, bool) {
	if name == "" || len(name) > zoneBytesMax || name[0] < 'A' || name[0] > 'Z' || name == "Local" ||
		strings.Contains(name, "//") {
		return nil, false
	}
	for i := range len(name) {
		c := name[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') &&
			!strings.ContainsRune("/_+-", rune(c)) {
			return nil, false
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, false
	}
	return zone, true
}

// DayStart returns the first moment of a day on the clock of a zone: where clocks skip midnight,
// the moment they do, and of two midnights the first. A day that a zone skipped starts when the next
// one does. month and day may be out of their range, as time.Date's.
func DayStart(year int, month time.Month, day int, zone *time.Location) time.Time {
	const offsetMax = 26 * time.Hour // more than any there was
	wall := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	for t := wall.Add(-offsetMax).In(zone); ; { // each time between two changes of the clock
		_, offset := t.Zone()
		midnight := wall.Add(-time.Duration(offset) * time.Second)
		if midnight.Before(t) {
			midnight = t
		}
		_, end := t.ZoneBounds()
		if end.IsZero() || midnight.Before(end) {
			return midnight.In(zone)
		}
		t = end
	}
}
