package usage_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// TestOnTheEngine shares a server with a database behind it.
func TestOnTheEngine(t *testing.T) {
	t.Parallel()
	h := dialecttest.New(t)
	fillPage(t, h)
	rows := h.Rows(t)
	t.Run("Page", func(t *testing.T) { checkPage(t, h) })
	t.Run("BadInput", func(t *testing.T) { badInput(t, h) })
	t.Run("Injection", func(t *testing.T) { injection(t, h) })
	if now := h.Rows(t); now != rows {
		t.Errorf("the ledger had %s rows, and has %s", rows, now)
	}
}

// faultOf returns the status of an answer and the first field it names.
func faultOf(t *testing.T, got dialecttest.Response) string {
	t.Helper()
	var p struct {
		Errors []struct{ Field, Message string }
	}
	if got.Status < 400 {
		return fmt.Sprint(got.Status)
	}
	if err := json.Unmarshal(got.Body, &p); err != nil {
		t.Fatalf("%v: %v", err, got)
	}
	if len(p.Errors) != 1 || p.Errors[0].Message == "" {
		return fmt.Sprint(got.Status)
	}
	return fmt.Sprint(got.Status, " ", p.Errors[0].Field)
}

// badInput asks what cannot be asked: each is a problem that names the parameter.
func badInput(t *testing.T, h *dialecttest.Harness) {
	admin := h.Acme.Admin.Secret(schema.AccessToken)
	get := func(query, want string) {
		t.Helper()
		got := h.Do(t, ask(admin, "GET", "/v1/usage/query?"+query))
		if fault := faultOf(t, got); fault != want {
			t.Errorf("%.100s: %s, want %s: %v", query, fault, want, got)
		}
	}
	const march = "from=2026-03-01&to=2026-04-01&"
	get("", "400 from")
	get("to=2026-04-01", "400 from")
	get("from=2026-04-01", "400 to")
	for _, bad := range []string{
		"", "yesterday", "2026-13-01", "2026-02-30", "2026-03-01T00:00:00", "20260301", "1772323200",
		"2026-03-01T00:00:00%2B25:00", "-2026-03-01", "1969-12-31", "2200-01-02", "9999-12-31T23:59:59Z",
		"0000-00-00", "%00", "%ff", "NaN", "2026-03-01T00:00:00+01:00", strings.Repeat("9", 3000),
	} {
		get("from="+bad+"&to=2026-04-01", "400 from")
		get("to="+bad+"&from=2026-03-01", "400 to")
	}
	get("from=2026-04-01&to=2026-03-01", "400 to")
	get("from=2026-03-01&to=2026-03-01", "400 to")
	get("from=2000-01-01&to=2026-03-01", "400 from")
	get("from=2022-01-01&to=2026-01-01&granularity=15m", "400 granularity")
	for _, bad := range []string{"", "year", "Day", "1h", "day%00", "15m%20", "day,hour"} {
		get(march+"granularity="+bad, "400 granularity")
	}
	for _, bad := range []string{
		"", "Local", "Mars/Phobos", "%2b02:00", "..%2f..%2fetc%2fpasswd", "%2fetc%2flocaltime", "%00",
		"UTC%00", "%ff", strings.Repeat("Europe/", 100),
	} {
		get(march+"tz="+bad, "400 tz")
	}
	for _, bad := range []string{
		"time", "model,model", "model,,purpose", "Model", "provider_key", "event_id", "1", "*", "%00", "%ff",
		strings.Repeat("model,", 500), "organization_id",
	} {
		get(march+"group_by="+bad, "400 group_by")
	}
	for _, bad := range []string{"", "0", "-1", "1001", "1e3", "5.0", "%2b5x", "99999999999999999999", "%00"} {
		get(march+"group_by=model&order_by=events&top="+bad, "400 top")
	}
	get(march+"top=5&order_by=events", "400 top")
	get(march+"top=5&group_by=model", "400 top")
	for _, bad := range []string{"", "time", "events,quantity", "EVENTS", "%00", "events%20DESC"} {
		get(march+"group_by=usage_type&order_by="+bad, "400 order_by")
	}
	get(march+"group_by=model&order_by=quantity", "400 order_by")
	for _, bad := range []string{"", "xml", "JSON", "json%00", "Parquet", "../json"} {
		get(march+"format="+bad, "400 format")
	}
	for _, bad := range []string{
		"", "1", uuid.Nil.String(), "{" + uuid.NewString() + "}", strings.ReplaceAll(uuid.NewString(), "-", ""),
	} {
		get(march+"organization_id="+bad, "400 organization_id")
	}
	for _, bad := range []string{"x", "{" + uuid.NewString() + "}", "0", "%00", strings.Repeat("a", 3000)} {
		get(march+"filter.agent_id="+bad, "400 filter.agent_id")
		get(march+"filter.user_id="+bad, "400 filter.user_id")
	}
	get(march+"filter.chargeable=yes", "400 filter.chargeable")
	get(march+"filter.usage_type=input", "400 filter.usage_type")
	for _, d := range []string{"service", "channel", "api_name", "endpoint", "provider", "model", "purpose"} {
		get(march+"filter."+d+"=a%00b", "400 filter."+d)
		get(march+"filter."+d+"=%ff", "400 filter."+d)
		get(march+"filter."+d+"="+strings.Repeat("a", 257), "400 filter."+d)
	}
	get(march+"filter.time=x", "400 filter.time")
	get(march+"filter.=x", "400 filter.")
	get(march+"filter=x", "400 filter")
	get(march+"Model=x", "400 Model")
	get(march+"%00=x", "400 \x00")
	get(march+strings.Repeat("x", 300)+"=x", "400 "+strings.Repeat("x", 64)+"…")
	get(march+strings.Repeat("filter.model=x&", 900), "200") // the same one
	many := ""
	for i := range 600 {
		many += fmt.Sprintf("filter.model=%d&", i)
	}
	get(march+many, "400 filter.model")
	for _, twice := range []string{"from=2026-03-01", "tz=UTC&tz=UTC", "top=1&top=1", "format=csv&format=csv"} {
		name, _, _ := strings.Cut(twice, "=")
		get(march+twice, "400 "+name)
	}
	badBodies(t, h)
}

