package memori

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

func quantity(t *testing.T, s string) schema.Quantity {
	t.Helper()
	q, err := schema.ParseQuantity(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// encodeOf encodes rows written as "USAGE_TYPE quantity", of one user, agent and day.
func encodeOf(t *testing.T, chargeable bool, rows ...string) []consumptionLog {
	t.Helper()
	var in []dialect.Consumption
	for _, row := range rows {
		usageType, n, _ := strings.Cut(row, " ")
		in = append(in, dialect.Consumption{Start: day("2026-01-31"), User: cleo,
			Agent: cleosAgent, UsageType: usageType, Chargeable: chargeable,
			Quantity: quantity(t, n)})
	}
	return written(t, dialect.ConsumptionLogsParams{Organization: acme, Period: dialect.Daily}, in)
}

// written returns the logs that are written of rows.
func written(
	t *testing.T, p dialect.ConsumptionLogsParams, rows []dialect.Consumption,
) []consumptionLog {
	t.Helper()
	var b bytes.Buffer
	w := newLogWriter(&b, newCatalog().Snapshot(), p)
	for _, row := range rows {
		if err := w.row(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.close([]byte(listNull + "}")); err != nil {
		t.Fatal(err)
	}
	var list listResponse
	if err := json.Unmarshal(b.Bytes(), &list); err != nil {
		t.Fatalf("%v in %s", err, &b)
	}
	return list.ConsumptionLogs
}

func TestCounters(t *testing.T) {
	rows := []string{
		"SESSIONS 1", "VALID_SESSIONS 2", "DEEP_THOUGHT_VALID_SESSIONS 3", "COMPLETIONS 4",
		"DEEP_THOUGHT_COMPLETIONS 5", "IMPORTED_CHARS 6.9",
	}
	f := func(chargeable bool, want consumptionLog) {
		t.Helper()
		logs := encodeOf(t, chargeable, rows...)
		if len(logs) != 1 {
			t.Fatalf("%d logs", len(logs))
		}
		id, name, tenant := cleo.String(), "Cleo", "www.acme.example"
		memori, memoriName := cleosAgent.String(), "Helper"
		want.ConsumptionLogID = logs[0].ConsumptionLogID
		want.From, want.To = "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"
		want.Type, want.TenantName = "Daily", &tenant
		want.UserID, want.UserName = &id, &name
		want.MemoriID, want.MemoriName = &memori, &memoriName
		want.PromptTokens, want.CompletionTokens = map[string]string{}, map[string]string{}
		want.TotalSessions, want.ValidSessions, want.DeepThoughtValidSessions = 1, 2, 3
		if diff := cmp.Diff(want, logs[0]); diff != "" {
			t.Error(diff)
		}
	}
	f(true, consumptionLog{Completions: 4, DeepThoughtCompletions: 5, ImportedSize: 6})
	f(false, consumptionLog{NonChargeableCompletions: 4, NonChargeableDeepThoughtCompletions: 5,
		NonChargeableImportedSize: 6})
}

func TestCountersAreClamped(t *testing.T) {
	log := encodeOf(t, true, "SESSIONS 2147483647", "SESSIONS 1", "VALID_SESSIONS -3000000000",
		"IMPORTED_CHARS 9223372036854775807", "IMPORTED_CHARS 9", "COMPLETIONS 0.5",
		"COMPLETIONS 0.5")[0]
	if log.TotalSessions != math.MaxInt32 || log.ValidSessions != math.MinInt32 ||
		log.ImportedSize != math.MaxInt64 || log.Completions != 1 {
		t.Error(log)
	}
}

func TestTokens(t *testing.T) {
	f := func(chargeable bool, wantPrompt, wantCompletion string, rows ...string) {
		t.Helper()
		key := "|||||"
		if chargeable {
			key = "||||$|"
		}
		of := func(n string) map[string]string {
			if n == "" {
				return map[string]string{}
			}
			return map[string]string{key: n}
		}
		log := encodeOf(t, chargeable, rows...)[0]
		if diff := cmp.Diff(of(wantPrompt), log.PromptTokens); diff != "" {
			t.Errorf("%v: prompt %s", rows, diff)
		}
		if diff := cmp.Diff(of(wantCompletion), log.CompletionTokens); diff != "" {
			t.Errorf("%v: completion %s", rows, diff)
		}
	}
	f(true, "600", "", "INPUT 100", "CACHED_INPUT 200", "CACHE_WRITE 300")
	f(false, "", "75", "OUTPUT 50", "REASONING 25")
	f(true, "0.5", "1.000001", "INPUT 0.5", "OUTPUT 1.000001")
	f(true, "1", "", "INPUT 0.5", "INPUT 0.500000")
	f(true, "9223372036854775808", "", "INPUT 9223372036854775807", "INPUT 1")
	f(true, "1", "", "INPUT 1", "OUTPUT 0", "OPENAI_TOKENS 7", "VAPI_SECONDS 7")
}

func TestTokensKeyHasFivePipes(t *testing.T) {
	f := func(row dialect.Consumption, want string) {
		t.Helper()
		got := tokensKey(row)
		if got != want || strings.Count(got, "|") != 5 {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(dialect.Consumption{}, "|||||")
	f(dialect.Consumption{Chargeable: true}, "||||$|")
	f(dialect.Consumption{Provider: "OpenAI", ProviderEndpoint: "https://api.openai.com/v1",
		ProviderKey: "sk-…abcd", Model: "gpt-4o", Chargeable: true, Purpose: "QA"},
		"OpenAI|https://api.openai.com/v1|sk-…abcd|gpt-4o|$|QA")
	f(dialect.Consumption{Provider: "a|b", ProviderEndpoint: "|", ProviderKey: "|||",
		Model: "m|", Purpose: "|p"}, "a¦b|¦|¦¦¦|m¦||¦p")
}

func TestNothingCountedIsNoLog(t *testing.T) {
	for _, rows := range [][]string{
		nil, {"INPUT 0"}, {"SESSIONS 0", "OUTPUT 0"}, {"OPENAI_TOKENS 5", "VAPI_SECONDS 5"},
	} {
		if logs := encodeOf(t, true, rows...); logs == nil || len(logs) > 0 {
			t.Errorf("%v: %v", rows, logs)
		}
	}
}

func TestLogsAreOrderedAndNamed(t *testing.T) {
	unknown := uuid.MustParse("ffffffff-ffff-4fff-8fff-ffffffffffff")
	row := func(start string, user, agent uuid.UUID) dialect.Consumption {
		return dialect.Consumption{Start: day(start), User: user, Agent: agent,
			UsageType: schema.Sessions, Quantity: schema.WholeQuantity(1)}
	}
	rows := []dialect.Consumption{
		row("2026-01-01", cleo, bensAgent),
		row("2026-01-01", cleo, cleosAgent),
		row("2026-01-01", unknown, uuid.Nil),
		row("2026-01-01", uuid.Nil, unknown),
		row("2026-01-01", ada, bensAgent),
		row("2026-01-01", ada, bensAgent),
		row("2026-02-01", ada, bensAgent),
	}
	params := dialect.ConsumptionLogsParams{Organization: acme, Period: dialect.Monthly}
	logs := written(t, params, rows)
	text := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	var got []string
	for _, l := range logs {
		got = append(got, strings.Join([]string{l.From[:10], l.To[:10], text(l.UserID)[:4],
			text(l.UserName), text(l.MemoriID)[:4], text(l.MemoriName)}, " "))
	}
	want := []string{
		"2026-01-01 2026-02-01 null null ffff null",
		"2026-01-01 2026-02-01 ffff null null null",
		"2026-01-01 2026-02-01 7b0e Ada 1234 Zoe",
		"2026-01-01 2026-02-01 7b0e Cleo 1234 Helper",
		"2026-01-01 2026-02-01 7b0e Cleo 1234 Zoe",
		"2026-02-01 2026-03-01 7b0e Ada 1234 Zoe",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	slices.Reverse(rows[:len(rows)-1])
	if diff := cmp.Diff(logs, written(t, params, rows)); diff != "" {
		t.Errorf("another order of rows: %s", diff)
	}
	params.Period = dialect.Daily
	ids := map[string]bool{}
	for _, l := range append(logs, written(t, params, rows)...) {
		ids[l.ConsumptionLogID] = true
	}
	if len(ids) != 2*len(logs) {
		t.Errorf("%d ids of %d logs", len(ids), 2*len(logs))
	}
}

// TestLargeAnswersAreNotHeld: an answer of 10,000 logs of a day, 7 MB, is held by its order's 4 MiB
// at most, and is whole. With periodBytesMax without end, all of it is.
func TestLargeAnswersAreNotHeld(t *testing.T) {
	var out braceCounter
	w := newLogWriter(&out, newCatalog().Snapshot(),
		dialect.ConsumptionLogsParams{Organization: acme, Period: dialect.Daily})
	held, logs := 0, 10_000
	for i := range logs {
		var user uuid.UUID
		binary.BigEndian.PutUint32(user[:], uint32(i))
		err := w.row(dialect.Consumption{Start: day("2026-01-01"), User: user, Agent: bensAgent,
			UsageType: schema.Input, Model: "gpt-4o", Quantity: schema.WholeQuantity(1)})
		if err != nil {
			t.Fatal(err)
		}
		held = max(held, w.bytes)
	}
	if err := w.close([]byte(listNull + "}")); err != nil {
		t.Fatal(err)
	}
	if held > periodBytesMax || out.braces != 3*logs+1 {
		t.Errorf("%d objects closed, and %d bytes were held at most", out.braces, held)
	}
}

// braceCounter counts the ends of objects, of which a log has three, and keeps nothing.
type braceCounter struct{ braces int }

func (c *braceCounter) Write(p []byte) (int, error) {
	c.braces += bytes.Count(p, []byte{'}'})
	return len(p), nil
}
