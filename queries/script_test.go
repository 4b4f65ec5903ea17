package queries_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestScripts runs the scripts of testdata/scripts. A script is read from the top; # starts a
// comment, indentation is for the reader.
//
//	load
//	  ORGANIZATION AGENT USAGE_TYPE TIME QUANTITY [name=value …] [reversal]
//	query QUESTION name=value …
//	expect
//	  one line for each row of the answer
//
// A load is one batch. A name stands for an id, "-" for none. The names of a loaded row: id
// (default: a new one), revision, user, service, api, endpoint, provider, provider_endpoint, key,
// model, purpose, cost, chargeable; reversal takes the row's quantity and cost back.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			_, q := open(t)
			s := script{t: t, path: path, q: q, names: map[uuid.UUID]string{{}: "-"}}
			s.run()
		})
	}
}

type script struct {
	t     *testing.T
	q     *queries.Queries
	path  string
	line  int
	names map[uuid.UUID]string // of every id the script named

	batch   queries.EventBatch
	batches int
	rows    int
	asked   int // the line of the question under way
	want    []string
	got     []string
}

func (s *script) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s", s.path, s.line, fmt.Sprintf(format, args...))
}

func (s *script) run() {
	file, err := os.Open(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	mode := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		s.line++
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "load", "query", "expect":
			s.finish(mode)
			mode = words[0]
			if mode == "query" {
				s.asked = s.line
				s.got = s.query(words[1], s.values(words[2:]))
			}
			continue
		}
		switch mode {
		case "load":
			s.load(words)
		case "expect":
			s.want = append(s.want, strings.Join(words, " "))
		default:
			s.fatalf("rows belong to a load or an expect")
		}
	}
	s.finish(mode)
}

// finish ends a section.
func (s *script) finish(mode string) {
	s.t.Helper()
	switch mode {
	case "load":
		s.batches++
		token := fmt.Sprint("batch ", s.batches)
		if err := s.q.InsertEvents(s.t.Context(), token, &s.batch); err != nil {
			s.fatalf("%v", err)
		}
		s.batch.Reset()
	case "expect":
		if diff := cmp.Diff(s.want, s.got); diff != "" {
			s.t.Errorf("%s:%d (-want +got):\n%s", s.path, s.asked, diff)
		}
		s.want, s.got = nil, nil
	}
}

func (s *script) id(name string) uuid.UUID {
	if name == "-" || name == "" {
		return uuid.UUID{}
	}
	v := named(name)
	s.names[v] = name
	return v
}

// values reads name=value words; a bare word is a name with the value "true".
func (s *script) values(words []string) map[string]string {
	all := map[string]string{}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			value = "true"
		}
		all[name] = value
	}
	return all
}

func (s *script) load(words []string) {
	s.t.Helper()
	if len(words) < 5 {
		s.fatalf("a row has at least five columns")
	}
	s.rows++
	v := s.values(words[5:])
	if v["id"] == "" {
		v["id"] = fmt.Sprint("row-", s.rows)
	}
	if v["cost"] == "" {
		v["cost"] = "0"
	}
	e := schema.Event{
		Organization: s.id(words[0]), ID: s.id(v["id"]), Revision: uint32(s.number(v["revision"])),
		Entry: schema.Record, Time: at(s.t, words[3]), User: s.id(v["user"]), Agent: s.id(words[1]),
		Service: v["service"], APIName: v["api"], Endpoint: v["endpoint"],
		Provider: v["provider"], ProviderEndpoint: v["provider_endpoint"], ProviderKey: v["key"],
		Model: v["model"], Chargeable: v["chargeable"] != "false", Purpose: v["purpose"],
		Measurements: []schema.Measurement{{
			UsageType: words[2], Quantity: quantity(s.t, words[4]),
			ProviderCost: usd(s.t, v["cost"]), BilledCost: usd(s.t, v["cost"]),
		}},
	}
	if v["reversal"] != "" {
		e = reversed(e)
	}
	// A correction's entries are its organization's; node= makes a copy of a node's, or takes it back.
	node, sequence := named("node"), uint64(s.rows)
	switch {
	case v["node"] != "":
		node, sequence = named(v["node"]), uint64(s.number(v["sequence"]))
	case e.Revision > 0 || e.Entry == schema.Reversal:
		node = schema.CorrectionsNode(e.Organization)
	}
	s.batch.Append(&e, node, sequence)
}

