package server_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// usageCalls are what analysts ask, and what makes a person forgotten.
func usageCalls(
	t *testing.T, h *dialecttest.Harness, o *dialecttest.Organization, all map[string][]call,
) {
	const question = "from=2020-01-01&to=2029-12-01&granularity=total&group_by=agent_id,user_id,model"
	whose := "&organization_id=" + o.ID.String()
	all["GET /v1/usage/query"] = []call{
		{path: "/v1/usage/query?" + question, answers: true},
		{path: "/v1/usage/query?" + question + "&format=csv", answers: true},
		{path: "/v1/usage/query?" + question + whose, crosses: true},
		{path: "/v1/usage/query?" + question + "&filter.agent_id=" + o.MembersAgent.ID.String() +
			"&filter.user_id=" + o.Member.ID.String(), answers: true},
	}
	all["POST /v1/usage/query"] = []call{
		{path: "/v1/usage/query", crosses: true, body: `{"from":"2020-01-01","to":"2029-12-01",` +
			`"granularity":"total","group_by":["user_id"],"organization_id":"` + o.ID.String() + `"}`},
		{path: "/v1/usage/query", answers: true, body: `{"from":"2020-01-01","to":"2029-12-01",` +
			`"granularity":"total","group_by":["user_id"]}`},
	}
	for _, agent := range []uuid.UUID{o.MembersAgent.ID, o.AdminsAgent.ID} {
		path := "/v1/agents/" + agent.String() + "/usage"
		all["GET /v1/agents/:id/usage"] = append(all["GET /v1/agents/:id/usage"],
			call{path: path, crosses: true}, call{path: path + "?" + whose[1:], crosses: true})
	}
	all["GET /v1/usage/anomalies"] = []call{
		{path: "/v1/usage/anomalies", answers: true, crosses: true},
		{path: "/v1/usage/anomalies?" + whose[1:], crosses: true},
		{path: "/v1/usage/anomalies?agent_id=" + o.MembersAgent.ID.String(), answers: true},
	}
	const person = "DELETE /v1/users/:id/personal-data"
	for _, user := range []uuid.UUID{o.Member.ID, o.Admin.ID, o.Former.ID} {
		path := "/v1/users/" + user.String() + "/personal-data"
		all[person] = append(all[person],
			call{path: path, crosses: true}, call{path: path + "?" + whose[1:], crosses: true})
	}
	exportCalls(t, h, o, all)
}

// exportCalls are about an export that is the owner's.
func exportCalls(
	t *testing.T, h *dialecttest.Harness, o *dialecttest.Organization, all map[string][]call,
) {
	const body = `{"events":{"from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z"},"format":"csv"`
	got := h.Do(t, dialecttest.Request{
		Method: http.MethodPost, Path: "/v1/exports", Body: body + "}",
	}.With("Content-Type", "application/json", "Authorization", "Bearer "+o.Admin.AccessToken))
	var made struct{ ID string }
	if err := json.Unmarshal(got.Body, &made); err != nil || made.ID == "" {
		t.Fatal(got)
	}
	all["GET /v1/exports"] = []call{
		{path: "/v1/exports", answers: true},
		{path: "/v1/exports?organization_id=" + o.ID.String(), crosses: true},
	}
	all["POST /v1/exports"] = []call{
		{path: "/v1/exports", body: body + `,"organization_id":"` + o.ID.String() + `"}`, crosses: true},
		{path: "/v1/exports", answers: true, body: body + "}"},
	}
	one := "/v1/exports/" + made.ID
	for route, path := range map[string]string{
		"GET /v1/exports/:id":             one,
		"GET /v1/exports/:id/files/:name": one + "/files/part-00001.csv",
		"DELETE /v1/exports/:id":          one,
	} {
		all[route] = []call{
			{path: path}, {path: path + "?organization_id=" + o.ID.String(), crosses: true},
		}
	}
}
