package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

const (
	jwtSecret = "a secret of the test, of more than 32 bytes"
	demoAda   = "7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11" // the demo catalog's superadmin
)

// publishedKeys is an issuer's JWKS as its host serves it.
type publishedKeys struct {
	*httptest.Server
	set atomic.Pointer[[]byte]
}

func newPublishedKeys(t *testing.T) *publishedKeys {
	t.Helper()
	k := &publishedKeys{}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(*k.set.Load())
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *publishedKeys) publish(t *testing.T, all ...jwk.Key) {
	t.Helper()
	set := jwk.NewSet()
	for _, key := range all {
		public, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := set.AddKey(public); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	k.set.Store(&text)
}

func privateKey(t *testing.T, raw any, id string) jwk.Key {
	t.Helper()
	key, err := jwk.Import(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Set(jwk.KeyIDKey, id); err != nil {
		t.Fatal(err)
	}
	return key
}

// tokenFor returns the header of a token for a user, good for an hour.
func tokenFor(t *testing.T, user string, alg jwa.SignatureAlgorithm, key any) []string {
	t.Helper()
	now := time.Now()
	token, err := jwt.NewBuilder().Subject(user).IssuedAt(now).Expiration(now.Add(time.Hour)).
		Audience([]string{"meterhouse"}).Issuer("https://id.example").Build()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Sign(token, jwt.WithKey(alg, key))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"Authorization", "Bearer " + string(text), "Content-Type", "application/json"}
}

// Tokens of a library, with keys that rotate on a host of their own, let a user write and read.
func TestTokensLetAUserIn(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	first, next := privateKey(t, ed, "2026-10"), privateKey(t, ec, "2026-11")
	host := newPublishedKeys(t)
	host.publish(t, first)

	p := newProgram(t, demoCatalog)
	p.env = []string{
		"METERHOUSE_JWT_SECRET=" + jwtSecret, "METERHOUSE_JWKS_URL=" + host.URL,
		"METERHOUSE_JWT_AUDIENCE=meterhouse", "METERHOUSE_JWT_ISSUER=https://id.example",
	}
	p.start()
	f := func(what string, want int, headers []string) {
		t.Helper()
		if r := p.do("POST", "/v1/events", `{"usage":{"INPUT":1}}`, headers...); r.status != want {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	secret := tokenFor(t, demoAda, jwa.HS256(), []byte(jwtSecret))
	f("the secret's", 201, secret)
	f("another secret's", 401, tokenFor(t, demoAda, jwa.HS256(), []byte(jwtSecret+".")))
	f("a stranger's", 401, tokenFor(t, nobody, jwa.HS256(), []byte(jwtSecret)))
	f("in another organization", 403, append(secret, "X-Organization-ID", nobody))
	f("a key's", 201, tokenFor(t, demoAda, jwa.EdDSA(), first))
	f("an unknown key's", 401, tokenFor(t, demoAda, jwa.ES256(), next))
	if r := p.do("GET", "/v1/admin/users", "", secret...); r.status != 200 {
		t.Errorf("its role is the catalog's: %d %s", r.status, r.body)
	}

	host.publish(t, first, next)
	deadline := time.Now().Add(15 * time.Second) // unknown keys are looked for every ten seconds
	for {
		r := p.do("POST", "/v1/events", `{"usage":{"INPUT":1}}`,
			tokenFor(t, demoAda, jwa.ES256(), next)...)
		if r.status == 201 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a new key is never known: %d %s", r.status, r.body)
		}
		time.Sleep(250 * time.Millisecond)
	}
	host.Close()
	f("a key's, after its host is gone", 201, tokenFor(t, demoAda, jwa.EdDSA(), first))
	p.stop()
	for _, hidden := range []string{jwtSecret, secret[1][len("Bearer "):]} {
		if strings.Contains(p.stderrText(), hidden) {
			t.Errorf("the log has %q", hidden)
		}
	}
}

// Without a secret of its operator's, a node signs with one of its process: what it issues is good
// until it restarts, and it says so.
func TestIssuedTokensEndWithTheProcess(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.start()
	login := func() []string {
		t.Helper()
		r := p.do("POST", "/api/auth/app-login", `{"token":"app_a7_demo_ada"}`,
			"Content-Type", "application/json")
		var issued struct {
			AccessToken string
			ExpiresIn   int
		}
		if err := json.Unmarshal(r.body, &issued); err != nil || issued.ExpiresIn != 28_800 {
			t.Fatalf("login: %d %s", r.status, r.body)
		}
		return []string{"Authorization", "Bearer " + issued.AccessToken}
	}
	token := login()
	if r := p.do("GET", "/usage", "", token...); r.status != 200 {
		t.Errorf("before the restart: %d %s", r.status, r.body)
	}
	if !strings.Contains(p.stderrText(), "end with this process") {
		t.Error("nothing says that tokens end with the process")
	}
	p.stop()
	p.start()
	if r := p.do("GET", "/usage", "", token...); r.status != 401 {
		t.Errorf("after the restart: %d %s", r.status, r.body)
	}
	if r := p.do("GET", "/usage", "", login()...); r.status != 200 {
		t.Errorf("a new one: %d %s", r.status, r.body)
	}
	p.stop()
}

func TestServeRefusesWhatCannotBe(t *testing.T) {
	p := newProgram(t, demoCatalog)
	f := func(want int, says, setting string, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := p.command(ctx, "serve", append([]string{"--listen", "127.0.0.1:0"}, args...)...)
		if setting != "" {
			cmd.Env = append(cmd.Env, setting)
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != want {
			t.Fatalf("%s %v: %v, want exit %d\n%s", setting, args, err, want, &stderr)
		}
		_, value, _ := strings.Cut(setting, "=")
		if !strings.Contains(stderr.String(), says) ||
			value != "" && strings.Contains(stderr.String(), value) {
			t.Errorf("%s %v: %s", setting, args, &stderr)
		}
	}
	f(1, "at least 32 bytes", "METERHOUSE_JWT_SECRET=a-short-secret")
	f(1, "https or http URL", "METERHOUSE_JWKS_URL=file:///etc/passwd")
	f(2, "METERHOUSE_RATE_LIMIT", "METERHOUSE_RATE_LIMIT=-17")
	f(2, "rate-limit", "", "--rate-limit", "many")
	f(2, "rate-limit", "", "--rate-limit", "4294967296")
	f(2, "jwt-secret", "", "--jwt-secret", jwtSecret) // others may see a command line
}
