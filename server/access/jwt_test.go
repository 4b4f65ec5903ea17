package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

const testSecret = "a secret of more than 32 bytes, for tests"

// object is a JSON object.
type object = map[string]any

// signer signs what a token's first two parts are.
type signer func(text []byte) []byte

func part(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// mint makes a token by hand, so that none of what it gets wrong is put right by a library.
func mint(header, claims object, sign signer) string {
	text := part(header) + "." + part(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(text)))
}

func hmacWith(secret string, h func() hash.Hash) signer {
	return func(text []byte) []byte {
		m := hmac.New(h, []byte(secret))
		m.Write(text)
		return m.Sum(nil)
	}
}

var hs256 = hmacWith(testSecret, sha256.New)

func unsigned([]byte) []byte { return nil }

// with returns an object with members set; a nil value takes one away.
func with(o object, namesAndValues ...any) object {
	o = maps.Clone(o)
	for i := 0; i < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] == nil {
			delete(o, namesAndValues[i].(string))
			continue
		}
		o[namesAndValues[i].(string)] = namesAndValues[i+1]
	}
	return o
}

var (
	head = object{"alg": "HS256", "typ": "JWT"}
	adas = object{
		"sub": ada.String(), "organization_id": acme.String(), "exp": noon.Unix() + 60,
	}
)

// refuses fails the test when a token speaks for anybody, or is refused otherwise than wanted.
func refuses(t *testing.T, d *Directory, what, token string, want schema.Kind) error {
	t.Helper()
	caller, err := d.Bearer(token, "")
	if err == nil || caller != (Caller{}) || schema.KindOf(err) != want {
		t.Errorf("%s: speaks for %+v, %v", what, caller, err)
	}
	return err
}

func accepts(t *testing.T, d *Directory, what, token string) {
	t.Helper()
	caller, err := d.Bearer(token, "")
	if err != nil || caller.User != ada || caller.Organization != acme ||
		caller.Role != schema.Superadmin {
		t.Errorf("%s: speaks for %+v, %v", what, caller, err)
	}
}

func TestTokenIsSignedWithTheSecret(t *testing.T) {
	now := noon
	d := newTestDirectory(t, Config{Tokens: TokenConfig{Secret: testSecret}}, testCatalog(), &now)
	accepts(t, d, "a good one", mint(head, adas, hs256))
	accepts(t, d, "one that names a key", mint(with(head, "kid", "any"), adas, hs256))
	f := func(what string, header object, sign signer) {
		t.Helper()
		refuses(t, d, what, mint(header, adas, sign), schema.Unauthenticated)
	}
	f("none", with(head, "alg", "none"), func([]byte) []byte { return []byte("x") })
	f("None", with(head, "alg", "None"), hs256)
	f("no algorithm", with(head, "alg", nil), hs256)
	f("no algorithm's name", with(head, "alg", 256), hs256)
	f("a list of algorithms", with(head, "alg", []string{"HS256"}), hs256)
	f("an algorithm in small letters", with(head, "alg", "hs256"), hs256)
	f("another algorithm of the secret", with(head, "alg", "HS512"),
		hmacWith(testSecret, sha512.New))
	f("another algorithm's name", with(head, "alg", "HS384"), hs256)
	f("another secret", head, hmacWith(testSecret+".", sha256.New))
	f("the empty secret", head, hmacWith("", sha256.New))
	f("its own key", with(head, "jwk", object{
		"kty": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte("mine")),
	}), hmacWith("mine", sha256.New))
	f("an extension we must understand", with(head, "crit", []string{"exp"}), hs256)
	f("an empty list of extensions", with(head, "crit", []string{}), hs256)
	f("a part that is not encoded", with(head, "b64", false, "crit", []string{"b64"}), hs256)
	f("an asymmetric algorithm", with(head, "alg", "RS256"), hs256)
}

func TestTokenIsWhole(t *testing.T) {
	now := noon
	d := newTestDirectory(t, Config{Tokens: TokenConfig{Secret: testSecret}}, testCatalog(), &now)
	good := mint(head, adas, hs256)
	parts := strings.Split(good, ".")
	for n := range len(good) {
		refuses(t, d, "cut to "+good[:n], good[:n], schema.Unauthenticated)
	}
	for what, token := range map[string]string{
		"without a signature": mint(head, adas, unsigned),
		"without claims":      parts[0] + ".." + parts[2],
		"without a header":    "." + parts[1] + "." + parts[2],
		"with a fourth part":  good + ".x",
		"encrypted":           "a.b.c.d.e",
		"a header of no JSON": "AAAA." + parts[1] + "." + parts[2],
		"a padded header":     parts[0] + "=." + parts[1] + "." + parts[2],
		"other claims":        parts[0] + "." + part(with(adas, "sub", ben)) + "." + parts[2],
		"claims of no object": mintRaw(head, `["sub"]`),
		"claims of no JSON":   mintRaw(head, `{`),
		"no claims at all":    mintRaw(head, `null`),
		"as JSON":             `{"payload":"` + parts[1] + `"}`,
		"with a space":        good + " ",
		"too long":            mint(head, with(adas, "x", strings.Repeat("x", tokenBytesMax)), hs256),
	} {
		refuses(t, d, what, token, schema.Unauthenticated)
	}
}

