package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// issuer answers as the JWKS's host.
type issuer struct {
	mu     sync.Mutex
	answer func(*http.Request) (*http.Response, error)
	asked  int
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.asked++
	answer := i.answer
	i.mu.Unlock()
	return answer(r)
}

func (i *issuer) answers(f func(*http.Request) (*http.Response, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

func (i *issuer) times() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func respond(
	status int, body string, header ...string,
) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := make(http.Header)
		for n := 0; n+1 < len(header); n += 2 {
			h.Set(header[n], header[n+1])
		}
		return &http.Response{
			StatusCode: status, Header: h, Request: r, Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

func down(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func jwks(t testing.TB, all ...object) func(*http.Request) (*http.Response, error) {
	t.Helper()
	text, err := json.Marshal(object{"keys": all})
	if err != nil {
		t.Fatal(err)
	}
	return respond(http.StatusOK, string(text))
}

// ring is a key ring that runs, and its issuer.
type ring struct {
	*keyRing
	issuer *issuer
	log    bytes.Buffer // to be read after synctest.Wait
}

// startRing starts a key ring in a bubble of time.
func startRing(t *testing.T, first func(*http.Request) (*http.Response, error)) *ring {
	t.Helper()
	r := &ring{issuer: &issuer{answer: first}}
	var err error
	logger := slog.New(slog.NewTextHandler(&r.log, nil))
	if r.keyRing, err = newKeyRing("https://id.example/keys", logger, time.Now); err != nil {
		t.Fatal(err)
	}
	r.client.Transport = r.issuer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return r
}

func (r *ring) has(t *testing.T, kid string, want bool) {
	t.Helper()
	switch _, err := r.key(keyName{"EdDSA", kid}); {
	case want && err != nil:
		t.Errorf("%s: %v", kid, err)
	case !want && schema.KindOf(err) != schema.Unauthenticated:
		t.Errorf("%s: %v, want no such key", kid, err)
	}
}

// edKey is a public key of a name, whose bytes are of no matter here.
func edKey(kid string) object {
	return object{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(bytes.Repeat([]byte{7}, 32))}
}

func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRing(t, jwks(t, edKey("old")))
		r.has(t, "old", true) // waits for the first reading
		time.Sleep(keysPause)
		r.issuer.answers(jwks(t, edKey("old"), edKey("new")))
		r.has(t, "new", true) // at once, for a token names it
		r.has(t, "old", true)
		if n := r.issuer.times(); n != 2 {
			t.Errorf("read %d times, want 2", n)
		}
		r.issuer.answers(jwks(t, edKey("new")))
		time.Sleep(keysInterval + time.Second)
		r.has(t, "new", true)
		r.has(t, "old", false) // withdrawn
	})
}

// Requests that need a new key at once share one reading.
func TestKeyIsWaitedForTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRing(t, jwks(t, edKey("old")))
		r.has(t, "old", true)
		time.Sleep(keysPause)
		fresh := jwks(t, edKey("new"))
		r.issuer.answers(func(request *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return fresh(request)
		})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { r.has(t, "new", true) })
		}
		all.Wait()
		if n := r.issuer.times(); n != 2 {
			t.Errorf("read %d times, want 2", n)
		}
	})
}

func TestUnknownKeysCauseFewReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRing(t, jwks(t, edKey("old")))
		r.has(t, "old", true)
		start := time.Now()
		for n := range 600 {
			r.has(t, "guess-"+strconv.Itoa(n), false)
			time.Sleep(100 * time.Millisecond)
		}
		if waited := time.Since(start); waited > 61*time.Second {
			t.Errorf("refusals took %s", waited-time.Minute)
		}
		if n := r.issuer.times(); n > 7 {
			t.Errorf("read %d times in a minute", n)
		}
	})
}

func TestKeysAreKeptWhileTheIssuerIsDown(t *testing.T) {
	large := `{"keys":[` + strings.Repeat(" ", keysBytesMax) + `]}`
	for what, answer := range map[string]func(*http.Request) (*http.Response, error){
		"down":                down,
		"hanging":             hangs,
		"failing":             respond(500, `{"keys":[]}`),
		"not found":           respond(404, `{"keys":[]}`),
		"another document":    respond(200, `{"error":"try later"}`),
		"no JSON":             respond(200, `<html>`),
		"too large":           respond(200, large),
		"in plain text":       respond(302, "", "Location", "http://id.example/keys"),
		"a file":              respond(302, "", "Location", "file:///etc/passwd"),
		"one redirect after":  respond(302, "", "Location", "https://id.example/keys"),
		"cut in the middle":   respond(200, `{"keys":[{"kty":`),
		"keys that are a map": respond(200, `{"keys":{}}`),
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startRing(t, jwks(t, edKey("old")))
				r.has(t, "old", true)
				r.issuer.answers(answer)
				time.Sleep(30 * time.Minute)
				r.has(t, "old", true)
				start := time.Now()
				r.has(t, "new", false)
				if waited := time.Since(start); waited > keysWait {
					t.Errorf("a request waited %s", waited)
				}
				synctest.Wait()
				if n := strings.Count(r.log.String(), "level=WARN"); n != 1 {
					t.Errorf("%d warnings of one outage:\n%s", n, &r.log)
				}
				r.issuer.answers(jwks(t, edKey("new")))
				time.Sleep(keysRetry + keysTimeout)
				r.has(t, "new", true)
			})
		})
	}
}

func TestKeysThatWereNeverReadAreUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRing(t, hangs)
		for range 3 {
			start := time.Now()
			_, err := r.key(keyName{"EdDSA", "old"})
			if schema.KindOf(err) != schema.Unavailable || time.Since(start) > keysWait {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
			time.Sleep(time.Second)
		}
		r.issuer.answers(jwks(t, edKey("old")))
		time.Sleep(keysRetry + keysTimeout)
		r.has(t, "old", true)
	})
}

// An issuer that withdraws its last key is believed: it says so.
func TestIssuerWithdrawsEveryKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRing(t, jwks(t, edKey("old")))
		r.has(t, "old", true)
		r.issuer.answers(respond(200, `{"keys":[]}`))
		time.Sleep(keysInterval + time.Second)
		r.has(t, "old", false)
	})
}

func TestRedirectsKeepTheScheme(t *testing.T) {
	f := func(location string, want bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			keys := jwks(t, edKey("moved"))
			r := startRing(t, jwks(t, edKey("old")))
			r.has(t, "old", true)
			r.issuer.answers(func(request *http.Request) (*http.Response, error) {
				if request.URL.String() == "https://id.example/keys" {
					return respond(302, "", "Location", location)(request)
				}
				return keys(request)
			})
			time.Sleep(keysPause)
			r.has(t, "moved", want)
		})
	}
	f("https://cdn.example/keys.json", true)
	f("/keys.json", true)
	f("http://id.example/keys", false) // anyone on the way could put in a key of theirs
	f("http://id.example:443/keys", false)
}
