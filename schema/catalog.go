package schema

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Catalog is everything that changes rarely: who may write and read, and what things cost.
type Catalog struct {
	Version       uint64 // of the newest change it holds; 0 for an empty catalog
	Organizations []Organization
	Users         []User
	Memberships   []Membership
	Agents        []Agent
	Services      []Service
	Meters        []Meter
	Credentials   []Credential
	Rates         []Rate
}

// Organization is who is billed. Its Tenant is its public name on Memori's routes.
type Organization struct {
	ID     uuid.UUID
	Name   string
	Tenant string
	Stripe StripeMapping

	EventsPerMinute uint32 // that a node takes; zero: the node's default
	RetentionDays   uint32 // a month goes when it ended so many days ago; zero: never
}

// RetentionDaysMin is the shortest time for which an organization's usage may be kept. Stripe takes
// usage for 35 days, and what is late is carried into a later bill after that; what two nodes
// accepted is told apart for as long: two months leave room for both.
const RetentionDaysMin = 62

// RetentionFault returns why an organization's usage cannot be kept for so many days; empty when it
// can.
func RetentionFault(days uint32) string {
	if days == 0 || days >= RetentionDaysMin {
		return ""
	}
	return fmt.Sprintf("must be 0, for ever, or at least %d: usage is billed for 35 days, and "+
		"carried into a later bill after that", RetentionDaysMin)
}

// StripeMapping is what the reporter needs of an organization; an empty Customer means unmapped.
type StripeMapping struct {
	Customer         string         // cus_…
	Meter            string         // takes what none of Meters counts; empty: nothing does
	SubscriptionItem string         // of Meter, for mode UsageRecord
	Meters           []MeterMapping // the first that counts a usage type and model takes it
	Since            time.Time      // hour from which on usage is reported; zero: all
}

// IsZero reports whether the mapping says nothing.
func (m StripeMapping) IsZero() bool { return m.Equal(StripeMapping{}) }

// Equal reports whether two mappings say the same.
func (m StripeMapping) Equal(n StripeMapping) bool {
	return m.Customer == n.Customer && m.Meter == n.Meter &&
		m.SubscriptionItem == n.SubscriptionItem && slices.Equal(m.Meters, n.Meters) &&
		m.Since.Equal(n.Since)
}

// Item returns the subscription item of one of the organization's meters.
func (m StripeMapping) Item(meter string) string {
	for _, each := range m.Meters {
		if each.Meter == meter {
			return each.SubscriptionItem
		}
	}
	return m.SubscriptionItem
}

// User is a person or a program that acts for organizations.
type User struct {
	ID    uuid.UUID
	Name  string
	Email string // may be empty
}

// Membership is a user's role in an organization.
type Membership struct {
	Organization uuid.UUID
	User         uuid.UUID
	Role         Role
	Active       bool
}

// Role orders what a user may do; each role includes the ones below it.
type Role uint8

// The roles.
const (
	Member     Role = 1
	Admin      Role = 2
	Superadmin Role = 3
)

// Agent is what uses models on an organization's behalf (to Memori, a memori).
type Agent struct {
	ID           uuid.UUID
	Organization uuid.UUID
	Name         string
	Owner        uuid.UUID // a user; zero: none
}

// Service is an external service billed without an agent.
type Service struct {
	Name string
}

// CredentialKind says how a secret is presented.
type CredentialKind uint8

// The kinds of credentials.
const (
	AgentSecret CredentialKind = 1 // raia's Agent-Secret-Key header
	LoginToken  CredentialKind = 2 // Memori's strToken, in the path
	AppPassword CredentialKind = 3 // agent700's bearer
	AccessToken CredentialKind = 4 // any other bearer
)

// SecretHash is the SHA-256 of a secret. Secrets are long random strings, so a plain hash is
// enough at rest, and a look-up by hash takes the same time for a right and a wrong one.
type SecretHash [sha256.Size]byte

// HashSecret returns the hash a secret is stored and looked up by.
func HashSecret(secret string) SecretHash {
	var room [128]byte // every request asks for one: most fit without an allocation
	return sha256.Sum256(append(room[:0], secret...))
}

// Credential lets its bearer act as an agent or as a user of an organization.
type Credential struct {
	Hash              SecretHash
	Kind              CredentialKind
	Organization      uuid.UUID
	User              uuid.UUID // zero for an agent's secret
	Agent             uuid.UUID // zero for a user's
	Name              string    // what its owner calls it; may be empty
	ExpiresAt         time.Time // UTC, microseconds; zero: never
	RequestsPerMinute uint32    // zero: the node's default
}

// credentialNamespace makes credential ids.
var credentialNamespace = uuid.MustParse("6d2b3c0e-7b0f-5c53-9b0c-6d65746572fe")

// ID names a credential where its secret must not appear: a name-based UUID over its kind and hash.
func (c Credential) ID() uuid.UUID {
	return uuid.NewSHA1(credentialNamespace, append([]byte{byte(c.Kind)}, c.Hash[:]...))
}

// Rate is the price of a million units of a usage type of a model, from a moment on.
type Rate struct {
	ID                    uuid.UUID // see RateID
	Model                 string
	UsageType             string
	Provider              string
	ProviderUSDPerMillion USD
	BilledUSDPerMillion   USD
	From                  time.Time // inclusive, UTC
}

// InstantValid reports whether the catalog can hold an instant: from 1970 until the end of 2199.
func InstantValid(t time.Time) bool { return t.Unix() >= 0 && t.UTC().Year() < 2200 }

// rateNamespace makes rate ids: a change of any part of a rate is another rate, so that a cost can
// always be explained by the rate whose id it carries.
var rateNamespace = uuid.MustParse("6d2b3c0e-7b0f-5c53-9b0c-6d65746572ff")

// RateID returns the id of a rate: a name-based UUID over all of its other fields.
func RateID(r Rate) uuid.UUID {
	var b []byte
	for _, s := range []string{
		r.Model, r.UsageType, r.Provider, r.ProviderUSDPerMillion.String(),
		r.BilledUSDPerMillion.String(), r.From.UTC().Format(time.RFC3339Nano),
	} {
		b = append(append(b, s...), 0)
	}
	return uuid.NewSHA1(rateNamespace, b)
}

// CatalogChange is what a change of the catalog writes. Its catalogs' own versions are not used.
type CatalogChange struct {
	Upsert Catalog // rows that are new or differ
	Retire Catalog // rows that no longer count; their key fields suffice
	Audit  []AuditEntry

	// Version orders changes and must be over every earlier one's. Two nodes that choose the same
	// at once would hide one change from those who saw the other: microseconds since 1970, and at
	// least one more than the newest version, keep them apart.
	Version uint64
	At      time.Time
	Actor   string // who, for the record
	Summary string // what, for the record
}
