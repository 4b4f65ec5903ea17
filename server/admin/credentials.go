package admin

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

var credentials = resource[schema.Credential]{
	path: "credentials", key: []string{"id"},
	each:  (*access.Snapshot).EachCredential,
	find:  findCredential,
	thing: access.CredentialThing,
	id:    func(k schema.Credential) string { return k.ID().String() },
	of:    func(k schema.Credential) uuid.UUID { return k.Organization },
	see:   schema.Member, edit: schema.Member,
	visible: seesCredential,
	create:  createCredential,
	change:  changeCredential,
	retire:  retireCredential,
}

// Bounds of credentials.
const (
	secretMin  = 16
	secretMax  = 256
	perHolder  = 100 // of one user in an organization, or of one agent
	secretRule = "must be 16 to 256 visible ASCII characters"
)

func findCredential(s *access.Snapshot, key []string) (schema.Credential, bool) {
	id, ok := parseID(key[0])
	for k := range s.EachCredential() {
		if ok && k.ID() == id {
			return k, true
		}
	}
	return schema.Credential{}, false
}

func seesCredential(v view, k schema.Credential) bool {
	return v.administers(k.Organization) ||
		k.User == v.caller.User && k.Organization == v.caller.Organization
}

// createCredential makes a credential. Its secret is in the answer, and nowhere else.
func createCredential(v view, o *object) (outcome, error) {
	k := schema.Credential{Organization: v.caller.Organization}
	oneOf(o, "kind", access.CredentialKindNamed,
		"agent_secret, login_token, app_password or access_token", &k.Kind)
	o.require("kind")
	o.id("organization_id", &k.Organization)
	o.id("user_id", &k.User)
	o.id("agent_id", &k.Agent)
	takeDetails(v, o, &k)
	secret := takeSecret(o, &k)
	if k.Kind == schema.AgentSecret {
		o.require("agent_id")
		if o.has("user_id") {
			o.fail("user_id", "is not for an agent's secret: its user is the agent's owner")
		}
	} else {
		if o.has("agent_id") {
			o.fail("agent_id", "is only for an agent_secret")
		}
		if k.User == uuid.Nil {
			k.User = v.caller.User
		}
	}
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if err := v.organization(k.Organization); err != nil {
		return outcome{}, err
	}
	if v.role < schema.Admin {
		if err := mayMakeOwn(v, k, o); err != nil {
			return outcome{}, err
		}
	}
	if err := checkHolder(v, k); err != nil { // to an admin, a stranger is not there
		return outcome{}, err
	}
	if k.Kind != schema.AgentSecret && k.User != v.caller.User {
		if err := v.mayOwn(k.User); err != nil {
			return outcome{}, err
		}
	}
	for other := range v.EachCredential() {
		if other.Kind == k.Kind && other.Hash == k.Hash {
			return outcome{}, schema.Errorf(schema.Conflict, "secret", "is in use: choose another")
		}
	}
	made := writeCredential(k)
	made.secret = secret
	return made, nil
}

// takeDetails takes what may change of a credential.
func takeDetails(v view, o *object, k *schema.Credential) {
	o.optional("name", &k.Name)
	o.optionalInstant("expires_at", &k.ExpiresAt)
	o.count("requests_per_minute", &k.RequestsPerMinute)
	if o.has("expires_at") && !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(v.now) {
		o.fail("expires_at", "must be in the future: DELETE ends a credential now")
	}
}

// takeSecret takes a secret or its hash. It returns the secret it made because neither was given.
func takeSecret(o *object, k *schema.Credential) (made string) {
	given, isGiven := o.str("secret")
	digits, isHash := o.str("sha256")
	switch {
	case isGiven && isHash:
		o.fail("sha256", "must not be given with secret")
	case isGiven:
		if !secretValid(given) {
			o.fail("secret", secretRule)
		}
		k.Hash = schema.HashSecret(given)
	case isHash:
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) != len(k.Hash) {
			o.fail("sha256", "must be 64 hexadecimal digits")
			return ""
		}
		copy(k.Hash[:], b)
	default:
		made = newSecret(k.Kind)
		k.Hash = schema.HashSecret(made)
	}
	return made
}

