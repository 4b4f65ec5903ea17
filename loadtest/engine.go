package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	scratchDatabase = "bench_reference"
	ledgerTable     = "usage_events"
	mergesWait      = 30 * time.Second
)

// engineFlags say where the engine behind the server under test is.
type engineFlags struct {
	endpoint, url, user, password, database string
	timeout                                 time.Duration
	connections                             int
}

func (f *engineFlags) register(set *flag.FlagSet) {
	set.StringVar(&f.endpoint, "engine-endpoint", "",
		`a JSON `+"`file`"+` {"addr":"127.0.0.1:PORT","password":"..."} of the running engine`)
	set.StringVar(&f.url, "engine-url", "", "the engine's HTTP interface, `http://HOST:PORT`")
	set.StringVar(&f.user, "engine-user", "default", "the engine's `user`")
	set.StringVar(&f.password, "engine-password", "",
		"its `password` (or LOADTEST_ENGINE_PASSWORD)")
	set.StringVar(&f.database, "engine-database", "",
		"the server's `database` (default: the one that has usage_events)")
	set.DurationVar(&f.timeout, "engine-timeout", 5*time.Minute, "limit of one statement")
	set.IntVar(&f.connections, "engine-connections", 2, "reference inserts at a time")
}

// resolve returns the engine that the flags name, nil if none.
func (f *engineFlags) resolve(con console, remote bool) (*engine, error) {
	if f.password == "" {
		f.password = con.getenv("LOADTEST_ENGINE_PASSWORD")
	}
	if f.connections < 1 {
		return nil, usagef("--engine-connections: want 1 or more")
	}
	address, password := f.url, f.password
	if f.endpoint != "" {
		if f.url != "" {
			return nil, usagef("--engine-endpoint and --engine-url exclude each other")
		}
		text, err := os.ReadFile(f.endpoint)
		if err != nil {
			return nil, usagef("--engine-endpoint: %v", err)
		}
		var endpoint struct{ Addr, Password string }
		if err := json.Unmarshal(text, &endpoint); err != nil {
			return nil, usagef("--engine-endpoint: %s: %v", f.endpoint, err)
		}
		address, password = "http://"+endpoint.Addr, endpoint.Password
	}
	if address == "" {
		return nil, nil
	}
	base, err := origin(address, remote)
	if err != nil {
		return nil, err
	}
	return &engine{
		client: newClient(base, max(f.connections, 2), f.timeout),
		user:   f.user, password: password, database: f.database, connections: f.connections,
	}, nil
}

// An engine is ClickHouse's HTTP interface of the engine behind the server under test.
type engine struct {
	client         *client
	user, password string
	database       string // the server's; found by findDatabase if empty
	connections    int
}

// query runs a statement in a database and returns its output.
func (e *engine) query(ctx context.Context, database, sql string) ([]byte, error) {
	return e.post(ctx, url.Values{"database": {database}}, []byte(sql))
}

// insert inserts blocks of format Native under a deduplication token, and returns when they and
// what views make of them are stored.
func (e *engine) insert(ctx context.Context, table, token string, blocks []byte) error {
	_, err := e.post(ctx, url.Values{
		"database":                   {scratchDatabase},
		"query":                      {"INSERT INTO " + quoteName(table) + " FORMAT Native"},
		"async_insert":               {"0"},
		"insert_deduplication_token": {token},
		"deduplicate_blocks_in_dependent_materialized_views": {"1"},
	}, blocks)
	return err
}

func (e *engine) post(ctx context.Context, values url.Values, body []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(e.client.base + "/?" + values.Encode())
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.Set("X-ClickHouse-User", e.user)
	req.Header.Set("X-ClickHouse-Key", e.password)
	req.SetBodyRaw(body)
	if err := e.client.do(req, resp); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if resp.StatusCode() != http.StatusOK {
		return nil, fmt.Errorf("engine: %w", statusError(resp))
	}
	return append([]byte(nil), resp.Body()...), nil
}

