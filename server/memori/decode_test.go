package memori

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

func TestDecodePath(t *testing.T) {
	f := func(tail string, want segments) {
		t.Helper()
		got, err := decodePath(tail)
		if got != want || (err == nil) != (want != segments{}) {
			t.Errorf("%q: %v, %v", tail, got, err)
		}
	}
	f("t/www.a.example/Daily", segments{"t", "www.a.example", "Daily", "", ""})
	f("t/n/Daily/1", segments{"t", "n", "Daily", "1", ""})
	f("t/n/Daily/1/2", segments{"t", "n", "Daily", "1", "2"})
	f("t/n/Daily//", segments{"t", "n", "Daily", "", ""})
	f("%74/a%2Fb/D%61ily", segments{"t", "a/b", "Daily", "", ""})
	f("%zz/n%/+", segments{"%zz", "n%", "+", "", ""})
	f("", segments{})
	f("/", segments{})
	f("t/n", segments{})
	f("/t/n/Daily", segments{})
	f("t//Daily", segments{})
	f("t/n/Daily//2", segments{})
	f("t/n/Daily/1/2/3", segments{})
	f(strings.Repeat("/", 1<<16), segments{})
	f(strings.Repeat("a/", 1<<16), segments{})
}

func TestDecodeDate(t *testing.T) {
	f := func(s string, want string) {
		t.Helper()
		got, ok := decodeDate(s)
		if ok != (want != "bad") || ok && want != "" && !got.Equal(day(want)) {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
	f("", "")
	f("20260131", "2026-01-31")
	f("20240229", "2024-02-29")
	f("00010101", "0001-01-01")
	f("99991231", "9999-12-31")
	for i := 1; i < len("20260131"); i++ {
		f("20260131"[:i], "bad")
	}
	for _, s := range []string{
		"20260230", "20250229", "20261301", "20260100", "00000101", "2026-01-31", "202601311",
		"20260131 ", " 20260131", "2026013a", "+2260131", "-2260131", "NaN", "1e400", "\xff",
		"２０２６０１３１", "20260131T000000Z", "20260131.5",
	} {
		f(s, "bad")
	}
}

func TestPeriodsTouchedByAnInterval(t *testing.T) {
	date := func(s string) time.Time {
		if s == "" {
			return time.Time{}
		}
		return day(s)
	}
	f := func(p dialect.Period, first, last, wantFrom, wantTo string) {
		t.Helper()
		from, to, empty := periodsOf(p, date(first), date(last))
		if empty || !from.Equal(date(wantFrom)) || !to.Equal(date(wantTo)) {
			t.Errorf("%v [%s, %s]: [%v, %v), empty %v", p, first, last, from, to, empty)
		}
	}
	f(dialect.Daily, "", "", "", "")
	f(dialect.Daily, "2026-01-31", "2026-01-31", "2026-01-31", "2026-02-01")
	f(dialect.Daily, "2026-01-01", "", "2026-01-01", "")
	f(dialect.Daily, "", "2026-12-31", "", "2027-01-01")
	f(dialect.Monthly, "2026-01-31", "2026-02-01", "2026-01-01", "2026-03-01")
	f(dialect.Monthly, "2026-01-31", "2026-01-31", "2026-01-01", "2026-02-01")
	f(dialect.Monthly, "2024-02-29", "2024-12-31", "2024-02-01", "2025-01-01")
	f(dialect.Monthly, "", "2026-12-31", "", "2027-01-01")
	f(dialect.Daily, "0001-01-01", "9999-12-31", "", "")
	f(dialect.Monthly, "1969-12-31", "1970-01-15", "", "1970-02-01")
	g := func(first, last string) {
		t.Helper()
		for _, p := range []dialect.Period{dialect.Daily, dialect.Monthly} {
			if from, to, empty := periodsOf(p, date(first), date(last)); !empty {
				t.Errorf("%v [%s, %s]: [%v, %v)", p, first, last, from, to)
			}
		}
	}
	g("2026-01-02", "2026-01-01")
	g("", "1969-12-31")
	g("9999-01-01", "")
}

func TestDecodeQuestion(t *testing.T) {
	id := uuid.New()
	f := func(s subject, path segments, want question) {
		t.Helper()
		got, err := decodeQuestion(s, path)
		if err != nil {
			t.Errorf("%v: %v", path, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(question{})); diff != "" {
			t.Errorf("%v: %s", path, diff)
		}
	}
	f(tenantLogs, segments{"t", "www.a.example", "daily", "", ""},
		question{tenant: "www.a.example", period: dialect.Daily})
	f(userLogs, segments{"t", id.String(), "MONTHLY", "20260131", ""}, question{
		subject: userLogs, id: id, period: dialect.Monthly, from: day("2026-01-01")})
	f(memoriLogs, segments{"t", id.String(), "Daily", "20260131", "20260130"},
		question{subject: memoriLogs, id: id, period: dialect.Daily, empty: true})
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "t/n/Daily", "t/www.a.example/Monthly/20260131/20260201", "%zz/%/%00/\xff",
		"t/12345678-1234-4234-8234-123456789012/daily/00010101/99991231", "t/n/NaN/1e400/-0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, tail string) {
		path, err := decodePath(tail)
		if err != nil {
			if schema.KindOf(err) != schema.NotFound || path != (segments{}) {
				t.Fatalf("%v, %v", path, err)
			}
			return
		}
		for _, s := range []subject{tenantLogs, userLogs, memoriLogs} {
			q, err := decodeQuestion(s, path)
			if err != nil {
				if code, _ := encodeError(err); code > codeInvalidType || q != (question{}) {
					t.Fatalf("%v, %v", q, err)
				}
				continue
			}
			if !q.from.IsZero() && !q.to.IsZero() && !q.from.Before(q.to) {
				t.Fatalf("%v", q)
			}
		}
	})
}