// secretValid reports whether a secret reaches us as it is in a header and in a path.
func secretValid(s string) bool {
	return len(s) >= secretMin && len(s) <= secretMax &&
		strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// newSecret makes a secret of at least 128 random bits, or a GUID where nothing else will do, with
// a beginning by which a scanner of source code knows it.
func newSecret(kind schema.CredentialKind) string {
	switch kind {
	case schema.LoginToken:
		return uuid.NewString() // Memori's clients expect a GUID
	case schema.AppPassword:
		return "app_a7_" + rand.Text()
	case schema.AgentSecret:
		return "mh_agent_" + rand.Text()
	}
	return "mh_token_" + rand.Text()
}

// mayMakeOwn returns a Forbidden error for what is not a member's to make: a member makes bearers
// of their own.
func mayMakeOwn(v view, k schema.Credential, o *object) error {
	switch {
	case k.Kind != schema.AccessToken && k.Kind != schema.AppPassword:
		return schema.Errorf(schema.Forbidden, "kind",
			"must be access_token or app_password: only an admin makes others")
	case k.User != v.caller.User:
		return schema.Errorf(schema.Forbidden, "user_id", "must be your own")
	case o.has("requests_per_minute"):
		return schema.Errorf(schema.Forbidden, "requests_per_minute", "is for an admin to set")
	}
	return nil
}

// checkHolder returns an Invalid error unless who the credential speaks for is there.
func checkHolder(v view, k schema.Credential) error {
	if k.Kind == schema.AgentSecret {
		if a, ok := v.Agent(k.Agent); !ok || a.Organization != k.Organization {
			return schema.Errorf(schema.Invalid, "agent_id", "must be an agent of the organization")
		}
	} else if v.Role(k.Organization, k.User) == 0 {
		return schema.Errorf(schema.Invalid, "user_id",
			"must be an active member of the organization")
	}
	n := 0
	for other := range v.EachCredential() {
		if other.Organization == k.Organization && other.User == k.User && other.Agent == k.Agent {
			n++
		}
	}
	if n >= perHolder {
		return schema.Errorf(schema.Conflict, "", "%d credentials are enough: retire some", perHolder)
	}
	return nil
}

func changeCredential(v view, k schema.Credential, o *object) (outcome, error) {
	o.fixed("id", "kind", "organization_id", "user_id", "agent_id", "secret", "sha256")
	takeDetails(v, o, &k)
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if err := v.atLeast(schema.Admin); err != nil {
		return outcome{}, err
	}
	if err := mayEdit(v, k); err != nil {
		return outcome{}, err
	}
	return writeCredential(k), nil
}

func retireCredential(v view, k schema.Credential) (access.Change, error) {
	return access.Change{
		Retire: schema.Catalog{Credentials: []schema.Credential{k}},
	}, mayEdit(v, k)
}

// mayEdit returns a Forbidden error for the credential of somebody over the caller.
func mayEdit(v view, k schema.Credential) error {
	if k.Kind == schema.AgentSecret || k.User == v.caller.User {
		return nil
	}
	return v.mayTouch(k.User)
}

func writeCredential(k schema.Credential) outcome {
	return outcome{
		change: access.Change{Upsert: schema.Catalog{Credentials: []schema.Credential{k}}},
		thing:  access.CredentialThing(k),
	}
}

// withSecret returns a credential's document with its secret as the last member.
func withSecret(document, secret string) json.RawMessage {
	text, err := json.Marshal(secret)
	if err != nil {
		panic(err) // a string can be written
	}
	return json.RawMessage(strings.TrimSuffix(document, "}") + `,"secret":` + string(text) + "}")
}
