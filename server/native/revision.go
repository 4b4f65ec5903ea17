package native

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// revision is an event as it is read: its members as they were written, and what the ledger knows
// besides.
type revision struct {
	ID       uuid.UUID `json:"id"`
	Revision uint32    `json:"revision"`
	State    string    `json:"state"`
	Time     time.Time `json:"time"`

	AgentID          *uuid.UUID `json:"agent_id,omitempty"`
	UserID           *uuid.UUID `json:"user_id,omitempty"`
	Service          string     `json:"service,omitempty"`
	Channel          string     `json:"channel,omitempty"`
	APIName          string     `json:"api_name,omitempty"`
	Endpoint         string     `json:"endpoint,omitempty"`
	Provider         string     `json:"provider,omitempty"`
	ProviderEndpoint string     `json:"provider_endpoint,omitempty"`
	ProviderKey      string     `json:"provider_key,omitempty"`
	Model            string     `json:"model,omitempty"`
	Chargeable       bool       `json:"chargeable"`
	Purpose          string     `json:"purpose,omitempty"`

	Usage   map[string]string  `json:"usage"`
	CostUSD string             `json:"cost_usd,omitempty"` // where it was given
	Pricing map[string]pricing `json:"pricing"`

	RecordedAt   time.Time  `json:"recorded_at"`
	CorrectedBy  string     `json:"corrected_by,omitempty"`
	Reason       string     `json:"reason,omitempty"`
	VoidedAt     *time.Time `json:"voided_at,omitempty"`
	VoidedBy     string     `json:"voided_by,omitempty"`
	VoidedReason string     `json:"voided_reason,omitempty"`
}

// pricing is where a usage type's costs come from. An unpriced one has none.
type pricing struct {
	State           string     `json:"state"`
	RateID          *uuid.UUID `json:"rate_id,omitempty"`
	ProviderCostUSD string     `json:"provider_cost_usd,omitempty"`
	BilledCostUSD   string     `json:"billed_cost_usd,omitempty"`
}

// history is every revision of an event.
type history struct {
	ID        uuid.UUID  `json:"id"`
	Revisions []revision `json:"revisions"`
}

// The states of a revision.
const (
	stateCurrent  = "current"
	stateReversed = "reversed"
	stateVoided   = "voided"
)

var pricingStates = map[schema.Pricing]string{
	schema.Unpriced: "unpriced",
	schema.Rated:    "rated",
	schema.Given:    "given",
}

func revisionOf(r dialect.Revision) revision {
	e := &r.Event
	to := revision{
		ID: e.ID, Revision: e.Revision, State: stateCurrent, Time: e.Time,
		AgentID: present(e.Agent), UserID: present(e.User),
		Service: e.Service, Channel: e.Channel, APIName: e.APIName, Endpoint: e.Endpoint,
		Provider: e.Provider, ProviderEndpoint: e.ProviderEndpoint, ProviderKey: e.ProviderKey,
		Model: e.Model, Chargeable: e.Chargeable, Purpose: e.Purpose,
		Usage:      make(map[string]string, len(e.Measurements)),
		Pricing:    make(map[string]pricing, len(e.Measurements)),
		RecordedAt: r.At, CorrectedBy: r.By, Reason: r.Reason,
	}
	switch {
	case r.Voided:
		to.State, to.VoidedAt = stateVoided, &r.VoidedAt
		to.VoidedBy, to.VoidedReason = r.VoidedBy, r.VoidedReason
	case r.Reversed:
		to.State = stateReversed
	}
	for _, m := range e.Measurements {
		to.Usage[m.UsageType] = m.Quantity.String()
		to.Pricing[m.UsageType] = pricingOf(m)
	}
	if provider, _, given := givenCost(e.Measurements); given {
		to.CostUSD = provider.String()
	}
	return to
}

func pricingOf(m schema.Measurement) pricing {
	p := pricing{State: pricingStates[m.Pricing], RateID: present(m.Rate)}
	if m.Pricing != schema.Unpriced {
		p.ProviderCostUSD, p.BilledCostUSD = m.ProviderCost.String(), m.BilledCost.String()
	}
	return p
}

// present returns an id, nil for none.
func present(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

func etagOf(revision uint32) string { return `"` + strconv.FormatUint(uint64(revision), 10) + `"` }
