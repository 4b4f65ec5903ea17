package usage_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

var update = flag.Bool("update", false, "write the answers of the page anew")

// shownAgent is the agent of the page's examples.
const shownAgent = "12345678-1234-4234-8234-123456789012"

// fillPage writes the usage that the page's examples are of into the ledger of acme: a night and two
// days in March, of which the first has 23 hours in Rome.
func fillPage(t *testing.T, h *dialecttest.Harness) {
	t.Helper()
	q, err := queries.Open(t.Context(), queries.Config{Options: h.Database.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	agent := uuid.MustParse(shownAgent)
	h.Change(t, schema.Catalog{Agents: []schema.Agent{{
		ID: agent, Organization: h.Acme.ID, Owner: h.Acme.Admin.ID, Name: "shown",
	}}}, schema.Catalog{})
	var b queries.EventBatch
	for i, e := range []struct {
		at                   string
		agent                uuid.UUID
		model, provider      string
		usage                string
		cost, billed         string
		output, out, billedO string
	}{
		{"2026-03-28T23:30:00Z", agent, "gpt-4o-mini", "OpenAI", "1200", "0.00018", "0.000234",
			"350", "0.00021", "0.000273"},
		{"2026-03-29T10:00:00Z", agent, "gpt-4o-mini", "OpenAI", "800", "0.00012", "0.000156",
			"", "", ""},
		{"2026-03-30T08:00:00Z", uuid.Nil, "gpt-4o", "OpenAI", "5000", "0.0125", "0.01625",
			"900", "0.009", "0.0117"},
		{"2026-03-30T21:59:59.999999Z", agent, "local", "", "100", "", "", "", "", ""},
		{"2026-03-30T22:00:00Z", agent, "local", "", "70", "", "", "", "", ""}, // the 31st in Rome
	} {
		at, err := time.Parse(time.RFC3339, e.at)
		if err != nil {
			t.Fatal(err)
		}
		event := schema.Event{
			Organization: h.Acme.ID, ID: uuid.New(), Entry: schema.Record, Time: at, IngestTime: at,
			User: h.Acme.Admin.ID, Agent: e.agent, Provider: e.provider, Model: e.model,
			Chargeable: true,
		}
		add := func(usageType, quantity, cost, billed string) {
			m := schema.Measurement{UsageType: usageType, Quantity: amount(quantity)}
			if cost != "" {
				m.ProviderCost, m.BilledCost = dollars(cost), dollars(billed)
				m.Pricing = schema.Given
			}
			event.Measurements = append(event.Measurements, m)
		}
		add("INPUT", e.usage, e.cost, e.billed)
		if e.output != "" {
			add("OUTPUT", e.output, e.out, e.billedO)
		}
		b.Append(&event, uuid.Max, uint64(i+1))
	}
	if err := q.InsertEvents(t.Context(), "page", &b); err != nil {
		t.Fatal(err)
	}
}

// onPage is an example of the page: a request, and its answer.
var onPage = regexp.MustCompile("```http\n(GET|POST) ([^\n`]+)\n((?:[A-Z][^\n`]+\n)+)" +
	"(?:\n([^`]+))?```\n```(json|csv)\n([^`]*)```\n")

// checkPage asks every example of docs/usage.md and compares the answer with the page's; -update
// writes the page's anew.
func checkPage(t *testing.T, h *dialecttest.Harness) {
	const path = "../../docs/usage.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	examples := onPage.FindAllStringSubmatch(page, -1)
	if n := strings.Count(page, "```http"); n != len(examples) || n == 0 {
		t.Fatalf("%d of %d examples are read", len(examples), n)
	}
	for _, x := range examples {
		r := dialecttest.Request{Method: x[1], Path: x[2], Body: x[4]}
		for line := range strings.Lines(x[3]) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			value = strings.Replace(value, "Bearer admin", "Bearer "+h.Acme.Admin.AccessToken, 1)
			r = r.With(name, value)
		}
		got := lines(string(h.Do(t, r).Body))
		if got == x[6] {
			continue
		}
		if !*update {
			t.Errorf("%s\n%s\nwant\n%s", x[2], got, x[6])
		}
		page = strings.Replace(page, x[0], strings.TrimSuffix(x[0], x[6]+"```\n")+got+"```\n", 1)
	}
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// lines writes an answer with a row a line.
func lines(text string) string {
	text = strings.ReplaceAll(text, `"rows":[{`, "\"rows\":[\n {")
	text = strings.ReplaceAll(text, `},{"time"`, "},\n {\"time\"")
	return strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n") + "\n"
}
