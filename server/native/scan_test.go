package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// valid reports whether a whole text is one JSON value.
func valid(s string) bool {
	scan := scanner{text: s}
	return scan.skip(depthMax) && scan.end()
}

// depthOf returns how deep a valid text nests.
func depthOf(s string) int {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	depth, deepest := 0, 0
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

var scanSeeds = []string{
	``, ` `, "\x00", "\ufeff{}", `null`, `true`, `false`, `nul`, `truee`, `{}`, `[]`, ` [ ] `, `[1,]`,
	`[,1]`, `[1 2]`, `[1`, `]`, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`,
	`{"a":1 "b":2}`, `{"a":1}}`, `{"a":{"b":[{"c":null}]}}`, `"a"`, `"`, `"\`, `"\"`, `"\\"`, `"\x"`,
	`"\u12"`, `"\u12g4"`, `"\u00e9\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\n"`,
	"\"\x01\"", "\"\t\"", "\"\x7f\"", `0`, `-0`, `-`, `00`, `01`, `-01`, `1.`, `.1`, `1.0`,
	`1e`, `1e+`,
	`1E-5`,
	`1e400`, `+1`, `0x1`, `1_000`, `NaN`, `Infinity`, `-Infinity`, `1 1`,
	`99999999999999999999`,
	strings.Repeat("[", 99) + strings.Repeat("]", 99), strings.Repeat(`{"a":`, 100),
	strings.Repeat("[", 101) + strings.Repeat("]", 101), "\v1", "\u00a01", `{"a":1}{"a":1}`,
}

func TestScannerTakesWhatEncodingJSONTakes(t *testing.T) {
	for _, s := range scanSeeds {
		compareWithEncodingJSON(t, s)
		for i := range s {
			compareWithEncodingJSON(t, s[:i])
		}
	}
}

func TestScannerBoundsDepth(t *testing.T) {
	f := func(depth int, want bool) {
		t.Helper()
		for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
			s := strings.Repeat(pair[0], depth) + "1" + strings.Repeat(pair[1], depth)
			if got := valid(s); got != want {
				t.Errorf("%d × %s: valid = %v, want %v", depth, pair[0], got, want)
			}
		}
	}
	f(depthMax, true)
	f(depthMax+1, false)
	f(1_000_000, false)
}

// compareWithEncodingJSON checks three things of any text: both take it or neither does, both
// understand every string and number of it alike, and a fault lies within it.
func compareWithEncodingJSON(t *testing.T, s string) {
	t.Helper()
	want := json.Valid([]byte(s))
	scan := scanner{text: s}
	if got := scan.skip(depthMax) && scan.end(); got != want && (got || depthOf(s) <= depthMax) {
		t.Fatalf("%q: taken = %v, encoding/json says %v (%s at %d)", s, got, want, scan.fault, scan.pos)
	} else if got != (scan.fault == "") || scan.pos > len(s) {
		t.Fatalf("%q: taken = %v with fault %q at %d", s, got, scan.fault, scan.pos)
	}
	if !want || !utf8.ValidString(s) {
		return
	}
	// Only at the top level, where it needs no walker of its own: decode's tests do the rest.
	scan = scanner{text: s}
	switch c := scan.peek(); {
	case c == '"':
		text, _ := scan.str()
		got, whole := text.value()
		var std string
		if err := json.Unmarshal([]byte(s), &std); err != nil || got != std {
			t.Fatalf("%q: reads as %q, encoding/json says %q", s, got, std)
		}
		if !whole && !strings.Contains(got, "\ufffd") {
			t.Fatalf("%q: half a pair in %q", s, got)
		}
	case c == '-' || c >= '0' && c <= '9':
		got, _ := scan.number()
		var std json.Number
		if err := json.Unmarshal([]byte(s), &std); err != nil || got != std.String() {
			t.Fatalf("%q: reads as %q, encoding/json says %q", s, got, std)
		}
	}
}

// TestScannerWalksAsEncodingJSON compares the members and elements that both find.
func TestScannerWalksAsEncodingJSON(t *testing.T) {
	for _, s := range append([]string{smallEvent, fullEvent, `[{"a\n":["b",[]],"":{}},-1.5e3]`},
		scanSeeds...) {
		compareWalk(t, s)
	}
}

func compareWalk(t *testing.T, s string) {
	t.Helper()
	if !valid(s) || !utf8.ValidString(s) {
		return
	}
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	scan := scanner{text: s}
	walk(t, &scan, d)
	if _, err := d.Token(); !errors.Is(err, io.EOF) || !scan.end() {
		t.Fatalf("%q: not at the end together", s)
	}
}

func walk(t *testing.T, s *scanner, d *json.Decoder) {
	t.Helper()
	s.peek()
	token, err := d.Token()
	if err != nil {
		t.Fatalf("%q: %v", s.text, err)
	}
	switch want := token.(type) {
	case json.Delim:
		for first := true; ; first = false {
			if want == '[' && !s.element(first) {
				break
			}
			if want == '{' {
				name, more := s.member(first)
				if !more {
					break
				}
				key, _ := d.Token()
				if got, _ := name.value(); got != key {
					t.Fatalf("%q: member %q, encoding/json says %q", s.text, got, key)
				}
			}
			walk(t, s, d)
		}
		_, _ = d.Token() // the closing one
	case string:
		text, _ := s.str()
		if got, _ := text.value(); got != want {
			t.Fatalf("%q: string %q, encoding/json says %q", s.text, got, want)
		}
	case json.Number:
		if got, _ := s.number(); got != want.String() {
			t.Fatalf("%q: number %q, encoding/json says %q", s.text, got, want)
		}
	default:
		s.skip(0)
	}
}

func TestTextIsHalfASurrogatePair(t *testing.T) {
	f := func(literal, want string, wantWhole bool) {
		t.Helper()
		s := scanner{text: literal}
		text, ok := s.str()
		got, whole := text.value()
		if !ok || got != want || whole != wantWhole {
			t.Errorf("%s: %q, whole %v, read %v", literal, got, whole, ok)
		}
	}
	f(`"\ud83d\ude00"`, "😀", true)
	f(`"\uD83D\uDE00!"`, "😀!", true)
	f(`"\ufffd"`, "\ufffd", true)
	f(`"\ud83d"`, "\ufffd", false)
	f(`"\ud83dx"`, "\ufffdx", false)
	f(`"\ud83d\u0041"`, "\ufffdA", false)
	f(`"\ud83d\ud83d\ude00"`, "\ufffd😀", false)
	f(`"\ude00"`, "\ufffd", false)
	f(`"\u0000"`, "\x00", true)
	f(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", true)
}

func FuzzScanner(f *testing.F) {
	for _, s := range append(scanSeeds, fullEvent) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		compareWithEncodingJSON(t, s)
		compareWalk(t, s)
	})
}
