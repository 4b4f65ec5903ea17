package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/meterhouse/meterhouse/schema"
)

// TokenConfig says which JWTs count as bearer tokens.
type TokenConfig struct {
	Secret   string // of HS256, at least 32 bytes; empty: one that this process makes up
	JWKSURL  string // where the keys of RS256, ES256 and EdDSA are read from; empty: nowhere
	Audience string // that `aud` must contain; empty: any
	Issuer   string // that `iss` must be; empty: any
}

const (
	secretBytesMin = 32               // as RFC 7518 wants it for HS256
	tokenBytesMax  = 8 << 10          // half of what a request's headers may have
	leeway         = 30 * time.Second // between our clock and an issuer's
)

// The claims of ours beside the registered ones.
const (
	claimOrganization = "organization_id"
	claimCredential   = "cred" // schema.Credential.ID of the app password behind the token
)

// tokens verifies and issues JWTs.
type tokens struct {
	TokenConfig
	secret []byte   // of HS256
	keys   *keyRing // nil: without a JWKS
	now    func() time.Time
	random io.Reader
}

// Check returns what is wrong with the configuration; it reads nothing.
func (c TokenConfig) Check() error {
	if c.Secret != "" && len(c.Secret) < secretBytesMin {
		return fmt.Errorf("access: the secret of JWTs must have at least %d bytes", secretBytesMin)
	}
	if c.JWKSURL == "" {
		return nil
	}
	_, err := parseKeysURL(c.JWKSURL)
	return err
}

// ReadKeys reads the JWKS once, as a node does, and returns how many of its keys tokens may be
// signed with. The error says nothing of the address, which may hold a password.
func (c TokenConfig) ReadKeys(ctx context.Context) (usable int, err error) {
	k, err := newKeyRing(c.JWKSURL, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		return 0, err
	}
	keys, _, err := k.fetch(ctx)
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return len(keys), err
}

func newTokens(c Config) (*tokens, error) {
	if err := c.Tokens.Check(); err != nil {
		return nil, err
	}
	t := &tokens{
		TokenConfig: c.Tokens, secret: []byte(c.Tokens.Secret), now: c.Now, random: c.Random,
	}
	if t.Secret == "" {
		t.secret = make([]byte, secretBytesMin)
		if _, err := io.ReadFull(t.random, t.secret); err != nil {
			return nil, fmt.Errorf("access: a secret for tokens: %w", err)
		}
	}
	if t.JWKSURL == "" {
		return t, nil
	}
	var err error
	t.keys, err = newKeyRing(t.JWKSURL, c.Logger, c.Now)
	return t, err
}

// claims is what a verified token says.
type claims struct {
	user         uuid.UUID
	organization uuid.UUID // zero: it names none
	credential   uuid.UUID // zero: none stands behind it
	expires      time.Time
}

// isJWT reports whether a bearer token has the shape of a JWT: three parts in base64url.
func isJWT(token string) bool {
	if len(token) > tokenBytesMax {
		return false
	}
	dots, part := 0, 0
	for i := range len(token) {
		switch c := token[i]; {
		case c == '.':
			if part == 0 {
				return false
			}
			dots, part = dots+1, 0
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			part++
		default:
			return false
		}
	}
	return dots == 2 && part > 0
}

func invalidToken() error {
	return schema.Errorf(schema.Unauthenticated, "", "the token is not valid")
}

// verify returns what a token says when its signature, its times, its issuer and its audience are
// good. Errors: Unauthenticated, with ErrExpired in the chain of one that was good once.
func (t *tokens) verify(token string) (claims, error) {
	alg, key, err := t.key(token)
	if err != nil {
		return claims{}, err
	}
	parsed, err := jwt.Parse([]byte(token), jwt.WithKey(alg, key), jwt.WithValidate(false))
	if err != nil {
		return claims{}, invalidToken()
	}
	options := []jwt.ValidateOption{
		jwt.WithClock(jwt.ClockFunc(t.now)), jwt.WithAcceptableSkew(leeway),
		jwt.WithRequiredClaim(jwt.ExpirationKey),
	}
	if t.Audience != "" {
		options = append(options, jwt.WithAudience(t.Audience))
	}
	if t.Issuer != "" {
		options = append(options, jwt.WithIssuer(t.Issuer))
	}
	if err := jwt.Validate(parsed, options...); errors.Is(err, jwt.TokenExpiredError()) {
		return claims{}, expired("the token has expired: get a new one")
	} else if err != nil {
		return claims{}, invalidToken()
	}
	return claimsOf(parsed)
}

func claimsOf(token jwt.Token) (claims, error) {
	subject, _ := token.Subject()
	var c claims
	var err error
	c.expires, _ = token.Expiration() // verify requires one
	if c.user, err = uuid.Parse(subject); err != nil {
		return claims{}, schema.Errorf(schema.Unauthenticated, "",
			"the token's sub is not the id of a user")
	}
	for name, into := range map[string]*uuid.UUID{
		claimOrganization: &c.organization, claimCredential: &c.credential,
	} {
		if !token.Has(name) {
			continue
		}
		var text string
		if err := token.Get(name, &text); err != nil {
			return claims{}, invalidToken()
		}
		if *into, err = uuid.Parse(text); err != nil || *into == uuid.Nil {
			return claims{}, schema.Errorf(schema.Unauthenticated, "",
				"the token's %s is not an id", name)
		}
	}
	return c, nil
}

// tokenHeader is what a token says of how it is signed: a hint which key to try, no more.
type tokenHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// key returns the key that a token must be signed with, and the algorithm of that key, which is
// the only one it is verified with.
func (t *tokens) key(token string) (jwa.SignatureAlgorithm, any, error) {
	var h tokenHeader
	text, _, _ := strings.Cut(token, ".")
	head, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(head, &h) != nil {
		return jwa.SignatureAlgorithm{}, nil, invalidToken()
	}
	if h.Algorithm == jwa.HS256().String() {
		return jwa.HS256(), t.secret, nil
	}
	alg, ok := algorithms(h.Algorithm)
	if !ok || t.keys == nil {
		return jwa.SignatureAlgorithm{}, nil, invalidToken()
	}
	key, err := t.keys.key(keyName{h.Algorithm, h.KeyID})
	return alg, key, err
}
