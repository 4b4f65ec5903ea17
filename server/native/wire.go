package native

import (
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// Names on the wire.
const (
	eventsPath = "/v1/events"

	mimeJSON   = "application/json"
	mimeNDJSON = "application/x-ndjson"
	mimeJSONL  = "application/jsonl"
)

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
}
