package access

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// ErrExpired is in the chain of an Unauthenticated error about what was good once.
var ErrExpired = errors.New("expired")

// ErrNoUser is in the chain of an Unauthenticated error about a good token whose user is gone.
var ErrNoUser = errors.New("no such user")

func expired(message string) error {
	return &schema.Error{Kind: schema.Unauthenticated, Message: message, Cause: ErrExpired}
}

func unknown() error {
	return schema.Errorf(schema.Unauthenticated, "", "unknown or revoked credential")
}

// Secret returns who presents a secret of one kind. Errors: Unauthenticated, with ErrExpired in its
// chain when the secret was good once; Overloaded when its credential asks too often, and the
// Caller then has its Allowance and nothing else. Secrets are looked up by their hash, so the time
// it takes does not tell how much of one is right.
func (d *Directory) Secret(secret string, kind schema.CredentialKind) (Caller, error) {
	e, ok := d.current.Load().bySecret[credentialKey{kind, schema.HashSecret(secret)}]
	if !ok {
		return Caller{}, unknown()
	}
	return e.admit(d.now())
}

// Bearer returns who presents a bearer token: an access token, an app password or a JWT. An
// organization, as text, chooses among those of a JWT's user where the token names none; empty
// where none was asked for. Errors as Secret's, and Forbidden when the user has no active
// membership there, or several and none was chosen.
func (d *Directory) Bearer(token, organization string) (Caller, error) {
	current := d.current.Load()
	hash := schema.HashSecret(token)
	for _, kind := range [...]schema.CredentialKind{schema.AccessToken, schema.AppPassword} {
		if e, ok := current.bySecret[credentialKey{kind, hash}]; ok {
			return e.admit(d.now())
		}
	}
	if !isJWT(token) {
		return Caller{}, unknown()
	}
	return d.token(current, token, organization)
}

// token returns who presents a JWT.
func (d *Directory) token(current *standings, token, organization string) (Caller, error) {
	now := d.now()
	c, err := d.tokens.verify(token)
	if err != nil {
		return Caller{}, err
	}
	s := current.snapshot
	if _, ok := s.users[c.user]; !ok {
		return Caller{}, &schema.Error{
			Kind: schema.Unauthenticated, Message: "the token's user is unknown", Cause: ErrNoUser,
		}
	}
	caller := Caller{User: c.user}
	var behind *standing
	if c.credential != uuid.Nil {
		if behind, err = current.behind(c, now); err != nil {
			return Caller{}, err
		}
		caller.Credential = c.credential
	}
	m, err := s.membershipOf(c, organization)
	if err != nil {
		return Caller{}, err
	}
	caller.Organization, caller.Role = m.Organization, m.Role
	if behind != nil {
		return admit(caller, behind.window, behind.limit, now)
	}
	return admit(caller, d.userWindow(c.user), d.limit, now)
}

// behind returns the app password that a token was issued for: the token counts as long as it.
func (s *standings) behind(c claims, now time.Time) (*standing, error) {
	e, ok := s.byID[c.credential]
	if !ok || e.caller.User != c.user || e.caller.Organization != c.organization {
		return nil, schema.Errorf(schema.Unauthenticated, "",
			"the credential that the token was issued for is revoked")
	}
	if e.expired(now) {
		return nil, expired("the credential that the token was issued for has expired")
	}
	return e, nil
}

// userWindow returns the count of a user's requests with tokens that no credential stands behind.
func (d *Directory) userWindow(user uuid.UUID) *window {
	if w, ok := d.users.Load(user); ok {
		return w.(*window)
	}
	w, _ := d.users.LoadOrStore(user, &window{})
	return w.(*window)
}

// fieldOrganization is the header by which a user of several organizations chooses one.
const fieldOrganization = "X-Organization-ID"

// membershipOf returns the membership that a token's bearer acts under: of the organization that
// the token names, else of the one asked for, else of the only one.
func (s *Snapshot) membershipOf(c claims, asked string) (schema.Membership, error) {
	id, field := c.organization, ""
	if id == uuid.Nil && asked != "" {
		field = fieldOrganization
		id, _ = uuid.Parse(asked) // what is no id is nobody's
	}
	active := s.Memberships(c.user)
	switch {
	case c.organization != uuid.Nil || asked != "":
		for _, m := range active {
			if m.Organization == id {
				return m, nil
			}
		}
		return schema.Membership{}, schema.Errorf(schema.Forbidden, field,
			"the user has no active membership in this organization")
	case len(active) == 1:
		return active[0], nil
	case len(active) == 0:
		return schema.Membership{}, schema.Errorf(schema.Forbidden, "",
			"the user has no active membership in any organization")
	}
	return schema.Membership{}, schema.Errorf(schema.Forbidden, "",
		"the user belongs to several organizations: send "+fieldOrganization)
}

// NewStatic returns a Directory that keeps one snapshot: what a test puts behind a door.
func NewStatic(s *Snapshot) *Directory {
	d := NewDirectory(nil, nil)
	d.install(s)
	return d
}
