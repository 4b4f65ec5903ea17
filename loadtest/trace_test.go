package main

import (
	"strings"
	"testing"
	"time"
)

func TestDecodeTrace(t *testing.T) {
	const header = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
	good := func(text string, want ...traceLine) {
		t.Helper()
		lines, err := decodeTrace("t.csv", 1, strings.NewReader(text))
		if err != nil || len(lines) != len(want) {
			t.Errorf("%q: %v, %v", text, lines, err)
			return
		}
		for i := range want {
			if lines[i] != want[i] {
				t.Errorf("%q: line %d is %+v, want %+v", text, i, lines[i], want[i])
			}
		}
	}
	at := time.Date(2023, 11, 16, 18, 17, 3, 979_960_000, time.UTC).UnixNano()
	good(header+"2023-11-16 18:17:03.9799600,4808,10\n", traceLine{at, 4808, 10, 1, 2})
	good(header+"2023-11-16 18:17:03.9799600,4808,10", traceLine{at, 4808, 10, 1, 2})
	good("\ufeff"+strings.ReplaceAll(header, "\n", "\r\n")+
		"2023-11-16 18:17:03.9799600,4808,10\r\n", traceLine{at, 4808, 10, 1, 2})
	good(header+"2023-11-16 19:17:03.9799600+01:00,0,0\n", traceLine{at, 0, 0, 1, 2})
	good(header+"\n2023-11-16 18:17:03.9799600,1,2\n", traceLine{at, 1, 2, 1, 3})

	bad := func(text, want string) {
		t.Helper()
		lines, err := decodeTrace("t.csv", 1, strings.NewReader(text))
		if err == nil || lines != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, lines, err, want)
		}
	}
	bad("", "t.csv: empty file")
	bad(header, "no lines")
	bad("a,b,c\n", "t.csv:1: want the header")
	bad("a,b\n", "t.csv:1: wrong number of fields")
	bad(header+"2023-11-16 18:17:03,1,2\n2023-11-16 18:17:03,1\n", "t.csv:3: wrong number")
	bad(header+"2023-11-16 18:17:03,1,2,3\n", "t.csv:2: wrong number")
	bad(header+"yesterday,1,2\n", `t.csv:2: TIMESTAMP "yesterday"`)
	bad(header+"1812-11-16 18:17:03,1,2\n", "t.csv:2: TIMESTAMP")
	bad(header+"2023-11-16 18:17:03,-1,2\n", `t.csv:2: ContextTokens "-1"`)
	bad(header+"2023-11-16 18:17:03,1,1.5\n", `t.csv:2: GeneratedTokens "1.5"`)
	bad(header+"2023-11-16 18:17:03,1,1000000000000\n", "t.csv:2: GeneratedTokens")
	bad(header+"2023-11-16 18:17:03,\"1,2\n", "t.csv:2")
	bad(header+"x,1,2\n2023-11-16 18:17:03,y,2\n", `t.csv:3: ContextTokens "y"`)
	bad(header+strings.Repeat("x,1,2\n", 50), "too many bad lines")
}

func FuzzDecodeTrace(f *testing.F) {
	f.Add(traceText(3))
	f.Add("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,\"1\n,2\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := decodeTrace("t", 1, strings.NewReader(text))
		if (err == nil) != (len(lines) > 0) {
			t.Errorf("%d lines and %v", len(lines), err)
		}
	})
}

func TestTracesMergeByTime(t *testing.T) {
	const header = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
	a := write(t, "a.csv", header+"2023-11-16 18:17:03,1,0\n2023-11-16 18:17:05,2,0\n")
	b := write(t, "b.csv", header+"2023-11-16 18:17:05,3,0\n2023-11-16 18:17:01,4,0\n")
	lines, err := readTraces([]string{a, b})
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, l := range lines {
		got = append(got, l.input)
	}
	if want := []int64{4, 1, 2, 3}; len(got) != 4 || got[0] != want[0] || got[1] != want[1] ||
		got[2] != want[2] || got[3] != want[3] {
		t.Errorf("order %v, want %v", got, want)
	}
	if _, err := readTraces([]string{a, a + "x"}); err == nil {
		t.Error("a file that is not there is no error")
	}
}

func TestPlanKeepsDistances(t *testing.T) {
	lines, err := decodeTrace("t", 1, strings.NewReader(traceText(50)))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 21, 10, 0, 0, 123_456_789, time.UTC)
	end, err := shiftEnd("1m", start)
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{run: "r", lines: lines, copies: 2, agents: 3, end: end}
	if _, last := p.interval(); !last.Equal(start.Add(-time.Minute).Truncate(time.Millisecond)) {
		t.Errorf("last event at %v, want a minute before %v", last, start)
	}
	for i := 1; i < p.count(); i++ {
		before, e := p.event(i-1), p.event(i)
		gap := e.offset - before.offset
		if moved := e.at.Sub(before.at) - gap; moved.Abs() > time.Millisecond {
			t.Errorf("event %d: %v from the one before, want %v", i, e.at.Sub(before.at), gap)
		}
		if gap != 40*time.Millisecond+100*time.Nanosecond {
			t.Errorf("event %d: gap %v", i, gap)
		}
		if e.agent != i%3 || e.at.Nanosecond()%1e6 != 0 {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	if _, err := shiftEnd("2026-11-21T10:00:00+01:00", start); err != nil {
		t.Error(err)
	}
}

func TestPlanOfOneLine(t *testing.T) {
	p := &plan{lines: []traceLine{{input: 1}}, copies: 1, agents: 2, end: time.UnixMilli(5).UTC()}
	first, last := p.interval()
	if !first.Equal(last) || p.duration() != 0 {
		t.Errorf("interval %v to %v", first, last)
	}
	sums, err := p.sums()
	if err != nil || sums[0]["INPUT"] != 1 || sums[1]["INPUT"] != 0 {
		t.Errorf("sums %v, %v", sums, err)
	}
}

func TestSumsDoNotOverflowSilently(t *testing.T) {
	u := usage{"INPUT": 1<<63 - 2}
	if err := u.add("INPUT", 1); err != nil {
		t.Error(err)
	}
	if err := u.add("INPUT", 1); err == nil {
		t.Error("no error on overflow")
	}
}
