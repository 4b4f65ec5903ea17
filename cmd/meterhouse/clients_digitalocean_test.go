package main

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"
	"github.com/google/uuid"
	"golang.org/x/oauth2"
)

// edges is the interval that the calls ask for and that events lie on the ends of.
func (c clients) edges() (start, stop time.Time) {
	const day = 24 * time.Hour
	start = c.month.Add(4*day + 10*time.Hour + 7*time.Minute + 11250*time.Millisecond)
	stop = c.month.Add(6*day + 17*time.Hour + 22*time.Minute + 33987654*time.Microsecond)
	return start, stop
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// writeAgentUsage writes what the DigitalOcean clients read. Of the helper's events only those at
// and between the edges have few tokens.
func (c clients) writeAgentUsage(t *testing.T) {
	t.Helper()
	start, stop := c.edges()
	event := func(at time.Time, usage map[string]any) map[string]any {
		return map[string]any{"agent_id": helperAgent, "time": instant(at), "usage": usage}
	}
	middle := event(start.Add(30*time.Hour), map[string]any{"INPUT": 20, "OUTPUT": 45})
	insights := event(start.Add(31*time.Hour), map[string]any{"INPUT": 7})
	lateInsights := event(stop.Add(time.Microsecond), map[string]any{"INPUT": 70})
	insights["service"], lateInsights["service"] = "log-insights", "log-insights"
	c.writeEvents(t, adaAccess,
		event(start.Add(-time.Millisecond), map[string]any{"INPUT": 1_000_000}),
		event(start.Add(-time.Microsecond), map[string]any{"INPUT": 2_000_000}),
		event(start, map[string]any{"INPUT": 1, "CACHED_INPUT": 6, "COMPLETIONS": 1}),
		middle, insights,
		event(stop, map[string]any{"INPUT": 300, "VAPI_SECONDS": "1.5"}),
		event(stop.Add(time.Microsecond), map[string]any{"INPUT": 4_000_000}),
		event(stop.Add(time.Millisecond), map[string]any{"INPUT": 8_000_000}),
		lateInsights,
	)
	c.writeEvents(t, gilAccess, map[string]any{
		"agent_id": foreignAgent, "usage": map[string]any{"INPUT": 1},
	})
	for _, report := range []struct{ secret, amount string }{
		{"clients-helper", "4567"},
		{"clients-safe", "9007199254740000"},
		{"clients-safe", "991"},
		{"clients-largest", "9223372036854775800.5"},
		{"clients-largest", "6.5"},
	} {
		r := c.do("POST", "/external/resource-usage",
			`{"type":"OPENAI_TOKENS","amount":`+report.amount+`}`,
			"Agent-Secret-Key", report.secret)
		if r.status != http.StatusCreated {
			t.Fatalf("report: %d %s", r.status, r.body)
		}
	}
}

// used is what one part of a usage holds.
type used []struct {
	usageType, tokens string
}

// doCase is a call of a DigitalOcean client and its outcome: a usage, or an error where a status
// is set.
type doCase struct {
	name string
	call doCall

	usage, insights used
	start, stop     string

	status      int
	id, message string
}

// doCall is what a script is told to ask.
type doCall struct {
	Token string            `json:"token"`
	Agent string            `json:"agent"`
	Query map[string]string `json:"query,omitempty"`
}

// during stands for a time while the test runs.
const during = "during the test"

// doCases are the calls that every DigitalOcean client makes.
func (c clients) doCases() []doCase {
	start, stop := c.edges()
	query := func(from, to string) map[string]string {
		return map[string]string{"start": from, "stop": to}
	}
	from, to := instant(start), instant(stop)
	edges := query(from, to)
	before, rome := instant(start.Add(-time.Microsecond)), time.FixedZone("", 2*60*60)
	between := used{{"CACHED_INPUT", "6"}, {"INPUT", "321"}, {"OUTPUT", "45"}}
	seven := used{{"INPUT", "7"}} // of log insights
	ok := func(name string, call doCall, usage, insights used, start, stop string) doCase {
		return doCase{name: name, call: call, usage: usage, insights: insights,
			start: start, stop: stop}
	}
	refused := func(name string, call doCall, status int, id, message string) doCase {
		return doCase{name: name, call: call, status: status, id: id, message: message}
	}
	const (
		unauthorized = "Unable to authenticate you"
		notFound     = "The resource you requested could not be found."
		badInstant   = ": must be an RFC 3339 time such as 2026-01-31T23:59:59Z, or a date"
	)
	return []doCase{
		ok("both ends are within", doCall{adaAccess, helperAgent, edges}, between, seven, from, to),
		ok("a member asks", doCall{benAccess, helperAgent, edges}, between, seven, from, to),
		// The sample of gradient's documentation has quotes inside the id.
		ok("a quoted id", doCall{adaAccess, `"` + helperAgent + `"`, edges}, between, seven, from, to),
		ok("another offset", doCall{adaAccess, helperAgent, query(
			start.In(rome).Format(time.RFC3339Nano), stop.In(rome).Format(time.RFC3339Nano),
		)}, between, seven, from, to),
		ok("one instant", doCall{adaAccess, helperAgent, query(to, to)},
			used{{"INPUT", "300"}}, nil, to, to),
		ok("a microsecond earlier", doCall{adaAccess, helperAgent, query(before, from)},
			used{{"CACHED_INPUT", "6"}, {"INPUT", "2000001"}}, nil, before, from),
		ok("neither end", doCall{Token: adaAccess, Agent: helperAgent}, used{
			{"CACHED_INPUT", "6"}, {"INPUT", "15000321"}, {"OPENAI_TOKENS", "4567"}, {"OUTPUT", "45"},
		}, used{{"INPUT", "77"}}, instant(start.Add(-time.Millisecond)), during),
		ok("2^53-1", doCall{Token: adaAccess, Agent: safeAgent},
			used{{"OPENAI_TOKENS", "9007199254740991"}}, nil, during, during),
		ok("never used", doCall{Token: adaAccess, Agent: idleAgent}, nil, nil, during, during),

		refused("bad token", doCall{"dop_v1_nobody", helperAgent, edges},
			http.StatusUnauthorized, "unauthorized", unauthorized),
		refused("unknown agent", doCall{adaAccess, nobody, edges},
			http.StatusNotFound, "not_found", notFound),
		refused("no id", doCall{adaAccess, "helper", edges},
			http.StatusNotFound, "not_found", notFound),
		refused("foreign agent", doCall{adaAccess, foreignAgent, edges},
			http.StatusNotFound, "not_found", notFound),
		refused("bad start", doCall{adaAccess, helperAgent, query("yesterday", to)},
			http.StatusBadRequest, "bad_request", "start"+badInstant),
		refused("bad stop", doCall{adaAccess, helperAgent, query(from, "2026-02-30")},
			http.StatusBadRequest, "bad_request", "stop"+badInstant),
		refused("start after stop", doCall{adaAccess, helperAgent, query(to, from)},
			http.StatusBadRequest, "bad_request",
			"start: must not be after stop, which is now when absent"),
	}
}

// spelling is how a client shows a usage.
type spelling struct {
	insights, resource, usageType string

	instant func(time.Time) string
}

var (
	// onTheWire is the API's own: gradient passes it on, and godo fills our struct from it.
	onTheWire = spelling{"log_insights_usage", "resource_uuid", "usage_type", instant}
	// dots has Dates, which know no microseconds.
	inDots = spelling{"logInsightsUsage", "resourceUuid", "usageType", func(t time.Time) string {
		return t.Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	}}
)

// value is the document that a call is answered with.
func (d doCase) value(s spelling) map[string]any {
	part := func(u used) map[string]any {
		measurements := []any{}
		for _, m := range u {
			measurements = append(measurements, map[string]any{
				"tokens": json.Number(m.tokens), s.usageType: m.usageType,
			})
		}
		return map[string]any{
			"measurements": measurements,
			s.resource:     strings.Trim(d.call.Agent, `"`),
			"start":        s.end(d.start),
			"stop":         s.end(d.stop),
		}
	}
	return map[string]any{"usage": part(d.usage), s.insights: part(d.insights)}
}

func (s spelling) end(text string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text // during
	}
	return s.instant(t)
}

