package access

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// userKinds is every kind of credential that a user can have.
var userKinds = []schema.CredentialKind{
	schema.LoginToken, schema.AppPassword, schema.AccessToken,
}

// Whatever the kind of credential: it speaks for its user as long as the user is an active member
// of its organization, and with the role the user has there.
func TestStandingOfAUser(t *testing.T) {
	type row struct {
		role    schema.Role
		active  bool
		change  func(*schema.Catalog) // nil: none
		expires time.Time
		want    schema.Role // 0: nobody
	}
	always := time.Time{}
	for what, r := range map[string]row{
		"a member":            {schema.Member, true, nil, always, schema.Member},
		"an admin":            {schema.Admin, true, nil, always, schema.Admin},
		"a superadmin":        {schema.Superadmin, true, nil, always, schema.Superadmin},
		"a former member":     {schema.Member, false, nil, always, 0},
		"a former admin":      {schema.Admin, false, nil, always, 0},
		"a former superadmin": {schema.Superadmin, false, nil, always, 0},
		"no member": {schema.Superadmin, true, func(c *schema.Catalog) {
			c.Memberships = nil
		}, always, 0},
		"another organization's superadmin": {schema.Superadmin, true, func(c *schema.Catalog) {
			c.Memberships[0].Organization = globex
		}, always, 0},
		"another's membership": {schema.Superadmin, true, func(c *schema.Catalog) {
			c.Memberships[0].User = ben
		}, always, 0},
		"of an organization that is gone": {schema.Admin, true, func(c *schema.Catalog) {
			c.Organizations = c.Organizations[1:]
		}, always, 0},
		"a user who is gone": {schema.Admin, true, func(c *schema.Catalog) {
			c.Users = nil
		}, always, 0},
		"before it expires": {schema.Member, true, nil, noon.Add(time.Microsecond), schema.Member},
		"when it expires":   {schema.Member, true, nil, noon, 0},
		"long after":        {schema.Superadmin, true, nil, noon.AddDate(-1, 0, 0), 0},
	} {
		for _, kind := range userKinds {
			k := credential(kind, acme, ada, uuid.Nil, "secret")
			k.ExpiresAt = r.expires
			c := schema.Catalog{
				Organizations: []schema.Organization{{ID: acme}, {ID: globex}},
				Users:         []schema.User{{ID: ada}},
				Memberships: []schema.Membership{
					{Organization: acme, User: ada, Role: r.role, Active: r.active},
				},
				Credentials: []schema.Credential{k},
			}
			if r.change != nil {
				r.change(&c)
			}
			now := noon
			d := newTestDirectory(t, Config{}, c, &now)
			got, err := d.Secret("secret", kind)
			want := Caller{Organization: acme, User: ada, Role: r.want, Credential: k.ID()}
			if r.want != 0 && (err != nil || got != want) {
				t.Errorf("%s, kind %d: %+v, %v", what, kind, got, err)
			}
			if r.want == 0 && (got != Caller{} || schema.KindOf(err) != schema.Unauthenticated) {
				t.Errorf("%s, kind %d: %+v, %v", what, kind, got, err)
			}
			if errors.Is(err, ErrExpired) != (r.want == 0 && !r.expires.IsZero()) {
				t.Errorf("%s, kind %d: %v", what, kind, err)
			}
			_, err = d.Bearer("secret", "")
			if bearer := kind != schema.LoginToken; (err == nil) != (r.want != 0 && bearer) {
				t.Errorf("%s, kind %d, as a bearer: %v", what, kind, err)
			}
		}
	}
}

func TestStandingOfAnAgent(t *testing.T) {
	f := func(what string, want bool, change func(*schema.Catalog)) {
		t.Helper()
		c := schema.Catalog{
			Organizations: []schema.Organization{{ID: acme}, {ID: globex}},
			Agents:        []schema.Agent{{ID: helper, Organization: acme, Owner: ada}},
			Credentials: []schema.Credential{
				credential(schema.AgentSecret, acme, uuid.Nil, helper, "secret"),
			},
		}
		change(&c)
		now := noon
		d := newTestDirectory(t, Config{}, c, &now)
		got, err := d.Secret("secret", schema.AgentSecret)
		if want && (err != nil || got.Agent != helper || got.Role != 0 ||
			got.Organization != acme || got.User != c.Agents[0].Owner) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if !want && (got != Caller{} || schema.KindOf(err) != schema.Unauthenticated) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if _, err := d.Bearer("secret", ""); err == nil {
			t.Errorf("%s: its secret is a bearer token", what)
		}
	}
	f("an agent", true, func(*schema.Catalog) {})
	f("without an owner", true, func(c *schema.Catalog) { c.Agents[0].Owner = uuid.Nil })
	f("that is gone", false, func(c *schema.Catalog) { c.Agents = nil })
	f("of another organization", false, func(c *schema.Catalog) {
		c.Agents[0].Organization = globex
	})
	f("of an organization that is gone", false, func(c *schema.Catalog) {
		c.Organizations = nil
	})
	f("whose secret has expired", false, func(c *schema.Catalog) {
		c.Credentials[0].ExpiresAt = noon
	})
}
