package native

import (
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// Names on the wire.
const (
	eventsPath  = "/v1/events"
	eventPath   = eventsPath + "/:id"
	historyPath = eventPath + "/history"

	mimeJSON        = "application/json"
	mimeNDJSON      = "application/x-ndjson"
	mimeJSONL       = "application/jsonl"
	mimeCloudEvent  = "application/cloudevents+json"
	mimeCloudEvents = "application/cloudevents-batch+json"
	mimeMergePatch  = "application/merge-patch+json"
)

// form is how a body holds its events.
type form uint8

// The forms of a body. Those from asCloudEvent on have their events in envelopes.
const (
	asJSON form = iota // an event or an array of events
	asLines
	asCloudEvent
	asCloudEvents
	asBinaryCloudEvent // one event, its envelope in the headers
)

// expected says what is missing where a body is some other JSON value.
var expected = [...]string{
	asJSON:             "an event or an array of events is expected",
	asLines:            "an event is expected",
	asCloudEvent:       "a CloudEvent is expected, a JSON object",
	asCloudEvents:      "an array of CloudEvents is expected",
	asBinaryCloudEvent: "an event is expected: the body of a CloudEvent has one",
}

// What the native API bounds more tightly than the ledger does.
const (
	providerKeyBytesMax = 4096 // the key itself, before it is obfuscated
	reflectedMax        = 64   // characters of a client's name that an answer repeats
)

// quantityEnd is the first coefficient with 13 integer digits.
const quantityEnd = 1_000_000_000_000 * 1_000_000

// member is one of the members of an event: a bit, so that a set of them is a member as well.
type member uint16

// The members of an event.
const (
	memberID member = 1 << iota
	memberTime
	memberAgentID
	memberUserID
	memberService
	memberChannel
	memberAPIName
	memberEndpoint
	memberProvider
	memberProviderEndpoint
	memberProviderKey
	memberModel
	memberChargeable
	memberPurpose
	memberUsage
	memberCost
)

// membersFixed are what a correction leaves as it is.
const membersFixed = memberID | memberTime

// memberOf returns the member with a name; 0 when there is none.
func memberOf(name string) member {
	switch name {
	case "id":
		return memberID
	case "time":
		return memberTime
	case "agent_id":
		return memberAgentID
	case "user_id":
		return memberUserID
	case "service":
		return memberService
	case "channel":
		return memberChannel
	case "api_name":
		return memberAPIName
	case "endpoint":
		return memberEndpoint
	case "provider":
		return memberProvider
	case "provider_endpoint":
		return memberProviderEndpoint
	case "provider_key":
		return memberProviderKey
	case "model":
		return memberModel
	case "chargeable":
		return memberChargeable
	case "purpose":
		return memberPurpose
	case "usage":
		return memberUsage
	case "cost_usd":
		return memberCost
	}
	return 0
}

// textOf returns where a descriptive member is kept; nil for the others.
func textOf(e *schema.Event, m member) *string {
	switch m {
	case memberService:
		return &e.Service
	case memberChannel:
		return &e.Channel
	case memberAPIName:
		return &e.APIName
	case memberEndpoint:
		return &e.Endpoint
	case memberProvider:
		return &e.Provider
	case memberProviderEndpoint:
		return &e.ProviderEndpoint
	case memberModel:
		return &e.Model
	case memberPurpose:
		return &e.Purpose
	}
	return nil
}

// receipt is the answer to a request whose events were taken.
type receipt struct {
	Accepted   int                   `json:"accepted"`
	Duplicates int                   `json:"duplicates"`
	Rejected   []dialect.ProblemItem `json:"rejected"`
	Results    []result              `json:"results,omitempty"`
}

// result is what became of one event of a request.
type result struct {
	Index   int        `json:"index"`
	ID      *uuid.UUID `json:"id,omitempty"` // absent when it was rejected
	Status  string     `json:"status"`
	Field   string     `json:"field,omitempty"`
	Message string     `json:"message,omitempty"`
}

// listing is a page of events.
type listing struct {
	Items      []revision `json:"items"`
	NextCursor *string    `json:"next_cursor"`
}

// The statuses of a result.
const (
	statusAccepted  = "accepted"
	statusDuplicate = "duplicate"
	statusRejected  = "rejected"
)
