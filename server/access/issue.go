package access

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/meterhouse/meterhouse/schema"
)

// issuedFor is how long a token lasts that was issued for an app password.
const issuedFor = 28_800 * time.Second

// Issued is a token that Bearer knows, and who it speaks for.
type Issued struct {
	Token     string
	ExpiresIn time.Duration // whole seconds; less than 28,800 when the app password ends sooner
	Caller    Caller
	User      schema.User

	Organization  schema.Organization // the app password's: the token's own
	Organizations []OrganizationRole  // every one the user is an active member of, ordered by id
}

// OrganizationRole is a user's role in an organization.
type OrganizationRole struct {
	Organization schema.Organization
	Role         schema.Role
}

// IssueToken exchanges an app password for a JWT. Errors as Secret's.
func (d *Directory) IssueToken(appPassword string) (Issued, error) {
	current := d.current.Load()
	e, ok := current.bySecret[credentialKey{schema.AppPassword, schema.HashSecret(appPassword)}]
	if !ok {
		return Issued{}, unknown()
	}
	now := d.now()
	caller, err := e.admit(now)
	if err != nil {
		return Issued{Caller: caller}, err
	}
	s := current.snapshot
	issued := Issued{
		ExpiresIn: issuedFor, Caller: caller,
		User: s.users[caller.User], Organization: s.organizations[caller.Organization],
	}
	if e.expires != 0 {
		left := time.UnixMicro(e.expires).Sub(now).Truncate(time.Second)
		issued.ExpiresIn = min(issued.ExpiresIn, left)
	}
	for _, m := range s.Memberships(caller.User) {
		issued.Organizations = append(issued.Organizations, OrganizationRole{
			Organization: s.organizations[m.Organization], Role: m.Role,
		})
	}
	issued.Token, err = d.tokens.issue(caller, issued.ExpiresIn)
	return issued, err
}

func (t *tokens) issue(c Caller, expiresIn time.Duration) (string, error) {
	id, err := uuid.NewRandomFromReader(t.random)
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	now := t.now()
	b := jwt.NewBuilder().Subject(c.User.String()).IssuedAt(now).Expiration(now.Add(expiresIn)).
		JwtID(id.String()).Claim(claimOrganization, c.Organization.String()).
		Claim(claimCredential, c.Credential.String())
	if t.Audience != "" {
		b = b.Audience([]string{t.Audience})
	}
	if t.Issuer != "" {
		b = b.Issuer(t.Issuer)
	}
	token, err := b.Build()
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	text, err := jwt.Sign(token, jwt.WithKey(jwa.HS256(), t.secret))
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	return string(text), nil
}