// settle replaces the ends that are a time of the test by during, in every part of a value.
func (c clients) settle(value any, d doCase) {
	parts, _ := value.(map[string]any)
	for _, v := range parts {
		part, _ := v.(map[string]any)
		for end, want := range map[string]string{"start": d.start, "stop": d.stop} {
			text, _ := part[end].(string)
			at, err := time.Parse(time.RFC3339Nano, text)
			if want == during && err == nil && !at.Before(c.now) && !at.After(time.Now()) {
				part[end] = during
			}
		}
	}
}

// oneRequestID replaces the ids that an error names its request by, which must be one UUID.
func oneRequestID(t *testing.T, ids ...any) string {
	t.Helper()
	for _, id := range ids {
		text, _ := id.(string)
		if _, err := uuid.Parse(text); err != nil || id != ids[0] {
			t.Errorf("the request has the ids %v, want one UUID", ids)
		}
	}
	return "one"
}

// runDoCases has a script make every call of doCases, and hands the outcomes that are errors to
// failed, which returns the one it wants and may change the one it got.
func (c clients) runDoCases(
	t *testing.T, script string, s spelling, failed func(doCase, map[string]any) map[string]any,
) {
	t.Helper()
	cases := c.doCases()
	calls := make([]doCall, len(cases))
	for i, d := range cases {
		calls[i] = d.call
	}
	var answers []map[string]any
	c.runScript(t, script, calls, &answers)
	if len(answers) != len(cases) {
		t.Fatalf("%d answers to %d calls", len(answers), len(cases))
	}
	for i, d := range cases {
		want := map[string]any{}
		if got, ok := answers[i]["error"].(map[string]any); d.status != 0 && ok {
			want["error"] = failed(d, got)
		} else {
			c.settle(answers[i]["value"], d)
			want["value"] = d.value(s)
		}
		same(t, d.name, answers[i], want)
	}
}

