package console

import (
	"context"
	"crypto/rand"

	"github.com/google/uuid"
)

// Keyring is a node's keys.
type Keyring struct{ ring *keyring }

// NewKeyring returns those of another node.
func NewKeyring(c Config) Keyring {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return Keyring{newKeyring(c)}
}

// Newest returns the id of the key for new sessions.
func (k Keyring) Newest(ctx context.Context) (uuid.UUID, error) {
	one, err := k.ring.newest(ctx)
	return one.id, err
}

// Knows reports whether sessions of a key count.
func (k Keyring) Knows(ctx context.Context, id uuid.UUID) (bool, error) {
	_, ok, err := k.ring.find(ctx, id)
	return ok, err
}

// What the tests have to reach and pass.
const (
	KeyAge         = keyAge
	SessionMax     = sessionMax
	LooksAtOnce    = looksAtOnce
	LooksInterval  = looksInterval
	FailuresAtOnce = failuresAtOnce
)
