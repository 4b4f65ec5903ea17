package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"

	"github.com/meterhouse/meterhouse/schema"
)

// When an issuer's keys are read, and how long that may take.
const (
	keysInterval = 5 * time.Minute  // a key that the issuer withdrew counts that long at most
	keysRetry    = 15 * time.Second // after a failure
	keysPause    = 10 * time.Second // between two readings that tokens with unknown keys cause
	keysTimeout  = 5 * time.Second  // of one reading
	keysWait     = 2 * time.Second  // of a request, for the key it needs

	keysBytesMax     = 1 << 20
	keysRedirectsMax = 3
)

// keyRing holds the public keys of an issuer as its JWKS had them last. While that cannot be read,
// it keeps them. Anybody can send a token that names a key nobody has: it makes the keys be read
// again, for the issuer may have a new one, but not more often than every keysPause.
type keyRing struct {
	url    string
	client *http.Client
	logger *slog.Logger
	now    func() time.Time
	keys   atomic.Pointer[map[keyName]any] // nil: they were never read
	wanted chan struct{}                   // has one element when somebody waits for a reading

	mu      sync.Mutex
	pending bool          // a reading runs or is wanted
	done    chan struct{} // closed when it ends
	last    time.Time     // when the last one began
}

var errKeysURL = errors.New("access: the address of the JWKS must be an https or http URL")

func parseKeysURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errKeysURL // err would repeat the address, which may hold a password
	}
	return u, nil
}

func newKeyRing(address string, logger *slog.Logger, now func() time.Time) (*keyRing, error) {
	u, err := parseKeysURL(address)
	if err != nil {
		return nil, err
	}
	return &keyRing{
		url: address,
		client: &http.Client{
			Timeout: keysTimeout,
			CheckRedirect: func(r *http.Request, via []*http.Request) error {
				if r.URL.Scheme != u.Scheme || len(via) > keysRedirectsMax {
					return fmt.Errorf("refused to follow a redirect to %s", r.URL.Redacted())
				}
				return nil
			},
		},
		logger:  logger,
		now:     now,
		wanted:  make(chan struct{}, 1),
		pending: true, // the first reading is run's
		done:    make(chan struct{}),
	}, nil
}

// key returns the key of a name, waiting for one that the issuer may have added. Errors:
// Unauthenticated when it has none, Unavailable when its keys were never read.
func (k *keyRing) key(name keyName) (any, error) {
	if key, ok := k.find(name); ok {
		return key, nil
	}
	if done := k.ask(); done != nil {
		timer := time.NewTimer(keysWait)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
		if key, ok := k.find(name); ok {
			return key, nil
		}
	}
	if k.keys.Load() == nil {
		return nil, &schema.Error{
			Kind: schema.Unavailable, RetryAfter: keysPause,
			Message: "the keys of the token's issuer cannot be read right now; try again",
		}
	}
	return nil, invalidToken()
}

func (k *keyRing) find(name keyName) (any, bool) {
	keys := k.keys.Load()
	if keys == nil {
		return nil, false
	}
	key, ok := (*keys)[name]
	return key, ok
}

// ask returns what is closed when the next reading ends; nil when the last one is too recent for
// another.
func (k *keyRing) ask() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.pending {
		if k.now().Sub(k.last) < keysPause {
			return nil
		}
		k.pending = true
		k.wanted <- struct{}{}
	}
	return k.done
}

// run reads the keys until ctx ends.
func (k *keyRing) run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		k.begin()
		err := k.read(ctx)
		k.end()
		switch {
		case err != nil && !failing && ctx.Err() == nil:
			k.logger.Warn("keys of JWTs cannot be read, keeping the last ones", "error", err)
		case err == nil && failing:
			k.logger.Info("keys of JWTs can be read again")
		}
		failing = err != nil
		pause := keysInterval
		if failing {
			pause = keysRetry
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-k.wanted:
		}
		timer.Stop()
	}
}

func (k *keyRing) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending, k.last = true, k.now()
	select {
	case <-k.wanted: // by this one
	default:
	}
}

func (k *keyRing) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.done)
	k.pending, k.done = false, make(chan struct{})
}

func (k *keyRing) read(ctx context.Context) error {
	keys, left, err := k.fetch(ctx)
	if err != nil {
		return err
	}
	if last := k.keys.Swap(&keys); last == nil || len(*last) != len(keys) {
		k.logger.Info("keys of JWTs read", "keys", len(keys), "left_out", left)
	}
	return nil
}

// fetch reads the JWKS once, and returns how many keys of it no token may be signed with.
func (k *keyRing) fetch(ctx context.Context) (keys map[keyName]any, left int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := k.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the JWKS was answered with status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, keysBytesMax+1))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > keysBytesMax {
		return nil, 0, fmt.Errorf("the JWKS has more than %d bytes", keysBytesMax)
	}
	return parseKeys(body)
}

// algorithms is what tokens of an issuer may be signed with. A key has exactly one of them.
func algorithms(name string) (jwa.SignatureAlgorithm, bool) {
	for _, a := range [...]jwa.SignatureAlgorithm{jwa.RS256(), jwa.ES256(), jwa.EdDSA()} {
		if a.String() == name {
			return a, true
		}
	}
	return jwa.SignatureAlgorithm{}, false
}
