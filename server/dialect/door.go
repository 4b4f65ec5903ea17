// Package dialect is the narrow door between the wire dialects and the system: what a dialect may
// ask for, and the few helpers that more than two of them share. A dialect translates; it reaches
// neither ClickHouse nor another dialect.
package dialect

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// Door is everything a dialect may ask of the system. Every method returns a *schema.Error for
// what the client can do something about; any other error is internal.
type Door struct {
	Access    Access
	Recorder  Recorder
	Reader    Reader
	Corrector Corrector
	Catalog   Catalog
	Reports   Reports
	Usage     Usage
	Exports   Exports
	Erasures  Erasures
	System    System
	Now       func() time.Time
	NewID     func() uuid.UUID // a fresh UUIDv7
	// Logger hears of what fails when an answer has begun, where nobody can be told; may be nil.
	Logger *slog.Logger
}

// Access resolves credentials and answers what the catalog holds.
type Access interface {
	// Snapshot returns the catalog as of now. It is immutable and safe to keep for one request.
	Snapshot() *access.Snapshot
	// Secret returns who presents a secret of one kind. Errors: Unauthenticated, with
	// access.ErrExpired in its chain when the secret was good once; Overloaded when its credential
	// asks too often: the Caller then has its Allowance, and nothing else.
	Secret(secret string, kind schema.CredentialKind) (access.Caller, error)
	// Bearer returns who presents a bearer token: an access token, an app password or a JWT.
	// organization chooses among those of a JWT's user (its X-Organization-ID header), empty for
	// none. Errors as Secret's, and Forbidden without an active membership there.
	Bearer(token, organization string) (access.Caller, error)
	// IssueToken exchanges an app password for a JWT that Bearer knows. Errors as Secret's.
	IssueToken(appPassword string) (access.Issued, error)
}

// Recorder takes events into the ledger.
type Recorder interface {
	// Record validates and prices events and returns once every accepted one is durable. Events
	// keep their order; Receipt.Rejected names those that were not accepted and why. All events
	// belong to one organization. With atomic, one rejection accepts nothing.
	// An error means that nothing was accepted: Overloaded or Unavailable with RetryAfter.
	// The events and their strings may be reused by the caller after it returns.
	// The measurements of accepted events are left with the costs they were given.
	Record(ctx context.Context, events []schema.Event, atomic bool) (Receipt, error)
	// WaitStored returns once ClickHouse has every event of this node up to a Receipt's Sequence,
	// and reads of its organization see them. The error is ctx's.
	WaitStored(ctx context.Context, organization uuid.UUID, sequence uint64) error
}

// Receipt says what became of each event of a request: accepted, a known duplicate, or rejected.
type Receipt struct {
	Accepted   int
	Duplicates int
	Rejected   []Rejection
	Repeated   []int // positions in the request of the known duplicates, ascending

	// Sequence is up to where ClickHouse must have this node's events to have the request's, its
	// known duplicates too; 0 when none was accepted or known.
	Sequence uint64
}

// Rejection is why one event of a request was not accepted.
type Rejection struct {
	Index int // position in the request
	Err   *schema.Error
}

// Reader asks about usage. Every question is scoped by an organization; ranges are half open, UTC.
// Answers but those by id are shared with others who ask the same, may be half a second old, and
// must not be changed. What WaitStored, Correct and Erase promise to be visible, they show. Each
// returns when its ctx ends. TooLarge when a question takes more than one may.
type Reader interface {
	// AgentUsage returns what an agent used in [From, To), exact to the microsecond, one row per
	// (usage type, log insights or not), ordered by usage type. A zero From means from the first
	// event; the effective start is returned.
	AgentUsage(ctx context.Context, p AgentUsageParams) (AgentUsage, error)
	// UsageRecord returns one event's UNITS measurement in its current revision. It sees events
	// that this node acknowledged, waiting for them to be stored. NotFound when there is none.
	UsageRecord(ctx context.Context, organization, id uuid.UUID) (UsageRecord, error)
	// UsageRecords returns UNITS measurements ordered by time, then id, ascending.
	UsageRecords(ctx context.Context, p UsageRecordsParams) ([]UsageRecord, error)
	// Event returns an event in its newest revision, voided or not. It sees events that this node
	// acknowledged, waiting for them to be stored. NotFound when the organization has none.
	Event(ctx context.Context, organization, id uuid.UUID) (Revision, error)
	// EventHistory returns every revision of an event, the first one first, else as Event.
	EventHistory(ctx context.Context, organization, id uuid.UUID) ([]Revision, error)
	// Events returns a page of an organization's events, the newest first.
	Events(ctx context.Context, p EventsParams) (EventsPage, error)
	// BillableRequests returns a user's events of services in their current revisions, the newest
	// first, and what all of them in the range cost.
	BillableRequests(ctx context.Context, p BillableRequestsParams) (BillableRequests, error)
	// ConsumptionLogs hands consumption by period, user and agent, in that order, to each, whose
	// error ends it and is returned: one row for each (period, user, agent, usage type, charge,
	// provider, endpoint, key, model, purpose). Overloaded when too many ask for much at once.
	ConsumptionLogs(
		ctx context.Context, p ConsumptionLogsParams, each func(Consumption) error,
	) error
	// Unpriced returns what was used without a rate to price it, the most measurements first.
	Unpriced(ctx context.Context, p UnpricedParams) ([]Unpriced, error)
}

