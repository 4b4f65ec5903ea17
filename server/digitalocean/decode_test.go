package digitalocean

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/schema"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const rightNow = "2026-03-01T12:00:00.123456Z"

func TestDecodeInterval(t *testing.T) {
	f := func(start, stop, wantStart, wantStop string) {
		t.Helper()
		got, err := decodeInterval(start, stop, now)
		if err != nil {
			t.Errorf("%q, %q: %v", start, stop, err)
			return
		}
		want := interval{
			Start: at(t, wantStart), Stop: at(t, wantStop), Open: wantStop == rightNow,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q, %q: %s", start, stop, diff)
		}
	}
	f("", "", "", rightNow)
	f(`""`, ` "" `, "", rightNow)
	f("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z",
		"2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z")
	f(`"2026-01-01T00:00:00Z"`, "", "2026-01-01T00:00:00Z", rightNow)
	f("2026-01-01", "2026-01-31", "2026-01-01T00:00:00Z", "2026-01-31T23:59:59.999999Z")
	f("2026-01-01", "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T23:59:59.999999Z")
	f("2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00-02:00",
		"2025-12-31T22:00:00Z", "2026-01-01T02:00:00Z")
	f("2026-01-01T00:00:00 02:00", "", "2025-12-31T22:00:00Z", rightNow)
	f("2026-01-01T00:00:00.5 02:00", "", "2025-12-31T22:00:00.5Z", rightNow)
	f("2026-01-01t00:00:00z", "", "2026-01-01T00:00:00Z", rightNow)
	f("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.123456789Z",
		"2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.123456789Z")
	f("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "", rightNow)
	f("0001-01-02", "9999-12-31", "0001-01-02T00:00:00Z", "9999-12-31T23:59:59.999999Z")
}

func TestDecodeIntervalRefuses(t *testing.T) {
	f := func(start, stop, field string) {
		t.Helper()
		got, err := decodeInterval(start, stop, now)
		if schema.KindOf(err) != schema.Invalid || err.(*schema.Error).Field != field {
			t.Errorf("%q, %q: error %v, want Invalid about %s", start, stop, err, field)
		}
		if got != (interval{}) {
			t.Errorf("%q, %q: an error and a value %v", start, stop, got)
		}
	}
	for _, bad := range []string{
		"x", "0", "1767225600", "NaN", "yesterday", "\xff", "\x00", `"x"`,
		"2026-02-30", "2026-13-01", "20260101", "2026-1-1", "2026-01-01T00:00:00",
		"2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T0:00:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00+0200", "2026-01-01T00:00:00Z junk",
		"2026-01-01T00:00:00.0000000001Z", "0000-01-01", "0001-01-01T00:00:00+01:00",
		"9999-12-31T23:59:59-01:00", "12026-01-01T00:00:00Z", "２０２６-01-01",
	} {
		f(bad, "", "start")
		f("", bad, "stop")
	}
	f("2026-01-02", "2026-01-01", "start")
	f("2026-01-01T00:00:00.000000002Z", "2026-01-01T00:00:00.000000001Z", "start")
	f("2026-03-02T00:00:00Z", "", "start") // after now
}

func TestDecodeInstantRefusesTruncated(t *testing.T) {
	const whole = "2026-01-01T00:00:00.123456789+02:00"
	for i := 1; i < len(whole); i++ {
		_, isDate, err := decodeInstant("start", whole[:i])
		if ok := err == nil; ok != (i == len("2026-01-01")) || ok != isDate {
			t.Errorf("%q: %v", whole[:i], err)
		}
	}
}

func TestBoundsKeepToWholeMicrosecondsInside(t *testing.T) {
	f := func(start, stop, wantFrom, wantTo string) {
		t.Helper()
		from, to := interval{Start: at(t, start), Stop: at(t, stop)}.bounds()
		if !from.Equal(at(t, wantFrom)) || !to.Equal(at(t, wantTo)) {
			t.Errorf("[%s, %s]: [%v, %v)", start, stop, from, to)
		}
		if from.After(to) {
			t.Errorf("[%s, %s]: from after to", start, stop)
		}
	}
	f("", "2026-01-01T00:00:00Z", "", "2026-01-01T00:00:00.000001Z")
	f("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z",
		"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z")
	f("2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000001Z",
		"2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000002Z")
	f("2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.000001999Z",
		"2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000002Z")
	f("2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.000000002Z", // between two
		"2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000001Z")
	f("0001-01-02T00:00:00.0000005Z", "9999-12-31T23:59:59.999999999Z",
		"1970-01-01T00:00:00Z", "2100-01-01T00:00:00.000001Z")
}

func TestDecodeAgent(t *testing.T) {
	const id = "12345678-1234-4234-8234-123456789012"
	f := func(segment string, want bool) {
		t.Helper()
		got, ok := decodeAgent(segment)
		if ok != want || ok && got.String() != id {
			t.Errorf("%q: %v, %v", segment, got, ok)
		}
	}
	f(id, true)
	f("%22"+id+"%22", true)
	f("%27%22"+id+"%22%27", true)
	f("1%32345678-1234-4234-8234-123456789012", true)
	for i := range len(id) {
		f(id[:i], false)
	}
	f("{"+id+"}", false)
	f("urn:uuid:"+id, false)
	f("12345678123442348234123456789012", false)
	f("%zz", false)
	f("%00", false)
	f(id+"x", false)
	f("gggggggg-1234-4234-8234-123456789012", false)
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "2026-01-01", "2026-01-01T00:00:00Z", `"2026-01-01T00:00:00.123456789 02:00"`, "NaN",
		"0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "\xff", "%22%22",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, start, stop string) {
		decodeAgent(start)
		got, err := decodeInterval(start, stop, now)
		if err != nil {
			if schema.KindOf(err) != schema.Invalid || got != (interval{}) {
				t.Fatalf("%v, %v", got, err)
			}
			return
		}
		from, to := got.bounds()
		if got.Start.After(got.Stop) || from.After(to) {
			t.Fatalf("%v: [%v, %v)", got, from, to)
		}
		for _, v := range []time.Time{got.Start, got.Stop} {
			back, err := time.Parse(time.RFC3339, encodeInstant(v))
			if err != nil || !back.Equal(v) {
				t.Fatalf("%v is written as %s", v, encodeInstant(v))
			}
		}
	})
}
