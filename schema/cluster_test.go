package schema_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// TestClusterFormIsGolden shows what every migration is on a cluster as SQL.
func TestClusterFormIsGolden(t *testing.T) {
	got := strings.Join(schematest.ClusterForms(t, "meterhouse"), "\n\n") + "\n"
	const golden = "testdata/cluster.golden.sql"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("differs from %s (-want +got), -update rewrites it:\n%s", golden, diff)
	}
}

// TestEngineTakesTheClusterForm: every statement parses as it is, and but for ON CLUSTER, which
// needs servers, the engine carries it out, replicated tables included. With a setting that is not
// one, replicated_deduplication_windows, it failed: unknown setting.
func TestEngineTakesTheClusterForm(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	replicas, distributed := 0, 0
	for _, form := range schematest.ClusterForms(t, db.Name) {
		if len(db.Strings("EXPLAIN AST "+form)) == 0 {
			t.Errorf("does not parse: %s", form)
		}
		if strings.HasPrefix(form, "CREATE TABLE") {
			db.Exec(schematest.OnOne(form))
		}
		replicas += strings.Count(form, "ENGINE = Replicated")
		distributed += strings.Count(form, "ENGINE = Distributed")
	}
	got := db.Strings(`SELECT toString(countIf(engine LIKE 'Replicated%')),
		toString(countIf(engine = 'Distributed')) FROM system.tables
		WHERE database = currentDatabase()`)[0]
	if want := fmt.Sprint(replicas, " ", distributed); got != want {
		t.Errorf("the engine has %s replicated and distributed tables, want %s", got, want)
	}
	paths := db.Strings(`SELECT zookeeper_path FROM system.replicas
		WHERE database = currentDatabase()`)
	seen := map[string]bool{}
	for _, path := range paths {
		if seen[path] {
			t.Errorf("two tables at %s", path)
		}
		seen[path] = true
	}
}

// TestClusterFormMayRunTwice: a node that died between two statements runs the migration again.
func TestClusterFormMayRunTwice(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	for _, form := range schematest.ClusterForms(t, db.Name) {
		db.Exec(schematest.Alone(form))
		db.Exec(schematest.Alone(form))
	}
	if diff := cmp.Diff(columns(schematest.New(t)), columns(db)); diff != "" {
		t.Errorf("a cluster's columns (-plain +cluster):\n%s", diff)
	}
}

// columns returns what readers and writers find under each table's name. Local tables have what
// those over them have.
func columns(db *schematest.Database) map[string]string {
	found := map[string]string{}
	for _, row := range db.Strings(`SELECT table, arrayStringConcat(groupArray(concat(
			name, ' ', type, ' ', default_kind)), ', ')
		FROM (SELECT * FROM system.columns WHERE database = currentDatabase() ORDER BY position)
		WHERE table != 'schema_migrations' GROUP BY table`) {
		name, all, _ := strings.Cut(row, " ")
		name = strings.TrimSuffix(name, "_local")
		if other, ok := found[name]; ok && other != all {
			all = "local and over it: " + other + " / " + all
		}
		found[name] = all
	}
	return found
}

func TestClusterFormRefuses(t *testing.T) {
	c := schema.Cluster{Name: "main", Database: "meterhouse"}
	f := func(statement, want string) {
		t.Helper()
		forms, err := schema.ClusterForm(statement, c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", statement, forms, err)
		}
	}
	f("", "no statement of this kind")
	f("RENAME TABLE a TO b", "RENAME TABLE a TO b")
	f("DROP TABLE a", "no statement of this kind")
	f("CREATE", "no statement of this kind")
	f("CREATE TABLE a (b UInt8) ENGINE = MergeTree ORDER BY b", "IF NOT EXISTS")
	f("CREATE TABLE IF NOT EXISTS", "IF NOT EXISTS")
	f("CREATE TABLE IF NOT EXISTS a (b UInt8) ENGINE = Log", "engine Log")
	f("CREATE TABLE IF NOT EXISTS a AS b", "without an engine")
	f("CREATE TABLE IF NOT EXISTS a (b UInt8) ENGINE =", "without an engine")
	f("CREATE MATERIALIZED VIEW a TO b AS SELECT 1", "IF NOT EXISTS")
	f("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO b AS SELECT usage_events.node FROM usage_events",
		"named by its table")
	f("ALTER TABLE a", "ALTER of nothing")
	f("ALTER TABLE a ADD COLUMN b UInt8, ADD INDEX c b TYPE minmax", "make it two")
	c.Name = "it's"
	f("OPTIMIZE TABLE a", "letters")
	c.Name, c.Database = "main", "a-b c"
	f("OPTIMIZE TABLE a", "letters")
}

func TestClusterFormOfWhatIsAltered(t *testing.T) {
	f := func(statement string, want ...string) {
		t.Helper()
		got, err := schema.ClusterForm(statement, schema.Cluster{Name: "main", Database: "m"})
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", statement, diff)
		}
	}
	f("-- Why.\nALTER TABLE usage_events DROP PARTITION ID {partition:String}",
		"ALTER TABLE usage_events_local ON CLUSTER 'main' DROP PARTITION ID {partition:String}")
	f("ALTER TABLE usage_events ADD COLUMN IF NOT EXISTS a String, ADD COLUMN b Decimal(38, 6)",
		"ALTER TABLE usage_events_local ON CLUSTER 'main' "+
			"ADD COLUMN IF NOT EXISTS a String, ADD COLUMN b Decimal(38, 6)",
		"ALTER TABLE usage_events ON CLUSTER 'main' "+
			"ADD COLUMN IF NOT EXISTS a String, ADD COLUMN b Decimal(38, 6)")
	f("ALTER TABLE users UPDATE a = '--', `from` = 'it''s' WHERE b IN (SELECT c FROM usage_events)",
		"ALTER TABLE users UPDATE a = '--', `from` = 'it''s' "+
			"WHERE b IN (SELECT c FROM usage_events_local)")
	f("ALTER TABLE users MODIFY SETTING fsync_after_insert = 1",
		"ALTER TABLE users ON CLUSTER 'main' MODIFY SETTING fsync_after_insert = 1, "+
			"min_compressed_bytes_to_fsync_after_fetch = 1")
	f("OPTIMIZE TABLE consumption_daily FINAL",
		"OPTIMIZE TABLE consumption_daily_local ON CLUSTER 'main' FINAL")
	f("OPTIMIZE TABLE users FINAL", "OPTIMIZE TABLE users FINAL")
	f("CREATE TABLE IF NOT EXISTS a (b UInt8) ENGINE = ReplacingMergeTree() ORDER BY b",
		"CREATE TABLE IF NOT EXISTS a ON CLUSTER 'main' (b UInt8) ENGINE = "+
			"ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/a', "+
			"'{shard}-{replica}') ORDER BY b")
}