func badBodies(t *testing.T, h *dialecttest.Harness) {
	post := func(body, want string, header ...string) {
		t.Helper()
		r := ask(h.Acme.Admin.Secret(schema.AccessToken), "POST", "/v1/usage/query").With(header...)
		r.Body = body
		if fault := faultOf(t, h.Do(t, r)); fault != want {
			t.Errorf("%.100s: %s, want %s", body, fault, want)
		}
	}
	march := func(more string) string { return `{"from":"2026-03-01","to":"2026-04-01",` + more + `}` }
	for _, bad := range []string{
		"", "null", "[]", `"x"`, "{", `{"from"`, `{"from":`, `{}{}`, "{} x", "\xff", "{\"tz\":\"\xff\"}",
		strings.Repeat("[", 100_000), `{"from":"2026-03-01"`, `{,}`,
	} {
		post(bad, "400")
	}
	post("{}", "400 from")
	post(`{"from":null,"to":"2026-04-01"}`, "400 from")
	post(`{"from":["2026-03-01"],"to":"2026-04-01"}`, "400 from")
	post(`{"from":20260301,"to":"2026-04-01"}`, "400 from")
	post(march(`"tz":{}`), "400 tz")
	post(march(`"to":"2026-04-02"`), "400 to")
	post(march(`"limit":1`), "400 limit")
	post(march(`"group_by":[1]`), "400 group_by")
	post(march(`"group_by":[["model"]]`), "400 group_by")
	post(march(`"group_by":{"model":1}`), "400 group_by")
	post(march(`"top":1e9,"group_by":"model","order_by":"events"`), "400 top")
	post(march(`"top":5.0,"group_by":"model","order_by":"events"`), "400 top")
	post(march(`"filter":[]`), "400 filter")
	post(march(`"filter":{"time":"x"}`), "400 filter.time")
	post(march(`"filter":{},"filter":{}`), "400 filter")
	post(march(`"filter":{"model":"x"},"filter.model":"y"`), "400 filter.model")
	post(march(`"filter":{"model":null}`), "400 filter.model")
	post(march(`"filter.model":[]`), "400 filter.model")
	post(march(`"filter.model":[[]]`), "400 filter.model")
	post(march(`"filter.model":["x\u0000"]`), "400 filter.model")
	var values []string
	for i := range 10_000 {
		values = append(values, fmt.Sprintf("%q", fmt.Sprint(i)))
	}
	post(march(`"filter.model":[`+strings.Join(values, ",")+`]`), "400 filter.model")
	post(march(`"filter.model":"`+strings.Repeat("x", 600<<10)+`"`), "400 filter.model")
	post(march(`"filter.model":"`+strings.Repeat("x", 2<<20)+`"`), "413")
	post(march(`"tz":"UTC"`), "415 Content-Type", "Content-Type", "text/plain")
	post(march(`"tz":"UTC"`), "415 Content-Encoding", "Content-Encoding", "br")
}

// injection puts what breaks out of SQL, or would be a question by itself, into every parameter:
// it is a value that nothing has, or a problem that names the parameter.
func injection(t *testing.T, h *dialecttest.Harness) {
	admin := h.Acme.Admin.Secret(schema.AccessToken)
	for i, attempt := range []string{
		"' OR 1=1 --", `" OR "1"="1`, "'; DROP TABLE usage_events; --", `\'; SELECT 1 --`, `\`,
		"{model:String}", "') UNION ALL SELECT * FROM credentials --", "%27%20OR%201", "']", "[]", "\\'",
		"${jndi:x}", "null", "/*", "`", "🙂", "=cmd()",
	} {
		value := url.QueryEscape(attempt)
		for _, name := range []string{
			"from", "to", "granularity", "tz", "group_by", "top", "order_by", "format", "organization_id",
			"filter.agent_id", "filter.user_id", "filter.chargeable", "filter.usage_type",
		} {
			query := name + "=" + value
			for given, usual := range map[string]string{"from": "2026-03-01", "to": "2026-04-01"} {
				if given != name {
					query += "&" + given + "=" + usual
				}
			}
			got := h.Do(t, ask(admin, "GET", "/v1/usage/query?"+query))
			if fault := faultOf(t, got); fault != "400 "+name {
				t.Errorf("%s: %s: %v", query, fault, got)
			}
		}
		var filters []string
		for _, d := range []string{"service", "channel", "api_name", "endpoint", "provider", "model", "purpose"} {
			filters = append(filters, "filter."+d+"="+value)
		}
		some := strings.Join(filters, "&")
		if i < len(filters) {
			some = filters[i]
		}
		got := h.Do(t, ask(admin, "GET", "/v1/usage/query?from=2026-03-01&to=2026-04-01&"+some))
		if got.Status != 200 || !strings.Contains(string(got.Body), `"rows":[]`) {
			t.Errorf("%s: %v", some, got)
		}
	}
}
