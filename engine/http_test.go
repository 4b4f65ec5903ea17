package engine

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answer is what came back, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// post sends a request as the right user. The query holds name=value pairs.
func post(t testing.TB, body io.Reader, query ...string) answer {
	t.Helper()
	return do(t, http.MethodPost, body, func(r *http.Request) {
		r.SetBasicAuth("default", shared.Password())
	}, query...)
}

func do(
	t testing.TB, method string, body io.Reader, change func(*http.Request), query ...string,
) answer {
	t.Helper()
	values := url.Values{}
	for _, pair := range query {
		name, value, _ := strings.Cut(pair, "=")
		values.Add(name, value)
	}
	r, err := http.NewRequestWithContext(t.Context(), method,
		"http://"+shared.Addr()+"/?"+values.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	change(r)
	resp, err := plainClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

// plainClient shows encodings instead of undoing them.
var plainClient = &http.Client{Transport: &http.Transport{DisableCompression: true}}

// postEncoded inserts CSV that is encoded, and asks for the answer in the same way.
func postEncoded(t testing.TB, body []byte, encoding, name string) answer {
	t.Helper()
	return do(t, http.MethodPost, bytes.NewReader(body), func(r *http.Request) {
		r.SetBasicAuth("default", shared.Password())
		r.Header.Set("Content-Encoding", encoding)
		r.Header.Set("Accept-Encoding", encoding)
	}, "query=INSERT INTO "+name+" FORMAT CSV")
}

func text(s string) io.Reader { return strings.NewReader(s) }

func TestStatementComesFromURLBodyOrBoth(t *testing.T) {
	f := func(want, body string, query ...string) {
		t.Helper()
		if got := post(t, text(body), query...); got.status != 200 || got.body != want {
			t.Errorf("%d %q, want %q", got.status, got.body, want)
		}
	}
	f("1\n", "", "query=SELECT 1")
	f("1\n", "SELECT 1")
	f("1\n", "SELECT 1;")
	f("1\n", "SELECT 1 -- the end")
	f("1\n", "1", "query=SELECT")
	f("3\n", "SELECT {a:UInt8} + {b:UInt8}", "param_a=1", "param_b=2")
	f("{\"x\":1}\n", "SELECT 1 AS x", "default_format=JSONEachRow")
	f("{\"x\":1}\n", "SELECT 1 AS x FORMAT JSONEachRow", "default_format=Native")
	f("\"x\"\n1\n", "SELECT 1 AS x FORMAT CSVWithNames SETTINGS max_threads = 1")
	f("\"x\"\n1\n", "SELECT 1 AS x SETTINGS max_threads = 1", "default_format=CSVWithNames")
	f("system\n", "SELECT currentDatabase()", "database=system")
	f("1\n1\n", "(SELECT 1) UNION ALL (SELECT 1)")
	f("5\n", "WITH 5 AS x SELECT x")
	f("", "CREATE DATABASE IF NOT EXISTS made")
	f("", "DROP DATABASE made")
	if got := do(t, http.MethodGet, nil, func(r *http.Request) {
		r.Header.Set("X-ClickHouse-User", "default")
		r.Header.Set("X-ClickHouse-Key", shared.Password())
	}, "query=CREATE DATABASE by_get"); !strings.HasPrefix(got.body, "Code: 164.") {
		t.Errorf("GET may write: %d %q", got.status, got.body)
	}
}

func TestErrorsAreAnsweredAsTheServerDoes(t *testing.T) {
	f := func(status int, code, body string, query ...string) {
		t.Helper()
		got := post(t, text(body), query...)
		if got.status != status || got.header.Get("X-ClickHouse-Exception-Code") != code ||
			!strings.HasPrefix(got.body, "Code: "+code+". DB::Exception: ") {
			t.Errorf("%d %q %q, want %d and code %s", got.status,
				got.header.Get("X-ClickHouse-Exception-Code"), got.body, status, code)
		}
	}
	f(404, "60", "SELECT * FROM nope")
	f(404, "60", "SELECT * FROM nope", "default_format=Native")
	f(404, "60", "INSERT INTO nope FORMAT CSV 1")
	f(400, "62", "SELEC 1")
	f(400, "62", "")
	f(400, "62", "SELECT 1; SELECT 2")
	f(404, "81", "SELECT 1", "database=nope")
	f(404, "115", "SELECT 1", "nope=1")
	f(404, "115", "SELECT 1", "max_threads = 1, max_block_size=1")
	f(404, "73", "SELECT 1 FORMAT Nope")
	f(404, "73", "SELECT 1", "default_format=Nope`")
	f(501, "48", "SELECT 1", "session_id=x")
	f(413, "229", "SELECT '"+strings.Repeat("x", sqlBytesMax)+"'")
	f(408, "159", "SELECT count() FROM numbers(1000000000000)", "max_execution_time=0.1")
	f(500, "241", "SELECT groupArray(number) FROM numbers(100000000)",
		"max_memory_usage=10000000")
	f(500, "396", "SELECT number FROM numbers(1000)",
		"max_result_rows=10", "result_overflow_mode=throw")
	f(500, "395", "SELECT throwIf(number = 2) FROM numbers(3)", "default_format=JSON")
	f(500, "395", "SELECT throwIf(number = 2) FROM numbers(3)", "default_format=Native")
}

func TestOnlyThePasswordOpens(t *testing.T) {
	f := func(status int, change func(*http.Request), query ...string) {
		t.Helper()
		got := do(t, http.MethodPost, text("SELECT 1"), change, query...)
		if got.status != status {
			t.Errorf("%d %q, want %d", got.status, got.body, status)
		}
		if status != 200 && (got.header.Get("X-ClickHouse-Exception-Code") != "516" ||
			!strings.HasPrefix(got.body, "Code: 516.")) {
			t.Errorf("not code 516: %q", got.body)
		}
	}
	nothing := func(*http.Request) {}
	password := shared.Password()
	f(401, nothing)
	f(403, nothing, "password=wrong")
	f(200, nothing, "password="+password)
	f(200, nothing, "user=default", "password="+password)
	f(403, nothing, "user=other", "password="+password)
	f(403, func(r *http.Request) { r.SetBasicAuth("default", "") })
	f(403, func(r *http.Request) { r.SetBasicAuth("other", password) })
	f(200, func(r *http.Request) { r.SetBasicAuth("default", password) })
	f(200, func(r *http.Request) { r.Header.Set("X-ClickHouse-Key", password) })
	f(403, func(r *http.Request) { r.Header.Set("X-ClickHouse-Key", password+"x") })

	resp, err := http.Get("http://" + shared.Addr() + "/ping")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "Ok.\n" {
		t.Errorf("ping: %d %q", resp.StatusCode, body)
	}
}

func TestSettingsOfARequestAreItsOwn(t *testing.T) {
	const ask = "SELECT getSetting('max_threads'), getSetting('max_block_size'), currentDatabase()"
	plain := post(t, text(ask)).body
	for range 3 {
		got := post(t, text(ask), "max_threads=7", "database=system").body
		if !strings.HasPrefix(got, "7\t") || !strings.HasSuffix(got, "\tsystem\n") {
			t.Errorf("with settings: %q", got)
		}
		for _, sql := range []string{
			"SET max_threads = 9", "USE system", "SELECT 1 SETTINGS max_threads = 5",
			"CREATE TEMPORARY TABLE leaked (a UInt8)",
			"SELECT throwIf(1) SETTINGS max_threads = 5",
		} {
			post(t, text(sql))
			if got := post(t, text(ask)).body; got != plain {
				t.Errorf("after %s: %q, want %q", sql, got, plain)
			}
		}
		if got := post(t, text("SELECT * FROM leaked")); got.status != 404 {
			t.Errorf("a temporary table of another request: %q", got.body)
		}
	}
}

func TestEmptyResultHasItsColumns(t *testing.T) {
	const header = "\x02\x00\x01a\x05UInt8\x03b'c\x06String"
	f := func(want, sql string, query ...string) {
		t.Helper()
		got := post(t, text(sql), append(query, "default_format=Native")...)
		if got.status != 200 || got.body != want {
			t.Errorf("%s: %d %q, want %q", sql, got.status, got.body, want)
		}
	}
	f(header, "SELECT 1::UInt8 AS a, '' AS `b'c` WHERE 0")
	f(header, "SELECT 1::UInt8 AS a, '' AS `b'c` WHERE 0 FORMAT Native")
	f(header, "SELECT {x:UInt8} AS a, '' AS `b'c` WHERE 0 SETTINGS max_threads = 1; -- end",
		"param_x=1")
	f("\x01\x00\x04name\x06String", "SHOW TABLES LIKE 'no such'")
	f("", "DROP TABLE IF EXISTS no_such")

	rows, err := open(t).Query(t.Context(), "SELECT 1 AS a, 'x' AS b WHERE 0")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if diff := cmp.Diff([]string{"a", "b"}, rows.Columns()); diff != "" || rows.Next() {
		t.Error(diff)
	}
}

// slowReader gives its parts with a pause behind each, then fails or ends.
type slowReader struct {
	parts []string
	pause time.Duration
	err   error
}

func (s *slowReader) Read(p []byte) (int, error) {
	if len(s.parts) == 0 {
		return 0, s.err
	}
	n := copy(p, s.parts[0])
	if s.parts[0] = s.parts[0][n:]; s.parts[0] == "" {
		time.Sleep(s.pause)
		s.parts = s.parts[1:]
	}
	return n, nil
}

func TestInsertFormats(t *testing.T) {
	conn := open(t)
	name := table(t, conn, "(a UInt32, b String DEFAULT 'd') ENGINE = MergeTree ORDER BY a")
	f := func(want string, body io.Reader, query ...string) {
		t.Helper()
		execSQL(t, conn, "TRUNCATE TABLE "+name)
		if got := post(t, body, query...); got.status != 200 || got.body != "" {
			t.Fatalf("%d %q", got.status, got.body)
		}
		if got := post(t, text("SELECT * FROM "+name+" ORDER BY a FORMAT CSV")).body; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	into := "query=INSERT INTO " + name
	f("1,\"x\"\n2,\"y\"\n", text("1,x\n2,y\n"), into+" FORMAT CSV")
	f("1,\"x\"\n", text("{\"a\":1,\"b\":\"x\"}"), into+" FORMAT JSONEachRow")
	f("1,\"d\"\n", text("{\"a\":1}"), into+" (a) FORMAT JSONEachRow")
	f("1,\"x\"\n", text("1\tx\n"), into+" -- to be filled\n FORMAT TSV")
	f("1,\"x;y\"\n2,\"B\"\n", text("(1,'x;y'),(1+1,upper('b'))"), into+" VALUES")
	f("1,\"x\"\n", text(""), into+" VALUES (1,'x');")
	f("1,\"x\"\n", text("VALUES (1,'x')"), into)
	f("1,\"x\"\n", text("INSERT INTO "+name+" VALUES (1,'x')"))
	f("1,\"x\"\n2,\"y\"\n", text("INSERT INTO "+name+" FORMAT CSV\n1,x\n2,y\n"))
	f("3,\"p\"\n", text("INSERT INTO "+name+" VALUES ({n:UInt32}, {s:String})"),
		"param_n=3", "param_s=p")
	f("1,\"x\"\n", text("1,x\n"), "query=INSERT INTO {t:Identifier} FORMAT CSV", "param_t="+name)
	f("0,\"d\"\n1,\"d\"\n", text("INSERT INTO "+name+" (a) SELECT number FROM numbers(2)"),
		"default_format=Native")
	f("0,\"d\"\n", text("INSERT INTO "+name+" (a) WITH 0 AS n SELECT n"), "default_format=Native")
	f("1,\"x\"\n2,\"y\"\n", &slowReader{[]string{"1,x\n2", ",y\n"}, 50 * time.Millisecond, io.EOF},
		into+" SETTINGS max_insert_threads = 1 FORMAT CSV")
	f("", text(""), into+" FORMAT CSV")

	var many bytes.Buffer // more than SQL may hold
	for many.Len() < sqlBytesMax+1000 {
		many.WriteString("(7,'" + strings.Repeat("z", 1000) + "'),\n")
	}
	rows := strings.Count(many.String(), "\n")
	execSQL(t, conn, "TRUNCATE TABLE "+name)
	if got := post(t, &many, into+" VALUES"); got.status != 200 {
		t.Fatal(got.body)
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+name); n != uint64(rows) {
		t.Errorf("%d rows of %d", n, rows)
	}
}

func TestBrokenInsertIsAnError(t *testing.T) {
	conn := open(t)
	name := table(t, conn, "(a UInt32) ENGINE = MergeTree ORDER BY a")
	into := "query=INSERT INTO " + name
	f := func(code string, body io.Reader, query ...string) {
		t.Helper()
		if got := post(t, body, query...); got.header.Get("X-ClickHouse-Exception-Code") != code {
			t.Errorf("%d %q, want code %s", got.status, got.body, code)
		}
	}
	f("117", text("1\nx\n"), into+" FORMAT CSV")
	f("117", text(strings.Repeat("1\n", 5<<20)+"x\n"), into+" FORMAT CSV",
		"min_insert_block_size_rows=100000000", "max_insert_block_size=100000000")
	f("16", text("1\n"), into+" (nope) FORMAT CSV")
	f("73", text("1\n"), into+" FORMAT Nope")
	f("62", text("(1); DROP TABLE "+name), into+" VALUES")
	f("33", text("no frame"), into+" FORMAT CSV", "decompress=1")
	f("271", text(strings.Repeat("no frame", 10)), into+" FORMAT CSV", "decompress=1")
	f("33", text("\x01\x02\x01a\x06UInt32\x01\x00\x00\x00"), into+" FORMAT Native")
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+name); n != 0 {
		t.Errorf("%d rows of broken inserts", n)
	}
}

func TestKillByTheClientsQueryID(t *testing.T) {
	ended := make(chan answer, 1)
	go func() {
		ended <- post(t, text("SELECT count() FROM numbers(1000000000000)"), "query_id=mine")
	}()
	eventually(t, "the query is killed", func() bool {
		post(t, text("KILL QUERY WHERE query_id = 'mine'"))
		select {
		case got := <-ended:
			if !strings.HasPrefix(got.body, "Code: 394.") {
				t.Errorf("%q, want code 394", got.body)
			}
			return true
		default:
			return false
		}
	})
}

func TestTooManyQueriesAreRefused(t *testing.T) {
	db := &DB{slots: make(chan struct{}, 1), queue: 1, patience: 50 * time.Millisecond}
	leave, err := db.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.enter(t.Context()); err == nil || asException(err).Code != 202 {
		t.Errorf("%v, want code 202", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.enter(ctx); err == nil {
		t.Error("let in after its client had gone")
	}
	leave()
	leave, err = db.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leave()
}
