package schema

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

func TestObfuscateKey(t *testing.T) {
	t.Parallel()
	f := func(key, want string) {
		t.Helper()
		got := ObfuscateKey(key)
		if got != want {
			t.Errorf("ObfuscateKey(%q) = %q, want %q", key, got, want)
		}
		if twice := ObfuscateKey(got); twice != got {
			t.Errorf("ObfuscateKey(%q) = %q, again %q", key, got, twice)
		}
	}
	f("", "")
	f("a", "…")
	f("12345678901", "…")
	f("123456789012", "123…9012")
	f("sk-live-abcd-efgh", "sk-…efgh")
	f("…", "…")
	f("sk-…abcd", "sk-…abcd")
	f("éèêàâäùûüîïô", "éèê…üîïô")
	f(strings.Repeat("\xff", 12), "\ufffd\ufffd\ufffd…\ufffd\ufffd\ufffd\ufffd")
}

func FuzzObfuscateKey(f *testing.F) {
	for _, s := range []string{"", "sk-…abcd", "sk-live-abcd-efgh", "\xff", "12345678901"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		got := ObfuscateKey(key)
		if ObfuscateKey(got) != got {
			t.Errorf("ObfuscateKey(%q) = %q changes again", key, got)
		}
		if n := utf8.RuneCountInString(got); n > 8 {
			t.Errorf("ObfuscateKey(%q) = %q shows %d characters", key, got, n)
		}
		if !utf8.ValidString(got) {
			t.Errorf("ObfuscateKey(%q) = %q is not UTF-8", key, got)
		}
	})
}

func TestUsageTypeValid(t *testing.T) {
	t.Parallel()
	f := func(s string, want bool) {
		t.Helper()
		if got := UsageTypeValid(s); got != want {
			t.Errorf("UsageTypeValid(%q) = %v", s, got)
		}
	}
	f("A", true)
	f("A1_", true)
	f(Input, true)
	f(strings.Repeat("A", 64), true)
	f(strings.Repeat("A", 65), false)
	f("", false)
	f("a", false)
	f("1A", false)
	f("_A", false)
	f("A-B", false)
	f("A\x00", false)
	f("Ä", false)
}

func TestCountsTokens(t *testing.T) {
	t.Parallel()
	f := func(s string, want bool) {
		t.Helper()
		if got := CountsTokens(s); got != want {
			t.Errorf("CountsTokens(%q) = %v", s, got)
		}
	}
	for _, s := range []string{
		Input, Output, CachedInput, CacheWrite, Reasoning, OpenAITokens, "X_TOKENS",
	} {
		f(s, true)
	}
	for _, s := range []string{"", "_TOKENS", "TOKENS", VapiSeconds, Units, "TOKENS_X"} {
		f(s, false)
	}
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	f := func(s, want string) {
		t.Helper()
		err := CheckText("model", s)
		switch {
		case want == "" && err != nil:
			t.Errorf("CheckText(%q): %v", s, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("CheckText(%q): %v, want %q", s, err, want)
		case err != nil && (KindOf(err) != Invalid || !strings.HasPrefix(err.Error(), "model: ")):
			t.Errorf("CheckText(%q): %v is not about the model", s, err)
		}
	}
	f("", "")
	f("gpt-4o mini 😀", "")
	f(strings.Repeat("ü", TextMax), "")
	f(strings.Repeat("ü", TextMax+1), "at most 256")
	f("a\tb", "control")
	f("a\x7fb", "control")
	f("a\xffb", "UTF-8")
	f("a\u0085b", "control")
}

func TestEventIDIsTheOrganizations(t *testing.T) {
	t.Parallel()
	a, b := uuid.New(), uuid.New()
	id := EventID(a, "k")
	if again := EventID(a, string([]byte{'k'})); again != id {
		t.Error("the same key has two ids")
	}
	if id == EventID(b, "k") || id == EventID(a, "K") {
		t.Error("two keys have the same id")
	}
}

// TestEventIDStaysWhatItWas: every id that was ever given to a key is told again for it. With the
// version's bits left out it failed at the first key.
func TestEventIDStaysWhatItWas(t *testing.T) {
	organization := uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	if got := EventID(organization, "www.example.com").String(); got !=
		"2ed6657d-e927-568b-95e1-2665a8aea6a2" { // RFC 9562, A.4
		t.Error(got)
	}
	for n := range 900 {
		key := strings.Repeat("k", n)
		want := uuid.NewSHA1(organization, []byte(key))
		if got := EventID(organization, key); got != want {
			t.Fatalf("%d characters: %v, want %v", n, got, want)
		}
	}
	key := strings.Repeat("k", 200)
	if n := testing.AllocsPerRun(100, func() { EventID(organization, key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestNewEventIDIsAVersion7: an id tells its millisecond, is in its moment's order, and is another
// for each of the events of one moment.
func TestNewEventIDIsAVersion7(t *testing.T) {
	moment := time.Date(2026, 11, 22, 23, 59, 59, 999_999_999, time.UTC)
	last, seen := uuid.Nil, map[uuid.UUID]bool{}
	for step := range 4096 {
		now := moment.Add(time.Duration(step) * 256)
		id := NewEventID(now)
		milli := int64(binary.BigEndian.Uint64(id[:]) >> 16)
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 || milli != now.UnixMilli() {
			t.Fatalf("%v of %v", id, now)
		}
		if bytes.Compare(id[:8], last[:8]) <= 0 {
			t.Fatalf("%v after %v", id, last)
		}
		last = id
		if again := NewEventID(moment); seen[again] {
			t.Fatalf("%v twice", again)
		} else {
			seen[again] = true
		}
	}
	if id := NewEventID(time.Time{}); id.Version() != 7 {
		t.Errorf("of the year 1: %v", id)
	}
	if n := testing.AllocsPerRun(100, func() { NewEventID(moment) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	f := func(err error, want Kind) {
		t.Helper()
		if got := KindOf(err); got != want {
			t.Errorf("KindOf(%v) = %d, want %d", err, got, want)
		}
	}
	f(nil, Internal)
	f(errors.New("x"), Internal)
	f(Errorf(NotFound, "", "no event %d", 7), NotFound)
	f(fmt.Errorf("x: %w", Errorf(Invalid, "a", "b")), Invalid)
	if got := Errorf(NotFound, "", "no event %d", 7).Error(); got != "no event 7" {
		t.Errorf("Error() = %q", got)
	}
}
