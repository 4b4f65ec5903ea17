package schema

import (
	"crypto/sha1"
	"encoding/binary"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Event is one thing that happened, with what it used. Its fields are in the column order of
// usage_events; the ledger holds one row for each of its Measurements.
type Event struct {
	Organization uuid.UUID
	ID           uuid.UUID // derived from (organization, Key) when there is a Key, else a UUIDv7
	Revision     uint32    // 0 for an event as it was first written
	Entry        Entry
	Time         time.Time // when it happened; UTC, microseconds
	IngestTime   time.Time // when it was accepted; UTC, microseconds

	User  uuid.UUID // zero: none
	Agent uuid.UUID // zero: none (usage of a service)

	Service          string
	Channel          string
	APIName          string
	Endpoint         string
	Provider         string
	ProviderEndpoint string
	ProviderKey      string // obfuscated: see ObfuscateKey
	Model            string
	Chargeable       bool
	Purpose          string

	Measurements []Measurement

	Key string // the client's idempotency key; empty: none. Not stored in the ledger
}

// Measurement is one usage type of an event and how much of it was used: one row of the ledger.
type Measurement struct {
	UsageType    string
	Quantity     Quantity
	ProviderCost USD
	BilledCost   USD
	Rate         uuid.UUID // the rate that made the costs; zero: none
	Pricing      Pricing
}

// Entry says how a ledger row counts.
type Entry int8

// The entries of the ledger: a correction appends the Reversal of the current revision.
const (
	Record   Entry = 1
	Reversal Entry = -1
)

// Pricing says where a measurement's costs come from.
type Pricing uint8

// The ways a measurement gets its costs.
const (
	Unpriced Pricing = 0 // no rate was in force: a visible state, not a price of 0
	Rated    Pricing = 1 // from the rate whose id is kept
	Given    Pricing = 2 // the client stated the cost
)

// Usage types with a meaning of their own. The set is open: any name UsageTypeValid accepts is one.
const (
	Input       = "INPUT"
	Output      = "OUTPUT"
	CachedInput = "CACHED_INPUT"
	CacheWrite  = "CACHE_WRITE"
	Reasoning   = "REASONING"

	OpenAITokens = "OPENAI_TOKENS"
	VapiSeconds  = "VAPI_SECONDS"
	Units        = "UNITS" // what the usage tracker counts

	Sessions                 = "SESSIONS"
	ValidSessions            = "VALID_SESSIONS"
	Completions              = "COMPLETIONS"
	DeepThoughtValidSessions = "DEEP_THOUGHT_VALID_SESSIONS"
	DeepThoughtCompletions   = "DEEP_THOUGHT_COMPLETIONS"
	ImportedChars            = "IMPORTED_CHARS"
)

// Limits of one event and of one request.
const (
	MeasurementsMax  = 16
	UsageTypeMax     = 64      // bytes
	TextMax          = 256     // characters of any descriptive field
	KeyMax           = 200     // characters of an idempotency key
	RequestEventsMax = 10_000  // events of one request
	RequestBytesMax  = 8 << 20 // bytes of one request after decoding
	PastMax          = 400 * 24 * time.Hour
	FutureMax        = 5 * time.Minute
)

// LogInsights is the service whose usage DigitalOcean's route reports apart from the agent's own.
const LogInsights = "log-insights"

// UsageTypeValid reports whether s is [A-Z][A-Z0-9_]{0,63}.
func UsageTypeValid(s string) bool {
	if s == "" || len(s) > UsageTypeMax || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// CountsTokens reports whether a usage type's unit is a token.
func CountsTokens(usageType string) bool {
	switch usageType {
	case Input, Output, CachedInput, CacheWrite, Reasoning:
		return true
	}
	const suffix = "_TOKENS"
	return len(usageType) > len(suffix) && usageType[len(usageType)-len(suffix):] == suffix
}

// CheckText returns an Error when a descriptive field is too long or is not printable UTF-8
// (a control character has no place in a name and breaks what is shown later).
func CheckText(field, s string) error {
	for i := range len(s) {
		// U+0080 to U+009F are control characters too; their first byte is 0xC2.
		if s[i] < 0x20 || s[i] == 0x7f || s[i] == 0xC2 && i+1 < len(s) && s[i+1]&0xE0 == 0x80 {
			return Errorf(Invalid, field, "must not contain control characters")
		}
	}
	if len(s) > TextMax && utf8.RuneCountInString(s) > TextMax {
		return Errorf(Invalid, field, "must have at most %d characters", TextMax)
	}
	if !utf8.ValidString(s) {
		return Errorf(Invalid, field, "must be valid UTF-8")
	}
	return nil
}

// ObfuscateKey hides a provider's API key: its first three and last four characters remain, and
// nothing of a key shorter than twelve. An empty key stays empty. Twice is the same as once.
func ObfuscateKey(key string) string {
	const head, tail, shortest = 3, 4, 12
	n := utf8.RuneCountInString(key)
	if n == 0 || n == head+tail+1 && utf8.ValidString(key) && isObfuscated(key, head) {
		return key
	}
	if n < shortest {
		return "…"
	}
	runes := []rune(key)
	return string(runes[:head]) + "…" + string(runes[n-tail:])
}

func isObfuscated(key string, head int) bool {
	for _, r := range key {
		if head == 0 {
			return r == '…'
		}
		head--
	}
	return false
}

// EventID returns the id of an organization's event with an idempotency key: a name-based UUID,
// so that a retry gets the same id without a look-up.
func EventID(organization uuid.UUID, key string) uuid.UUID {
	var room [256]byte // most keys fit without an allocation
	sum := sha1.Sum(append(append(room[:0], organization[:]...), key...))
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 5<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}

// NewEventID returns a fresh UUIDv7 of a moment, for an event without a key. Ids of moments 256 ns
// apart are in their order. It is a name, not a secret: 62 bits are random, whatever the clock
// does.
func NewEventID(now time.Time) uuid.UUID {
	const milli = int64(time.Millisecond)
	nanos := max(now.UnixNano(), 0)
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(nanos/milli)<<16|7<<12|uint64(nanos%milli)>>8)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()>>2|1<<63)
	return id
}

// CorrectionsNode returns what stands as the node of an organization's corrections, whose number
// is the sequence: together they name a row's origin, as node and sequence do everywhere else.
func CorrectionsNode(organization uuid.UUID) uuid.UUID {
	return uuid.NewSHA1(organization, []byte("meterhouse corrections"))
}
