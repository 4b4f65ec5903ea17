package native

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// post returns a request as Ada; a header with an empty value is taken out.
func post(query, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, eventsPath+query, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer ada-token")
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Set(name, value); value == "" {
			r.Header.Del(name)
		}
	}
	return r
}

// exchange sends r and returns status, headers that matter and body.
func exchange(t *testing.T, l *ledger, r *http.Request) string {
	t.Helper()
	response := send(t, serve(l), r)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", response.StatusCode)
	for _, name := range []string{"Allow", "Content-Type", "Retry-After", "WWW-Authenticate"} {
		if v := response.Header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", body)
	return b.String()
}

// ledgerLike rejects and knows what the real one would, as far as the exchanges need it.
func ledgerLike(events []schema.Event) (dialect.Receipt, error) {
	var r dialect.Receipt
	for i, e := range events {
		switch m := e.Measurements[0]; {
		case m.Quantity.Sign() < 0:
			r.Rejected = append(r.Rejected, dialect.Rejection{Index: i, Err: schema.Errorf(
				schema.Invalid, "usage."+m.UsageType, "must not be negative")})
		case e.Key == "known":
			r.Duplicates++
			r.Repeated = append(r.Repeated, i)
		default:
			r.Accepted++
		}
	}
	r.Sequence = 7
	slices.Reverse(r.Rejected) // nothing promises an order
	return r, nil
}

func fails(err error) func([]schema.Event) (dialect.Receipt, error) {
	return func([]schema.Event) (dialect.Receipt, error) { return dialect.Receipt{}, err }
}

func TestExchanges(t *testing.T) {
	var out strings.Builder
	f := func(name string, r *http.Request, answer func([]schema.Event) (dialect.Receipt, error)) {
		t.Helper()
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if answer == nil {
			answer = ledgerLike
		}
		fmt.Fprintf(&out, "== %s\n%s %s\n%.200s\n--\n%s\n", name, r.Method, r.URL.RequestURI(), body,
			exchange(t, &ledger{answer: answer}, r))
	}
	const some = `[{"usage":{"N":1}},{"usage":{}},{"usage":{"N":-1}},{"id":"known","usage":{"N":1}},` +
		`{"usage":{"N":1},"modle":"x"},{"usage":{"N":-2}}]`
	f("one event", post("", fullEvent), nil)
	f("a duplicate", post("", `{"id":"known","usage":{"N":1}}`), nil)
	f("some rejected", post("", some), nil)
	f("some rejected, atomic", post("?atomic=true", some), nil)
	f("rejected by the ledger, atomic", post("?atomic=true", `[{"usage":{"N":1}},{"usage":{"N":-1}}]`),
		nil)
	f("atomic", post("?atomic=true", `[{"usage":{"N":1}},{"usage":{"N":2}}]`), nil)
	f("all rejected", post("", `[{"usage":{"N":-1}},{}]`), nil)
	f("one rejected", post("", `{"usage":{"N":"many"}}`), nil)
	f("lines", post("", smallEvent+"\n\n{}\n"+smallEvent+"\n", "Content-Type: application/x-ndjson"),
		nil)
	f("a line that is no JSON", post("", smallEvent+"\n\n{\n", "Content-Type: application/jsonl"), nil)
	f("no JSON", post("", `{"usage":{"N":1}`), nil)
	f("empty", post("", ``), nil)
	f("hostile names", post("", `[{"<script>\u0000\"":1},{"usage":{"N":1}}]`), nil)
	f("an agent", post("", smallEvent, "Authorization: ", "Agent-Secret-Key: helper-secret"), nil)
	f("no credential", post("", smallEvent, "Authorization: "), nil)
	f("unknown token", post("", smallEvent, "Authorization: Bearer nobody"), nil)
	f("unknown agent secret", post("", smallEvent, "Agent-Secret-Key: nobody"), nil)
	f("stored", post("?wait=stored", smallEvent), nil)
	f("wait of another value", post("?wait=visible", smallEvent), nil)
	f("results", post("?results=true", some), nil)
	f("results of one", post("?results=true&wait=stored", fullEvent), nil)
	f("atomic of another value", post("?atomic=yes", smallEvent), nil)
	f("misspelt parameter", post("?atomc=true", smallEvent), nil)
	const event, events = "Content-Type: " + mimeCloudEvent, "Content-Type: " + mimeCloudEvents
	f("a CloudEvent", post("", cloudEventOf(`"id":"1"`, smallEvent), event), nil)
	f("no CloudEvent", post("", smallEvent, event), nil)
	f("CloudEvents", post("?results=true", "["+strings.Join([]string{
		cloudEventOf(`"id":"1"`, smallEvent), cloudEventOf(`"id":"2"`, `{"usage":{"N":-1}}`),
		cloudEventOf(`"id":"3"`, `{"usage":{}}`), cloudEventOf(`"type":"other"`, smallEvent),
		cloudEventOf(`"id":"5"`, `7`),
	}, ",")+"]", events), nil)
	f("one where several are said", post("", cloudEventOf(`"id":"1"`, smallEvent), events), nil)
	f("several where one is said", post("", "["+cloudEventOf(`"id":"1"`, smallEvent)+"]", event), nil)
	f("a key for a CloudEvent", post("", cloudEventOf(`"id":"1"`, smallEvent), event,
		"Idempotency-Key: k"), nil)
	f("a CloudEvent in headers", post("?results=true", smallEvent, "Ce-Id: 1", "Ce-Source: /a",
		"Ce-Type: meterhouse.usage", "Ce-Specversion: 1.0"), nil)
	f("half of one", post("", smallEvent, "Ce-Id: 1"), nil)
	f("no zstd", post("", smallEvent, "Content-Encoding: zstd"), nil)
	f("unknown encoding", post("", smallEvent, "Content-Encoding: br"), nil)
	f("key for two", post("", "["+smallEvent+","+smallEvent+"]", "Idempotency-Key: k"), nil)
	f("key too long", post("", smallEvent, "Idempotency-Key: "+strings.Repeat("k", 201)), nil)
	f("key and id differ", post("", fullEvent, "Idempotency-Key: k"), nil)
	f("too many", post("", "["+strings.Repeat("0,", 10_000)+"0]"), nil)
	f("overloaded", post("", smallEvent), fails(&schema.Error{Kind: schema.Overloaded,
		Message: "the log is full", RetryAfter: 1500 * time.Millisecond}))
	f("unavailable", post("", smallEvent), fails(&schema.Error{Kind: schema.Unavailable,
		Message: "not ready"}))
	f("forbidden", post("", smallEvent), fails(schema.Errorf(schema.Forbidden, "", "not you")))
	f("internal", post("", smallEvent), fails(errors.New("disk /dev/sda1: secret")))
	f("internal, classified", post("", smallEvent),
		fails(schema.Errorf(schema.Internal, "disk", "secret")))
	f("unknown path", httptest.NewRequest(http.MethodGet, "/v1/nothing?token=secret", nil), nil)
	f("wrong method", httptest.NewRequest(http.MethodGet, eventsPath, nil), nil)

	const golden = "testdata/exchanges.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestStatus(t *testing.T) {
	gzipped := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return b.String()
	}
	f := func(r *http.Request, want, wantEvents int) {
		t.Helper()
		l := &ledger{}
		got := send(t, serve(l), r)
		if got.StatusCode != want || len(l.events) != wantEvents {
			body, _ := io.ReadAll(got.Body)
			t.Errorf("%d with %d events, want %d with %d: %.300s", got.StatusCode, len(l.events),
				want, wantEvents, body)
		}
	}
	lines := "Content-Type: application/x-ndjson"
	f(post("", smallEvent), 201, 1)
	f(post("", smallEvent, "Content-Type: "), 201, 1)
	f(post("", smallEvent, "Content-Type: Application/JSON; charset=UTF-8"), 201, 1)
	f(post("", smallEvent+"\n"+smallEvent, lines), 201, 2)
	f(post("", smallEvent+"\n"+smallEvent, "Content-Type: application/jsonl"), 201, 2)
	f(post("", smallEvent+"\n"+smallEvent), 400, 0)
	f(post("", smallEvent, "Content-Type: text/plain"), 415, 0)
	f(post("", smallEvent, "Content-Type: application/x-www-form-urlencoded"), 415, 0)
	f(post("", smallEvent, "Content-Type: application/cloudevents-batch+json"), 400, 0)
	f(post("", smallEvent, "Content-Type: application/cloudevents+xml"), 415, 0)
	f(post("", gzipped(smallEvent), "Content-Encoding: gzip"), 201, 1)
	f(post("", smallEvent, "Content-Encoding: gzip"), 400, 0)
	f(post("", gzipped(strings.Repeat(" ", 9<<20)), "Content-Encoding: gzip"), 413, 0)
	f(post("", strings.Repeat(" ", 8<<20+1)), 413, 0)
	f(post("", strings.Repeat(" ", 8<<20-len(smallEvent))+smallEvent), 201, 1)
	f(post("", strings.Repeat(smallEvent+"\n", 10_000), lines), 201, 10_000)
	f(post("", strings.Repeat(smallEvent+"\n", 10_001), lines), 413, 0)
	f(post("", smallEvent, "Authorization: Bearer app_a7_bob"), 201, 1)
	f(post("", smallEvent, "Authorization: bearer ada-token"), 201, 1)
	f(post("", smallEvent, "Authorization: Bearer ada-login"), 401, 0)
	f(post("", smallEvent, "Authorization: Bearer helper-secret"), 401, 0)
	f(post("", smallEvent, "Authorization: Basic YTpi"), 401, 0)
	f(post("", smallEvent, "Authorization: Basic YTpi", "Agent-Secret-Key: idle-secret"), 201, 1)
	f(post("", smallEvent, "Agent-Secret-Key: ada-token"), 401, 0)
	f(post("?atomic=true", smallEvent), 201, 1)
	f(post("?atomic=false", smallEvent), 400, 0)
	f(post("?atomic=true&atomic=no", smallEvent), 400, 0)
	f(post("?atomic", smallEvent), 400, 0)
	f(post("?wait=", smallEvent), 400, 0)
	f(post("?results=1", smallEvent), 400, 0)
	f(post("", smallEvent, "Idempotency-Key: \xff"), 400, 0)
	f(post("", smallEvent, "Idempotency-Key: "+strings.Repeat("é", 200)), 201, 1)

	twice := post("", smallEvent)
	twice.Header["Idempotency-Key"] = []string{"a", "b"}
	f(twice, 400, 0)
	empty := post("", smallEvent)
	empty.Header["Idempotency-Key"] = []string{""}
	f(empty, 400, 0)
}

