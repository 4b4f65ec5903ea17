package access

import (
	"errors"

	"github.com/meterhouse/meterhouse/schema"
)

// ErrExpired is in the chain of an Unauthenticated error about what was good once.
var ErrExpired = errors.New("expired")

// Secret returns who presents a secret of one kind. Errors: Unauthenticated, with ErrExpired in its
// chain when the secret was good once; Overloaded when its credential asks too often.
func (d *Directory) Secret(secret string, kind schema.CredentialKind) (Caller, error) {
	return d.secret(secret, kind)
}

// Bearer returns who presents a bearer token: an access token, an app password or a JWT. An
// organization, as text, chooses among those of a JWT's user; empty where none was asked for.
// Errors as Secret's, and Forbidden when the user has no active membership there.
func (d *Directory) Bearer(token, organization string) (Caller, error) {
	return d.secret(token, schema.AccessToken, schema.AppPassword)
}

func (d *Directory) secret(secret string, kinds ...schema.CredentialKind) (Caller, error) {
	caller, ok := d.Snapshot().Caller(secret, kinds...)
	if !ok {
		return Caller{}, schema.Errorf(schema.Unauthenticated, "", "unknown or revoked credential")
	}
	return caller, nil
}

// NewStatic returns a Directory that keeps one snapshot: what a test puts behind a door.
func NewStatic(s *Snapshot) *Directory {
	d := NewDirectory(nil, nil)
	d.snapshot.Store(s)
	return d
}
