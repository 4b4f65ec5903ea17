package access

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// noon is the tests' time.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newTestDirectory returns a Directory on a catalog, whose clock is *now.
func newTestDirectory(t testing.TB, c Config, catalog schema.Catalog, now *time.Time) *Directory {
	t.Helper()
	c.Now = func() time.Time { return *now }
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	d.install(NewSnapshot(catalog))
	return d
}

// withAppPassword returns the test's catalog with an app password of Ada's.
func withAppPassword(expires time.Time) schema.Catalog {
	c := testCatalog()
	k := credential(schema.AppPassword, acme, ada, uuid.Nil, "app_a7_ada")
	k.ExpiresAt = expires
	c.Credentials = append(c.Credentials, k)
	c.Users[0].Email = "ada@acme.example"
	c.Organizations = append(c.Organizations, schema.Organization{ID: globex, Name: "Globex"})
	c.Memberships = append(c.Memberships,
		schema.Membership{Organization: globex, User: ada, Role: schema.Member, Active: true})
	return c
}

func TestIssuedTokenSpeaksForItsUser(t *testing.T) {
	now := noon
	catalog := withAppPassword(time.Time{})
	d := newTestDirectory(t, Config{}, catalog, &now)
	issued, err := d.IssueToken("app_a7_ada")
	if err != nil {
		t.Fatal(err)
	}
	if issued.ExpiresIn != 8*time.Hour || issued.User.Email != "ada@acme.example" ||
		issued.Organization.Name != "Acme" || len(issued.Organizations) != 2 ||
		issued.Organizations[0].Role != schema.Superadmin ||
		issued.Organizations[1].Organization.Name != "Globex" {
		t.Errorf("issued %+v", issued)
	}
	want, err := d.Secret("app_a7_ada", schema.AppPassword)
	if err != nil {
		t.Fatal(err)
	}
	// The token's organization is its app password's, whatever is asked for beside it.
	got, err := d.Bearer(issued.Token, globex.String())
	if err != nil || got != want || got.Credential == uuid.Nil {
		t.Errorf("the token speaks for %+v (%v), want %+v", got, err, want)
	}
	if _, err := d.Secret(issued.Token, schema.AppPassword); err == nil {
		t.Error("a token is no app password")
	}
	if _, err := d.IssueToken("ada-token"); schema.KindOf(err) != schema.Unauthenticated {
		t.Errorf("a token for an access token: %v", err)
	}
	now = now.Add(8*time.Hour + leeway)
	if _, err := d.Bearer(issued.Token, ""); !errors.Is(err, ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
	if _, err := NewDirectory(nil, nil).Bearer(issued.Token, ""); err == nil {
		t.Error("another process knows the token, without a secret in common")
	}
}

func TestIssuedTokenEndsWithItsAppPassword(t *testing.T) {
	now := noon
	catalog := withAppPassword(noon.Add(90 * time.Minute))
	d := newTestDirectory(t, Config{}, catalog, &now)
	issued, err := d.IssueToken("app_a7_ada")
	if err != nil || issued.ExpiresIn != 90*time.Minute {
		t.Fatalf("issued for %s, %v", issued.ExpiresIn, err)
	}
	f := func(what string, catalog schema.Catalog, want error) {
		t.Helper()
		d.install(NewSnapshot(catalog))
		_, err := d.Bearer(issued.Token, "")
		if want == nil && err != nil || want != nil && !errors.Is(err, want) ||
			err != nil && schema.KindOf(err) != schema.Unauthenticated {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("as it was", catalog, nil)
	now = noon.Add(90 * time.Minute) // the token's own end has some leeway, the password's none
	f("after the password's time", catalog, ErrExpired)
	f("with a longer password", withAppPassword(time.Time{}), nil)
	now = noon
	retired := catalog
	retired.Credentials = retired.Credentials[:len(retired.Credentials)-1]
	d.install(NewSnapshot(retired))
	if _, err := d.Bearer(issued.Token, ""); schema.KindOf(err) != schema.Unauthenticated {
		t.Errorf("after the password was retired: %v", err)
	}
}
