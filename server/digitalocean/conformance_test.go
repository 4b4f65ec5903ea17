package digitalocean_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// The published contract line by line, and what proves each line. A test without a package is
// TestConformance here; "suite" is TestSuite with the named part of dialecttest.
//
//	GET /v2/gen-ai/agents/{uuid}/usage       §4 the documentation's example
//	/v2/genai/…, the reference's own sample  §4 path: without the hyphen
//	Authorization: Bearer                    §4 401 …; suite Credentials
//	tokens of any prefix                     §4 401 …; access tokens and app passwords in every row
//	scope genai:read                         has no counterpart: docs/digitalocean.md
//	start, stop: optional strings            §4 interval: …
//	stop omitted: now                        §4 interval: no stop is now
//	start omitted: first recorded event      §4 interval: no start …
//	RFC 3339, Z or offset, fractions         §4 interval: …; TestDecodeInterval
//	quotes are trimmed                       §4 interval: quoted; §4 path: quotes …
//	a date: its start; for stop its end      §4 interval: dates
//	%3A, a bare ?, an unencoded +            §4 interval: …
//	both ends inclusive                      §4 interval: both ends count, …
//	both objects, [] when empty              §4 nothing was used
//	tokens: a JSON number, int64             §4 §6 tokens …
//	usage_type                               §4 the documentation's example; §4 what is no token
//	log_insights_usage                       §4 the documentation's example
//	start, stop echo the effective interval  every §4 interval
//	ratelimit-limit, -remaining, -reset      §4 429 …; TestAnswersTellTheRate
//	x-request-id on every answer             every row; equal to request_id: suite, its envelope
//	401, 404, 400, 429, 500: bodies          §4 401 …, 404 …, 400 …, 429 …, 500 …
//	403 missing scope                        TestUnknownErrorsShowNothing: nobody lacks one
//	404: unknown, foreign and malformed same §4 404 …
//	start > stop                             §4 400: start after stop
//	never a text or HTML error               §4 404, 405, 500; server TestNoTextErrors
//	gradient, dots, godo against it          cmd/meterhouse TestClients
func TestConformance(t *testing.T) {
	c := &conformance{Harness: dialecttest.New(t)}
	c.write(t)
	c.Conform(t, c.intervals())
	c.Conform(t, c.answers(t))
	c.Conform(t, c.refusals())
	t.Run("§4 429: with Retry-After, and how it stands before", c.tooMany)
	t.Run("§4 500: nothing of the cause", c.internal)
	t.Run("§4 interval: no stop is now", c.now)
}

type conformance struct {
	*dialecttest.Harness
	month time.Time // the first instant of a month that is over
	last  time.Time // its last second: the reference's examples end so
}

// write puts around a month what one agent used. The names of two amounts tell on which side of an
// end they are.
func (c *conformance) write(t *testing.T) {
	now := time.Now().UTC()
	c.month = time.Date(now.Year(), now.Month()-3, 1, 0, 0, 0, 0, time.UTC)
	c.last = c.month.AddDate(0, 1, 0).Add(-time.Second)
	at := func(at time.Time, members string) string {
		return fmt.Sprintf(`{"time":%q,"agent_id":%q,%s}`,
			at.Format(time.RFC3339Nano), c.Acme.AdminsAgent.ID, members)
	}
	c.Events(t, c.Acme,
		at(c.month.Add(-time.Microsecond), `"usage":{"INPUT":1000000}`),
		at(c.month, `"usage":{"INPUT":100,"SESSIONS":4}`),
		at(c.month.AddDate(0, 0, 9), `"service":"log-insights","usage":{"INPUT":123,"VAPI_SECONDS":9}`),
		at(c.month.AddDate(0, 0, 9), `"service":"transcription","model":"gpt-4o","usage":{"INPUT":3}`+
			`,"chargeable":false`),
		at(c.last, `"usage":{"INPUT":20,"OUTPUT":45,"UNITS":8}`),
		at(c.last.Add(time.Microsecond), `"usage":{"INPUT":2000000}`),
		at(c.last.Add(time.Second-time.Microsecond), `"usage":{"INPUT":4000000}`),
		at(c.last.Add(time.Second), `"usage":{"INPUT":8000000}`),
	)
}