func mintRaw(header object, claims string) string {
	text := part(header) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return text + "." + base64.RawURLEncoding.EncodeToString(hs256([]byte(text)))
}

func TestTokenCountsInItsTime(t *testing.T) {
	now := noon
	d := newTestDirectory(t, Config{Tokens: TokenConfig{Secret: testSecret}}, testCatalog(), &now)
	at := func(seconds int64) int64 { return noon.Unix() + seconds }
	good := func(namesAndValues ...any) {
		t.Helper()
		claims := with(adas, namesAndValues...)
		accepts(t, d, part(claims), mint(head, claims, hs256))
	}
	bad := func(wantExpired bool, namesAndValues ...any) {
		t.Helper()
		claims := with(adas, namesAndValues...)
		text, _ := json.Marshal(claims)
		err := refuses(t, d, string(text), mint(head, claims, hs256), schema.Unauthenticated)
		if got := errors.Is(err, ErrExpired); got != wantExpired {
			t.Errorf("%s: expired %v, want %v", text, got, wantExpired)
		}
	}
	good("exp", at(1))
	good("exp", at(-29)) // the leeway
	good("exp", 1e12)
	bad(true, "exp", at(-30))
	bad(true, "exp", at(-8*3600))
	bad(true, "exp", 1)
	bad(false, "exp", nil)
	bad(false, "exp", "soon")
	bad(false, "exp", object{})
	good("nbf", at(30))
	bad(false, "nbf", at(31))
	good("iat", at(30))
	bad(false, "iat", at(31))
	bad(false, "iat", at(3600), "exp", at(7200))
	bad(false, "nbf", "later")
}

func TestTokenIsForUs(t *testing.T) {
	now := noon
	d := newTestDirectory(t, Config{Tokens: TokenConfig{
		Secret: testSecret, Audience: "meterhouse", Issuer: "https://id.example",
	}}, testCatalog(), &now)
	f := func(audience, issuer any, want bool) {
		t.Helper()
		token := mint(head, with(adas, "aud", audience, "iss", issuer), hs256)
		if want {
			accepts(t, d, "ours", token)
			return
		}
		refuses(t, d, "another's", token, schema.Unauthenticated)
	}
	f("meterhouse", "https://id.example", true)
	f([]string{"other", "meterhouse"}, "https://id.example", true)
	f("other", "https://id.example", false)
	f([]string{"meterhouse2"}, "https://id.example", false)
	f([]string{}, "https://id.example", false)
	f(nil, "https://id.example", false)
	f("meterhouse", "https://id.example/", false)
	f("meterhouse", "", false)
	f("meterhouse", nil, false)
	issuer := newTestDirectory(t, Config{Tokens: d.tokens.TokenConfig},
		withAppPassword(time.Time{}), &now)
	issued, err := issuer.IssueToken("app_a7_ada")
	if err != nil {
		t.Fatal(err)
	}
	accepts(t, issuer, "one that was issued here", issued.Token)
}

