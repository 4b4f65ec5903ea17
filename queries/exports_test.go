package queries_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestBothExportsAskTheSame ties the rows that the engine writes to a bucket to those that we write
// to a file.
func TestBothExportsAskTheSame(t *testing.T) {
	t.Parallel()
	question := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[bytes.Index(text, []byte("\nSELECT\n")):])
	}
	if diff := cmp.Diff(question("export_events.sql"), question("export_events_s3.sql")); diff != "" {
		t.Errorf("(-file +bucket):\n%s", diff)
	}
}

// TestFirstWriterOfAVersionHasIt: of two writers of a version, and of a repeat of the first.
func TestFirstWriterOfAVersionHasIt(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	e := queries.Export{
		Organization: named("acme"), ID: named("export"), Version: 1, Writer: named("one"),
		By: named("ada"), Request: `{"events":{}}`, State: schema.ExportQueued, Attempt: 1,
		Bounds:    []time.Time{at(t, "2026-01-01T00:00:00Z"), at(t, "2026-02-01T00:00:00.000001Z")},
		CreatedAt: at(t, "2026-03-01T10:00:00.123456Z"),
	}
	save := func(e, want queries.Export) {
		t.Helper()
		got, err := q.SaveExport(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	save(e, e)
	other := e
	other.Writer = named("two")
	save(other, e) // without the token in SaveExport: the second writer's row
	save(e, e)
	next := other
	next.Version, next.State, next.Node = 2, schema.ExportDone, named("node")
	next.EndedAt, next.ExpiresAt = e.CreatedAt.Add(time.Hour), e.CreatedAt.Add(25*time.Hour)
	save(next, next)
	save(e, next)
	for name, ask := range map[string]func() ([]queries.Export, error){
		"Exports": func() ([]queries.Export, error) {
			return q.Exports(t.Context(), e.Organization, 10)
		},
		"OpenExports": func() ([]queries.Export, error) { return q.OpenExports(t.Context()) },
	} {
		got, err := ask()
		if diff := cmp.Diff([]queries.Export{next}, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	part := queries.ExportPart{
		Organization: e.Organization, Export: e.ID, Attempt: 1, Part: 3, Name: "part-00004.csv",
		Rows: 7, Bytes: 9, SHA256: "ab", NotedAt: e.CreatedAt,
	}
	for range 2 {
		if err := q.InsertExportPart(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	parts, err := q.ExportParts(t.Context(), queries.ExportPartsParams{
		Organization: e.Organization, Exports: []uuid.UUID{e.ID},
	})
	if diff := cmp.Diff([]queries.ExportPart{part}, parts); diff != "" || err != nil {
		t.Errorf("ExportParts: %v (-want +got):\n%s", err, diff)
	}
}

// bucket is a store in memory, and the address of a bucket in it.
func bucket(t *testing.T) (store *s3mem.Backend, address string) {
	t.Helper()
	store = s3mem.New()
	if err := store.CreateBucket("usage"); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(gofakes3.New(store).Server())
	t.Cleanup(s.Close)
	return store, s.URL + "/usage/"
}

func object(t *testing.T, store *s3mem.Backend, key string) []byte {
	t.Helper()
	o, err := store.GetObject("usage", key, nil)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(o.Contents)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestExportedEvents exports a ledger with a correction, to us and to a bucket.
func TestExportedEvents(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	from := at(t, "2026-01-01T00:00:00Z")
	e := schema.Event{
		Organization: named("acme"), ID: named("event"), Entry: schema.Record,
		User: named("ada"), Agent: named("agent"), Time: from.Add(time.Hour),
		IngestTime: from.Add(2 * time.Hour), Model: "a \"model\",\n", Chargeable: true,
		ProviderKey: "sk-...abcd", Measurements: []schema.Measurement{
			{UsageType: "INPUT", Quantity: quantity(t, "12.5"), BilledCost: usd(t, "0.000001")},
			{UsageType: "OUTPUT", Quantity: quantity(t, "3")},
		},
	}
	replaced := e
	replaced.Revision, replaced.Measurements = 1, e.Measurements[:1]
	other, late, nobody := e, e, e
	other.Organization, late.Time = named("globex"), from.Add(24*time.Hour)
	nobody.ID, nobody.User, nobody.Agent = named("second"), uuid.Nil, uuid.Nil
	var b queries.EventBatch
	for i, e := range []schema.Event{e, reversed(e), replaced, other, late, nobody} {
		b.Append(&e, named("node"), uint64(i))
	}
	if err := q.InsertEvents(t.Context(), "t", &b); err != nil {
		t.Fatal(err)
	}
	p := queries.ExportEventsParams{
		Organization: named("acme"), From: from, To: from.Add(24 * time.Hour),
	}
	var lines []string
	sum := schema.Quantity{}
	show := func(e queries.ExportEvent) error {
		who := "nobody"
		if e.User != nil {
			who = *e.User
		}
		lines = append(lines, fmt.Sprint(e.Entry, e.Revision, " ", e.UsageType, " ", e.Quantity,
			" ", who == named("ada").String()))
		sum = sum.Add(e.Quantity)
		return nil
	}
	if err := q.ExportEvents(t.Context(), p, show); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"record0 INPUT 12.5 false", "record0 OUTPUT 3 false",
		"record0 INPUT 12.5 true", "record0 OUTPUT 3 true",
		"reversal0 INPUT -12.5 true", "reversal0 OUTPUT -3 true", "record1 INPUT 12.5 true",
	}
	if diff := cmp.Diff(want, lines); diff != "" || sum.String() != "28" {
		t.Errorf("sum %v (-want +got):\n%s", sum, diff)
	}
	lines, p.User = nil, named("ada")
	if err := q.ExportEvents(t.Context(), p, show); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[2:], lines); diff != "" {
		t.Errorf("one user's (-want +got):\n%s", diff)
	}
	hours, err := q.ExportHours(t.Context(), p)
	if diff := cmp.Diff([]queries.ExportHour{{from.Add(time.Hour), 3}}, hours); diff != "" {
		t.Errorf("hours: %v (-want +got):\n%s", err, diff)
	}
	toBucket(t, q, p)
}

// toBucket writes the same to a bucket in every format, twice, and what nobody has.
func toBucket(t *testing.T, q *queries.Queries, p queries.ExportEventsParams) {
	t.Helper()
	store, address := bucket(t)
	for _, format := range []schema.ExportFormat{
		schema.FormatNDJSON, schema.FormatCSV, schema.FormatParquet, schema.FormatArrow,
	} {
		o := queries.Object{
			URL: address + string(format), KeyID: "AKIATEST", SecretKey: "s3-secret",
			Format: format,
		}
		nobodys := p
		nobodys.User = named("nobody")
		if rows, _, err := q.ExportEventsTo(t.Context(), nobodys, o); rows != 0 || err != nil {
			t.Errorf("%s of nobody: %d rows, %v", format, rows, err)
		}
		// With s3_truncate_on_insert taken out of objectSettings the second is refused.
		rows, size, err := q.ExportEventsTo(t.Context(), p, o)
		if content := object(t, store, string(format)); rows != 5 || int(size) != len(content) ||
			err != nil {
			t.Errorf("%s: %d rows, %d bytes of %d, %v", format, rows, size, len(content), err)
		}
	}
	table, err := csv.NewReader(bytes.NewReader(object(t, store, "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(table[0], " ") != strings.Join(queries.ExportColumns(), " ") {
		t.Errorf("columns are %v", table[0])
	}
	if first := strings.Join(table[1], "|"); !strings.Contains(first,
		"|2026-01-01T01:00:00.000000Z|") || !strings.Contains(first, "|a \"model\",\n|") {
		t.Errorf("the first row is %s", first)
	}
	chunks := []string{"a\n", "", "\x00\xff'"}
	o := queries.Object{URL: address + "upload", KeyID: "AKIATEST", SecretKey: "s3-secret"}
	if err := q.UploadExport(t.Context(), o, chunks); err != nil {
		t.Fatal(err)
	}
	if got := object(t, store, "upload"); string(got) != strings.Join(chunks, "") {
		t.Errorf("uploaded %q", got)
	}
	o.URL = strings.Replace(address, "/usage/", "/nobodys/", 1) + "x"
	err = q.UploadExport(t.Context(), o, chunks)
	if err == nil || strings.Contains(err.Error(), "s3-secret") {
		t.Errorf("to a bucket that is not there: %v", err)
	}
}

// TestExportedEventsStream: the ledger's order is the export's, so that a part is not sorted in
// memory. With event_time before agent_id in export_events.sql it is read in no order, and sorted.
func TestExportedEventsStream(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	var b queries.EventBatch
	b.Append(&schema.Event{
		Organization: named("acme"), ID: named("event"), Entry: schema.Record,
		Agent: named("agent"), Time: at(t, "2026-01-01T00:00:00Z"),
		Measurements: []schema.Measurement{{UsageType: "INPUT", Quantity: quantity(t, "1")}},
	}, named("node"), 1)
	if err := q.InsertEvents(t.Context(), "t", &b); err != nil {
		t.Fatal(err)
	}
	for _, a := range queries.AllAsked(named("acme"), at(t, "2025-12-01T00:00:00Z"),
		at(t, "2026-02-01T00:00:00Z")) {
		if a.Name != "export_events" {
			continue
		}
		plan := strings.Join(db.Strings("EXPLAIN actions = 1 "+a.Text, a.Args...), "\n")
		if !strings.Contains(plan, ": InOrder") ||
			!strings.Contains(plan, "Prefix sort description") {
			t.Errorf("the plan is\n%s", plan)
		}
	}
}
