package usage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/dialecttest"
	"github.com/meterhouse/meterhouse/server/usage"
)

// teller is a dialect.Usage that answers what it is told to and keeps what it was asked.
type teller struct {
	dialect.Usage
	asked   []schema.UsageQuery
	rows    []schema.UsageRow
	err     error // after the rows
	version string
}

func (u *teller) Query(
	_ context.Context, q schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	u.asked = append(u.asked, q)
	for _, r := range u.rows {
		if err := each(r); err != nil {
			return err
		}
	}
	return u.err
}

func (u *teller) Version(context.Context, schema.UsageQuery) (string, error) {
	return u.version, nil
}

// doorman lets in whoever's token is in the catalog.
type doorman struct{ snapshot *access.Snapshot }

func (d doorman) Snapshot() *access.Snapshot { return d.snapshot }

func (d doorman) Secret(secret string, kind schema.CredentialKind) (access.Caller, error) {
	if caller, ok := d.snapshot.Caller(secret, kind); ok {
		return caller, nil
	}
	return access.Caller{}, schema.Errorf(schema.Unauthenticated, "", "is unknown")
}

func (d doorman) Bearer(token, _ string) (access.Caller, error) {
	return d.Secret(token, schema.AccessToken)
}

func (d doorman) IssueToken(string) (access.Issued, error) { return access.Issued{}, nil }

var (
	acme, globex      = uuid.New(), uuid.New()
	ada, grace, linus = uuid.New(), uuid.New(), uuid.New() // member, admin, superadmin
	helper, foreign   = uuid.New(), uuid.New()             // agents
	spare             = uuid.New()                         // another of acme's
	today             = time.Date(2026, 11, 22, 13, 40, 0, 0, time.UTC)
)

func catalogOfTwo() *access.Snapshot {
	var c schema.Catalog
	for _, o := range []uuid.UUID{acme, globex} {
		c.Organizations = append(c.Organizations, schema.Organization{ID: o, Name: "x"})
	}
	for _, u := range []struct {
		id    uuid.UUID
		token string
		role  schema.Role
	}{
		{ada, "member", schema.Member}, {grace, "admin", schema.Admin},
		{linus, "super", schema.Superadmin},
	} {
		c.Users = append(c.Users, schema.User{ID: u.id, Name: u.token})
		c.Memberships = append(c.Memberships, schema.Membership{
			Organization: acme, User: u.id, Role: u.role, Active: true,
		})
		c.Credentials = append(c.Credentials, schema.Credential{
			Kind: schema.AccessToken, Hash: schema.HashSecret(u.token), Organization: acme, User: u.id,
		})
	}
	c.Agents = append(c.Agents,
		schema.Agent{ID: helper, Organization: acme, Owner: ada, Name: "helper"},
		schema.Agent{ID: spare, Organization: acme, Owner: ada, Name: "spare"},
		schema.Agent{ID: foreign, Organization: globex, Owner: linus, Name: "foreign"})
	c.Credentials = append(c.Credentials, schema.Credential{
		Kind: schema.AgentSecret, Hash: schema.HashSecret("agent"), Organization: acme, Agent: helper,
	})
	return access.NewSnapshot(c)
}

// desk is the dialect over a teller.
type desk struct {
	t     *testing.T
	app   *fiber.App
	usage *teller
}

func openDesk(t *testing.T) *desk {
	t.Helper()
	s := &desk{t: t, usage: &teller{version: "1"}}
	d := usage.New(dialect.Door{
		Access: doorman{catalogOfTwo()}, Usage: s.usage, Now: func() time.Time { return today },
	})
	s.app = fiber.New(fiber.Config{ErrorHandler: d.WriteError, ReadBufferSize: 16 << 10})
	d.Mount(s.app)
	return s
}

