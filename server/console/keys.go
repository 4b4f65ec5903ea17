package console

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

const (
	// keyAge is for how long new sessions are sealed with a key.
	keyAge = 90 * 24 * time.Hour
	// keyTimeout bounds one look at the table of keys.
	keyTimeout = 5 * time.Second
	secretSize = 32 // of AES-256
)

// Another node may have made a key this moment, so an unknown one is looked for in the table; but a
// client can make up as many as it likes.
const (
	looksAtOnce   = 3
	looksInterval = 2 * time.Second
)

// A key seals sessions.
type key struct {
	id      uuid.UUID
	created time.Time
	aead    cipher.AEAD
}

// keyring holds the keys that all nodes share. It is safe for concurrent use.
type keyring struct {
	queries *queries.Queries
	now     func() time.Time
	random  io.Reader

	known atomic.Pointer[[]key] // oldest first
	mu    sync.Mutex            // held by who reads the table
	looks *rate.Limiter
}

func newKeyring(c Config) *keyring {
	k := &keyring{
		queries: c.Queries, now: c.Now, random: c.Random,
		looks: rate.NewLimiter(rate.Every(looksInterval), looksAtOnce),
	}
	k.known.Store(new([]key))
	return k
}

// find returns the key with an id; false when there is none that still counts. The error is
// Unavailable.
func (k *keyring) find(ctx context.Context, id uuid.UUID) (key, bool, error) {
	if found, ok := k.lookup(id); ok {
		return found, k.counts(found), nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if found, ok := k.lookup(id); ok { // read by who was before us
		return found, k.counts(found), nil
	}
	if !k.looks.AllowN(k.now(), 1) {
		return key{}, false, nil
	}
	if err := k.read(ctx); err != nil {
		return key{}, false, unavailable(err)
	}
	found, ok := k.lookup(id)
	return found, ok && k.counts(found), nil
}

func (k *keyring) lookup(id uuid.UUID) (key, bool) {
	all := *k.known.Load()
	i := slices.IndexFunc(all, func(one key) bool { return one.id == id })
	if i < 0 {
		return key{}, false
	}
	return all[i], true
}

// counts reports whether sessions of a key may be alive.
func (k *keyring) counts(one key) bool {
	return k.now().Before(one.created.Add(keyAge + sessionMax))
}

// newest returns the key for new sessions: of those in the table the oldest that is not retired, so
// that nodes that add one at the same moment agree. The error is Unavailable.
func (k *keyring) newest(ctx context.Context) (key, error) {
	if one, ok := k.unretired(); ok {
		return one, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(ctx); err != nil {
		return key{}, unavailable(err)
	}
	if one, ok := k.unretired(); ok {
		return one, nil
	}
	if err := k.add(ctx); err != nil {
		return key{}, unavailable(err)
	}
	if err := k.read(ctx); err != nil {
		return key{}, unavailable(err)
	}
	if one, ok := k.unretired(); ok {
		return one, nil
	}
	return key{}, unavailable(fmt.Errorf("a key that was added is not there"))
}

func (k *keyring) unretired() (key, bool) {
	for _, one := range *k.known.Load() {
		if k.now().Before(one.created.Add(keyAge)) {
			return one, true
		}
	}
	return key{}, false
}

// read takes the keys from the table.
func (k *keyring) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	rows, err := k.queries.ConsoleKeys(ctx)
	if err != nil {
		return err
	}
	all := make([]key, 0, len(rows))
	for _, row := range rows {
		aead, err := newAEAD(row.Secret)
		if err != nil {
			return fmt.Errorf("console_keys: key %s: %w", row.ID, err)
		}
		all = append(all, key{row.ID, row.CreatedAt, aead})
	}
	k.known.Store(&all)
	return nil
}

func newAEAD(secret []byte) (cipher.AEAD, error) {
	if len(secret) != secretSize {
		return nil, fmt.Errorf("the secret has %d bytes, want %d", len(secret), secretSize)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// add puts a new key into the table.
func (k *keyring) add(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	id, err := uuid.NewRandomFromReader(k.random)
	if err != nil {
		return err
	}
	row := schema.ConsoleKey{
		ID: id, Secret: make([]byte, secretSize),
		CreatedAt: k.now().UTC().Truncate(time.Microsecond),
	}
	if _, err := io.ReadFull(k.random, row.Secret); err != nil {
		return err
	}
	return k.queries.AddConsoleKey(ctx, row)
}

func unavailable(cause error) error {
	return &schema.Error{
		Kind:    schema.Unavailable,
		Message: "sessions cannot be checked while the database is away; try again",
		Cause:   cause, RetryAfter: looksInterval,
	}
}
