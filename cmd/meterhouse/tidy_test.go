package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The architecture as a test: docs/architecture.md draws what this file holds.

const module = "github.com/meterhouse/meterhouse"

// mayImport names, for every package, the packages of ours it may import outside its tests.
var mayImport = map[string][]string{
	"schema":  {},
	"engine":  {},
	"queries": {"schema"},

	"server/access":       {"schema"},
	"server/fair":         {},
	"server/dialect":      {"schema", "server/access", "server/fair"},
	"server/raia":         {"schema", "server/access", "server/dialect"},
	"server/memori":       {"schema", "server/access", "server/dialect"},
	"server/digitalocean": {"schema", "server/access", "server/dialect"},
	"server/tracker":      {"schema", "server/access", "server/dialect"},
	"server/native":       {"schema", "server/access", "server/dialect"},
	"server/agent700":     {"schema", "server/access", "server/dialect"},
	"server/admin":        {"schema", "server/access", "server/dialect"},
	"server/otlp":         {"schema", "server/access", "server/dialect"},
	"server/openapi":      {},
	"server/report":       {"schema", "server/access", "server/dialect"},
	"server/usage":        {"schema", "server/access", "server/dialect", "server/tabular"},
	"server/system":       {"schema", "server/dialect"},
	"server/tabular":      {"schema"},
	"server/share":        {},
	"server/console":      {"schema", "queries", "server/access", "server/dialect"},
	"server/exports":      {"schema", "queries", "server/dialect", "server/tabular"},
	"server/retention": {
		"schema", "queries", "server/access", "server/dialect", "server/ingest", "server/verify",
	},
	"server/corrections": {
		"schema", "queries", "server/access", "server/dialect", "server/ingest",
	},
	"server/ingest": {
		"schema", "queries", "server/access", "server/dialect", "server/fair",
		"server/ingest/keys",
	},
	"server/ingest/keys": {},
	"server/tracing":     {},
	"server/verify":      {"schema", "queries", "server/ingest"},
	"server": {
		"schema", "queries", "server/access", "server/dialect", "server/fair", "server/ingest",
		"server/raia", "server/memori", "server/digitalocean", "server/tracker", "server/native",
		"server/agent700", "server/admin", "server/otlp", "server/corrections", "server/openapi",
		"server/report", "server/usage", "server/share", "server/system", "server/console",
	},
	"cmd/meterhouse": {
		"schema", "queries", "engine", "server", "server/access", "server/ingest",
		"server/corrections", "server/verify", "billing", "server/exports", "server/retention",
		"server/console",
		"server/tracing",
	},
	"billing":     {"schema", "queries"},
	"docs/deploy": {}, // checks of deployment files, a module of their own
	"loadtest":    {},

	// Packages that only tests import.
	"schema/schematest":   {"schema", "engine"},
	"server/dialecttest":  {"*"},
	"billing/billingtest": {"schema", "queries", "schema/schematest"},
}

// owners names who may import a library outside of tests.
var owners = map[string][]string{
	"github.com/gofiber/fiber":      {"server", "loadtest"}, // loadtest: the bare reference server
	"github.com/valyala/fasthttp":   {"server", "loadtest"},
	"github.com/ClickHouse":         {"schema", "queries"},
	"github.com/golang-migrate":     {"schema"},
	"github.com/stripe/stripe-go":   {"billing"},
	"github.com/ebitengine/purego":  {"engine"},
	"github.com/hashicorp/raft":     {"server/ingest"},
	"github.com/prometheus":         {"server", "cmd", "billing"},
	"github.com/testcontainers":     {"schema/schematest"},
	"go.yaml.in/yaml":               {"server/access", "server/openapi"},
	"github.com/lestrrat-go":        {"server/access"},
	"go.opentelemetry.io/collector": {"server/otlp"},

	// Spans are made wherever something is waited for, by the API alone; who sends them is one.
	"go.opentelemetry.io/otel":           {"server", "queries", "billing", "cmd"},
	"go.opentelemetry.io/otel/sdk":       {"server/tracing"},
	"go.opentelemetry.io/otel/exporters": {"server/tracing"},
	"github.com/getkin/kin-openapi":      {"server/dialecttest"},
	"github.com/digitalocean/godo":       {},
	"github.com/shopspring/decimal":      {"schema", "queries"},
	"github.com/apache/arrow-go":         {"server/tabular"},
}