func testGradient(t *testing.T, c clients) {
	classes := map[int]string{
		http.StatusBadRequest:   "BadRequestError",
		http.StatusUnauthorized: "AuthenticationError",
		http.StatusNotFound:     "NotFoundError",
	}
	c.runDoCases(t, "gradient.mjs", onTheWire, func(d doCase, got map[string]any) map[string]any {
		if body, ok := got["body"].(map[string]any); ok {
			id := oneRequestID(t, got["requestID"], body["request_id"])
			got["requestID"], body["request_id"] = id, id
		}
		return map[string]any{
			"class":      classes[d.status],
			"isAPIError": true,
			"status":     json.Number(strconv.Itoa(d.status)),
			"message":    strconv.Itoa(d.status) + " " + d.message,
			"body":       map[string]any{"id": d.id, "message": d.message, "request_id": "one"},
			"requestID":  "one",
		}
	})
}

func testDots(t *testing.T, c clients) {
	c.runDoCases(t, "dots.mjs", inDots, func(d doCase, got map[string]any) map[string]any {
		header, _ := got["requestIdHeader"].([]any)
		id := oneRequestID(t, append(header, got["requestId"])...)
		got["requestId"], got["requestIdHeader"] = id, len(header)
		return map[string]any{
			"class":              "Object", // what dots throws is no Error
			"responseStatusCode": json.Number(strconv.Itoa(d.status)),
			"id":                 d.id,
			"messageEscaped":     d.message,
			"requestId":          "one",
			"requestIdHeader":    1,
		}
	})
}

// godoUsage is what a user of godo writes, which has no type for the answer.
type godoUsage struct {
	LogInsightsUsage godoResourceUsage `json:"log_insights_usage"`
	Usage            godoResourceUsage `json:"usage"`
}

type godoResourceUsage struct {
	Measurements []godoMeasurement `json:"measurements"`
	ResourceUUID string            `json:"resource_uuid"`
	Start        time.Time         `json:"start"`
	Stop         time.Time         `json:"stop"`
}

type godoMeasurement struct {
	Tokens    int64  `json:"tokens"`
	UsageType string `json:"usage_type"`
}

// godoGet is the generic call. Without a query godo sends a bare question mark.
func (c clients) godoGet(t *testing.T, call doCall) (godoUsage, *godo.Response, error) {
	t.Helper()
	ctx := t.Context()
	token := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: call.Token})
	client, err := godo.New(oauth2.NewClient(ctx, token), godo.SetBaseURL(c.url("/")))
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{}
	for name, value := range call.Query {
		query.Set(name, value)
	}
	request, err := client.NewRequest(ctx, http.MethodGet,
		"/v2/gen-ai/agents/"+url.PathEscape(call.Agent)+"/usage?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(call.Query) == 0 && !strings.HasSuffix(request.URL.String(), "?") {
		t.Fatalf("godo asks for %s, without its question mark", request.URL)
	}
	var got godoUsage
	response, err := client.Do(ctx, request, &got)
	return got, response, err
}

func testGodo(t *testing.T, c clients) {
	cases := append(c.doCases(), doCase{
		name:  "2^63-1",
		call:  doCall{Token: adaAccess, Agent: largestAgent},
		usage: used{{"OPENAI_TOKENS", strconv.Itoa(math.MaxInt64)}}, start: during, stop: during,
	})
	for _, d := range cases {
		t.Run(d.name, func(t *testing.T) {
			got, response, err := c.godoGet(t, d.call)
			if d.status != 0 {
				sameGodoError(t, d, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sameGodoRate(t, response.Rate, 6_000_000)
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			value := document(t, string(text))
			c.settle(value, d)
			same(t, d.name, value, any(d.value(onTheWire)))
		})
	}
}

// sameGodoRate fails the test unless godo read a rate limit of which something is used, and which
// begins anew within a minute.
func sameGodoRate(t *testing.T, rate godo.Rate, limit int) {
	t.Helper()
	wait := time.Until(rate.Reset.Time)
	if rate.Limit != limit || rate.Remaining < 0 || rate.Remaining >= limit ||
		wait < -2*time.Second || wait > time.Minute {
		t.Errorf("rate: %v, want a limit of %d", rate, limit)
	}
}

func sameGodoError(t *testing.T, d doCase, err error) {
	t.Helper()
	var got *godo.ErrorResponse
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want a *godo.ErrorResponse", err)
	}
	if got.Response.StatusCode != d.status || got.Message != d.message {
		t.Errorf("got %d %q, want %d %q", got.Response.StatusCode, got.Message, d.status, d.message)
	}
	oneRequestID(t, got.RequestID, got.Response.Header.Get("x-request-id"))
}