// Corrector changes what the ledger says of an event: by the reversal of its current revision and,
// unless it is voided, the next one.
type Corrector interface {
	// Correct hands the event's current revision to p.Change and makes what it returns the next.
	// Of two writers of one revision one is first; the other's Change is called again with what
	// the first made. It returns once the ledger and every rollup have the correction. NotFound
	// when the organization has no such event or it is voided. After Unavailable the correction
	// may still be made: asking again is harmless.
	Correct(ctx context.Context, p CorrectParams) (Revision, error)
}

// Reports tells Stripe what is billable, and says what it was told.
type Reports interface {
	// Run makes one pass now and returns how it went.
	Run(ctx context.Context) (schema.ReportRun, error)
	// Slots returns slots ordered by hour, organization and meter. Invalid when there are more than
	// p.Limit of them: the range has to be narrowed.
	Slots(ctx context.Context, p schema.SlotsParams) ([]schema.SlotReport, error)
	// Explain returns everything behind a slot's number. NotFound when nothing is.
	Explain(ctx context.Context, s schema.Slot) (schema.Explanation, error)
	// Estimate returns what an organization's period comes to.
	Estimate(ctx context.Context, p schema.EstimateParams) (schema.Estimate, error)
	// Notify takes an event that Stripe sent, and returns once it is stored. Unauthenticated when
	// its signature is not right.
	Notify(ctx context.Context, body []byte, signature string) error
}

// Usage answers analysts' questions.
type Usage interface {
	// Query hands each row of an answer to each, in the query's order, whose error ends it and is
	// returned. Overloaded when too many ask at once; TooLarge or Invalid when the question takes
	// more time, memory or rows than one may: the message says what to narrow.
	Query(ctx context.Context, q schema.UsageQuery, each func(schema.UsageRow) error) error
	// Version returns a text that changes whenever the answer to q may have changed.
	Version(ctx context.Context, q schema.UsageQuery) (string, error)
	// Anomalies returns hours outside an agent's rhythm, the newest first, then by score.
	Anomalies(ctx context.Context, p schema.AnomaliesParams) ([]schema.Anomaly, error)
}

// Exports writes answers to files, in the background. Only whoever asked for an export, and admins
// of its organization, may see it: that is the caller's business.
type Exports interface {
	// Create notes an export, which will be made even if this node ends. Overloaded when the
	// organization has too many under way.
	Create(ctx context.Context, r schema.ExportRequest) (schema.Export, error)
	// Get returns an export. NotFound when the organization has none of this id.
	Get(ctx context.Context, organization, id uuid.UUID) (schema.Export, error)
	// List returns an organization's exports, the newest first.
	List(ctx context.Context, organization uuid.UUID) ([]schema.Export, error)
	// Cancel ends an export and removes its files. NotFound as Get.
	Cancel(ctx context.Context, organization, id uuid.UUID) error
	// Open opens a file of a done export. NotFound as Get, when it has no such file, and when it is
	// expired; Unavailable when another node has it.
	Open(ctx context.Context, organization, id uuid.UUID, name string) (io.ReadSeekCloser, error)
}

// Erasures replaces what identifies a person.
type Erasures interface {
	// Erase replaces a user's identifiers in an organization everywhere, and returns once nothing
	// that is stored has them; what stands in their place is returned. NotFound when the
	// organization never knew the user. Asking again is harmless. What takes long is returned before
	// it is done, and goes on by itself; so it does after Unavailable.
	Erase(ctx context.Context, organization, user uuid.UUID, actor string) (schema.Erasure, error)
}

// System says how this node is.
type System interface {
	// Status returns within a few seconds, whatever does not answer: its part says so. The error is
	// ctx's.
	Status(ctx context.Context) (schema.SystemStatus, error)
}

// CorrectParams asks for one correction.
type CorrectParams struct {
	Organization uuid.UUID
	Event        uuid.UUID
	Actor        string // who, for the record: see ActorOf
	Reason       string // why, for the record; may be empty

	// Change returns what the event shall be, nil to void it. Its id, organization, time and
	// revision stay what they are; measurements that it leaves Unpriced are priced by the rates of
	// the event's time. An event that is as before is no correction. An error ends it all and is
	// returned as it is. The event it is given is its own to change.
	Change func(current schema.Event) (*schema.Event, error)
}

// Revision is what the ledger says of an event since a correction, or since it was recorded.
type Revision struct {
	Event    schema.Event // Revision counts from 0; Entry is Record; no Key
	Reversed bool         // a later revision, or nothing, counts in its place
	Voided   bool         // reversed, and nothing is in its place
	At       time.Time    // when it was made
	By       string       // who corrected; empty for revision 0
	Reason   string

	VoidedAt     time.Time // of a voided one, when and by whom it was
	VoidedBy     string
	VoidedReason string
}

