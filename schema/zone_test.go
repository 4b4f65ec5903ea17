package schema

import (
	"strings"
	"testing"
	"time"
)

func TestParseZone(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Rome", "Asia/Kathmandu", "Etc/GMT+5",
		"America/Argentina/Buenos_Aires", "America/Port-au-Prince", "EST5EDT"} {
		if zone, ok := ParseZone(name); !ok || zone.String() != name {
			t.Errorf("%s: %v, %t", name, zone, ok)
		}
	}
	for _, name := range []string{"", "Local", "Rome", "Europe/Rome ", "../../etc/passwd", "/etc/localtime",
		"Europe/../Europe/Rome", "Europe//Rome", "UTC\x00", "\xff", "+02:00", strings.Repeat("a", 65),
		"Europe", "zone.tab", "'; DROP TABLE usage_events --", "tzdata.zi", "leapseconds", ".",
		"localtime", "right/UTC", "posixrules"} {
		if zone, ok := ParseZone(name); ok {
			t.Errorf("%q is taken for %v", name, zone)
		}
	}
}

// TestDayStart: the days are those at which clocks jump over midnight, back over it, and over a day.
func TestDayStart(t *testing.T) {
	f := func(name string, year int, month time.Month, day int, want string) {
		t.Helper()
		zone, ok := ParseZone(name)
		if !ok {
			t.Fatal(name)
		}
		if got := DayStart(year, month, day, zone).Format(time.RFC3339); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	f("UTC", 2026, 11, 22, "2026-11-22T00:00:00Z")
	f("Europe/Rome", 2026, 3, 29, "2026-03-29T00:00:00+01:00")
	f("Europe/Rome", 2026, 3, 30, "2026-03-30T00:00:00+02:00")
	f("Europe/Rome", 2026, 13, 1, "2027-01-01T00:00:00+01:00")
	f("Asia/Kathmandu", 2026, 1, 1, "2026-01-01T00:00:00+05:45")
	f("America/Santiago", 2025, 9, 7, "2025-09-07T01:00:00-03:00") // midnight is skipped
	f("America/Santiago", 2025, 9, 8, "2025-09-08T00:00:00-03:00")
	f("America/Havana", 2025, 11, 2, "2025-11-02T00:00:00-04:00") // and comes twice
	f("America/Havana", 2025, 11, 3, "2025-11-03T00:00:00-05:00")
	f("Pacific/Apia", 2011, 12, 29, "2011-12-29T00:00:00-10:00")
	f("Pacific/Apia", 2011, 12, 30, "2011-12-31T00:00:00+14:00") // there was no such day
	f("Pacific/Apia", 2011, 12, 31, "2011-12-31T00:00:00+14:00")
	f("Pacific/Kiritimati", 1995, 1, 1, "1995-01-01T00:00:00+14:00")
}

// TestDaysAreInOrder: from any zone's days a day is never before the one before it.
func TestDaysAreInOrder(t *testing.T) {
	for _, name := range []string{"America/Santiago", "America/Havana", "Pacific/Apia", "Asia/Beirut",
		"Africa/Casablanca", "America/St_Johns", "Australia/Lord_Howe", "Asia/Tehran"} {
		zone, _ := ParseZone(name)
		last := DayStart(2009, 12, 31, zone)
		for day := 1; day < 20*365; day++ {
			start := DayStart(2010, 1, day, zone)
			if length := start.Sub(last); length != 0 && (length < 22*time.Hour || length > 26*time.Hour) {
				t.Fatalf("%s: from %v to %v", name, last, start)
			}
			last = start
		}
	}
}