// number runs a statement whose answer is one integer.
func (e *engine) number(ctx context.Context, database, sql string) (int64, error) {
	text, err := e.query(ctx, database, sql+" FORMAT TabSeparated")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("engine: want a number: %w", err)
	}
	return n, nil
}

// awaitMerges waits until no background merge runs, for a while at most.
func (e *engine) awaitMerges(ctx context.Context) error {
	for deadline := time.Now().Add(mergesWait); time.Now().Before(deadline); {
		running, err := e.number(ctx, "system", "SELECT count() FROM system.merges")
		if err != nil || running == 0 {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// findDatabase finds the database of the server under test.
func (e *engine) findDatabase(ctx context.Context) error {
	if e.database != "" {
		return nil
	}
	text, err := e.query(ctx, "system", "SELECT database FROM system.tables WHERE name = '"+
		ledgerTable+"' AND database != '"+scratchDatabase+"' FORMAT TabSeparatedRaw")
	if err != nil {
		return err
	}
	names := strings.Fields(string(text))
	if len(names) != 1 {
		return fmt.Errorf("engine: %d databases have %s: name one with --engine-database",
			len(names), ledgerTable)
	}
	e.database = names[0]
	return nil
}

// copySchema makes the scratch database with the same tables and views as the server's, empty.
func (e *engine) copySchema(ctx context.Context) error {
	if err := e.findDatabase(ctx); err != nil {
		return err
	}
	if e.database == scratchDatabase {
		return errors.New("engine: the server runs on the scratch database")
	}
	statements, err := e.showCreate(ctx)
	if err != nil {
		return err
	}
	if err := e.dropScratch(ctx); err != nil {
		return err
	}
	if _, err := e.query(ctx, "system", "CREATE DATABASE "+scratchDatabase); err != nil {
		return err
	}
	// Tables come before views, but a view may read a view: repeat while there is progress.
	for len(statements) > 0 {
		var failed []string
		var reasons []error
		for _, sql := range statements {
			if _, err := e.query(ctx, scratchDatabase, sql); err != nil {
				failed = append(failed, sql)
				reasons = append(reasons, err)
			}
		}
		if len(failed) == len(statements) {
			return fmt.Errorf("copy of the schema: %w", reasons[0])
		}
		statements = failed
	}
	return nil
}

// showCreate returns the statements that make the server's tables in the scratch database,
// tables first, materialized views last.
func (e *engine) showCreate(ctx context.Context) ([]string, error) {
	text, err := e.query(ctx, "system", "SELECT name FROM system.tables WHERE database = '"+
		quoteText(e.database)+"' AND NOT startsWith(name, '.inner') "+
		"ORDER BY multiIf(engine = 'MaterializedView', 3, engine = 'View', 2, "+
		"engine = 'Dictionary', 1, 0), name FORMAT TabSeparatedRaw")
	if err != nil {
		return nil, err
	}
	var statements []string
	for name := range strings.Lines(string(text)) {
		name = strings.TrimSuffix(name, "\n")
		sql, err := e.query(ctx, e.database, "SHOW CREATE TABLE "+quoteName(e.database)+"."+
			quoteName(name)+" FORMAT TabSeparatedRaw")
		if err != nil {
			return nil, err
		}
		statements = append(statements, renameDatabase(string(sql), e.database, scratchDatabase))
	}
	return statements, nil
}

func (e *engine) dropScratch(ctx context.Context) error {
	_, err := e.query(ctx, "system", "DROP DATABASE IF EXISTS "+scratchDatabase+" SYNC")
	return err
}

// renameDatabase replaces a database's name where it qualifies a table, and in the source of a
// dictionary.
func renameDatabase(sql, from, to string) string {
	name := regexp.QuoteMeta(from)
	qualified := regexp.MustCompile("(^|[^A-Za-z0-9_.`])(?:`" + name + "`|" + name + ")\\.")
	sql = qualified.ReplaceAllString(sql, "${1}"+to+".")
	source := regexp.MustCompile(`(?i)(\bDB\s+)'` + name + `'`)
	return source.ReplaceAllString(sql, "${1}'"+to+"'")
}

func quoteName(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

func quoteText(text string) string {
	return strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(text)
}
