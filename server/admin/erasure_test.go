package admin_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// TestWhoMayErase is docs/retention.md's: an admin a user of the organization, a superadmin anybody,
// nobody themselves; and the error names the field.
func TestWhoMayErase(t *testing.T) {
	t.Parallel()
	h := dialecttest.New(t)
	o, other := h.Acme, h.Globex
	f := func(who string, s dialecttest.Secret, user, query string, want int) dialecttest.Response {
		t.Helper()
		r := ask(s, "DELETE", "", "")
		r.Path = "/v1/users/" + user + "/personal-data" + query
		got := h.Do(t, r)
		if got.Status != want {
			t.Errorf("%s: status %d, want %d: %s", who, got.Status, want, got.Body)
		}
		if got.Status >= 400 {
			if err := envelope(got); err != nil {
				t.Errorf("%s: %v: %s", who, err, got.Body)
			}
		}
		return got
	}
	of := func(o *dialecttest.Organization) string { return "?organization_id=" + o.ID.String() }
	member := o.Member.ID.String()
	f("nobody", dialecttest.Secret{}, member, "", 401)
	f("agent", o.MembersAgent.Secret(), member, "", 403)
	f("member", token(o.Member), member, "", 403)
	f("admin, themselves", token(o.Admin), o.Admin.ID.String(), "", 403)
	f("admin, a superadmin", token(o.Admin), o.Superadmin.ID.String(), "", 403)
	f("admin, another's", token(o.Admin), other.Member.ID.String(), of(other), 404)
	f("admin, another's here", token(o.Admin), other.Member.ID.String(), "", 404)
	f("admin, unknown", token(o.Admin), uuid.NewString(), "", 404)
	for _, hostile := range []string{"x", "%27%20OR%201=1--", member + "%00", "%2e%2e%2fadmin"} {
		f("hostile", token(o.Admin), hostile, "", 404)
	}
	f("parameter", token(o.Admin), member, "?organisation_id=x", 400)
	f("organization", token(o.Admin), member, "?organization_id=%27", 400)

	var first, again struct {
		Replacement uuid.UUID `json:"replacement_id"`
		Done        *string   `json:"done_at"`
	}
	for _, into := range []any{&first, &again} {
		got := f("admin", token(o.Admin), member, "", 200)
		if err := json.Unmarshal(got.Body, into); err != nil {
			t.Fatal(err)
		}
	}
	if first.Done == nil || first.Replacement != again.Replacement {
		t.Errorf("first %+v, again %+v", first, again)
	}
	if got := h.Do(t, ask(token(o.Member), "GET", "users", "")); got.Status != 401 {
		t.Errorf("who was erased asks: %d", got.Status)
	}
	f("superadmin, another's", token(o.Superadmin), other.Member.ID.String(), of(other), 200)
	if n := h.Database.Strings(fmt.Sprintf(
		"SELECT toString(count()) FROM usage_events WHERE user_id IN ('%s', '%s')",
		member, other.Member.ID)); n[0] != "0" {
		t.Errorf("%s rows name who was erased", n[0])
	}
}