// header is what every answer to a known caller has.
var header = []string{
	"Content-Type", "application/json", "X-Request-Id", dialecttest.AnyID,
}

func (c *conformance) get(agent, query string) dialecttest.Request {
	return ask(c.Acme.Member.Secret(schema.AccessToken), "gen-ai", agent, query)
}

// used is the answer with measurements such as `{"tokens":1,"usage_type":"INPUT"}`.
func used(name string, r dialecttest.Request, agent uuid.UUID, start, stop, usage, insights string,
) dialecttest.Row {
	part := func(measurements string) string {
		return fmt.Sprintf(`{"measurements":[%s],"resource_uuid":%q,"start":%q,"stop":%q}`,
			measurements, agent, start, stop)
	}
	return dialecttest.Row{Name: "§4 " + name, Request: r, Status: 200, Header: header,
		Body: `{"log_insights_usage":` + part(insights) + `,"usage":` + part(usage) + `}`}
}

func tokens(n, usageType string) string {
	return fmt.Sprintf(`{"tokens":%s,"usage_type":%q}`, n, usageType)
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// intervals are the two parameters in every form a client sends.
func (c *conformance) intervals() []dialecttest.Row {
	agent := c.Acme.AdminsAgent.ID
	start, stop := instant(c.month), instant(c.last)
	row := func(name, query string, from, to time.Time, input string, more ...string) dialecttest.Row {
		usage, insights := strings.Join(append([]string{tokens(input, "INPUT")}, more...), ","), ""
		if middle := c.month.AddDate(0, 0, 9); !from.After(middle) && !to.Before(middle) {
			insights = tokens("123", "INPUT")
		}
		return used("interval: "+name, c.get(agent.String(), query), agent, instant(from), instant(to),
			usage, insights)
	}
	output := tokens("45", "OUTPUT")
	whole := func(name, query string) dialecttest.Row {
		return row(name, query, c.month, c.last, "123", output)
	}
	pair := func(start, stop string) string { return "?start=" + start + "&stop=" + stop }
	in := func(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.RFC3339Nano) }
	east, west := time.FixedZone("", 2*60*60), time.FixedZone("", -(9*60+30)*60)
	micro, nano := time.Microsecond, time.Nanosecond
	next := c.month.AddDate(0, 1, 0)
	day := c.last.Format(time.DateOnly)
	return []dialecttest.Row{
		whole("the reference's example", pair(start, stop)),
		whole("colons encoded", pair(url.QueryEscape(start), url.QueryEscape(stop))),
		whole("quoted, as a pasted sample is", pair("%22"+start+"%22", "%22"+stop+"%22")),
		whole("an encoded + in an offset", pair(url.QueryEscape(in(c.month, east)),
			url.QueryEscape(in(c.last, east)))),
		whole("an unencoded + in an offset", pair(in(c.month, east), in(c.last, east))),
		whole("a - in an offset", pair(in(c.month, west), in(c.last, west))),
		whole("small letters", pair(strings.ToLower(start), strings.ToLower(stop))),
		whole("other parameters are nobody's", pair(start, stop)+"&page=2&per_page=1&start_date=x"),
		whole("parameters in the other order", "?stop="+stop+"&start="+start),
		row("dates are a day's first instant and its last",
			pair(c.month.Format(time.DateOnly), day), c.month, next.Add(-micro), "6000123", output),
		row("a date's last microsecond is the day's", pair(day, day), c.last.Add(time.Second).
			AddDate(0, 0, -1), next.Add(-micro), "6000020", output),
		row("a fraction is echoed", pair(instant(c.month.Add(micro)), stop),
			c.month.Add(micro), c.last, "23", output),
		row("both ends count", pair(instant(c.month.Add(-micro)), instant(c.last.Add(micro))),
			c.month.Add(-micro), c.last.Add(micro), "3000123", output),
		row("one instant is an interval", pair(stop, stop), c.last, c.last, "20", output),
		row("a nanosecond is echoed and cuts", pair(instant(c.month.Add(nano)), stop),
			c.month.Add(nano), c.last, "23", output),
		row("no start is the first event", "?stop="+stop, c.month.Add(-micro), c.last, "1000123", output),
		row("an empty start is none", "?start=&stop="+stop,
			c.month.Add(-micro), c.last, "1000123", output),
		row("a Go client's zero time is none", pair("0001-01-01T00:00:00Z", stop),
			c.month.Add(-micro), c.last, "1000123", output),
		used("interval: all before the first event",
			c.get(agent.String(), "?stop=2020-01-01T00:00:00Z"), agent, "2020-01-01T00:00:00Z",
			"2020-01-01T00:00:00Z", "", ""),
		used("interval: between two microseconds lies nothing",
			c.get(agent.String(), pair(instant(c.month.Add(nano)), instant(c.month.Add(2*nano)))),
			agent, instant(c.month.Add(nano)), instant(c.month.Add(2*nano)), "", ""),
	}
}

