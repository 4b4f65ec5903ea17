package queries_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

func openCluster(t *testing.T) (*schematest.Database, *queries.Queries) {
	t.Helper()
	db := schematest.NewCluster(t)
	q, err := queries.OpenCluster(t.Context(), db.Options, schematest.ClusterName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return db, q
}

// TestClusterAnswersTheSame asks every question of one server and of a cluster that hold the same.
func TestClusterAnswersTheSame(t *testing.T) {
	t.Parallel()
	plain, one := open(t)
	spread, all := openCluster(t)
	w := world{r: rand.New(rand.NewPCG(7, 0)), t: t}
	start := at(t, "2026-01-01T00:00:00Z")
	for i := range 3 {
		batch := batchOf(w.events(150))
		for range 2 { // a batch that is sent again counts once
			for _, q := range []*queries.Queries{one, all} {
				if err := q.InsertEvents(t.Context(), fmt.Sprint("batch ", i), batch); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if diff := cmp.Diff(sums(plain), sums(spread)); diff != "" {
		t.Fatalf("sums (-one server +cluster):\n%s", diff)
	}
	// What tells of a server itself, its clock or its own id.
	apart := regexp.MustCompile(`system\.|now64\(|serverUUID|FROM schema_migrations|generateUUID`)
	for _, a := range queries.AllAsked(named("organization1"), start, start.AddDate(0, 1, 1)) {
		if apart.MatchString(a.Text) {
			continue
		}
		want, err := one.Answer(t.Context(), a)
		if err != nil {
			continue // it reads what only another statement makes
		}
		got, err := all.Answer(t.Context(), a)
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		slices.Sort(want) // where rows are equal in what they are ordered by
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-one server +cluster):\n%s", a.Name, diff)
		}
	}
}

// TestClusterIsRewritten: what alters tables reaches the rows behind those that are spread.
func TestClusterIsRewritten(t *testing.T) {
	t.Parallel()
	db, q := openCluster(t)
	events := twoMonths(t)
	if err := q.InsertEvents(t.Context(), "1", batchOf(events)); err != nil {
		t.Fatal(err)
	}
	january := usageQuestion(t, "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", schema.Day,
		schema.DimensionPurpose)
	before, err := q.UsageVersion(t.Context(), january)
	if err != nil {
		t.Fatal(err)
	}
	p := queries.RetentionParams{Month: at(t, "2026-01-01T00:00:00Z")}
	for _, e := range events {
		p.Organizations = append(p.Organizations, e.Organization)
	}
	if err := q.NoteRetired(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := q.Retire(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := q.Retired(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := db.Strings(`SELECT toString(count()) FROM usage_events_local
		WHERE toYYYYMM(event_time) = 202601`)[0]
	if left != "0" {
		t.Errorf("%s rows of a month that went", left)
	}
	if after, err := q.UsageVersion(t.Context(), january); err != nil || after == before {
		t.Errorf("version %q after a month went, as before, %v", after, err)
	}
	if _, err := q.DropKeys(t.Context(), time.Now().AddDate(1, 0, 0)); err != nil {
		t.Error(err)
	}
	if err := q.Clear(t.Context(), time.Now()); err != nil {
		t.Error(err)
	}
	_, err = q.Rebuild(t.Context(), queries.RebuildParams{
		Table: queries.AgentUsage15m, From: p.Month, To: p.Month.AddDate(0, 0, 1),
	})
	if err == nil || !strings.Contains(err.Error(), "docs/cluster.md") {
		t.Errorf("Rebuild on a cluster: %v", err)
	}
}

// TestWritersWaitForAQuorum: what a cluster refuses because another insert is being told to replicas
// is said again, anything else is not.
func TestWritersWaitForAQuorum(t *testing.T) {
	t.Parallel()
	f := func(code int32, want int) {
		t.Helper()
		tries := 0
		err := queries.WhenSettled(t.Context(), func() error {
			if tries++; tries == 3 {
				return nil
			}
			return fmt.Errorf("insert: %w", &clickhouse.Exception{Code: code})
		})
		if tries != want || (err == nil) != (want == 3) {
			t.Errorf("code %d: %d tries, %v", code, tries, err)
		}
	}
	f(286, 3)
	f(289, 3)
	f(242, 1)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := queries.WhenSettled(gone, func() error {
		return &clickhouse.Exception{Code: 286}
	}); err == nil {
		t.Error("no error of an insert that was never taken")
	}
}

// TestJournalsAreReadInOrder: what every server has whole is read as of its newest insert, what is
// spread needs no Keeper to be read.
func TestJournalsAreReadInOrder(t *testing.T) {
	t.Parallel()
	f := func(text string, want bool) {
		t.Helper()
		if _, got := queries.SettingsOf(text)["select_sequential_consistency"]; got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	f("SELECT max(batch) FROM report_intents", true)
	f("SELECT 1 FROM usage_events WHERE a IN (SELECT b\nFROM\n erasures FINAL)", true)
	f("SELECT 1 FROM usage_events AS a JOIN dimensions AS b ON a.c = b.c", false)
	f("SELECT 1 FROM system.parts", false)
}

// TestFormIsChecked: a cluster's database is not used as one server's, where an insert would be
// answered before it is stored, nor the other way round.
func TestFormIsChecked(t *testing.T) {
	t.Parallel()
	spread, plain := schematest.NewCluster(t), schematest.New(t)
	_, err := queries.Open(t.Context(), queries.Config{Options: spread.Options})
	if err == nil || !strings.Contains(err.Error(), "METERHOUSE_CLUSTER") {
		t.Errorf("a cluster without its name: %v", err)
	}
	_, err = queries.Open(t.Context(), queries.Config{
		Options: plain.Options, Cluster: schematest.ClusterName,
	})
	if err == nil || !strings.Contains(err.Error(), "one server") {
		t.Errorf("one server as a cluster: %v", err)
	}
}