// engineCodec is below clickhouse-go: engine answers in its encodings, and never uses the client.
const engineCodec = "github.com/ClickHouse/ch-go/"

// sqlOwners may hold SQL in string literals; everybody else's is in queries/*.sql. dialecttest is
// only for tests, and looks at the ledger past the queries it checks.
var sqlOwners = []string{"schema", "queries", "engine", "loadtest", "server/dialecttest"}

var startsLikeSQL = regexp.MustCompile(
	`^\s*(SELECT|INSERT INTO|ALTER TABLE|CREATE (TABLE|DATABASE|MATERIALIZED)|DROP TABLE|WITH \w+ AS)\b`)

// sourceFile is one parsed file of the module.
type sourceFile struct {
	path, dir string // below the repository
	test      bool
	set       *token.FileSet
	ast       *ast.File
	text      string
}

func sources(t *testing.T) []sourceFile {
	t.Helper()
	var all []sourceFile
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || strings.HasPrefix(name, ".") && len(name) > 2) {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		all = append(all, sourceFile{
			path: below, dir: filepath.Dir(below), test: strings.HasSuffix(name, "_test.go"),
			set: set, ast: parsed, text: string(text),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files found: this test looks in the wrong place", len(all))
	}
	return all
}

func TestArrowsPointOneWay(t *testing.T) {
	for _, f := range sources(t) {
		allowed, known := mayImport[f.dir]
		if !known {
			t.Errorf("%s: package %s is not in mayImport", f.path, f.dir)
			continue
		}
		if f.test || slices.Contains(allowed, "*") {
			continue
		}
		for _, i := range f.ast.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if ours, ok := strings.CutPrefix(path, module+"/"); ok {
				if !slices.Contains(allowed, ours) {
					t.Errorf("%s: %s may not import %s", f.path, f.dir, ours)
				}
				continue
			}
			checkOwner(t, f, path)
		}
	}
}

func checkOwner(t *testing.T, f sourceFile, path string) {
	t.Helper()
	if f.dir == "engine" && strings.HasPrefix(path, engineCodec) {
		return
	}
	for library, dirs := range owners {
		if !strings.HasPrefix(path, library) || slices.ContainsFunc(dirs, func(dir string) bool {
			return f.dir == dir || strings.HasPrefix(f.dir, dir+"/")
		}) {
			continue
		}
		t.Errorf("%s: %s is only for %v", f.path, path, dirs)
	}
}

func TestSQLIsInFiles(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || slices.ContainsFunc(sqlOwners, func(dir string) bool {
			return f.dir == dir || strings.HasPrefix(f.dir, dir+"/")
		}) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			l, ok := n.(*ast.BasicLit)
			if ok && l.Kind == token.STRING && startsLikeSQL.MatchString(strings.Trim(l.Value, "`\"")) {
				t.Errorf("%s: SQL in a string", f.set.Position(l.Pos()))
			}
			return true
		})
	}
}

// builtSQL names the places where SQL is put together, with the reason. What goes in is a constant
// of ours in each: nobody's input.
var builtSQL = map[string]string{
	"queries/rebuild.go": "the name of a table that is created or altered cannot be a parameter",
	"schema/cluster.go":  "nor can those of a cluster and its tables, which are checked",
	"schema/migrate.go":  "nor can the path of a replicated version table",
	"queries/backup.go":  "nor can those of a database that is backed up and of a table that is dropped",
}

var holdsSQL = regexp.MustCompile(
	`\b(SELECT|INSERT INTO|ALTER TABLE|CREATE|DROP|FROM|WHERE|AND|GROUP BY|ORDER BY|LIMIT)\s`)