// do asks as whoever's token it is.
func (s *desk) do(method, path, token, body string, header ...string) dialecttest.Response {
	s.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	switch token {
	case "":
	case "agent":
		request.Header.Set("Agent-Secret-Key", token)
	default:
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	answer, err := s.app.Test(request, -1)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return dialecttest.Response{Status: answer.StatusCode, Header: answer.Header, Body: content}
}

// get asks for two days of March, and more, as an admin.
func (s *desk) get(more string, header ...string) dialecttest.Response {
	s.t.Helper()
	return s.do("GET", "/v1/usage/query?from=2026-03-29&to=2026-03-31"+more, "admin", "", header...)
}

var rome, _ = schema.ParseZone("Europe/Rome")

func amount(text string) schema.Quantity {
	q, err := schema.ParseQuantity(text)
	if err != nil {
		panic(err)
	}
	return q
}

func dollars(text string) schema.USD {
	u, err := schema.ParseUSD(text)
	if err != nil {
		panic(err)
	}
	return u
}

// inputs is the row of the contract's example.
func inputs() schema.UsageRow {
	return schema.UsageRow{
		Time: time.Date(2026, 3, 29, 0, 0, 0, 0, rome), Values: []string{"INPUT"}, Counted: true,
		Quantity: amount("5"), Events: 2, ProviderCost: dollars("0.00000075"),
		BilledCost: dollars("0.000000975"),
	}
}

// TestContractsExample: to the byte.
func TestContractsExample(t *testing.T) {
	s := openDesk(t)
	s.usage.rows = []schema.UsageRow{inputs()}
	const want = `{"from":"2026-03-28T23:00:00Z","to":"2026-03-30T22:00:00Z","granularity":"day",` +
		`"timezone":"Europe/Rome","group_by":["usage_type"],"rows":[` +
		`{"time":"2026-03-29T00:00:00+01:00","usage_type":"INPUT","quantity":"5","events":2,` +
		`"provider_cost_usd":"0.00000075","billed_cost_usd":"0.000000975","unpriced_events":0}]}`
	got := s.get("&tz=Europe/Rome&group_by=usage_type")
	if got.Status != 200 || string(got.Body) != want {
		t.Errorf("%v", got)
	}
	posted := s.do("POST", "/v1/usage/query", "admin", `{"from":"2026-03-29","to":"2026-03-31",`+
		`"tz":"Europe/Rome","group_by":["usage_type"]}`, "Content-Type", "application/json")
	if posted.Status != 200 || string(posted.Body) != want {
		t.Errorf("%v", posted)
	}
	if posted.Header.Get("Cache-Control") != "no-store" || posted.Header.Get("ETag") != "" {
		t.Errorf("the answer to a POST may be kept: %v", posted.Header)
	}
}

// TestRowsOnTheWire: nobody is an empty text, what cannot be known null, and other only what is.
func TestRowsOnTheWire(t *testing.T) {
	s := openDesk(t)
	at := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	s.usage.rows = []schema.UsageRow{
		{Time: at, Values: []string{helper.String(), "true", "a\"b"}, Events: 3},
		{Time: at, Values: []string{uuid.Nil.String(), "false", ""}, Events: -1, Unpriced: 7},
		{Time: at, Values: []string{"", "", ""}, Other: true, Events: 1},
	}
	got := s.get("&group_by=agent_id,chargeable,model&top=2&order_by=events")
	const costs = `"provider_cost_usd":"0","billed_cost_usd":"0","unpriced_events":`
	want := `"rows":[{"time":"2026-03-29T00:00:00Z","agent_id":"` + helper.String() +
		`","chargeable":true,"model":"a\"b","quantity":null,"events":3,` + costs + `0},` +
		`{"time":"2026-03-29T00:00:00Z","agent_id":"","chargeable":false,"model":"",` +
		`"quantity":null,"events":null,` + costs + `7},` +
		`{"time":"2026-03-29T00:00:00Z","agent_id":null,"chargeable":null,"model":null,` +
		`"quantity":null,"events":1,` + costs + `0,"other":true}]}`
	if !strings.HasSuffix(string(got.Body), want) {
		t.Errorf("%s\nwant %s", got.Body, want)
	}
	csv := s.get("&group_by=agent_id,chargeable,model&top=2&order_by=events&format=csv")
	const line = "2026-03-29T00:00:00Z,\"\",false,\"\",,,0,0,7,false\r\n" +
		"2026-03-29T00:00:00Z,,,,,1,0,0,0,true\r\n"
	if !strings.HasSuffix(string(csv.Body), line) {
		t.Errorf("%s", csv.Body)
	}
	if s.usage.rows = nil; !strings.HasSuffix(string(s.get("").Body), `"group_by":[],"rows":[]}`) {
		t.Error("without rows there is no list of them")
	}
}

// TestFormats: by the parameter, or by what the client accepts.
func TestFormats(t *testing.T) {
	s := openDesk(t)
	s.usage.rows = []schema.UsageRow{inputs()}
	f := func(more, accept, wantType, wantFile, wantStart string) {
		t.Helper()
		got := s.get("&group_by=usage_type"+more, "Accept", accept)
		if got.Status != 200 || got.Header.Get("Content-Type") != wantType ||
			got.Header.Get("Content-Disposition") != wantFile ||
			!strings.HasPrefix(string(got.Body), wantStart) {
			t.Errorf("%s %s: %v %v", more, accept, got.Header, got)
		}
	}
	const csv, arrows = "text/csv; charset=utf-8; header=present", "application/vnd.apache.arrow.stream"
	file := func(suffix string) string {
		return `attachment; filename="usage_20260329_20260331` + suffix + `"`
	}
	f("", "", "application/json", "", `{"from"`)
	f("", "*/*", "application/json", "", `{"from"`)
	f("", "text/html, application/xhtml+xml, */*;q=0.8", "application/json", "", `{"from"`)
	f("", "text/csv", csv, file(".csv"), "time,usage_type,")
	f("", "text/csv, */*", csv, file(".csv"), "time,usage_type,")
	f("", "text/csv;q=0.5, application/json", "application/json", "", `{"from"`)
	f("", "application/json;q=0, text/*;q=0.1", csv, file(".csv"), "time,")
	f("", "Application/NDJSON", "application/x-ndjson", "", `{"time"`)
	f("", arrows, arrows, file(".arrows"), "\xff\xff\xff\xff")
	f("&format=parquet", "text/csv", "application/vnd.apache.parquet", file(".parquet"), "PAR1")
	f("&format=ndjson", "", "application/x-ndjson", "", `{"time":"2026-03-29T00:00:00+01:00"`)

	if got := s.get("", "Accept", "image/png, text/html"); got.Status != 400 ||
		!bytes.Contains(got.Body, []byte(`"field":"Accept"`)) {
		t.Errorf("%v", got)
	}
}

// hundreds of rows that are more than is held.
func hundreds(n int) (rows []schema.UsageRow) {
	for range n {
		rows = append(rows, inputs())
	}
	return rows
}

// TestEncodings: an answer decodes to what it is without, whether it was held or streamed, and one
// that is tiny is not encoded.
func TestEncodings(t *testing.T) {
	s := openDesk(t)
	f := func(rows int, format, accept, want string) {
		t.Helper()
		s.usage.rows = hundreds(rows)
		path := "&group_by=usage_type&format=" + format
		got := s.get(path, "Accept-Encoding", accept)
		if e := got.Header.Get("Content-Encoding"); e != want {
			t.Errorf("%d rows, %s, %s: encoded as %q", rows, format, accept, e)
		}
		if !strings.Contains(got.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("Vary is %q", got.Header.Get("Vary"))
		}
		plain := s.get(path).Body
		if !bytes.Equal(decoded(t, want, got.Body), plain) {
			t.Errorf("%d rows, %s, %s: decodes to something else", rows, format, accept)
		}
		if want != "" && len(got.Body)*4 > len(plain) {
			t.Errorf("%d bytes of %d", len(got.Body), len(plain))
		}
	}
	for _, rows := range []int{20, 2000} {
		f(rows, "json", "gzip", "gzip")
		f(rows, "ndjson", "zstd", "zstd")
		f(rows, "csv", "gzip, deflate, br, zstd", "zstd")
		f(rows, "arrow", "gzip", "gzip")
		f(rows, "json", "*", "zstd")
		f(rows, "json", "gzip;q=1, zstd;q=0.5", "gzip")
		f(rows, "json", "zstd;q=0, gzip;q=0", "")
		f(rows, "json", "identity, gzip;q=0.5", "")
		f(rows, "json", "identity;q=0", "")
		f(rows, "json", "br", "")
		f(rows, "parquet", "gzip, zstd", "")
	}
	f(1, "json", "gzip, zstd", "")
}

func decoded(t *testing.T, encoding string, b []byte) []byte {
	t.Helper()
	r := io.Reader(bytes.NewReader(b))
	var err error
	switch encoding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	if err == nil {
		b, err = io.ReadAll(r)
	}
	if err != nil {
		t.Errorf("%s: %v", encoding, err)
	}
	return b
}

// TestTags: a client that has the answer is told so without a question, and only while nothing has
// changed. Without the comparison in send it was asked again; without the version in tagOf a client
// kept an answer for ever.
func TestTags(t *testing.T) {
	s := openDesk(t)
	first := s.get("&group_by=model,agent_id&filter.model=b&filter.model=a")
	tag := first.Header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) || first.Header.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("%v", first.Header)
	}
	f := func(want int, more, match string) {
		t.Helper()
		asked := len(s.usage.asked)
		got := s.get(more, "If-None-Match", match)
		if got.Status != want || (len(s.usage.asked) > asked) != (want == 200) {
			t.Errorf("%s %s: %v", more, match, got)
		}
		if want == 304 && (got.Header.Get("ETag") != tag || len(got.Body) > 0) {
			t.Errorf("%v: %v", got.Header, got)
		}
	}
	const same = "&group_by=model,agent_id&filter.model=b&filter.model=a"
	f(304, same, tag)
	f(304, same, `"x", `+strings.TrimPrefix(tag, "W/"))
	f(304, same, "*")
	f(304, "&filter.model=a&filter.model=b&filter.model=a&group_by=model,agent_id&tz=UTC", tag)
	f(200, same, `"x"`)
	for _, other := range []string{
		"&group_by=agent_id,model&filter.model=b&filter.model=a", same + "&format=csv",
		"&group_by=model,agent_id&filter.model=b", same + "&tz=Europe/Rome",
		same + "&granularity=hour", same + "&order_by=events", same + "&order_by=events&top=5",
		"&group_by=model,agent_id&filter.purpose=b&filter.purpose=a",
		"&group_by=model,agent_id&filter.model=b%20a",
	} {
		f(200, other, tag)
	}
	s.usage.version = "2"
	f(200, same, tag)
}

