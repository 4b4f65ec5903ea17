package usage_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/usage"
)

// watcher finds what it is told to and keeps what it was asked.
type watcher struct {
	dialect.Usage
	asked []schema.AnomaliesParams
	found []schema.Anomaly
}

func (w *watcher) Anomalies(
	_ context.Context, p schema.AnomaliesParams,
) ([]schema.Anomaly, error) {
	w.asked = append(w.asked, p)
	return w.found[:min(len(w.found), p.Limit)], nil
}

func openWatch(t *testing.T) (*desk, *watcher) {
	w := &watcher{}
	d := usage.New(dialect.Door{
		Access: doorman{catalogOfTwo()}, Usage: w, Now: func() time.Time { return today },
	})
	s := &desk{t: t, app: fiber.New(fiber.Config{ErrorHandler: d.WriteError})}
	d.Mount(s.app)
	return s, w
}

const anomaliesPath = "/v1/usage/anomalies"

func TestAnomaliesOnTheWire(t *testing.T) {
	s, w := openWatch(t)
	one := schema.Anomaly{
		Agent: helper, Hour: today.Truncate(time.Hour).Add(-time.Hour), UsageType: "INPUT",
		Quantity: amount("0"), Expected: amount("9667.5"), Low: amount("3569.370837"),
		High: amount("23885.391218"), Hours: 8, Score: -1605,
	}
	two := one
	two.Score = 2000
	w.found = []schema.Anomaly{one, two, two}
	r := s.do("GET", anomaliesPath+"?limit=2", "admin", "")
	want := `{"from":"2026-11-21T13:00:00Z","to":"2026-11-22T13:00:00Z","anomalies":[` +
		`{"agent_id":"` + helper.String() + `","hour":"2026-11-22T12:00:00Z",` +
		`"usage_type":"INPUT","quantity":"0","expected":"9667.5","low":"3569.370837",` +
		`"high":"23885.391218","hours_compared":8,"score":-16.05},` +
		`{"agent_id":"` + helper.String() + `","hour":"2026-11-22T12:00:00Z",` +
		`"usage_type":"INPUT","quantity":"0","expected":"9667.5","low":"3569.370837",` +
		`"high":"23885.391218","hours_compared":8,"score":20}],"more":true}`
	if diff := cmp.Diff(want, string(r.Body)); diff != "" || r.Status != 200 {
		t.Errorf("%d (-want +got):\n%s", r.Status, diff)
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	w.found = nil
	if r := s.do("GET", anomaliesPath, "admin", ""); !strings.Contains(string(r.Body),
		`"anomalies":[],"more":false`) {
		t.Errorf("none: %s", r.Body)
	}
}

// TestAnomaliesAreTheCallers: what is asked for is what the caller may see, in whole hours that are
// over, or nothing is asked.
//
// Seen to fail: with a member taken for an admin; with the owner not compared; with the range not
// cut at the hour that is under way.
func TestAnomaliesAreTheCallers(t *testing.T) {
	s, w := openWatch(t)
	over := today.Truncate(time.Hour)
	f := func(token, query string, want schema.AnomaliesParams) {
		t.Helper()
		if want.From.IsZero() {
			want.From, want.To = over.Add(-24*time.Hour), over
		}
		if want.Organization == uuid.Nil {
			want.Organization = acme
		}
		if want.Limit == 0 {
			want.Limit = 101
		}
		w.asked = nil
		r := s.do("GET", anomaliesPath+"?"+query, token, "")
		if diff := cmp.Diff([]schema.AnomaliesParams{want}, w.asked); diff != "" || r.Status != 200 {
			t.Errorf("%s %s: %d %s (-want +asked):\n%s", token, query, r.Status, r.Body, diff)
		}
	}
	f("admin", "", schema.AnomaliesParams{})
	f("admin", "agent_id="+helper.String(), schema.AnomaliesParams{Agent: helper})
	f("admin", "limit=1000", schema.AnomaliesParams{Limit: 1001})
	f("super", "organization_id="+globex.String(), schema.AnomaliesParams{Organization: globex})
	f("agent", "", schema.AnomaliesParams{Agent: helper})
	f("agent", "agent_id="+helper.String(), schema.AnomaliesParams{Agent: helper})
	f("member", "agent_id="+spare.String(), schema.AnomaliesParams{Agent: spare})
	f("admin", "from=2026-11-01&to=2026-11-02T00:30:00%2B02:00", schema.AnomaliesParams{
		From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		To:   time.Date(2026, 11, 1, 23, 0, 0, 0, time.UTC),
	})
	f("admin", "from=2026-11-22T10:59:59Z&to=2026-11-23", schema.AnomaliesParams{
		From: over.Add(-3 * time.Hour), To: over,
	})
	f("admin", "from=2026-12-01&to=2026-12-02", schema.AnomaliesParams{From: over, To: over})
}

func TestAnomaliesRefuseByName(t *testing.T) {
	s, w := openWatch(t)
	f := func(token, query string, status int, field string) {
		t.Helper()
		r := s.do("GET", anomaliesPath+"?"+query, token, "")
		var p struct{ Errors []struct{ Field string } }
		if err := json.Unmarshal(r.Body, &p); err != nil {
			t.Fatal(err)
		}
		named := ""
		if len(p.Errors) > 0 {
			named = p.Errors[0].Field
		}
		if r.Status != status || named != field {
			t.Errorf("%s %s: %d %s", token, query, r.Status, r.Body)
		}
	}
	f("", "", 401, "")
	f("member", "", 403, "agent_id")
	f("member", "agent_id="+foreign.String(), 403, "agent_id")
	f("member", "agent_id="+uuid.NewString(), 403, "agent_id")
	f("agent", "agent_id="+spare.String(), 403, "agent_id")
	f("agent", "organization_id="+globex.String(), 404, "organization_id")
	f("admin", "organization_id="+globex.String(), 404, "organization_id")
	f("admin", "organization_id=x", 400, "organization_id")
	f("admin", "agent_id=%27%20OR%201=1", 400, "agent_id")
	f("admin", "agent_id="+uuid.Nil.String(), 400, "agent_id")
	f("admin", "limit=0", 400, "limit")
	f("admin", "limit=1001", 400, "limit")
	f("admin", "limit=1;DROP", 400, "limit")
	f("admin", "from=yesterday", 400, "from")
	f("admin", "to=", 400, "to")
	f("admin", "from=2026-11-02&to=2026-11-01", 400, "to")
	f("admin", "from=2026-11-01&to=2026-11-01", 400, "to")
	f("admin", "from=2026-10-01&to=2026-11-02", 400, "from")
	f("admin", "from=0001-01-01&to=9999-12-31", 400, "from")
	f("admin", "from=1970-01-01&to=1970-01-02", 400, "from")
	f("admin", "threshold=3", 400, "threshold")
	f("admin", "filter.model=x", 400, "filter.model")
	f("admin", "limit=1&limit=2", 400, "limit")
	if len(w.asked) > 0 {
		t.Errorf("the database was asked: %v", w.asked)
	}
}