// Values reach SQL as bound parameters only: no SQL is put together from strings, by +, by fmt, by a
// builder or by a replacement, where ClickHouse is spoken to.
func TestNoSQLIsBuilt(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || f.dir != "queries" && f.dir != "schema" || builtSQL[f.path] != "" {
			continue
		}
		for _, place := range sqlBuilt(f.ast) {
			t.Errorf("%s: SQL is put together: bind a parameter", f.set.Position(place))
		}
	}
	const examples = `package p
		func f() {
			_ = "SELECT 1 FROM " + t
			s += " WHERE x"
			_ = fmt.Sprintf("%s LIMIT %d", s, n)
			b.WriteString(" AND x")
			_ = strings.ReplaceAll(s, "x", " ORDER BY ")
			_ = query("SELECT 1 FROM t")
			_ = fmt.Errorf("no rows from %s", t)
		}`
	example, err := parser.ParseFile(token.NewFileSet(), "", examples, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if found := sqlBuilt(example); len(found) != 5 {
		t.Errorf("of five examples %d are found: this test looks for the wrong thing", len(found))
	}
}

// sqlBuilt returns where a file puts strings together one of which holds SQL.
func sqlBuilt(file *ast.File) (places []token.Pos) {
	builders := []string{
		"Sprintf", "Sprint", "Fprintf", "Fprint", "Appendf", "WriteString", "Join", "Replace",
		"ReplaceAll", "NewReplacer",
	}
	ast.Inspect(file, func(n ast.Node) bool {
		var parts []ast.Expr
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.ADD {
				parts = []ast.Expr{n.X, n.Y}
			}
		case *ast.AssignStmt:
			if n.Tok == token.ADD_ASSIGN {
				parts = n.Rhs
			}
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			if ok && slices.Contains(builders, called.Sel.Name) {
				parts = n.Args
			}
		}
		if slices.ContainsFunc(parts, func(e ast.Expr) bool {
			l, ok := e.(*ast.BasicLit)
			return ok && l.Kind == token.STRING && holdsSQL.MatchString(l.Value)
		}) {
			places = append(places, n.Pos())
		}
		return true
	})
	return places
}

func TestFunctionsAreShort(t *testing.T) {
	const linesMax = 70
	for _, f := range sources(t) {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if f.test { // a test may be one long table
				continue
			}
			lines := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1
			if lines > linesMax {
				t.Errorf("%s: %s has %d lines", f.set.Position(fn.Pos()), fn.Name.Name, lines)
			}
		}
	}
}

// countInFloats hand what they count to Prometheus, which knows nothing else.
var countInFloats = []string{
	"billing/metrics.go", "server/exports/metrics.go", "server/retention/metrics.go",
	"server/tracing/tracing.go",
}

// Quantities and money are decimals: no float where they are made, kept or shown.
func TestNoFloatsNearQuantities(t *testing.T) {
	float := regexp.MustCompile(`\bfloat(32|64)\b`)
	for _, f := range sources(t) {
		exact := f.dir == "schema" || f.dir == "billing" || f.dir == "queries" ||
			strings.HasPrefix(f.dir, "server/") && f.dir != "server/ingest" &&
				f.dir != "server/fair" // of bytes and time
		exact = exact && !slices.Contains(countInFloats, f.path)
		if exact && !f.test && float.MatchString(withoutComments(f)) {
			t.Errorf("%s: a float", f.path)
		}
	}
}

// floatMakers are selectors that make or take a float without naming its type.
var floatMakers = []string{
	"ParseFloat", "FormatFloat", "AppendFloat", "Float32", "Float64", "InexactFloat64", "Float",
	"NewFloat", "NewFromFloat", "SetFloat64", "Float32bits", "Float64bits", "AggregatedValue",
}