// answers are paths, who may ask, and what is counted.
func (c *conformance) answers(t *testing.T) []dialecttest.Row {
	// An agent that never did anything, and one that used as much as can be counted.
	idle, largest := uuid.New(), uuid.New()
	secret := "agent-secret-" + uuid.NewString()
	c.Change(t, schema.Catalog{
		Agents: []schema.Agent{
			{ID: idle, Organization: c.Acme.ID, Name: "idle", Owner: c.Acme.Admin.ID},
			{ID: largest, Organization: c.Acme.ID, Name: "largest", Owner: c.Acme.Admin.ID},
		},
		Credentials: []schema.Credential{{
			Hash: schema.HashSecret(secret), Kind: schema.AgentSecret,
			Organization: c.Acme.ID, Agent: largest,
		}},
	}, schema.Catalog{})
	for _, amount := range []string{"9223372036854775800", "6.5", "0.75"} {
		r := dialecttest.Request{
			Method: "POST", Path: "/external/resource-usage",
			Body: `{"type":"OPENAI_TOKENS","amount":` + amount + `}`,
		}.With("Agent-Secret-Key", secret)
		if got := c.Do(t, r); got.Status != http.StatusCreated {
			t.Fatal(got)
		}
	}
	c.Flush(t)
	agent := c.Acme.AdminsAgent.ID
	start, stop := instant(c.month), instant(c.last)
	query := "?start=" + start + "&stop=" + stop
	whole := func(name string, r dialecttest.Request) dialecttest.Row {
		return used(name, r, agent, start, stop, tokens("123", "INPUT")+","+tokens("45", "OUTPUT"),
			tokens("123", "INPUT"))
	}
	as := func(s dialecttest.Secret) dialecttest.Request {
		return ask(s, "gen-ai", agent.String(), query)
	}
	slash, capitals := c.get(agent.String(), ""), c.get(agent.String(), query)
	slash.Path += "/" + query
	capitals.Path = strings.Replace(capitals.Path, "/v2/gen-ai/agents", "/V2/GEN-AI/Agents", 1)
	lower := as(dialecttest.Secret{}).With("Authorization", "bearer "+c.Acme.Member.AccessToken)
	escaped := "%" + fmt.Sprintf("%02x", agent.String()[0]) + agent.String()[1:]
	return []dialecttest.Row{
		whole("the documentation's example", c.get(agent.String(), query)),
		whole("path: without the hyphen",
			ask(c.Acme.Member.Secret(schema.AccessToken), "genai", agent.String(), query)),
		whole("path: with a slash behind it", slash),
		whole("path: in any case", capitals),
		whole("path: an id in capitals", c.get(strings.ToUpper(agent.String()), query)),
		whole("path: quotes around the id, as in the client's own sample",
			c.get("%22"+agent.String()+"%22", query)),
		whole("path: percent-encoded", c.get(escaped, query)),
		whole("an app password is a bearer too", as(c.Acme.Admin.Secret(schema.AppPassword))),
		whole("the scheme in small letters", lower),
		used("nothing was used", c.get(idle.String(), query), idle, start, stop, "", ""),
		used("nothing was ever used, no start", c.get(idle.String(), "?stop="+stop), idle, stop, stop,
			"", ""),
		used("§6 tokens up to 2^63-1 are a number, and exact",
			c.get(largest.String(), "?start=2020-01-01&stop=2099-01-01"), largest,
			"2020-01-01T00:00:00Z", "2099-01-01T23:59:59.999999Z",
			tokens("9223372036854775807", "OPENAI_TOKENS"), ""),
	}
}

