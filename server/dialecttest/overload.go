package dialecttest

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// named binds what the query of neighbours asks for.
func named(own, other *Organization) []any {
	return []any{
		clickhouse.Named("own", own.ID.String()),
		clickhouse.Named("one", other.MembersAgent.ID.String()),
		clickhouse.Named("two", other.AdminsAgent.ID.String()),
		clickhouse.Named("admin", other.Admin.ID.String()),
		clickhouse.Named("member", other.Member.ID.String()),
	}
}

// overload fills a node's log while the database is down, and looks for everything that was
// acknowledged once it is back.
func (r *runner) overload(t *testing.T) {
	store := &Switch{Behind: r.h.queries}
	node := r.h.Start(t, NodeConfig{Store: store, LogBytesMax: 2000})
	for _, route := range r.writing() {
		before, err := strconv.Atoi(r.h.Rows(t))
		if err != nil {
			t.Fatal(err)
		}
		store.Down.Store(true)
		acknowledged := 0
		for {
			got := node.Do(t, r.own(route))
			if r.Outcome(got) != route.Want {
				r.overloaded(t, route, got)
				break
			}
			if acknowledged++; acknowledged > 1000 {
				t.Fatalf("%s: the log never fills", route.Name)
			}
		}
		for range 10 {
			r.overloaded(t, route, node.Do(t, r.own(route)))
		}
		// A neighbour has a share of the log all the same, and the node takes writes.
		neighbours := node.Do(t, Request{
			Method: "POST", Path: "/v1/events", Body: `{"usage":{"INPUT":1}}`,
			Header: []string{"Agent-Secret-Key", r.h.Globex.MembersAgent.Token},
		})
		if ready := node.Do(t, Request{Method: "GET", Path: "/readyz"}); neighbours.Status != 201 {
			t.Errorf("%s: a neighbour was refused: %v, readyz %v", route.Name, neighbours, ready)
		}
		acknowledged++
		store.Down.Store(false)
		node.Flush(t)
		if acknowledged == 0 {
			t.Errorf("%s: nothing was accepted before the log was full", route.Name)
		}
		if now := r.h.Rows(t); now != strconv.Itoa(before+acknowledged) {
			t.Errorf("%s: %d rows and %d acknowledged make %s", route.Name, before, acknowledged, now)
		}
		r.expect(t, route.Name+" afterwards", node.Do(t, r.own(route)), route.Want)
		node.Flush(t)
	}
}

func (r *runner) overloaded(t *testing.T, route Route, got Response) {
	t.Helper()
	r.expect(t, route.Name, got, r.Overloaded)
	if seconds, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || seconds < 1 {
		t.Errorf("%s: Retry-After %q", route.Name, got.Header.Get("Retry-After"))
	}
	hides(t, route.Name, got, "cause-of-the-test")
}

func hides(t *testing.T, what string, got Response, causes ...string) {
	t.Helper()
	for _, cause := range causes {
		if bytes.Contains(bytes.ToLower(got.Body), []byte(cause)) ||
			strings.Contains(strings.ToLower(fmt.Sprint(got.Header)), cause) {
			t.Errorf("%s: the answer tells %q: %v", what, cause, got)
		}
	}
}

// failures lets reads fail: by a database without tables, then by none.
func (r *runner) failures(t *testing.T) {
	broken, err := queries.Open(t.Context(),
		queries.Config{Options: schematest.NewEmpty(t).Options})
	if err != nil {
		t.Fatal(err)
	}
	node := r.h.Start(t, NodeConfig{Queries: broken})
	ask := func(want int) {
		t.Helper()
		for _, route := range r.Routes {
			if route.Body != nil {
				continue
			}
			got := node.Do(t, r.own(route))
			if route.Memory {
				r.expect(t, route.Name, got, route.Want)
				continue
			}
			r.expect(t, route.Name, got, want)
			hides(t, route.Name, got, "table", "select", "exception", "clickhouse", "unknown_", "sql",
				"dial", "conn", "127.0.0.1", "usage_events", "code:")
		}
	}
	ask(r.Internal)
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	ask(r.Unavailable)
	if log := node.Log.String(); strings.Contains(log, "panic") {
		t.Errorf("the log has a panic:\n%s", log)
	}
	for _, secret := range r.h.Acme.secrets() {
		if strings.Contains(node.Log.String(), secret) {
			t.Errorf("the log has a secret:\n%s", node.Log)
		}
	}
}

// panics lets a dialect's clock panic once a request.
func (r *runner) panics(t *testing.T) {
	var armed atomic.Bool
	node := r.h.Start(t, NodeConfig{Now: func() time.Time {
		if armed.Swap(false) {
			panic("cause-of-the-test")
		}
		return time.Now()
	}})
	for _, route := range r.Routes {
		armed.Store(true)
		got := node.Do(t, r.own(route))
		if armed.Swap(false) {
			r.expect(t, route.Name, got, route.Want) // it looks at no clock
			continue
		}
		hides(t, route.Name, got, "cause-of-the-test", "panic", "goroutine", ".go")
		if r.Outcome(got) != route.Want { // else it was the envelope's clock, after the work
			r.expect(t, route.Name, got, r.Internal)
		}
		if !strings.Contains(node.Log.String(), "cause-of-the-test") {
			t.Errorf("%s: the log says nothing of a panic", route.Name)
		}
		got = node.Do(t, Request{Method: http.MethodGet, Path: "/healthz"})
		if !isLast(got) {
			t.Errorf("%s: afterwards: %v", route.Name, got)
		}
	}
}
