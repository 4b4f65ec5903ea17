package tracker_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// tracked is a record as a client sees it.
type tracked struct {
	ID     string      `json:"usage_id"`
	User   string      `json:"user_id"`
	Units  json.Number `json:"units_used"`
	Cost   json.Number `json:"cost_usd"`
	Active bool        `json:"status_active"`
}

// client calls a node as one user.
type client struct {
	t     *testing.T
	node  *dialecttest.Node
	token dialecttest.Secret
}

func (c client) do(method, path, body string, want int) dialecttest.Response {
	c.t.Helper()
	r := ask(c.token, path)
	r.Method, r.Body = method, body
	got := c.node.Do(c.t, r)
	if got.Status != want {
		c.t.Errorf("%s %s %s: %v, want %d", method, path, body, got, want)
	}
	return got
}

func (c client) record(method, path, body string, want int) tracked {
	c.t.Helper()
	var r tracked
	if err := json.Unmarshal(c.do(method, path, body, want).Body, &r); err != nil {
		c.t.Error(err)
	}
	return r
}

// TestRecordsAreCorrected changes and deletes records on a real engine, at both mounts.
func TestRecordsAreCorrected(t *testing.T) {
	t.Parallel()
	h := dialecttest.New(t)
	admin := client{t, h.Node, h.Acme.Admin.Secret(schema.AccessToken)}
	member := client{t, h.Node, h.Acme.Member.Secret(schema.AccessToken)}
	for _, base := range []string{"/usage", "/api/v1/usage"} {
		made := member.record("POST", base, body("346", "key"), 201)
		path := base + "/" + made.ID
		same := func(got tracked, units, cost string) {
			t.Helper()
			want := tracked{made.ID, h.Acme.Member.ID.String(), json.Number(units),
				json.Number(cost), true}
			if got != want {
				t.Errorf("%s: %+v, want %+v", base, got, want)
			}
		}
		same(admin.record("PUT", path, `{}`, 200), "346", "0.0043")
		same(admin.record("PUT", path, `{"units_used":7}`, 200), "7", "0.0043")
		same(admin.record("PUT", path, `{"cost_usd":"1.5"}`, 200), "7", "1.5")
		same(member.record("GET", path, "", 200), "7", "1.5")
		same(admin.record("PUT", path, `{"units_used":0,"cost_usd":0,"x":null}`, 200), "0", "0")
		admin.do("PUT", path, `{"units_used":null}`, 422)
		member.do("PUT", path, `{"units_used":1}`, 403)
		member.do("DELETE", path, "", 403)
		list := string(member.do("GET", base+"?limit=1000", "", 200).Body)
		if strings.Count(list, made.ID) != 1 || !strings.Contains(list, `"units_used":0,"cost_usd":0,`) {
			t.Errorf("%s: the list shows %s", base, list)
		}
		if got := admin.do("DELETE", path, "", 204); len(got.Body) > 0 {
			t.Errorf("%s: 204 with %v", base, got)
		}
		admin.do("DELETE", path, "", 404)
		admin.do("PUT", path, `{"units_used":1}`, 404)
		member.do("GET", path, "", 404)
		if list := member.do("GET", base+"?limit=1000", "", 200); strings.Contains(
			string(list.Body), made.ID) {
			t.Errorf("%s: the list shows a deleted record: %v", base, list)
		}
	}
	sums := h.Database.Strings(`SELECT toString(sum(quantity)), toString(sum(billed_cost))
		FROM usage_events WHERE api_name = 'key'`)
	if sums[0] != "0 0" {
		t.Errorf("what was deleted still counts %s", sums)
	}
	actors := h.Database.Strings(`SELECT DISTINCT splitByChar(' ', actor)[1] FROM corrections`)
	if len(actors) != 1 || actors[0] != "user:"+h.Acme.Admin.ID.String() {
		t.Errorf("corrections are by %v", actors)
	}
}

// Concurrent PUTs are made one after the other, on whichever node: each is a revision.
func TestConcurrentPuts(t *testing.T) {
	t.Parallel()
	h := dialecttest.New(t)
	nodes := []*dialecttest.Node{h.Node, h.Start(t, dialecttest.NodeConfig{})}
	token := h.Acme.Admin.Secret(schema.AccessToken)
	path := "/usage/" + h.Acme.MembersRecord.String()
	const puts = 12
	var group sync.WaitGroup
	for i := range puts {
		group.Go(func() {
			c := client{t, nodes[i%2], token}
			got := c.record("PUT", path, fmt.Sprintf(`{"units_used":%d}`, 100+i), http.StatusOK)
			if got.Units.String() != fmt.Sprint(100+i) {
				t.Errorf("PUT of %d answers %+v", 100+i, got)
			}
		})
	}
	group.Wait()
	rows := h.Database.Strings(`SELECT toString(max(revision)), toString(sum(toInt64(entry))),
		toString(uniqExactIf(quantity, entry = 'record' AND revision > 0)) FROM usage_events
		WHERE event_id = '` + h.Acme.MembersRecord.String() + `'`)
	if want := fmt.Sprint(puts, " 1 ", puts); rows[0] != want {
		t.Errorf("revisions, records and their quantities: %s, want %s", rows[0], want)
	}
}
