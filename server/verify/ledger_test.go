package verify_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/ingest"
	"github.com/meterhouse/meterhouse/server/verify"
)

var someDay = time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)

// store puts random events of some days into the ledger, as a node's first batch.
func store(t testing.TB, q *queries.Queries, node uuid.UUID, n int, days ...time.Time) *model {
	t.Helper()
	m := &model{r: rand.New(rand.NewPCG(1, 0)), days: days, sums: make(map[string]int64)}
	var b queries.EventBatch
	for i, e := range m.events(n) {
		e.ID, e.IngestTime = named(fmt.Sprint(node, i)), e.Time
		b.Append(&e, node, uint64(i+1))
	}
	if err := q.InsertEvents(t.Context(), "store", &b); err != nil {
		t.Fatal(err)
	}
	return m
}

func say(t testing.TB, q *queries.Queries, n queries.Node) {
	t.Helper()
	if n.SaidAt.IsZero() {
		now, _, err := q.Hold(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n.SaidAt = now
	}
	if err := q.SayNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

// texts returns the findings of a run, a line each, with their kinds.
func texts(t testing.TB, v *verify.Verifier) string {
	t.Helper()
	report, err := v.Run(t.Context(), queries.VerifyParams{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range report.Findings {
		all = append(all, string(f.Kind)+": "+f.Text)
	}
	return strings.Join(all, "\n")
}

// TestWhatANodeStoredIsThere loses, doubles, sets aside and retires events of a log. With the
// question of what the nodes say removed, the lost end of a log is not found; with what is retired
// or set aside left out of account, both are found as lost.
func TestWhatANodeStoredIsThere(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	data := t.TempDir()
	node := named("node")
	store(t, q, node, 200, someDay, someDay.AddDate(0, 1, 0))
	v := verify.New(verify.Config{Queries: q, Data: data, Settle: 10 * time.Millisecond})
	f := func(stored uint64, want string) {
		t.Helper()
		say(t, q, queries.Node{ID: node, Stored: stored, Stopped: true})
		if got := texts(t, v); got != want {
			t.Errorf("stored %d: %s\nwant %s", stored, got, want)
		}
	}
	lost := func(n int, what string) string {
		return fmt.Sprintf("sequence: usage_events: node %s stored %d events of its log that the "+
			"ledger does not have: sequences %s", node, n, what)
	}
	f(200, "")
	f(150, "") // 151 … 200 are stored and not said to be yet
	f(203, lost(3, "201..203"))
	f(1_000_010, lost(999_799, "201..999999")+"\n"+lost(11, "1000000..1000010"))
	// An event goes from the ledger and, as nothing else is to be found, from every rollup.
	remove := func(where string) {
		t.Helper()
		db.Exec("ALTER TABLE usage_events DELETE WHERE " + where + " SETTINGS mutations_sync = 2")
		if err := verify.New(verify.Config{Queries: q, Settle: time.Millisecond}).Rebuild(t.Context(),
			verify.RebuildParams{From: someDay, To: someDay.AddDate(0, 1, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	say(t, q, queries.Node{ID: node, Stored: 200, Stopped: true})
	remove("sequence IN (1, 7, 8, 9)")
	f(200, lost(4, "1, 7..9"))
	aside(t, data, ingest.SetAside{Kind: ingest.KindDamage, Node: node, First: 8, Last: 9, Events: 2})
	f(200, lost(2, "1, 7"))
	aside(t, data, ingest.SetAside{Kind: ingest.KindDamage, Node: node, First: 1, Last: 7, Events: 7})
	f(200, "")

	db.Exec(`INSERT INTO retired SELECT toStartOfMonth(event_time), node,
		intDiv(sequence, 1000000), count() FROM usage_events WHERE toYYYYMM(event_time) = 202603
		AND revision = 0 AND entry = 'record' AND ordinal = 0 GROUP BY ALL`)
	db.Exec("ALTER TABLE usage_events DROP PARTITION 202603")
	f(200, "") // the rollups of the month may stay

	db.Exec(`INSERT INTO usage_events SELECT * FROM usage_events WHERE sequence =
		(SELECT max(sequence) FROM usage_events) AND ordinal = 0`)
	if got := texts(t, v); !strings.Contains(got, "sequence: usage_events: node") ||
		!strings.Contains(got, "1 of ") || !strings.Contains(got, "are there twice") ||
		!strings.Contains(got, "event: usage_events: organization") {
		t.Errorf("a row there twice: %s", got)
	}
}

// aside writes a file without parts, in the form that ingest gives it.
func aside(t testing.TB, data string, s ingest.SetAside) {
	t.Helper()
	description, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	b := binary.LittleEndian.AppendUint32([]byte("MHASIDE1"), uint32(len(description)))
	sum := crc32.Checksum(description, crc32.MakeTable(crc32.Castagnoli))
	b = append(binary.LittleEndian.AppendUint32(b, sum), description...)
	path := filepath.Join(ingest.AsideDir(data), fmt.Sprintf("%s-%d.aside", s.Kind, s.First))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestADeadNodeIsSaid leaves a node behind that went without a word: a difference is told from
// inserts under way by looking again, and a rebuild refuses.
func TestADeadNodeIsSaid(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	store(t, q, named("node"), 100, someDay)
	say(t, q, queries.Node{ID: named("node"), Stored: 100, SaidAt: time.Now().Add(-time.Hour)})
	db.Exec("ALTER TABLE billable_hourly DROP PARTITION 202603")
	v := verify.New(verify.Config{Queries: q, Settle: 10 * time.Millisecond})
	report, err := v.Run(t.Context(), queries.VerifyParams{})
	if err != nil || len(report.Findings) != 9 || report.Findings[0].Kind != verify.Rollup {
		t.Errorf("Run = %+v, %v, want 9 differences of billable_hourly", report, err)
	}
	if len(report.Notes) == 0 || !strings.Contains(report.Notes[0], named("node").String()) {
		t.Errorf("nobody says which node does not answer: %q", report.Notes)
	}
	p := verify.RebuildParams{From: someDay, To: someDay.AddDate(0, 0, 1)}
	if err := v.Rebuild(t.Context(), p); err == nil ||
		!strings.Contains(err.Error(), named("node").String()) {
		t.Errorf("Rebuild beside a dead node: %v", err)
	}
	if err := q.ForgetNode(t.Context(), named("node")); err != nil {
		t.Fatal(err)
	}
	if err := v.Rebuild(t.Context(), p); err != nil {
		t.Errorf("Rebuild: %v", err)
	}
	if got := texts(t, v); got != "" {
		t.Errorf("after the rebuild: %s", got)
	}
}

// TestRebuildRefuses what it would make worse.
func TestRebuildRefuses(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	store(t, q, named("node"), 100, someDay)
	data := t.TempDir()
	v := verify.New(verify.Config{Queries: q, Data: data, Settle: 10 * time.Millisecond})
	f := func(month time.Time, want string) {
		t.Helper()
		err := v.Rebuild(t.Context(), verify.RebuildParams{From: month, To: month.AddDate(0, 1, 0)})
		if err == nil && want != "" ||
			err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("Rebuild: %v, want %q", err, want)
		}
	}
	f(someDay, "")
	db.Exec("INSERT INTO consumption_daily (organization_id, day, quantity) VALUES " +
		"(generateUUIDv4(), '2026-01-05', 1)")
	f(someDay.AddDate(0, 0, -90), "the ledger has nothing of 2026-01 and consumption_daily has")
	if err := q.InsertCorrection(t.Context(), queries.Correction{
		Organization: named("organization 1"), Number: 1, ID: uuid.New(), At: time.Now(), Events: 1,
	}, time.Second); err != nil {
		t.Fatal(err)
	}
	f(someDay, "correction 1 of organization "+named("organization 1").String())
	if err := q.MarkCorrectionApplied(t.Context(), queries.CorrectionParams{
		Organization: named("organization 1"), Number: 1,
	}); err != nil {
		t.Fatal(err)
	}
	f(someDay, "")
	aside(t, data, ingest.SetAside{Kind: ingest.KindBatch, Node: named("node"), First: 1, Last: 2})
	f(someDay, "run `meterhouse replay` first")
	files, err := filepath.Glob(filepath.Join(ingest.AsideDir(data), "*"))
	if err != nil || len(files) != 1 || os.Remove(files[0]) != nil {
		t.Fatalf("%v, %v", files, err)
	}
	f(someDay, "")
}

// TestRebuildOfAnything adds random rows to every rollup, takes random ones away, rebuilds, often
// interrupted, and compares every row with what the views make of the ledger. A table that was not
// damaged is right all the time: with the difference inserted instead of attached, billable_hourly
// and consumption_monthly are not.
func TestRebuildOfAnything(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	days := []time.Time{someDay.AddDate(0, 0, -1), someDay, someDay.AddDate(0, 0, 1)}
	m := store(t, q, named("node"), 300, days...)
	v := verify.New(verify.Config{Queries: q, Settle: time.Millisecond})
	p := verify.RebuildParams{From: days[0], To: days[2].AddDate(0, 0, 1)}
	damaged := make(map[string]bool)
	for _, source := range []string{queries.AgentUsage15m, queries.ConsumptionDaily} {
		damaged[source] = true
		for range 2 {
			db.Exec(fmt.Sprintf("ALTER TABLE %s DELETE "+
				"WHERE cityHash64(usage_type, quantity) %% 3 = %d SETTINGS mutations_sync = 2",
				source, r.IntN(3)))
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(250))*time.Millisecond)
			_ = v.Rebuild(ctx, p) // interrupted, mostly
			cancel()
			differences, err := q.VerifyRollups(t.Context(), queries.VerifyParams{})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range differences {
				if !damaged[d.Table] {
					t.Fatalf("only %v were damaged, and %s differs: %+v", damaged, d.Table, d)
				}
			}
		}
	}
	for source := range damaged { // one at a time: what its view feeds is right and stays it
		only := p
		only.Tables = []string{source}
		if err := v.Rebuild(t.Context(), only); err != nil {
			t.Fatal(err)
		}
	}
	if got := texts(t, v); got != "" {
		t.Errorf("after rebuilds of a table each: %s", got)
	}
	for _, table := range verify.Tables()[2:] {
		db.Exec(fmt.Sprintf("ALTER TABLE %s DELETE "+
			"WHERE cityHash64(usage_type, quantity) %% 5 = %d SETTINGS mutations_sync = 2",
			table, r.IntN(5)))
		db.Exec(fmt.Sprintf("INSERT INTO %s SELECT * REPLACE (quantity * %d AS quantity, "+
			"events - 1 AS events, 'O' AS usage_type) FROM %s "+
			"WHERE cityHash64(usage_type, quantity) %% 4 = %d",
			table, r.IntN(9), table, r.IntN(4)))
	}
	db.Exec("TRUNCATE TABLE dimensions")
	db.Exec("TRUNCATE TABLE event_places")
	if err := v.Rebuild(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, v); got != "" {
		t.Errorf("after the rebuild: %s", got)
	}
	m.check(t, db)
	for _, c := range []struct{ table, key, made, from string }{
		{queries.AgentUsage15m, "agent_id, slot, usage_type, service, model, chargeable",
			"toStartOfFifteenMinutes(toDateTime(event_time, 'UTC')) AS slot", "usage_events"},
		{queries.BillableHourly, "hour, usage_type, model, chargeable",
			"toStartOfHour(toDateTime(event_time, 'UTC')) AS hour", "usage_events"},
		{queries.ConsumptionDaily, "agent_id, day, user_id, usage_type, dimension_id",
			"toDate(event_time, 'UTC') AS day", "usage_events"},
		{queries.ConsumptionMonthly, "agent_id, month, user_id, usage_type, dimension_id",
			"toStartOfMonth(toDate(event_time, 'UTC')) AS month", "usage_events"},
	} {
		wrong := db.Strings(fmt.Sprintf(`SELECT toString(count()) FROM (
			SELECT sum(q) AS total, sum(n) AS rows FROM (
			SELECT organization_id, %[1]s, quantity AS q, measurements AS n FROM %[2]s UNION ALL
			SELECT organization_id, %[1]s, -q, -n FROM (SELECT organization_id, agent_id, user_id,
			service, model, chargeable, dimension_id, usage_type, %[3]s, quantity AS q,
			toInt64(entry) AS n FROM %[4]s)) GROUP BY organization_id, %[1]s
			HAVING total != 0 OR rows != 0)`, c.key, c.table, c.made, c.from))
		if wrong[0] != "0" {
			t.Errorf("%s: %s rows are not what its view makes", c.table, wrong[0])
		}
	}
	var changed uint64
	p.Each = func(c queries.Change) { changed += c.Keys }
	if err := v.Rebuild(t.Context(), p); err != nil || changed != 0 {
		t.Errorf("a second rebuild changed %d rows: %v", changed, err)
	}
}

// TestKeysOnTwoNodesAreWaitedFor takes a copy back while verify looks: what is swept within seconds
// is no difference. With one look only it is one.
func TestKeysOnTwoNodesAreWaitedFor(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	e := schema.Event{
		Organization: named("organization 1"), ID: named("e"), Entry: schema.Record, Time: someDay,
		IngestTime: someDay, Measurements: []schema.Measurement{{UsageType: schema.Units}},
	}
	nodeA, nodeB := uuid.New(), uuid.New()
	insert := func(e schema.Event, node uuid.UUID, token string) {
		var b queries.EventBatch
		b.Append(&e, node, 1)
		if err := q.InsertEvents(context.Background(), token, &b); err != nil {
			t.Error(err)
		}
	}
	insert(e, nodeA, "a")
	insert(e, nodeB, "b")
	v := verify.New(verify.Config{Queries: q, Settle: 10 * time.Millisecond})
	if got := texts(t, v); !strings.HasPrefix(got, "event: usage_events: organization") {
		t.Errorf("found %q, want the event", got)
	}
	v = verify.New(verify.Config{Queries: q, Settle: 600 * time.Millisecond})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		time.Sleep(time.Second)
		e.Entry = schema.Reversal
		insert(e, nodeB, "c")
	}()
	if got := texts(t, v); got != "" {
		t.Errorf("found %q, want nothing", got)
	}
	<-swept
}