// TestErrorsBeforeAnAnswerAreProblems, and nothing of what was made is shown with them.
func TestErrorsBeforeAnAnswerAreProblems(t *testing.T) {
	s := openDesk(t)
	s.usage.rows = hundreds(10)
	for err, want := range map[error]int{
		schema.Errorf(schema.TooLarge, "", "narrow it"):         413,
		&schema.Error{Kind: schema.Overloaded, Message: "wait"}: 429,
		errors.New("cause"): 500,
	} {
		s.usage.err = err
		got := s.get("&group_by=usage_type&format=csv")
		if got.Status != want || got.Header.Get("Content-Type") != dialect.MIMEProblem ||
			got.Header.Get("ETag") != "" || got.Header.Get("Content-Disposition") != "" ||
			bytes.Contains(got.Body, []byte("INPUT")) || bytes.Contains(got.Body, []byte("cause")) {
			t.Errorf("%v: %v %v", err, got.Header, got)
		}
	}
}

// TestWhoSeesWhat: what the question was narrowed to, or the status.
func TestWhoSeesWhat(t *testing.T) {
	s := openDesk(t)
	f := func(who, path string, want any) {
		t.Helper()
		s.usage.asked = nil
		got := s.do("GET", path, who, "")
		if status, refused := want.(int); refused {
			if got.Status != status || len(s.usage.asked) > 0 {
				t.Errorf("%s %s: %v", who, path, got)
			}
			return
		}
		if got.Status != 200 || len(s.usage.asked) != 1 {
			t.Fatalf("%s %s: %v", who, path, got)
		}
		type scoped struct {
			Organization uuid.UUID
			Filters      map[schema.Dimension][]string
		}
		w := want.(map[schema.Dimension][]string)
		of := acme
		if strings.Contains(path, globex.String()) {
			of = globex
		}
		q := s.usage.asked[0]
		if d := cmp.Diff(scoped{of, w}, scoped{q.Organization, q.Filters}); d != "" {
			t.Errorf("%s %s: %s", who, path, d)
		}
	}
	type filters = map[schema.Dimension][]string
	adas := filters{"user_id": {ada.String()}}
	const query = "/v1/usage/query?from=2026-03-29&to=2026-03-31"
	f("", query, 401)
	f("nobody", query, 401)
	f("member", query, adas)
	f("member", query+"&filter.user_id="+strings.ToUpper(ada.String()), adas)
	f("member", query+"&filter.user_id="+grace.String(), 403)
	f("member", query+"&filter.user_id="+grace.String()+"&filter.user_id="+ada.String(), 403)
	f("member", query+"&filter.user_id=", 403)
	f("member", query+"&organization_id="+acme.String(), adas)
	f("member", query+"&organization_id="+globex.String(), 404)
	f("admin", query, filters{})
	f("admin", query+"&filter.user_id="+ada.String(), adas)
	f("admin", query+"&filter.user_id=", filters{"user_id": {uuid.Nil.String()}})
	f("admin", query+"&organization_id="+globex.String(), 404)
	f("super", query, filters{})
	f("super", query+"&organization_id="+globex.String(), filters{})
	f("agent", query, filters{"agent_id": {helper.String()}})
	f("agent", query+"&filter.agent_id="+spare.String(), 403)
	f("agent", query+"&organization_id="+globex.String(), 404)

	of := func(agent uuid.UUID) string { return "/v1/agents/" + agent.String() + "/usage" }
	helpers := filters{"agent_id": {helper.String()}}
	f("", of(helper), 401)
	f("admin", of(helper), helpers)
	f("admin", "/v1/agents/"+strings.ToUpper(helper.String())+"/usage", helpers)
	f("member", of(helper), filters{"agent_id": {helper.String()}, "user_id": {ada.String()}})
	f("agent", of(helper), helpers)
	f("agent", of(spare), 404)
	f("admin", of(foreign), 404)
	f("super", of(foreign), 404)
	f("super", of(foreign)+"?organization_id="+globex.String(), filters{"agent_id": {foreign.String()}})
	f("super", of(helper)+"?organization_id="+globex.String(), 404)
	f("admin", of(foreign)+"?organization_id="+globex.String(), 404)
	f("admin", of(uuid.New()), 404)
	f("admin", "/v1/agents/helper/usage", 404)
	f("admin", of(helper)+"?filter.agent_id="+helper.String(), 400)
	f("admin", of(helper)+"?group_by=agent_id", 400)
}