// In billing no float is anywhere, its tests included: not as a type, a literal or a conversion, nor
// from math. It found 1e15 in a test, which the compiler makes an integer of. Prometheus counts in
// floats, so what is handed to it is in a file of its own.
func TestBillingKnowsNoFloats(t *testing.T) {
	integers := regexp.MustCompile(`^(Max|Min)(Int|Uint)`)
	for _, f := range sources(t) {
		if f.dir != "billing" && !strings.HasPrefix(f.dir, "billing/") || f.path == "billing/metrics.go" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			found := ""
			switch n := n.(type) {
			case *ast.BasicLit:
				if n.Kind == token.FLOAT || n.Kind == token.IMAG {
					found = n.Value
				}
			case *ast.Ident:
				if slices.Contains([]string{"float32", "float64", "complex64", "complex128"}, n.Name) {
					found = n.Name
				}
			case *ast.SelectorExpr:
				x, _ := n.X.(*ast.Ident)
				if x != nil && x.Name == "math" && !integers.MatchString(n.Sel.Name) ||
					slices.Contains(floatMakers, n.Sel.Name) {
					found = n.Sel.Name
				}
			}
			if found != "" {
				t.Errorf("%s: %s: a float", f.set.Position(n.Pos()), found)
			}
			return true
		})
	}
}

// What Stripe's own library makes of its answers stays in one file: everything else of billing
// speaks of deliveries, answers and units.
func TestStripesLibraryIsInOneFile(t *testing.T) {
	const library, place = "github.com/stripe/stripe-go/", "billing/stripe.go"
	imported := false
	for _, f := range sources(t) {
		for _, i := range f.ast.Imports {
			if !strings.HasPrefix(strings.Trim(i.Path.Value, `"`), library) {
				continue
			}
			imported = imported || f.path == place
			if !f.test && f.path != place {
				t.Errorf("%s: imports %s, which is only for %s", f.path, i.Path.Value, place)
			}
		}
	}
	if !imported {
		t.Errorf("%s does not import %s: this test looks in the wrong place", place, library)
	}
}

func TestBodiesAreReadInOnePlace(t *testing.T) {
	body := regexp.MustCompile(`\bc\.(Body|BodyRaw|BodyParser)\(`)
	for _, f := range sources(t) {
		if !f.test && strings.HasPrefix(f.dir, "server") && body.MatchString(withoutComments(f)) {
			t.Errorf("%s: a body is read by dialect.ReadBody only", f.path)
		}
	}
}

func withoutComments(f sourceFile) string {
	text := []byte(f.text)
	for _, group := range f.ast.Comments {
		from, to := f.set.Position(group.Pos()).Offset, f.set.Position(group.End()).Offset
		for i := from; i < to; i++ {
			text[i] = ' '
		}
	}
	return string(text)
}

func TestMigrationsComeInPairs(t *testing.T) {
	ups, err := filepath.Glob(filepath.Join(repository, "schema/migrations/*.up.sql"))
	if err != nil || len(ups) == 0 {
		t.Fatalf("no migrations found: %v", err)
	}
	for _, up := range ups {
		if _, err := os.Stat(strings.TrimSuffix(up, ".up.sql") + ".down.sql"); err != nil {
			t.Errorf("%s has no way down: %v", filepath.Base(up), err)
		}
		text, err := os.ReadFile(up)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "-- ") {
			t.Errorf("%s does not say why", filepath.Base(up))
		}
	}
}

// One statement a file: golang-migrate and the HTTP interface would split or refuse several.
func TestStatementsStandAlone(t *testing.T) {
	for _, dir := range []string{"schema/migrations", "queries"} {
		files, err := filepath.Glob(filepath.Join(repository, dir, "*.sql"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no .sql in %s: %v", dir, err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var sql strings.Builder
			for line := range strings.Lines(string(text)) {
				if !strings.HasPrefix(strings.TrimSpace(line), "--") {
					sql.WriteString(line)
				}
			}
			if strings.Contains(sql.String(), ";") {
				t.Errorf("%s holds a semicolon", filepath.Base(path))
			}
		}
	}
}
