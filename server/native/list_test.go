package native

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// shelf answers every search with one page, and keeps what it was asked.
type shelf struct {
	dialect.Reader
	asked []dialect.EventsParams
	page  dialect.EventsPage
}

func (s *shelf) Events(_ context.Context, p dialect.EventsParams) (dialect.EventsPage, error) {
	s.asked = append(s.asked, p)
	return s.page, nil
}

// search sends a GET /v1/events and returns its status and body.
func search(t testing.TB, s *shelf, query string, header ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/v1/events"+query, nil)
	r.Header.Set("Authorization", "Bearer ada-token")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response := send(t, serveDoor(dialect.Door{Reader: s}), r)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestListRefusesWhatItDoesNotKnow(t *testing.T) {
	s := new(shelf)
	f := func(query, field string) {
		t.Helper()
		status, body := search(t, s, query)
		if status != http.StatusBadRequest || !strings.Contains(body, `"field":"`+field+`"`) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	f("?nothing=1", "nothing")
	f("?Agent_ID="+helper.String(), "Agent_ID")
	for _, name := range listParams {
		f("?"+name+"=", name)
		f("?"+name+"="+name+"&"+name+"=a", name)
		f("?"+name+"=%00", name)
		f("?"+name+"=%ff", name)
		f("?"+name+"="+strings.Repeat("x", 300), name)
	}
	f("?agent_id=00000000-0000-0000-0000-000000000000", "agent_id")
	f("?agent_id="+strings.ReplaceAll(helper.String(), "-", ""), "agent_id")
	f("?usage_type=input", "usage_type")
	f("?state=voided", "state")
	for _, limit := range []string{"0", "-1", "201", "1.5", "1e2", "99999999999999999999", "0x10"} {
		f("?limit="+limit, "limit")
	}
	for _, at := range []string{
		"yesterday", "2026-02-30", "2026-01-01T00:00:00", "1", "1970-12-31", "2106-01-01",
		"0000-01-01", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00+99:00", "2026-01-01%2000:00:00Z",
	} {
		f("?from="+at, "from")
		f("?to="+at, "to")
	}
	f("?from=2026-11-01T00:00:00+02:00", "from") // + is a space
	f("?from=2026-11-02&to=2026-11-02", "to")
	f("?from=2026-11-03&to=2026-11-02", "to")
	f("?from=2027-11-03", "to")
	f("?from=2025-01-01", "from") // more than 400 days
	f("?from=2024-01-01&to=2025-03-01", "from")
	good := cursor{noon, dialect.EventPosition{Time: noon, ID: ada}}.String()
	for _, c := range []string{
		"a", good[1:], good + "A", good + "=", "B" + good[1:], strings.Repeat("A", 44),
		strings.Repeat("_", 44), "AQ" + strings.Repeat("_", 42), good[:22] + "%20" + good[23:],
		good[:43] + "~",
	} {
		f("?cursor="+c, "cursor")
	}
	if len(s.asked) > 0 {
		t.Errorf("asked %+v", s.asked)
	}
}

// What is asked of the ledger is what the caller asked for, narrowed to what the caller may see.
func TestListAsksForWhatIsTheCallers(t *testing.T) {
	f := func(query string, want dialect.EventsParams, header ...string) {
		t.Helper()
		s := new(shelf)
		status, body := search(t, s, query, header...)
		if status != http.StatusOK || body != `{"items":[],"next_cursor":null}` {
			t.Errorf("%s: %d %s", query, status, body)
			return
		}
		if want.Limit == 0 {
			want.Limit = 50
		}
		want.Organization = acme
		if diff := cmp.Diff([]dialect.EventsParams{want}, s.asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	no := func(query string, status int, header ...string) {
		t.Helper()
		s := new(shelf)
		if got, body := search(t, s, query, header...); got != status || len(s.asked) > 0 {
			t.Errorf("%s: %d %s", query, got, body)
		}
	}
	type params = dialect.EventsParams
	asBob := []string{"Authorization", "Bearer app_a7_bob"}
	asHelper := []string{"Agent-Secret-Key", "helper-secret"}
	f("", params{})
	f("", params{User: bob}, asBob...)
	f("", params{Agent: helper}, asHelper...)
	f("?user_id="+bob.String(), params{User: bob}, asBob...)
	f("?agent_id="+idle.String(), params{User: bob, Agent: idle}, asBob...)
	f("?agent_id="+helper.String()+"&user_id="+ada.String(), params{User: ada, Agent: helper},
		asHelper...)
	f("?organization_id="+acme.String(), params{})
	no("?user_id="+ada.String(), http.StatusForbidden, asBob...)
	no("?agent_id="+idle.String(), http.StatusForbidden, asHelper...)
	for _, who := range [][]string{nil, asBob, asHelper} {
		no("?organization_id="+other.String(), http.StatusNotFound, who...)
	}
	no("", http.StatusUnauthorized, "Authorization", "Bearer nobody")

	day := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at.UTC()
	}
	at := func(text string) dialect.EventPosition { return dialect.EventPosition{Time: day(text)} }
	f("?user_id="+bob.String()+"&agent_id="+helper.String()+
		"&model=gpt%204&service=s&usage_type=INPUT&state=all&limit=200", params{
		User: bob, Agent: helper, Model: "gpt 4", Service: "s", UsageType: "INPUT", Voided: true,
		Limit: 200,
	})
	f("?from=2026-11-01&state=current", params{From: day("2026-11-01T00:00:00Z")})
	f("?from=2026-11-01T02:00:00%2B02:00&to=2026-11-02T00:00:00.5Z", params{
		From: day("2026-11-01T00:00:00Z"), Before: at("2026-11-02T00:00:00.5Z"),
	})
	f("?to=2026-11-02", params{
		From: day("2026-10-02T00:00:00Z"), Before: at("2026-11-02T00:00:00Z"),
	})
	next := cursor{day("2026-10-01T00:00:00Z"),
		dialect.EventPosition{Time: day("2026-10-03T01:02:03.000004Z"), ID: bob}}
	f("?cursor="+next.String(), params{From: next.from, Before: next.at})
	f("?cursor="+next.String()+"&from=2026-10-02&to=2026-10-09", params{
		From: day("2026-10-02T00:00:00Z"), Before: next.at,
	})
	f("?cursor="+next.String()+"&from=2026-10-02&to=2026-10-03", params{
		From: day("2026-10-02T00:00:00Z"), Before: at("2026-10-03T00:00:00Z"),
	})
}

// A page has its events as they are read one by one, and a cursor that leads back to where it ended.
func TestListShowsEvents(t *testing.T) {
	last := dialect.EventPosition{Time: noon.Add(-time.Hour), ID: uuid.New()}
	s := &shelf{page: dialect.EventsPage{
		From: noon.AddDate(0, 0, -31), Next: &last,
		Events: []dialect.Revision{
			{Event: schema.Event{ID: ada, Time: noon, Agent: helper, Revision: 2}, At: noon, By: "b"},
			{Event: schema.Event{ID: bob, Time: noon}, Reversed: true, Voided: true, VoidedBy: "c"},
		},
	}}
	status, body := search(t, s, "?state=all")
	var got struct {
		Items []struct{ ID, State string }
		Next  string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(body), &got); status != http.StatusOK || err != nil {
		t.Fatalf("%d %s", status, body)
	}
	if len(got.Items) != 2 || got.Items[0].ID != ada.String() || got.Items[0].State != "current" ||
		got.Items[1].ID != bob.String() || got.Items[1].State != "voided" {
		t.Errorf("it shows %s", body)
	}
	if status, body := search(t, s, "?cursor="+got.Next); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if p := s.asked[1]; p.Before != last || !p.From.Equal(s.page.From) {
		t.Errorf("it goes on at %+v", p)
	}
}
