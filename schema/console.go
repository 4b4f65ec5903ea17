package schema

import (
	"time"

	"github.com/google/uuid"
)

// ConsoleKey seals the console's session cookies. Every node reads the same ones.
type ConsoleKey struct {
	ID        uuid.UUID
	Secret    []byte // 32 bytes, of AES-256-GCM
	CreatedAt time.Time
}
