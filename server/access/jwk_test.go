package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
)

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

func edJWK(k ed25519.PublicKey) object {
	return object{"kty": "OKP", "crv": "Ed25519", "x": b64(k)}
}

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

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
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
	long := &rsa.PublicKey{N: new(big.Int).Lsh(k.rsa.N, rsaBitsMax-2047), E: 65537}
	if keys, left, err := parseKeys([]byte(`{"keys":[` + text(rsaJWK(long)) + `]}`)); err != nil ||
		left != 1 || len(keys) != 0 {
		t.Errorf("a key of %d bits: %v, %d left out, %v", long.N.BitLen(), keys, left, err)
	}
	two := withKeys(t, TokenConfig{}, rsaJWK(&k.rsa.PublicKey),
		with(rsaJWK(&newKeys(t).rsa.PublicKey), "kid", "j"))
	refuses(t, two, "no name, where two keys may be meant",
		mint(object{"alg": "RS256"}, adas, rs256(k.rsa)), schema.Unauthenticated)
	refuses(t, withKeys(t, TokenConfig{}, rsaKey), "the empty secret",
		mint(head, adas, hmacWith("", sha256.New)), schema.Unauthenticated)
}