func failed(name string, r dialecttest.Request, status int, id, message string) dialecttest.Row {
	return dialecttest.Row{Name: "§4 " + name, Request: r, Status: status, Header: header,
		Body: fmt.Sprintf(`{"id":%q,"message":%q,"request_id":%q}`, id, message, dialecttest.AnyID)}
}

const (
	noAgent   = "The resource you requested could not be found."
	noCaller  = "Unable to authenticate you"
	noInstant = "must be an RFC 3339 time such as 2026-01-31T23:59:59Z, or a date"
)

// refusals are the errors.
func (c *conformance) refusals() []dialecttest.Row {
	o, agent := c.Acme, c.Acme.AdminsAgent.ID.String()
	anonymous := []string{"Content-Type", "application/json", "X-Request-Id", dialecttest.AnyID}
	unauthorized := func(name, agent string, header ...string) dialecttest.Row {
		r := ask(dialecttest.Secret{}, "gen-ai", agent, "?start=x").With(header...)
		row := failed("401: "+name, r, 401, "unauthorized", noCaller)
		row.Header = append([]string{"Www-Authenticate", "Bearer"}, anonymous...)
		return row
	}
	missing := func(name, agent string) dialecttest.Row {
		return failed("404: "+name, c.get(agent, "?start=x"), 404, "not_found", noAgent)
	}
	elsewhere := func(name, method, path string) dialecttest.Row {
		r := c.get("", "")
		r.Method, r.Path = method, path
		row := failed("404: "+name, r, 404, "not_found", noAgent)
		row.Header = anonymous
		return row
	}
	bad := func(name, query, message string) dialecttest.Row {
		return failed("400: "+name, c.get(agent, query), 400, "bad_request", message)
	}
	posted := c.get(agent, "")
	posted.Method = "POST"
	noPost := failed("405: another method", posted, 405, "method_not_allowed",
		"The method is not allowed on this resource.")
	noPost.Header = append([]string{"Allow", "GET, HEAD"}, anonymous...)
	rows := []dialecttest.Row{
		noPost,
		unauthorized("no header", agent),
		unauthorized("before the agent is looked for", "x"),
		unauthorized("an empty bearer", agent, "Authorization", "Bearer "),
		unauthorized("another scheme", agent, "Authorization", "Basic "+o.Member.AccessToken),
		unauthorized("no scheme", agent, "Authorization", o.Member.AccessToken),
		unauthorized("an unknown token", agent, "Authorization", "Bearer dop_v1_"+uuid.NewString()),
		unauthorized("a token in the query", agent+"/usage?access_token="+o.Member.AccessToken+"&x="),
		unauthorized("a login token", agent, "Authorization", "Bearer "+o.Admin.LoginToken),
		unauthorized("an agent's secret", agent, "Authorization", "Bearer "+o.AdminsAgent.Token),
		unauthorized("a former member", agent, "Authorization", "Bearer "+o.Former.AccessToken),
		missing("an unknown agent", uuid.NewString()),
		missing("another organization's agent", c.Globex.AdminsAgent.ID.String()),
		missing("the client library's sample id", "%22123e4567-e89b-12d3-a456-426614174000%22"),
		missing("no UUID", "helper"),
		missing("the zero id", uuid.Nil.String()),
		missing("a broken escape", "%zz"),
		elsewhere("another route of the original's", "GET", "/v2/gen-ai/agents"),
		elsewhere("an agent without usage behind it", "GET", "/v2/gen-ai/agents/"+agent),
		elsewhere("more behind usage", "GET", "/v2/gen-ai/agents/"+agent+"/usage/x"),
		elsewhere("the prefix alone", "POST", "/v2/"),
		bad("start after stop", "?start=2026-01-02T00:00:00Z&stop=2026-01-01T00:00:00Z",
			"start: must not be after stop, which is now when absent"),
		bad("start after now", "?start=2999-01-01T00:00:00Z",
			"start: must not be after stop, which is now when absent"),
		bad("start is looked at before stop", "?start=x&stop=x", "start: "+noInstant),
	}
	for _, text := range []string{
		"yesterday", "1767225600", "20260101", "2026-1-1", "2026-02-30", "2026-01-01T00:00:00",
		"2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00%2B0200",
		"2026-01-01%2000:00:00Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.0000000001Z",
		"%00", "%ff", "NaN", "0000-01-01",
	} {
		rows = append(rows, bad("start "+text, "?start="+text, "start: "+noInstant),
			bad("stop "+text, "?stop="+text, "stop: "+noInstant))
	}
	return rows
}