// TestAgentDefaults: today and the 29 days before, on the clock of the zone.
func TestAgentDefaults(t *testing.T) {
	s := openDesk(t)
	f := func(more, from, to string, by ...schema.Dimension) {
		t.Helper()
		s.usage.asked = nil
		got := s.do("GET", "/v1/agents/"+helper.String()+"/usage"+more, "admin", "")
		if got.Status != 200 || len(s.usage.asked) != 1 {
			t.Fatalf("%s: %v", more, got)
		}
		q := s.usage.asked[0]
		if q.From.Format(time.RFC3339) != from || q.To.Format(time.RFC3339) != to ||
			cmp.Diff(by, q.GroupBy) != "" || q.Granularity != schema.Day {
			t.Errorf("%s: %+v", more, q)
		}
	}
	f("", "2026-10-24T00:00:00Z", "2026-11-23T00:00:00Z", "usage_type")
	f("?tz=Pacific/Auckland", "2026-10-25T00:00:00+13:00", "2026-11-24T00:00:00+13:00", "usage_type")
	f("?tz=Europe/Rome&group_by=model", "2026-10-24T00:00:00+02:00", "2026-11-23T00:00:00+01:00",
		"model")
	f("?to=2026-03-01&group_by=", "2026-01-30T00:00:00Z", "2026-03-01T00:00:00Z")
	f("?from=2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z", "2026-11-23T00:00:00Z", "usage_type")
}
