package access_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/access"
)

var (
	acme   = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	globex = uuid.MustParse("1c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	ada    = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	helper = uuid.MustParse("12345678-1234-4234-8234-123456789012")
)

// store is the catalog's tables, with something in the way of a change.
type store struct {
	*queries.Queries
	save func(ctx context.Context, c schema.CatalogChange) error // nil: nothing is in the way
}

func (s *store) SaveCatalog(ctx context.Context, c schema.CatalogChange) error {
	if s.save != nil {
		return s.save(ctx, c)
	}
	return s.Queries.SaveCatalog(ctx, c)
}

// node returns a Directory on a database, with the store behind it.
func node(t *testing.T, db *schematest.Database) (*access.Directory, *store) {
	t.Helper()
	q, err := queries.Open(t.Context(), queries.Config{Options: db.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	s := &store{Queries: q}
	return access.NewDirectory(s, slog.New(slog.DiscardHandler)), s
}

func upsert(c schema.Catalog) func(*access.Snapshot) (access.Change, error) {
	return func(*access.Snapshot) (access.Change, error) { return access.Change{Upsert: c}, nil }
}

func mustChange(t *testing.T, d *access.Directory, change access.Change) {
	t.Helper()
	err := d.Change(t.Context(), "test", func(*access.Snapshot) (access.Change, error) {
		return change, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// audit returns the lines of what is on record, the oldest first.
func audit(t *testing.T, s *store) []string {
	t.Helper()
	all, err := s.CatalogAudit(t.Context(), queries.CatalogAuditParams{Version: 1 << 63, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i := len(all) - 1; i >= 0; i-- {
		lines = append(lines, access.Lines(all[i:i+1])...)
	}
	return lines
}

func start(name string) schema.Catalog {
	return schema.Catalog{
		Organizations: []schema.Organization{{ID: acme, Name: name, Tenant: "acme.example"}},
		Users:         []schema.User{{ID: ada, Name: "Ada"}},
		Memberships: []schema.Membership{
			{Organization: acme, User: ada, Role: schema.Admin, Active: true},
		},
	}
}

func TestChangesAreOnRecord(t *testing.T) {
	t.Parallel()
	db := schematest.New(t)
	d, s := node(t, db)
	mustChange(t, d, access.Change{Upsert: start("Acme")})
	const secret = "a-secret-nobody-may-see"
	k := schema.Credential{
		Kind: schema.AccessToken, Hash: schema.HashSecret(secret), Organization: acme, User: ada,
	}
	mustChange(t, d, access.Change{Upsert: schema.Catalog{Credentials: []schema.Credential{k}}})
	renamed := start("Acme & <Sons>")
	renamed.Organizations[0].Stripe.Customer = "cus_1"
	renamed.Users[0].Email = "ada@acme.example"
	mustChange(t, d, access.Change{
		Upsert: renamed, Retire: schema.Catalog{Credentials: []schema.Credential{k}},
	})
	renamed.Organizations[0].Stripe = schema.StripeMapping{}
	mustChange(t, d, access.Change{Upsert: renamed})

	ofAcme := ` organization_id: "` + acme.String() + `"`
	want := []string{
		`+ organization ` + acme.String() + ` name: "Acme" tenant: "acme.example"`,
		`+ user ` + ada.String() + ` name: "Ada"`,
		`+ membership ` + acme.String() + "/" + ada.String() + ofAcme +
			` user_id: "` + ada.String() + `" role: "admin" active: true`,
		`+ credential ` + k.ID().String() + ` kind: "access_token"` + ofAcme +
			` user_id: "` + ada.String() + `"`,
		`~ organization ` + acme.String() + ` name: "Acme" → "Acme & <Sons>"`,
		`+ stripe_mapping ` + acme.String() + ofAcme + ` customer: "cus_1"`,
		`~ user ` + ada.String() + ` email: "" → "ada@acme.example"`,
		`- credential ` + k.ID().String() + ` kind: "access_token"` + ofAcme +
			` user_id: "` + ada.String() + `"`,
		`- stripe_mapping ` + acme.String() + ofAcme + ` customer: "cus_1"`,
	}
	if diff := cmp.Diff(want, audit(t, s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, entry := range db.Strings("SELECT actor, id, before, after FROM catalog_audit") {
		for _, hidden := range []string{secret, db.Strings(
			"SELECT secret_sha256 FROM credentials LIMIT 1")[0]} {
			if strings.Contains(entry, hidden) {
				t.Errorf("the record shows a secret: %s", entry)
			}
		}
	}
	// The user's entries are for the admins of the only organization.
	of := db.Strings("SELECT DISTINCT toString(organization_id) FROM catalog_audit")
	if len(of) != 1 || of[0] != acme.String() {
		t.Errorf("entries are of %v", of)
	}
}

// A plan that changes nothing writes nothing.
func TestNoChangeIsNotWritten(t *testing.T) {
	t.Parallel()
	db := schematest.New(t)
	d, _ := node(t, db)
	expires := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	c := start("Acme")
	c.Credentials = []schema.Credential{{
		Kind: schema.AccessToken, Hash: schema.HashSecret("x"), Organization: acme, User: ada,
		ExpiresAt: expires,
	}}
	mustChange(t, d, access.Change{Upsert: c})
	c.Credentials[0].ExpiresAt = expires.In(time.FixedZone("elsewhere", 3600)) // the same instant
	for _, change := range []access.Change{
		{Upsert: c}, {}, {Retire: schema.Catalog{Agents: []schema.Agent{{ID: helper}}}},
	} {
		mustChange(t, d, change)
	}
	refused := errors.New("refused")
	if err := d.Change(t.Context(), "x", func(*access.Snapshot) (access.Change, error) {
		return access.Change{Upsert: start("Other")}, refused
	}); !errors.Is(err, refused) {
		t.Errorf("error %v, want the plan's", err)
	}
	if n := db.Strings("SELECT toString(count()) FROM catalog_changes")[0]; n != "1" {
		t.Errorf("%s changes were written, want 1", n)
	}
	for table, want := range map[string]string{"organizations": "1", "catalog_audit": "4"} {
		if n := db.Strings("SELECT toString(count()) FROM " + table)[0]; n != want {
			t.Errorf("%s has %s rows, want %s", table, n, want)
		}
	}
}

// What another has is refused under the lock of the change.
func TestConflictsAreRefused(t *testing.T) {
	t.Parallel()
	d, _ := node(t, schematest.New(t))
	c := start("Acme")
	token := schema.Credential{
		Kind: schema.AccessToken, Hash: schema.HashSecret("token"), Organization: acme, User: ada,
	}
	c.Credentials = []schema.Credential{token}
	c.Organizations = append(c.Organizations, schema.Organization{ID: globex, Tenant: "g"})
	mustChange(t, d, access.Change{Upsert: c})
	f := func(what string, c schema.Catalog, want bool) {
		t.Helper()
		err := d.Change(t.Context(), "test", upsert(c))
		if got := schema.KindOf(err) == schema.Conflict; got != want || !want && err != nil {
			t.Errorf("%s: %v, want a conflict: %v", what, err, want)
		}
	}
	tenants := func(a, g string) schema.Catalog {
		return schema.Catalog{Organizations: []schema.Organization{
			{ID: acme, Name: "Acme", Tenant: a}, {ID: globex, Tenant: g},
		}}
	}
	f("a tenant that is there", schema.Catalog{Organizations: []schema.Organization{
		{ID: uuid.New(), Tenant: "acme.example"}}}, true)
	f("one tenant for two", tenants("x", "x"), true)
	f("tenants exchanged", tenants("g", "acme.example"), false)
	other := token
	other.Organization = globex
	f("another organization's secret", schema.Catalog{Credentials: []schema.Credential{other}}, true)
	other = token
	other.Kind, other.User = schema.AppPassword, uuid.New()
	f("another's secret, as another kind", schema.Catalog{
		Credentials: []schema.Credential{other}}, true)
	other.User = ada
	f("one's own secret, as another kind", schema.Catalog{
		Credentials: []schema.Credential{other}}, false)
}

// A change that fails half way leaves nothing that anybody sees, also not with the next change, and
// can be made again.
func TestHalfAChangeIsTakenBack(t *testing.T) {
	t.Parallel()
	db := schematest.New(t)
	d, s := node(t, db)
	other, _ := node(t, db)
	mustChange(t, d, access.Change{Upsert: start("Acme")})
	half := start("Half")
	half.Agents = []schema.Agent{{ID: helper, Organization: acme, Name: "Helper"}}

	db.Exec("RENAME TABLE catalog_audit TO away") // rows first, then the record of them
	if err := d.Change(t.Context(), "test", upsert(half)); err == nil {
		t.Fatal("a change without a record was made")
	}
	db.Exec("RENAME TABLE away TO catalog_audit")
	if got := db.Strings("SELECT name FROM organizations ORDER BY version"); len(got) != 3 {
		t.Fatalf("names %q: the change did not fail half way", got)
	}
	service := schema.Catalog{Services: []schema.Service{{Name: "s"}}}
	mustChange(t, other, access.Change{Upsert: service})
	for _, d := range []*access.Directory{d, other} {
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o, _ := d.Snapshot().Organization(acme); o.Name != "Acme" {
			t.Errorf("the organization is %q", o.Name)
		}
		if _, ok := d.Snapshot().Agent(helper); ok {
			t.Error("the agent of half a change is there")
		}
	}
	mustChange(t, d, access.Change{Upsert: half})
	if _, ok := d.Snapshot().Agent(helper); !ok {
		t.Error("the change could not be made again")
	}
	for _, line := range audit(t, s)[3:] {
		if !strings.Contains(line, "service") && !strings.Contains(line, "Half") &&
			!strings.Contains(line, "Helper") {
			t.Errorf("the record has %s", line)
		}
	}
}

// While the database is away nothing can be taken back: it is, once it is there again.
func TestHalfAChangeIsTakenBackLater(t *testing.T) {
	t.Parallel()
	db := schematest.New(t)
	d, _ := node(t, db)
	other, _ := node(t, db)
	mustChange(t, d, access.Change{Upsert: start("Acme")})
	db.Exec("RENAME TABLE catalog_audit TO away")
	interrupted, s := node(t, db)
	s.save = func(ctx context.Context, c schema.CatalogChange) error {
		err := s.Queries.SaveCatalog(ctx, c)
		db.Exec("RENAME TABLE catalog_changes TO changes_away")
		s.save = nil
		return err
	}
	if err := interrupted.Change(t.Context(), "test", upsert(start("Half"))); err == nil {
		t.Fatal("the change was made")
	}
	db.Exec("RENAME TABLE away TO catalog_audit")
	db.Exec("RENAME TABLE changes_away TO catalog_changes")
	interrupted.Start()
	defer interrupted.Stop()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		// The first change, and what takes the half one back.
		if n := db.Strings("SELECT toString(count()) FROM catalog_changes")[0]; n == "2" {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("the change was not taken back")
		}
	}
	if err := other.Refresh(t.Context()); err != nil { // only now is there something to see
		t.Fatal(err)
	}
	if o, _ := other.Snapshot().Organization(acme); o.Name != "Acme" {
		t.Errorf("the organization is %q", o.Name)
	}
}

// An error after the last row is no reason to take anything back.
func TestAChangeWithoutAnAnswerIsMade(t *testing.T) {
	t.Parallel()
	d, s := node(t, schematest.New(t))
	s.save = func(ctx context.Context, c schema.CatalogChange) error {
		return errors.Join(s.Queries.SaveCatalog(ctx, c), errors.New("the answer was lost"))
	}
	mustChange(t, d, access.Change{Upsert: start("Acme")})
	if _, ok := d.Snapshot().Organization(acme); !ok {
		t.Error("the change was not made")
	}
}

// A change is seen although another node's, with a newer version, was seen before it.
func TestAChangeThatWasOvertakenIsSeen(t *testing.T) {
	t.Parallel()
	db := schematest.New(t)
	d, s := node(t, db)
	reader, _ := node(t, db)
	s.save = func(ctx context.Context, c schema.CatalogChange) error {
		s.save = nil
		overtaking := schema.CatalogChange{Version: c.Version + 1_000_000, At: c.At}
		if err := s.Queries.SaveCatalog(ctx, overtaking); err != nil {
			return err
		}
		if err := reader.Refresh(ctx); err != nil {
			return err
		}
		return s.Queries.SaveCatalog(ctx, c)
	}
	mustChange(t, d, access.Change{Upsert: start("Acme")})
	if err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := reader.Snapshot().Organization(acme); !ok {
		t.Error("the other node does not see the change")
	}
}