// tooMany asks with a token that may ask three times a minute. Without a limit, as everywhere else
// here, there are no headers about it.
func (c *conformance) tooMany(t *testing.T) {
	token := c.Limited(t, schema.Credential{
		Kind: schema.AccessToken, Organization: c.Acme.ID, User: c.Acme.Member.ID,
	}, 3)
	get := func(agent uuid.UUID, query string) dialecttest.Request {
		return ask(dialecttest.Secret{Text: token}, "gen-ai", agent.String(), query)
	}
	agent, start := c.Acme.AdminsAgent.ID, "2020-01-01T00:00:00Z"
	over := failed("429", get(agent, ""), 429, "too_many_requests", "API rate limit exceeded.")
	over.Header = append([]string{"Retry-After", dialecttest.AnyInteger}, over.Header...)
	for i, row := range []dialecttest.Row{
		used("200", get(agent, "?stop="+start), agent, start, start, "", ""),
		failed("404", get(uuid.New(), ""), 404, "not_found", noAgent),
		failed("400", get(agent, "?start=x"), 400, "bad_request", "start: "+noInstant),
		over, over,
	} {
		row.Header = append([]string{
			"Ratelimit-Limit", "3", "Ratelimit-Remaining", strconv.Itoa(max(2-i, 0)),
			"Ratelimit-Reset", dialecttest.AnyInteger,
		}, row.Header...)
		row.Check(t, c.Do(t, row.Request))
	}
}

// internal lets the database fail.
func (c *conformance) internal(t *testing.T) {
	broken, err := queries.Open(t.Context(),
		queries.Config{Options: schematest.NewEmpty(t).Options})
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	node := c.Start(t, dialecttest.NodeConfig{Queries: broken})
	row := failed("500", c.get(c.Acme.AdminsAgent.ID.String(), ""), 500, "server_error",
		"Unexpected server-side error")
	row.Check(t, node.Do(t, row.Request))
}

// now asks until now, in the two ways of saying nothing, when no answer is kept any more.
func (c *conformance) now(t *testing.T) {
	agent := c.Acme.AdminsAgent.ID
	for _, query := range []string{"", "?"} {
		time.Sleep(time.Second)
		began := time.Now().Truncate(time.Microsecond)
		got := c.Do(t, c.get(agent.String(), query))
		ended := time.Now()
		used("no parameters", dialecttest.Request{}, agent, instant(c.month.Add(-time.Microsecond)),
			dialecttest.AnyInstant, tokens("15000123", "INPUT")+","+tokens("86", "OUTPUT"),
			tokens("123", "INPUT")).Check(t, got)
		_, rest, _ := strings.Cut(string(got.Body), `"stop":"`)
		text, _, _ := strings.Cut(rest, `"`)
		if at, err := time.Parse(time.RFC3339Nano, text); err != nil ||
			at.Before(began) || at.After(ended) {
			t.Errorf("stop is %s, asked from %v to %v", text, began, ended)
		}
	}
}
