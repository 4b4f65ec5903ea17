package usage

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// asked reads a URL's query as readParams does.
func asked(query string) (params, error) {
	p := make(params)
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	for name, v := range values {
		p[name] = v
	}
	return p, nil
}

// TestBothWaysAskTheSame: a question in a body is the one in a URL.
func TestBothWaysAskTheSame(t *testing.T) {
	f := func(query, body string) {
		t.Helper()
		p, err := asked(query)
		if err != nil {
			t.Fatal(err)
		}
		posted, err := parseParams([]byte(body), queryParams...)
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.question()
		if err != nil {
			t.Fatal(err)
		}
		b, err := posted.question()
		if err != nil {
			t.Fatal(err)
		}
		if tagOf("", a, "") != tagOf("", b, "") {
			t.Errorf("%+v, and in the body %+v", a, b)
		}
	}
	f("", "{}")
	f("from=2026-01-01&to=2026-02-01&tz=Europe/Rome&granularity=week",
		` {"tz":"Europe/Rome","to":"2026-02-01","from":"2026-01-01","granularity":"week"} `)
	f("group_by=model,usage_type&top=5&order_by=events",
		`{"group_by":["model","usage_type"],"top":5,"order_by":"events"}`)
	f("group_by=model,usage_type&top=5&order_by=events",
		`{"group_by":"model, usage_type","top":"5","order_by":"events"}`)
	f("filter.model=b&filter.model=a&filter.chargeable=true&filter.user_id=",
		`{"filter.model":["a","b","a"],"filter.chargeable":true,"filter.user_id":""}`)
	f("filter.model=b&filter.model=a&filter.chargeable=true&filter.user_id=",
		`{"filter":{"model":["a","b"],"chargeable":"true"},"filter.user_id":[""]}`)
	f("filter.agent_id=12345678-ABCD-4234-8234-123456789012",
		`{"filter.agent_id":"12345678-abcd-4234-8234-123456789012"}`)
	f("group_by=", `{"group_by":[]}`)
}

// TestInstants: dates are of the zone; an instant between two microseconds is the later one.
func TestInstants(t *testing.T) {
	f := func(text, zone, want string) {
		t.Helper()
		z, ok := schema.ParseZone(zone)
		if !ok {
			t.Fatal(zone)
		}
		got, err := params{"from": {text}}.instant("from", z)
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s in %s: %v, %v, want %s", text, zone, got.Format(time.RFC3339Nano), err, want)
		}
	}
	f("2026-03-29", "UTC", "2026-03-29T00:00:00Z")
	f("2026-03-29", "Europe/Rome", "2026-03-29T00:00:00+01:00")
	f("2026-03-30", "Europe/Rome", "2026-03-30T00:00:00+02:00")
	f("2025-09-07", "America/Santiago", "2025-09-07T01:00:00-03:00")
	f("2026-03-29T00:00:00Z", "Asia/Kathmandu", "2026-03-29T05:45:00+05:45")
	f("2026-03-29T00:00:00.5+05:45", "UTC", "2026-03-28T18:15:00.5Z")
	f("2026-03-29T00:00:00.000001Z", "UTC", "2026-03-29T00:00:00.000001Z")
	f("2026-03-29T00:00:00.0000001Z", "UTC", "2026-03-29T00:00:00.000001Z")
	f("2026-03-29T00:00:00.000001999Z", "UTC", "2026-03-29T00:00:00.000002Z")
}

func TestQualities(t *testing.T) {
	f := func(accept, want string) {
		t.Helper()
		got, ok := acceptedFormat(accept)
		if string(got) != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", accept, got, ok)
		}
	}
	f("", "json")
	f(" ", "json")
	f("*/*;q=0", "")
	f("*/*;q=0.001", "json")
	f("text/*", "csv")
	f("application/*", "json")
	f("application/*;q=0.5,application/vnd.apache.parquet", "parquet")
	f("application/vnd.apache.parquet;q=0.5,application/*", "json")
	f("application/json;q=2", "")
	f("application/json;q=-1", "")
	f("application/json;q=0.0001", "")
	f("application/json;q=,text/csv;q=.5", "csv")
	f("text/csv;header=present;q=0.5", "csv")
	f(",,;;,=,text/csv", "csv")
	f("text/plain", "")
	f(strings.Repeat("a", 10000), "")
}

// FuzzQuestion: whatever is asked is a question or an error that names a parameter, never both, and
// what is valid stays within the bounds.
func FuzzQuestion(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"from":"2026-01-01","to":"2026-02-01","tz":"Europe/Rome","granularity":"15m"}`,
		`{"group_by":["model"],"top":5,"order_by":"events","filter":{"model":["a"]}}`,
		`{"filter":{"filter":{}}}`, `{"filter.model":[[]]}`, `{"top":1e99}`, `{"from":null}`,
		`[`, `{"a":1,"a":2}`, `{"filter":{"model":"a"},"filter.model":"b"}`, "{\"tz\":\"\x00\"}",
	} {
		f.Add(seed, true)
	}
	for _, seed := range []string{
		"from=2026-01-01&to=2026-02-01", "filter.agent_id=&group_by=,&top=0", "tz=..%2f..&format=",
		"from=9999-12-31T23:59:59Z&to=0000-01-01", "filter.model=%00&order_by=%ff",
	} {
		f.Add(seed, false)
	}
	who := access.Caller{Organization: uuid.New(), User: uuid.New(), Role: schema.Member}
	f.Fuzz(func(t *testing.T, text string, body bool) {
		read := func() (params, error) { return parseParams([]byte(text), queryParams...) }
		if !body {
			read = func() (params, error) { return asked(text) }
		}
		p, err := read()
		if err != nil {
			return
		}
		before := maps.Clone(p)
		q, err := p.question()
		if err == nil {
			err = scope(who, &q)
		}
		if e := (*schema.Error)(nil); err != nil && (!errors.As(err, &e) || e.Field == "") {
			t.Fatalf("%q: %v", text, err)
		}
		if !maps.EqualFunc(before, p, slices.Equal) {
			t.Fatalf("%q: %v became %v", text, before, p)
		}
		if err != nil {
			return
		}
		if q.Organization != who.Organization || len(q.Filters[schema.DimensionUser]) != 1 ||
			!q.From.Before(q.To) || q.To.Sub(q.From) > schema.UsageRangeMax {
			t.Fatalf("%q: %+v", text, q)
		}
	})
}
