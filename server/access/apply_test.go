package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/access"
)

const file = `
organizations:
  - id: 0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55
    name: Acme
    users:
      - {id: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, name: Ada, role: admin}
    credentials:
      - {kind: access_token, user: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, secret: dop_v1_ada}
text_model_costs:
  - {model: m, usage_type: INPUT, provider_usd_per_million: "0.15", billed_usd_per_million: "0.2", from: 2026-01-01}
`

const fullFile = `
organizations:
  - id: 0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55
    name: Acme Inc.
    users:
      - {id: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, name: Ada, role: admin, email: ada@acme.example, active: false}
    credentials:
      - {kind: access_token, user: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, secret: dop_v1_ada,
         name: laptop, expires: 2030-01-01, requests_per_minute: 60}
text_model_costs:
  - {model: m, usage_type: INPUT, provider_usd_per_million: "0.15", billed_usd_per_million: "0.25", from: 2026-01-01}
`

// A preview says what applying a file does, and does nothing of it; what a file may leave out and
// does stays as it is.
func TestFileIsPreviewedThenApplied(t *testing.T) {
	t.Parallel()
	db := schematest.New(t)
	d, s := node(t, db)
	preview := func(text string, want ...string) {
		t.Helper()
		lines, err := d.Preview(t.Context(), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, lines, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	apply := func(text, want string) {
		t.Helper()
		summary, err := d.Apply(t.Context(), strings.NewReader(text), "file:x by ada@host")
		if err != nil || summary != want {
			t.Fatalf("summary %q, %v, want %q", summary, err, want)
		}
	}
	org, user := acme.String(), ada.String()
	k := schema.Credential{Kind: schema.AccessToken, Hash: schema.HashSecret("dop_v1_ada")}
	rate := func(billed string) string {
		return ` model: "m" usage_type: "INPUT" provider_usd_per_million: "0.15"` +
			` billed_usd_per_million: "` + billed + `" from: "2026-01-01T00:00:00Z"`
	}
	parsed, err := access.ParseFile(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first changed nothing
		preview(file,
			`+ organization `+org+` name: "Acme"`,
			`+ user `+user+` name: "Ada"`,
			`+ membership `+org+"/"+user+` organization_id: "`+org+`" user_id: "`+user+
				`" role: "admin" active: true`,
			`+ credential `+k.ID().String()+` kind: "access_token" organization_id: "`+org+
				`" user_id: "`+user+`"`,
			`+ text_model_cost `+parsed.Rates[0].ID.String()+rate("0.2"),
		)
	}
	if n := db.Strings("SELECT toString(count()) FROM organizations")[0]; n != "0" {
		t.Fatal("a preview wrote something")
	}
	apply(file, "1 organizations, 1 users, 1 memberships, 1 credentials, 1 rates")
	preview(file)
	apply(file, "")

	parsed, err = access.ParseFile(strings.NewReader(fullFile))
	if err != nil {
		t.Fatal(err)
	}
	preview(fullFile,
		`~ organization `+org+` name: "Acme" → "Acme Inc."`,
		`~ user `+user+` email: "" → "ada@acme.example"`,
		`~ membership `+org+"/"+user+` active: true → false`,
		`~ credential `+k.ID().String()+` name: "" → "laptop", expires_at: null → `+
			`"2030-01-01T00:00:00Z", requests_per_minute: 0 → 60`,
		`~ text_model_cost `+parsed.Rates[0].ID.String()+` billed_usd_per_million: "0.2" → "0.25"`,
	)
	apply(fullFile, "1 organizations, 1 users, 1 memberships, 1 credentials, 1 rates")
	apply(fullFile, "")
	if _, ok := d.Snapshot().Caller("dop_v1_ada", schema.AccessToken); ok {
		t.Error("who is not active is let in")
	}
	preview(strings.Replace(file, "name: Acme", "name: Acme Inc.", 1),
		`~ membership `+org+"/"+user+` active: false → true`,
		`~ text_model_cost `+rateID(t, file)+` billed_usd_per_million: "0.25" → "0.2"`,
	)
	for _, e := range audit(t, s) {
		if strings.Contains(e, "dop_v1") {
			t.Errorf("a secret is on record: %s", e)
		}
	}
	if got := db.Strings("SELECT DISTINCT actor FROM catalog_audit"); len(got) != 1 ||
		got[0] != "file:x by ada@host" {
		t.Errorf("actors %q", got)
	}
}

func rateID(t *testing.T, text string) string {
	t.Helper()
	c, err := access.ParseFile(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Rates[0].ID.String()
}

func TestDetailsOfAFile(t *testing.T) {
	f := func(from, to, want string) {
		t.Helper()
		text := strings.Replace(fullFile, from, to, 1)
		if text == fullFile {
			t.Fatalf("%q is not in the file", from)
		}
		if _, err := access.ParseFile(strings.NewReader(text)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q for %q: error %v does not say %q", to, from, err, want)
		}
	}
	f("2030-01-01", "tomorrow", "credentials[0].expires")
	f("2030-01-01", "1969-12-31", "from 1970 to 2199")
	f("from: 2026-01-01", "from: 2300-01-01", "from 1970 to 2199")
	f("name: laptop", `name: "a\tb"`, "credentials[0].name")
	f("requests_per_minute: 60", "requests_per_minute: -1",
		"credentials[0].requests_per_minute")
	f("requests_per_minute: 60", "requests_per_minute: 4294967296",
		"credentials[0].requests_per_minute")
	f("active: false", "active: perhaps", "perhaps")
	f("email: ada@acme.example", `email: "\x01"`, "users[0].email")

	c, err := access.ParseFile(strings.NewReader(fullFile))
	if err != nil {
		t.Fatal(err)
	}
	k := c.Credentials[0]
	if want := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC); !k.ExpiresAt.Equal(want) ||
		k.Name != "laptop" || k.RequestsPerMinute != 60 || c.Memberships[0].Active {
		t.Errorf("credential %+v, membership %+v", k, c.Memberships[0])
	}
}

// A user of two organizations is one user.
func TestAUserIsTheSameEverywhere(t *testing.T) {
	two := func(one, other string) (schema.Catalog, error) {
		text := "organizations:\n"
		for i, user := range []string{one, other} {
			text += "  - {id: " + []string{acme.String(), globex.String()}[i] + ", name: O, users: [{id: " +
				ada.String() + ", role: member, " + user + "}]}\n"
		}
		return access.ParseFile(strings.NewReader(text))
	}
	c, err := two("name: Ada", "name: Ada, email: a@x")
	if err != nil || len(c.Users) != 1 || c.Users[0].Email != "a@x" || len(c.Memberships) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, other := range []string{"name: Eve", "name: Ada, email: b@x"} {
		if _, err := two("name: Ada, email: a@x", other); err == nil ||
			!strings.Contains(err.Error(), "one name and one email") {
			t.Errorf("%s: %v", other, err)
		}
	}
}

// What a file leaves out of a mapping stays, but for the mapping itself.
func TestMappingsOfAFile(t *testing.T) {
	t.Parallel()
	d, s := node(t, schematest.New(t))
	const meters = "meters: [{name: voice, unit: quantity, usage_types: [VAPI_SECONDS]}]\n"
	of := func(stripe string) string {
		return meters + "organizations:\n  - {id: " + acme.String() + ", name: Acme" + stripe + "}\n"
	}
	full := of(", stripe: {customer: cus_1, since: 2026-11-01, " +
		"meters: [{meter: voice, subscription_item: si_1}]}")
	mapping := " stripe_mapping " + acme.String() + " "
	ofAcme := `organization_id: "` + acme.String() + `" `
	list := `meters: [{"meter":"voice","subscription_item":"si_1"}]`
	const since = `since: "2026-11-01T00:00:00Z"`
	var recorded []string
	f := func(text string, want ...string) {
		t.Helper()
		lines, err := d.Preview(t.Context(), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, lines, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		recorded = append(recorded, want...)
		if _, err := d.Apply(t.Context(), strings.NewReader(text), "test"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(recorded, audit(t, s)); diff != "" {
			t.Errorf("on record (-want +got):\n%s", diff)
		}
	}
	refused := func(text, want string) {
		t.Helper()
		_, previewed := d.Preview(t.Context(), strings.NewReader(text))
		_, err := d.Apply(t.Context(), strings.NewReader(text), "test")
		for _, err := range []error{previewed, err} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %q", err, want)
			}
		}
	}
	refused(strings.TrimPrefix(full, meters), "voice is not among the catalog's meters")
	f(full,
		`+ organization `+acme.String()+` name: "Acme"`,
		`+`+mapping+ofAcme+`customer: "cus_1" `+list+` `+since,
		`+ meter voice name: "voice" unit: "quantity" usage_types: ["VAPI_SECONDS"]`,
	)
	f(full)
	f(strings.TrimPrefix(full, meters)) // another file has the meters
	f(of(", stripe: {customer: cus_1, meter: rest}"), `~`+mapping+`meter: "" → "rest"`)
	refused(of(", stripe: {customer: cus_1, meter: voice}"), "meters[0].meter")
	refused(strings.Replace(full, "unit: quantity", "unit: micro_usd", 1), "voice counts quantity")
	f(of(", stripe: {customer: cus_2, meter: rest, meters: []}"),
		`~`+mapping+`customer: "cus_1" → "cus_2", `+list+` → []`)
	f(of(", stripe: {customer: cus_2, meter: rest, since: 1970-01-01}"), `~`+mapping+since+` → null`)
	f(strings.Replace(full, "VAPI_SECONDS", "A", 1),
		`~`+mapping+`customer: "cus_2" → "cus_1", meter: "rest" → "", meters: [] → `+
			strings.TrimPrefix(list, "meters: ")+`, since: null → `+strings.TrimPrefix(since, "since: "),
		`~ meter voice usage_types: ["VAPI_SECONDS"] → ["A"]`)
	f(of(""), `~ meter voice usage_types: ["A"] → ["VAPI_SECONDS"]`,
		`-`+mapping+ofAcme+`customer: "cus_1" `+list+` `+since)
	f(strings.Replace(of(""), "unit: quantity", "unit: micro_usd", 1),
		`~ meter voice unit: "quantity" → "micro_usd"`)
}