// EventsParams asks for the events in [From, Before) of the agent, the user, the model, the service
// and with the usage type that are not zero, as their newest revision says.
type EventsParams struct {
	Organization uuid.UUID
	Agent, User  uuid.UUID
	Model        string
	Service      string
	UsageType    string
	Voided       bool          // voided ones too
	From         time.Time     // zero: EventsDefault before now
	Before       EventPosition // its zero time: from the newest on
	Limit        int
}

// EventsDefault is how far back events are looked for unless it is said.
const EventsDefault = 31 * 24 * time.Hour

// EventPosition is a place in the order of events: before it are those with an earlier time or, of
// the same time, with an id that the ledger sorts before. The zero id is before all of a time.
type EventPosition struct {
	Time time.Time
	ID   uuid.UUID
}

// EventsPage is a page of events, the newest first.
type EventsPage struct {
	From   time.Time // the effective start
	Events []Revision
	// Next is where to go on; nil: there are no more. A page may be short, or empty, and have one.
	Next *EventPosition
}

// ActorOf names a caller for the record.
func ActorOf(c access.Caller) string {
	who := "user:" + c.User.String()
	if c.Agent != uuid.Nil {
		who = "agent:" + c.Agent.String()
	}
	if c.Credential != uuid.Nil {
		who += " credential:" + c.Credential.String()
	}
	return who
}

// AgentUsageParams asks about one agent in [From, To).
type AgentUsageParams struct {
	Organization uuid.UUID
	Agent        uuid.UUID
	From         time.Time // zero: the agent's first event
	To           time.Time // zero: now, to the microsecond; such questions are shared
}

// AgentUsage is what an agent used.
type AgentUsage struct {
	From time.Time // the effective start; To when the agent has no events
	To   time.Time // the effective end
	Rows []AgentUsageRow
}

// AgentUsageRow is the sum of one usage type.
type AgentUsageRow struct {
	UsageType   string
	LogInsights bool // usage of the service schema.LogInsights
	Quantity    schema.Quantity
}

// UsageRecord is one event as the usage tracker sees it.
type UsageRecord struct {
	ID          uuid.UUID
	User        uuid.UUID
	APIName     string
	Endpoint    string
	Units       schema.Quantity
	CostUSD     schema.USD
	ProviderKey string // obfuscated
	Time        time.Time
}

// UsageRecordsParams asks for a page of an organization's records.
type UsageRecordsParams struct {
	Organization uuid.UUID
	User         uuid.UUID // zero: every user's
	Offset       int
	Limit        int
}

// BillableRequestsParams asks for a user's events of services in [From, To).
type BillableRequestsParams struct {
	Organization uuid.UUID
	User         uuid.UUID
	From         time.Time
	To           time.Time
	Limit        int // of the requests; the sums are of all of them
}

// BillableRequests is what a user's events of services were and cost.
type BillableRequests struct {
	ProviderCost schema.USD
	BilledCost   schema.USD
	Newest       []BillableRequest
}

// BillableRequest is one event of a service.
type BillableRequest struct {
	ID           uuid.UUID
	Service      string
	Model        string
	Channel      string
	InputTokens  schema.Quantity // cached ones and those written to a cache included
	OutputTokens schema.Quantity // reasoning included
	ProviderCost schema.USD
	BilledCost   schema.USD
	Unpriced     int64 // measurements without a rate
	Time         time.Time
}

// UnpricedParams asks what had no rate in the UTC hours that start in [From, To).
type UnpricedParams struct {
	Organization uuid.UUID // zero: every one
	From         time.Time
	To           time.Time
	Limit        int
}

// Unpriced is what an organization used of a model and usage type without a rate.
type Unpriced struct {
	Organization uuid.UUID
	Model        string // empty: the client named none
	UsageType    string
	Measurements int64           // without a rate
	Quantity     schema.Quantity // of the hours that have such measurements, priced ones included
	First, Last  time.Time       // the first and the last of these hours
}

// Period is the grain of consumption logs.
type Period uint8

// The periods, in UTC.
const (
	Daily Period = iota + 1
	Monthly
)

// ConsumptionLogsParams asks for an organization's consumption by whole periods in [From, To).
type ConsumptionLogsParams struct {
	Period       Period
	Organization uuid.UUID
	User         uuid.UUID // zero: every user
	Agent        uuid.UUID // zero: every agent
	From         time.Time // start of the first period; zero: unbounded
	To           time.Time // end of the last period; zero: unbounded
}

// Consumption is the sum of one usage type in one period.
type Consumption struct {
	Start            time.Time // of the period
	User             uuid.UUID // zero: none
	Agent            uuid.UUID // zero: none
	UsageType        string
	Provider         string
	ProviderEndpoint string
	ProviderKey      string // obfuscated
	Model            string
	Chargeable       bool
	Purpose          string
	Quantity         schema.Quantity
}