func TestTokenSpeaksForAUserOfTheCatalog(t *testing.T) {
	now := noon
	d := newTestDirectory(t, Config{Tokens: TokenConfig{Secret: testSecret}},
		withAppPassword(time.Time{}), &now)
	password, err := d.Secret("app_a7_ada", schema.AppPassword)
	if err != nil {
		t.Fatal(err)
	}
	access, err := d.Secret("ada-token", schema.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	cred := password.Credential.String()
	accepts(t, d, "of an app password", mint(head, with(adas, "cred", cred), hs256))
	f := func(namesAndValues ...any) {
		t.Helper()
		claims := with(adas, namesAndValues...)
		text, _ := json.Marshal(claims)
		refuses(t, d, string(text), mint(head, claims, hs256), schema.Unauthenticated)
	}
	f("sub", nil)
	f("sub", "")
	f("sub", 7)
	f("sub", "ada")
	f("sub", uuid.Nil.String())
	f("sub", uuid.NewString()) // nobody's
	f("sub", helper.String())  // an agent is no user
	f("organization_id", "acme")
	f("organization_id", "")
	f("organization_id", uuid.Nil.String())
	f("organization_id", []string{acme.String()})
	f("cred", "")
	f("cred", uuid.Nil.String())
	f("cred", uuid.NewString())
	f("cred", access.Credential.String())               // tokens are issued for app passwords only
	f("cred", cred, "organization_id", globex.String()) // which is another organization's
	f("cred", cred, "organization_id", nil)
	f("cred", cred, "sub", ben.String()) // and another user's
}

func TestTokensOrganization(t *testing.T) {
	now := noon
	cat := uuid.MustParse("9b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	retired := uuid.MustParse("2c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	catalog := withAppPassword(time.Time{}) // Ada: superadmin of Acme, member of Globex
	catalog.Users = append(catalog.Users, schema.User{ID: cat})
	catalog.Memberships = append(catalog.Memberships,
		schema.Membership{Organization: globex, User: ben, Role: schema.Admin, Active: true},
		schema.Membership{Organization: retired, User: ben, Role: schema.Superadmin, Active: true})
	d := newTestDirectory(t, Config{Tokens: TokenConfig{Secret: testSecret}}, catalog, &now)
	f := func(user, claimed uuid.UUID, asked string, want uuid.UUID, role schema.Role) {
		t.Helper()
		claims := with(adas, "sub", user.String(), "organization_id", nil)
		if claimed != uuid.Nil {
			claims["organization_id"] = claimed.String()
		}
		caller, err := d.Bearer(mint(head, claims, hs256), asked)
		if want == uuid.Nil {
			if schema.KindOf(err) != schema.Forbidden || caller != (Caller{}) {
				t.Errorf("%s, %s, %q: %+v, %v", user, claimed, asked, caller, err)
			}
			return
		}
		if err != nil || caller.Organization != want || caller.Role != role || caller.User != user {
			t.Errorf("%s, %s, %q: %+v, %v", user, claimed, asked, caller, err)
		}
	}
	none := uuid.Nil
	f(ada, acme, "", acme, schema.Superadmin)
	f(ada, globex, "", globex, schema.Member)
	f(ada, globex, acme.String(), globex, schema.Member) // the claim decides
	f(ada, none, globex.String(), globex, schema.Member)
	f(ada, none, strings.ToUpper(acme.String()), acme, schema.Superadmin)
	f(ada, none, "", none, 0) // which of them?
	f(ada, none, retired.String(), none, 0)
	f(ada, none, "acme", none, 0)
	f(ada, none, uuid.Nil.String(), none, 0)
	f(ada, retired, "", none, 0)
	f(ben, none, "", globex, schema.Admin) // his only active one of those that are there
	f(ben, none, acme.String(), none, 0)   // his membership is not active
	f(ben, acme, "", none, 0)              // nor is it for a claim
	f(ben, acme, globex.String(), none, 0) // nor does another one help
	f(ben, retired, "", none, 0)           // the organization is gone
	f(cat, none, "", none, 0)              // a member of none
	f(cat, none, acme.String(), none, 0)   //
	_, err := d.Bearer(mint(head, with(adas, "organization_id", nil), hs256), "")
	if err == nil || !strings.Contains(err.Error(), "X-Organization-ID") {
		t.Errorf("does not say how to choose: %v", err)
	}
	caller, err := d.Bearer("ada-token", globex.String()) // a credential has its own organization
	if err != nil || caller.Organization != acme {
		t.Errorf("a credential, asked for another organization: %+v, %v", caller, err)
	}
}

func TestShortSecretIsRefused(t *testing.T) {
	f := func(c TokenConfig, want bool) {
		t.Helper()
		_, err := New(Config{Tokens: c})
		if (err == nil) != want || (c.Check() == nil) != want {
			t.Errorf("%d bytes, %q: %v", len(c.Secret), c.JWKSURL, err)
		}
		if err != nil && c.Secret != "" && strings.Contains(err.Error(), c.Secret) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	f(TokenConfig{}, true)
	f(TokenConfig{Secret: strings.Repeat("x", 31)}, false)
	f(TokenConfig{Secret: strings.Repeat("x", 32)}, true)
	f(TokenConfig{JWKSURL: "https://id.example/keys"}, true)
	f(TokenConfig{JWKSURL: "http://127.0.0.1:5556/keys"}, true)
	f(TokenConfig{JWKSURL: "file:///etc/passwd"}, false)
	f(TokenConfig{JWKSURL: "id.example/keys"}, false)
	f(TokenConfig{JWKSURL: "https://"}, false)
	f(TokenConfig{JWKSURL: "https://%zz"}, false)
}

// FuzzBearer looks for tokens and key sets that make the directory panic, or let anybody in.
func FuzzBearer(f *testing.F) {
	now := noon
	f.Add(mint(head, adas, hmacWith("another secret", sha256.New)),
		`{"keys":[{"kty":"oct","k":"AAAA"}]}`)
	f.Add("a.b.c", `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256"}]}`)
	f.Add(mint(object{"alg": "RS256"}, adas, unsigned)+"AA", `{"keys":null}`)
	f.Add(mint(object{"alg": "EdDSA", "kid": "d"}, adas, unsigned)+"AA",
		`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"d","x":"AA"}]}`)
	f.Fuzz(func(t *testing.T, token, set string) {
		d := newTestDirectory(t, Config{Tokens: TokenConfig{
			Secret: testSecret, JWKSURL: "https://id.example/keys",
		}}, testCatalog(), &now)
		parsed, _, err := parseKeys([]byte(set))
		if err == nil {
			d.tokens.keys.keys.Store(&parsed)
		}
		d.tokens.keys.pending, d.tokens.keys.last = false, noon
		caller, err := d.Bearer(token, acme.String())
		if err == nil || caller != (Caller{}) {
			t.Errorf("%q speaks for %+v", token, caller)
		}
	})
}
