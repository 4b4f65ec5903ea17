package schematest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
)

// ClusterName is the cluster that a test's engine is: one shard of one replica.
const ClusterName = "meterhouse_test"

// NewCluster returns a database with the tables of a cluster as far as one server has them: those
// that are spread are Distributed over local ones, and nothing is replicated, because the engine
// cannot reach a replica. What the form says of replication is held by the tests of schema.
func NewCluster(t testing.TB) *Database {
	t.Helper()
	d := NewEmpty(t)
	for _, form := range ClusterForms(t, d.Name) {
		d.Exec(Alone(form))
	}
	return d
}

// ClusterForms returns every migration in its form for a cluster, in order.
func ClusterForms(t testing.TB, database string) []string {
	t.Helper()
	var forms []string
	for _, statement := range migrations(t) {
		form, err := schema.ClusterForm(statement, schema.Cluster{
			Name: ClusterName, Database: database,
		})
		if err != nil {
			t.Fatal(err)
		}
		forms = append(forms, form...)
	}
	return forms
}

func migrations(t testing.TB) []string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(os.DirFS(root), "schema/migrations/*.up.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations: ", err)
	}
	slices.Sort(files)
	var all []string
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

var (
	onCluster  = strings.NewReplacer(" ON CLUSTER '"+ClusterName+"'", "")
	replicated = regexp.MustCompile(`ENGINE = Replicated(\w+)\('[^']*', '[^']*'(?:, ([^\n]*))?\)\n`)
	windows    = regexp.MustCompile(`\breplicated_deduplication_window = (\d+),\s+\w+ = \d+`)
)

// OnOne returns a statement of a cluster's form as one server can run it: not ON CLUSTER.
func OnOne(form string) string { return onCluster.Replace(form) }

// Alone is OnOne without replication.
func Alone(form string) string {
	form = replicated.ReplaceAllString(OnOne(form), "ENGINE = $1($2)\n")
	return windows.ReplaceAllString(form, "non_replicated_deduplication_window = $1")
}
