package access

import (
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Expires returns when a credential that counts now will end by itself: a JWT with its exp or with
// the app password it was issued for, whichever is first. Zero: it will not, or does not count.
func (d *Directory) Expires(secret string) time.Time {
	current := d.current.Load()
	hash := schema.HashSecret(secret)
	for _, kind := range [...]schema.CredentialKind{
		schema.AccessToken, schema.AppPassword, schema.AgentSecret, schema.LoginToken,
	} {
		if e, ok := current.bySecret[credentialKey{kind, hash}]; ok {
			return e.end()
		}
	}
	if !isJWT(secret) {
		return time.Time{}
	}
	c, err := d.tokens.verify(secret)
	if err != nil {
		return time.Time{}
	}
	if c.credential != uuid.Nil {
		if e, err := current.behind(c, d.now()); err == nil {
			if end := e.end(); !end.IsZero() && end.Before(c.expires) {
				return end
			}
		}
	}
	return c.expires
}

// end returns when the credential expires; zero: never.
func (e *standing) end() time.Time {
	if e.expires == 0 {
		return time.Time{}
	}
	return time.UnixMicro(e.expires).UTC()
}
