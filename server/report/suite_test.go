package report_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// TestSuite attacks what shows usage, on a real reporter. The list of slots names nothing but the
// organization; report_test.go and the tests of the whole server are about that and the rest.
func TestSuite(t *testing.T) {
	t.Parallel()
	dialecttest.Run(t, dialecttest.Suite{
		Routes: []dialecttest.Route{{
			Name: "GET estimate", Want: 200, Foreign: 404,
			Kinds: []schema.CredentialKind{schema.AccessToken, schema.AppPassword},
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				return ask(s, "/v1/report/estimate?organization_id="+of.ID.String())
			},
			Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
				return ask(s, "/v1/report/estimate?organization_id="+segment)
			},
			Refused: []int{400},
		}},
		Access:   accessRows,
		Unknown:  "/v1/report/nothing",
		Envelope: envelope,
		Rejected: []int{400, 422},
	})
}

// unmapped is the path of the slot that the harness's usage of an organization is in.
func unmapped(h *dialecttest.Harness, o *dialecttest.Organization) string {
	hour := h.Database.Strings("SELECT toString(toUnixTimestamp(toStartOfHour(min(event_time)))) "+
		"FROM usage_events WHERE organization_id = {id:UUID}", clickhouse.Named("id", o.ID.String()))
	seconds, _ := strconv.ParseInt(hour[0], 10, 64)
	return o.ID.String() + "/~/" + time.Unix(seconds, 0).UTC().Format("2006-01-02T15")
}

func ask(s dialecttest.Secret, path string) dialecttest.Request {
	r := dialecttest.Request{Method: "GET", Path: path}
	switch {
	case s.Text == "":
		return r
	case s.Kind == schema.AgentSecret:
		return r.With("Agent-Secret-Key", s.Text)
	}
	return r.With("Authorization", "Bearer "+s.Text)
}

// accessRows: an admin sees the organization's own, a superadmin everybody's, nobody else anything.
func accessRows(h *dialecttest.Harness) (rows []dialecttest.Access) {
	o, other := h.Acme, h.Globex
	for _, of := range []*dialecttest.Organization{o, other} {
		query := "?organization_id=" + of.ID.String()
		for _, path := range []string{
			"/v1/report/slots" + query, "/v1/report/estimate" + query,
			"/v1/report/slots/" + unmapped(h, of),
		} {
			admin := 200
			var shows []string
			if of != o {
				admin = 404
			} else {
				shows = []string{o.ID.String()}
			}
			row := func(who string, s dialecttest.Secret, want int, shows []string) {
				rows = append(rows, dialecttest.Access{
					Who: who + ": " + path, Request: ask(s, path), Want: want, Shows: shows,
				})
			}
			row("agent", o.MembersAgent.Secret(), 403, nil)
			row("member", o.Member.Secret(schema.AccessToken), 403, nil)
			row("admin", o.Admin.Secret(schema.AccessToken), admin, shows)
			row("superadmin", o.Superadmin.Secret(schema.AccessToken), 200, []string{of.ID.String()})
		}
	}
	return rows
}

func envelope(r dialecttest.Response) error {
	var p struct {
		Type, Title string
		Status      int
	}
	if err := json.Unmarshal(r.Body, &p); err != nil {
		return err
	}
	if p.Type != "about:blank" || p.Title == "" || p.Status != r.Status {
		return fmt.Errorf("not a problem of RFC 9457")
	}
	return nil
}
