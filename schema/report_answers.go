package schema

import (
	"time"

	"github.com/google/uuid"
)

// SlotState says how far a slot is.
type SlotState string

// The states.
const (
	SlotOpen     SlotState = "open"     // its hour is not over, or may still get usage of its time
	SlotPending  SlotState = "pending"  // Stripe is to be told, or to be told again
	SlotSent     SlotState = "sent"     // Stripe was told and has not said that it has it
	SlotAcked    SlotState = "acked"    // Stripe has what is billable, or what it lacks is carried
	SlotRejected SlotState = "rejected" // Stripe refused it; it is tried again when it has rested
	SlotUnmapped SlotState = "unmapped" // no meter counts the usage, or there is no customer
)

// SlotsParams asks for the slots whose hours start in [From, To).
type SlotsParams struct {
	Organization uuid.UUID // zero: every one's
	From, To     time.Time
	Limit        int
}

// SlotReport is a slot, what is billable in it, and what Stripe was told.
type SlotReport struct {
	Slot       Slot
	Unit       MeterUnit
	Billable   int64 // units: its own usage and what was carried into it
	Reported   int64 // units that Stripe has
	CarriedIn  int64
	CarriedOut int64 // units that were carried from it, or, at its start, from its closed period
	State      SlotState
	Revision   uint32 // the newest; 0: none
	Unpriced   int64  // measurements without a rate: not in Billable
	Closed     bool   // its period is invoiced
	Detail     string // of a rejected or unmapped slot: what to do
}

// SlotUsage is a part of a slot's usage that was priced alike.
type SlotUsage struct {
	UsageType    string
	Model        string
	Rate         uuid.UUID // zero: no rate made the cost
	Pricing      Pricing
	Events       int64
	Measurements int64
	Quantity     Quantity
	BilledCost   USD
}

// SlotEvent is an event's part of a slot: reversals and replacements are rows of their own.
type SlotEvent struct {
	Event      uuid.UUID
	Revision   uint32
	Reversal   bool
	Time       time.Time
	UsageType  string
	Model      string
	Quantity   Quantity
	BilledCost USD
	Rate       uuid.UUID
}

// Explanation is everything behind one slot's number.
type Explanation struct {
	Report    SlotReport
	Usage     []SlotUsage
	Rates     []Rate // that made the costs, as the catalog has them
	Exact     string // the decimal that was rounded: micro-USD, or units
	Rounded   int64  // half to even: units of its own usage
	Events    []SlotEvent
	More      bool // there are more events
	Revisions []Revision
	Outcomes  []Outcome
	Carries   []Carry
}

// EstimateParams asks what an organization's period comes to.
type EstimateParams struct {
	Organization uuid.UUID
	From, To     time.Time // the period; both zero: the one that is open
}

// Estimate is what an organization used in a period so far, and what it comes to at its end when
// usage goes on as of late.
type Estimate struct {
	Organization uuid.UUID
	From, To     time.Time // the period
	Source       string    // of the period: stripe, calendar_month or request
	At           time.Time // up to when usage is counted
	RecentFrom   time.Time // from when on usage shows the present rate
	Meters       []MeterEstimate
	CostUSD      USD // so far, of all usage
	ProjectedUSD USD
	Unpriced     int64 // measurements without a rate
}

// MeterEstimate is a meter's part of an estimate.
type MeterEstimate struct {
	Meter     string // empty: no meter counts it
	Unit      MeterUnit
	Units     string // so far, a decimal
	Projected string // a decimal
	CostUSD   USD
	Models    []ModelEstimate
}

// ModelEstimate is a model's part of a meter's.
type ModelEstimate struct {
	Model        string // empty: none
	UsageType    string
	Quantity     Quantity
	Projected    Quantity
	CostUSD      USD
	ProjectedUSD USD
	Unpriced     int64
}