func (s *script) number(text string) uint64 {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		s.fatalf("%v", err)
	}
	return n
}

func (s *script) time(text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	return at(s.t, text)
}

// query asks and returns a line for each row.
func (s *script) query(question string, v map[string]string) []string {
	s.t.Helper()
	ctx, organization, agent := s.t.Context(), s.id(v["organization"]), s.id(v["agent"])
	switch question {
	case "agent_usage":
		rows, err := s.q.AgentUsage(ctx, queries.AgentUsageParams{
			Organization: organization, Agent: agent, From: s.time(v["from"]), To: s.time(v["to"]),
		})
		return lines(s, rows, err, func(r queries.AgentUsageRow) []any {
			return []any{r.UsageType, map[bool]string{true: "log-insights"}[r.LogInsights], r.Quantity}
		})
	case "agent_first_event":
		t, ok, err := s.q.AgentFirstEvent(ctx, queries.AgentFirstEventParams{
			Organization: organization, Agent: agent,
		})
		return lines(s, one(t, ok), err, func(t time.Time) []any {
			return []any{t.Format(time.RFC3339Nano)}
		})
	case "usage_record":
		r, ok, err := s.q.UsageRecord(ctx, queries.UsageRecordParams{
			Organization: organization, Event: s.id(v["id"]),
		})
		return lines(s, one(r, ok), err, s.record)
	case "usage_records":
		rows, err := s.q.UsageRecords(ctx, queries.UsageRecordsParams{
			Organization: organization, User: s.id(v["user"]),
			Offset: s.number(v["offset"]), Limit: s.number(v["limit"]),
		})
		return lines(s, rows, err, s.record)
	case "consumption_daily", "consumption_monthly":
		ask := s.q.ConsumptionDaily
		if question == "consumption_monthly" {
			ask = s.q.ConsumptionMonthly
		}
		var rows []queries.ConsumptionRow
		err := ask(ctx, queries.ConsumptionParams{
			Organization: organization, User: s.id(v["user"]), Agent: agent,
			From: s.time(v["from"]), To: s.time(v["to"]),
		}, func(row queries.ConsumptionRow) error {
			rows = append(rows, row)
			return nil
		})
		return lines(s, rows, err, func(r queries.ConsumptionRow) []any {
			charge := map[bool]string{true: "$"}[r.Chargeable]
			return []any{
				r.Start.Format(time.DateOnly), s.names[r.User], s.names[r.Agent], r.UsageType,
				strings.Join([]string{
					r.Provider, r.ProviderEndpoint, r.ProviderKey, r.Model, charge, r.Purpose,
				}, "|"), r.Quantity,
			}
		})
	}
	s.fatalf("unknown question %s", question)
	return nil
}

func (s *script) record(r queries.UsageRecord) []any {
	return []any{
		s.names[r.ID], s.names[r.User], r.APIName, r.Endpoint, r.Units, r.CostUSD, r.ProviderKey,
		r.Time.Format(time.RFC3339Nano), fmt.Sprint("revision=", r.Revision),
	}
}

func one[R any](row R, ok bool) []R {
	if !ok {
		return nil
	}
	return []R{row}
}

func lines[R any](s *script, rows []R, err error, columns func(R) []any) []string {
	s.t.Helper()
	if err != nil {
		s.fatalf("%v", err)
	}
	var all []string
	for _, row := range rows {
		all = append(all, strings.Join(strings.Fields(fmt.Sprintln(columns(row)...)), " "))
	}
	return all
}
