package admin_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

var bearers = []schema.CredentialKind{schema.AccessToken, schema.AppPassword}

const base = "/v1/admin/"

// TestSuite attacks what can be read. What changes the catalog writes no events, which is what the
// suite counts: access_test.go and admin_test.go are about that.
func TestSuite(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Routes: []dialecttest.Route{
			collection("organizations"), collection("users"), collection("agents"),
			collection("credentials"),
			one("agents", func(o *dialecttest.Organization) string {
				return o.MembersAgent.ID.String()
			}),
			one("users", func(o *dialecttest.Organization) string { return o.Member.ID.String() }),
			history("audit"), history("unpriced"),
		},
		Access:   rules,
		Unknown:  base + "nothing",
		Envelope: envelope,
		Rejected: []int{400, 422},
	})
}

// collection is a list, answered from the snapshot of the catalog.
func collection(path string) dialecttest.Route {
	r := history(path)
	r.Memory, r.Refused = true, []int{400}
	r.Segment = func(s dialecttest.Secret, segment string) dialecttest.Request {
		return ask(s, "GET", path+"?cursor="+segment, "")
	}
	r.Refused = []int{400, 200} // some of them are base64
	return r
}

// history is what the database is asked for.
func history(path string) dialecttest.Route {
	return dialecttest.Route{
		Name: "GET " + path, Kinds: bearers, Want: 200,
		Request: func(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
			return ask(s, "GET", path+"?limit=1000", "")
		},
		Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
			return ask(s, "GET", path+"?limit="+segment, "")
		},
		Refused: []int{400},
	}
}

func one(path string, id func(*dialecttest.Organization) string) dialecttest.Route {
	return dialecttest.Route{
		Name: "GET " + path + "/{id}", Kinds: bearers, Want: 200, Foreign: 404, Memory: true,
		Also: []string{"PATCH"},
		Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
			return ask(s, "GET", path+"/"+id(of), "")
		},
		Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
			return ask(s, "GET", path+"/"+segment, "")
		},
		Refused: []int{404, 400},
	}
}

// ask is a request with a bearer, and a body where there is one.
func ask(s dialecttest.Secret, method, path, body string) dialecttest.Request {
	r := dialecttest.Request{Method: method, Path: base + path, Body: body}
	if s.Text == "" {
		return r
	}
	if s.Kind == schema.AgentSecret {
		return r.With("Agent-Secret-Key", s.Text)
	}
	return r.With("Authorization", "Bearer "+s.Text)
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
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		return fmt.Errorf("media type %q", got)
	}
	return nil
}