// TestRecordIsGiven checks what reaches the ledger, which the answers do not show.
func TestRecordIsGiven(t *testing.T) {
	l := &ledger{}
	app := serve(l)
	r := post("?atomic=true", smallEvent, "Agent-Secret-Key: helper-secret", "Idempotency-Key: k")
	if got := send(t, app, r); got.StatusCode != 201 {
		t.Fatal(got.StatusCode)
	}
	if e := l.events[0]; e.Agent != helper || e.User != bob || e.Organization != acme ||
		e.Key != "k" || e.ID != schema.EventID(acme, "k") || !e.Time.Equal(noon) || !l.atomic {
		t.Errorf("%+v, atomic %v", e, l.atomic)
	}
	send(t, app, post("", smallEvent))
	if e := l.events[0]; e.Agent != uuid.Nil || e.User != ada || e.Key != "" || l.atomic ||
		e.ID.Version() != 7 {
		t.Errorf("%+v, atomic %v", e, l.atomic)
	}
}

// TestNothingIsRecordedOfARefusedRequest: whatever is wrong with it as a whole.
func TestNothingIsRecordedOfARefusedRequest(t *testing.T) {
	f := func(r *http.Request) {
		t.Helper()
		l := &ledger{}
		if got := send(t, serve(l), r); l.calls != 0 || got.StatusCode < 400 {
			t.Errorf("%d after %d calls of the ledger", got.StatusCode, l.calls)
		}
	}
	f(post("", "["+smallEvent+",{]"))
	f(post("", smallEvent+"\n{", "Content-Type: application/x-ndjson"))
	f(post("?atomic=true", "["+smallEvent+",{}]"))
	f(post("", "[{},{}]"))
	f(post("", "["+strings.Repeat(smallEvent+",", 10_000)+"0]"))
}

func TestRefusalIsAnInvalidError(t *testing.T) {
	err := refuse(nil, 0)
	if schema.KindOf(err) != schema.Invalid {
		t.Errorf("%v is of kind %d: it would be logged as ours", err, schema.KindOf(err))
	}
}
