package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wantStatement parses a text. Where there is no FORMAT clause, all of it is bare.
func wantStatement(t *testing.T, text string, want statement) {
	t.Helper()
	got, err := parseStatement(text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	if want.format == "" {
		want.bare = len(want.sql)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(statement{})); diff != "" {
		t.Errorf("%s\n%s", text, diff)
	}
}

func TestParseStatement(t *testing.T) {
	f := func(text string, want statement) {
		t.Helper()
		wantStatement(t, text, want)
	}
	sel := func(sql string) statement {
		return statement{kind: statementSelect, sql: sql, pure: true}
	}
	selFormat := func(sql, format string, bare int) statement {
		return statement{
			kind: statementSelect, sql: sql, format: format, bare: bare, pure: true,
		}
	}
	f("SELECT 1", sel("SELECT 1"))
	f(" \n select 1 ; -- done", sel(" \n select 1"))
	f("/* a */ SELECT ';' -- x", sel("/* a */ SELECT ';'"))
	f("SELECT 1 # hash", sel("SELECT 1"))
	f("(SELECT 1) UNION ALL (SELECT 2)", sel("(SELECT 1) UNION ALL (SELECT 2)"))
	f("FROM t SELECT a", sel("FROM t SELECT a"))
	f("WITH 1 AS a SELECT a", sel("WITH 1 AS a SELECT a"))
	f("WITH x AS (SELECT 1) SELECT * FROM x", sel("WITH x AS (SELECT 1) SELECT * FROM x"))
	f("SELECT 1 FORMAT JSON", selFormat("SELECT 1 FORMAT JSON", "JSON", 9))
	f("SELECT 1 format Native;", selFormat("SELECT 1 format Native", "Native", 9))
	f("SELECT 1 FORMAT CSV SETTINGS a = 1",
		selFormat("SELECT 1 FORMAT CSV SETTINGS a = 1", "CSV", 9))
	f("SELECT (SELECT 1 FORMAT) FROM t", sel("SELECT (SELECT 1 FORMAT) FROM t"))
	f("SELECT format FROM t", sel("SELECT format FROM t"))
	f("SELECT 'FORMAT CSV'", sel("SELECT 'FORMAT CSV'"))
	f("SELECT $x$; FORMAT CSV$x$", sel("SELECT $x$; FORMAT CSV$x$"))
	f(`SELECT 'a\';' || 'it''s;'`, sel(`SELECT 'a\';' || 'it''s;'`))
	f("SELECT `a;b`, \"c;d\"", sel("SELECT `a;b`, \"c;d\""))
	f("SELECT 'never closed", sel("SELECT 'never closed"))

	f("CREATE TABLE t (a UInt8)", statement{sql: "CREATE TABLE t (a UInt8)"})
	f("SET a = 1", statement{sql: "SET a = 1"})
	f("SHOW TABLES", statement{sql: "SHOW TABLES", pure: true, repeatable: true})
	f("SHOW TABLES FORMAT JSON", statement{
		sql: "SHOW TABLES FORMAT JSON", format: "JSON", bare: 12, pure: true, repeatable: true,
	})
	f("INSERT INTO t SELECT 1", statement{sql: "INSERT INTO t SELECT 1", pure: true})
	f("INSERT INTO t (a) WITH 1 AS x SELECT x",
		statement{sql: "INSERT INTO t (a) WITH 1 AS x SELECT x", pure: true})
	f("WITH 1 AS x INSERT INTO t SELECT x",
		statement{sql: "WITH 1 AS x INSERT INTO t SELECT x", pure: true})
	f("INSERT INTO t (SELECT 1)", statement{sql: "INSERT INTO t (SELECT 1)", pure: true})

}

func TestParseInsert(t *testing.T) {
	f := func(text string, want statement) {
		t.Helper()
		wantStatement(t, text, want)
	}
	insert := func(sql, format, data string) statement {
		return statement{kind: statementInsert, sql: sql, format: format, data: data, pure: true}
	}
	f("INSERT INTO t FORMAT Native", insert("INSERT INTO t", "Native", ""))
	f("insert into t format CSV\n1;2\n", insert("insert into t", "CSV", "1;2\n"))
	f("INSERT INTO t FORMAT CSV\r\n1", insert("INSERT INTO t", "CSV", "1"))
	f("INSERT INTO t FORMAT TSV\n\t1", insert("INSERT INTO t", "TSV", "\t1"))
	f("INSERT INTO t -- c\nFORMAT CSV 1", insert("INSERT INTO t", "CSV", "1"))
	f("INSERT INTO TABLE a.b (x, y) SETTINGS z = 1 FORMAT CSV",
		insert("INSERT INTO TABLE a.b (x, y) SETTINGS z = 1", "CSV", ""))
	f("INSERT INTO t VALUES (1), (2)", insert("INSERT INTO t", "Values", " (1), (2)"))
	f("INSERT INTO t (values, format) VALUES (1, 2)",
		insert("INSERT INTO t (values, format)", "Values", " (1, 2)"))
	f("INSERT INTO values VALUES (1)", insert("INSERT INTO values", "Values", " (1)"))
	f("INSERT INTO a.format FORMAT CSV", insert("INSERT INTO a.format", "CSV", ""))
	f("INSERT INTO `x;y` FORMAT CSV", insert("INSERT INTO `x;y`", "CSV", ""))
	f("INSERT INTO FUNCTION null('a UInt8') VALUES (1)",
		insert("INSERT INTO FUNCTION null('a UInt8')", "Values", " (1)"))
	f("INSERT INTO {t:Identifier} FORMAT CSV", insert("INSERT INTO {t:Identifier}", "CSV", ""))
}

func TestStatementsThatAreRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := parseStatement(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f("", "Empty query")
	f(" -- only this", "Empty query")
	f("SELECT 1; SELECT 2", "Multi-statements")
	f("SELECT 1;; DROP TABLE t", "Multi-statements")
	f("CREATE TABLE t (a UInt8); DROP TABLE t", "Multi-statements")
	f("INSERT INTO t SELECT 1; DROP TABLE t", "Multi-statements")
	f("SELECT 1 INTO OUTFILE 'x'", "Files of the server")
	f("SELECT 1 INTO /* */ outfile 'x' FORMAT CSV", "Files of the server")
	f("INSERT INTO t FROM INFILE 'x' FORMAT CSV", "Files of the server")
	if err := checkValues("(1, ';'), (2, 'x');  "); err != nil {
		t.Error(err)
	}
	if err := checkValues("(1); DROP TABLE t"); err == nil {
		t.Error("a statement behind VALUES passed")
	}
}

func FuzzParseStatement(f *testing.F) {
	for _, s := range []string{
		"SELECT 1", "INSERT INTO t VALUES (1)", "SELECT '", "/*", "$a$", "SELECT 1;;", "((",
		"INSERT INTO t FORMAT CSV\n1", "WITH a AS (SELECT 1) SELECT 2 FORMAT JSON", "`", "\\", ")",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStatement(text)
		if err != nil {
			return
		}
		if !strings.HasPrefix(text, s.sql) || !strings.HasSuffix(text, s.data) {
			t.Errorf("%q: not parts of it: %q, %q", text, s.sql, s.data)
		}
		if s.bare > len(s.sql) {
			t.Errorf("%q: %d of %q", text, s.bare, s.sql)
		}
	})
}
