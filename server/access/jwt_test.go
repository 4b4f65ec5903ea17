package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
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
		"without a signature":  mint(head, adas, unsigned),
		"without claims":       parts[0] + ".." + parts[2],
		"without a header":     "." + parts[1] + "." + parts[2],
		"with a fourth part":   good + ".x",
		"encrypted":            "a.b.c.d.e",
		"a header of no JSON":  "AAAA." + parts[1] + "." + parts[2],
		"a padded header":      parts[0] + "=." + parts[1] + "." + parts[2],
		"other claims":         parts[0] + "." + part(with(adas, "sub", ben)) + "." + parts[2],
		"claims of no object":  mintRaw(head, `["sub"]`),
		"claims of no JSON":    mintRaw(head, `{`),
		"no claims at all":     mintRaw(head, `null`),
		"as JSON":              `{"payload":"` + parts[1] + `"}`,
		"with a space":         good + " ",
		"longer than a header": good + strings.Repeat("A", tokenBytesMax),
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

// keys are an issuer's, made once.
type keys struct {
	rsa, weak *rsa.PrivateKey
	p256      *ecdsa.PrivateKey
	p384      *ecdsa.PrivateKey
	ed        ed25519.PrivateKey
}

func newKeys(t testing.TB) keys {
	t.Helper()
	var k keys
	for _, err := range []error{
		makeInto(&k.rsa)(rsa.GenerateKey(rand.Reader, 2048)),
		makeInto(&k.weak)(rsa.GenerateKey(rand.Reader, 1024)),
		makeInto(&k.p256)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		makeInto(&k.p384)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	return k
}

func makeInto[T any](into *T) func(T, error) error {
	return func(v T, err error) error { *into = v; return err }
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func rsaJWK(k *rsa.PublicKey) object {
	return object{"kty": "RSA", "n": b64(k.N.Bytes()), "e": "AQAB"}
}

func ecJWK(t testing.TB, crv string, k *ecdsa.PublicKey) object {
	t.Helper()
	point, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := len(point) / 2
	return object{"kty": "EC", "crv": crv, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
}

func edJWK(k ed25519.PublicKey) object { return object{"kty": "OKP", "crv": "Ed25519", "x": b64(k)} }

func rs256(k *rsa.PrivateKey) signer {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		signature, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return signature
	}
}

func es256(k *ecdsa.PrivateKey) signer {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			panic(err)
		}
		size := (k.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
}

func edDSA(k ed25519.PrivateKey) signer {
	return func(text []byte) []byte { return ed25519.Sign(k, text) }
}

// withKeys returns a Directory whose issuer has the keys of a JWKS.
func withKeys(t *testing.T, c TokenConfig, all ...object) *Directory {
	t.Helper()
	now := noon
	c.JWKSURL = "https://id.example/keys"
	d := newTestDirectory(t, Config{Tokens: c}, testCatalog(), &now)
	text, err := json.Marshal(object{"keys": all})
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, err := parseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	d.tokens.keys.keys.Store(&parsed)
	d.tokens.keys.pending, d.tokens.keys.last = false, noon // it was read this moment
	return d
}

func TestTokenIsSignedWithAKeyOfTheIssuer(t *testing.T) {
	k := newKeys(t)
	d := withKeys(t, TokenConfig{Secret: testSecret},
		with(rsaJWK(&k.rsa.PublicKey), "kid", "r", "use", "sig", "alg", "RS256"),
		with(ecJWK(t, "P-256", &k.p256.PublicKey), "kid", "e", "key_ops", []string{"verify"}),
		with(edJWK(k.ed.Public().(ed25519.PublicKey)), "kid", "d"))
	header := func(alg, kid string) object { return object{"alg": alg, "kid": kid} }
	good := func(h object, sign signer) {
		t.Helper()
		accepts(t, d, part(h), mint(h, adas, sign))
	}
	good(header("RS256", "r"), rs256(k.rsa))
	good(header("ES256", "e"), es256(k.p256))
	good(header("EdDSA", "d"), edDSA(k.ed))
	good(object{"alg": "RS256"}, rs256(k.rsa)) // the only key of its algorithm needs no name
	good(object{"alg": "ES256"}, es256(k.p256))
	good(head, hs256)

	bad := func(what string, h object, sign signer) {
		t.Helper()
		refuses(t, d, what, mint(h, adas, sign), schema.Unauthenticated)
	}
	der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	jwk, _ := json.Marshal(rsaJWK(&k.rsa.PublicKey))
	for what, public := range map[string][]byte{
		"PEM":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"DER":     der,
		"PKCS#1":  x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey),
		"modulus": k.rsa.N.Bytes(),
		"JWK":     jwk,
		"Ed25519": k.ed.Public().(ed25519.PublicKey),
	} {
		for _, kid := range []string{"r", "e", "d", ""} {
			bad("HS256 by a public key's "+what, header("HS256", kid),
				hmacWith(string(public), sha256.New))
		}
	}
	bad("none, by the name of a key", header("none", "r"), unsigned)
	bad("the name of another key", header("RS256", "e"), rs256(k.rsa))
	bad("another algorithm's name", header("ES256", "r"), rs256(k.rsa))
	bad("another algorithm's key", header("ES256", "e"), rs256(k.rsa))
	bad("an algorithm of RSA that is not the key's", header("RS512", "r"), rs256(k.rsa))
	bad("RSA-PSS", header("PS256", "r"), rs256(k.rsa))
	bad("another key", header("RS256", "r"), rs256(k.weak))
	bad("the secret, by the name of a key", header("RS256", "r"), hs256)
	bad("a name nobody has", header("RS256", "x"), rs256(k.rsa))
	bad("its own key", object{"alg": "RS256", "kid": "x", "jwk": rsaJWK(&k.weak.PublicKey)},
		rs256(k.weak))
	bad("its own set of keys", object{"alg": "RS256", "jku": "http://127.0.0.1/keys"},
		rs256(k.weak))
}

func TestWhichKeysOfTheIssuerCount(t *testing.T) {
	k := newKeys(t)
	rsaKey := with(rsaJWK(&k.rsa.PublicKey), "kid", "k")
	oct := object{"kty": "oct", "kid": "k", "k": b64([]byte(testSecret))}
	f := func(what string, key object, alg string, sign signer) {
		t.Helper()
		d := withKeys(t, TokenConfig{}, key)
		for _, h := range []object{{"alg": alg, "kid": "k"}, {"alg": alg}} {
			refuses(t, d, what, mint(h, adas, sign), schema.Unauthenticated)
		}
	}
	f("a symmetric key", oct, "HS256", hs256)
	f("a symmetric key of an asymmetric algorithm", with(oct, "alg", "RS256"), "RS256", hs256)
	f("a key for encryption", with(rsaKey, "use", "enc"), "RS256", rs256(k.rsa))
	f("a key that is not for verifying", with(rsaKey, "key_ops", []string{"encrypt"}), "RS256",
		rs256(k.rsa))
	f("a key of another algorithm", with(rsaKey, "alg", "PS256"), "RS256", rs256(k.rsa))
	f("a key of a symmetric algorithm", with(rsaKey, "alg", "HS256"), "HS256",
		hmacWith(string(k.rsa.N.Bytes()), sha256.New))
	f("a short key", with(rsaJWK(&k.weak.PublicKey), "kid", "k"), "RS256", rs256(k.weak))
	f("another curve", with(ecJWK(t, "P-384", &k.p384.PublicKey), "kid", "k"), "ES256",
		es256(k.p384))
	f("a private key", with(rsaKey, "d", b64(k.rsa.D.Bytes()), "p", b64(k.rsa.Primes[0].Bytes()),
		"q", b64(k.rsa.Primes[1].Bytes())), "RS256", rs256(k.rsa))
	two := withKeys(t, TokenConfig{}, rsaJWK(&k.rsa.PublicKey),
		with(rsaJWK(&newKeys(t).rsa.PublicKey), "kid", "j"))
	refuses(t, two, "no name, where two keys may be meant",
		mint(object{"alg": "RS256"}, adas, rs256(k.rsa)), schema.Unauthenticated)
	refuses(t, withKeys(t, TokenConfig{}, rsaKey), "the empty secret",
		mint(head, adas, hmacWith("", sha256.New)), schema.Unauthenticated)
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
	f.Add(mint(head, adas, hmacWith("another secret", sha256.New)), `{"keys":[{"kty":"oct","k":"AAAA"}]}`)
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
