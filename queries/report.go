package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// SlotsParams asks for an organization's slots whose hours start in [From, To).
type SlotsParams struct {
	Organization uuid.UUID // zero: every one's
	From, To     time.Time
	Limit        uint64
}

// SlotStatus is a slot and what Stripe was told of it.
type SlotStatus struct {
	Slot       schema.Slot
	Unit       schema.MeterUnit
	Own        int64 // units of its own usage
	Carried    int64 // units that were carried into it
	CarriedOut int64 // units that were carried from it, or, at its start, from its period
	Told       int64 // units that Stripe has
	Unpriced   int64 // measurements without a rate
	Latest     schema.Revision
	Failures   uint32 // its newest revisions that Stripe did not keep, in a row
	Said       string // the detail of the newest outcome of the newest revision
	Closed     bool   // its period is invoiced
	Mapped     bool   // it has a meter and a customer
}

// SlotStatuses returns slots with usage, revisions or carries, ordered by hour, organization, meter.
func (q *Queries) SlotStatuses(ctx context.Context, p SlotsParams) ([]SlotStatus, error) {
	panic("not yet")
}

// SlotUsage returns what a slot's number is made of, by usage type, model and rate, from the
// ledger itself.
func (q *Queries) SlotUsage(ctx context.Context, s schema.Slot) ([]schema.SlotUsage, error) {
	panic("not yet")
}

// SlotEventsParams asks for the first of a slot's events.
type SlotEventsParams struct {
	Slot  schema.Slot
	Limit uint64
}

// SlotEvents returns the ledger's rows that a slot counts, ordered by time.
func (q *Queries) SlotEvents(ctx context.Context, p SlotEventsParams) ([]schema.SlotEvent, error) {
	panic("not yet")
}

// DueParams asks what has to be carried.
type DueParams struct {
	Mode    schema.ReportMode
	From    time.Time // older hours and periods are left alone
	Oldest  time.Time // windows before are too old for Stripe
	Carried time.Time // what was carried from an origin after waits
	Limit   uint64
}

// Due is units that Stripe has to be told of elsewhere.
type Due struct {
	Organization uuid.UUID
	Meter        string
	From         time.Time // the hour, or the start of the closed period
	Period       bool      // it is a closed period
	Number       uint32    // of the next carry
	Units        int64
}

// DueCarries returns what closed periods and hours that Stripe takes no more lack: of a finalized
// period, what is billable in it beyond what was invoiced; of an hour in no such period that was
// reported once or came after the first that was, what is billable beyond what Stripe has. What was
// carried before is taken off.
func (q *Queries) DueCarries(ctx context.Context, p DueParams) ([]Due, error) {
	panic("not yet")
}

// InsertCarry writes a carry unless its number is taken. Whether it was, CarryWritten tells, as with
// FreezeIntents.
func (q *Queries) InsertCarry(ctx context.Context, c schema.Carry, within time.Duration) error {
	panic("not yet")
}

// CarryWritten reports whether a carry is there: whether its writer was first.
func (q *Queries) CarryWritten(ctx context.Context, c schema.Carry) (bool, error) {
	panic("not yet")
}

// SlotCarries returns the carries into and out of a slot, and out of the period that starts with it.
func (q *Queries) SlotCarries(ctx context.Context, s schema.Slot) ([]schema.Carry, error) {
	panic("not yet")
}

// ReportedParams asks for what Stripe was told of slots whose hours start in [From, To).
type ReportedParams struct {
	Organization uuid.UUID // zero: every one's
	Meter        string    // empty: every one
	Mode         schema.ReportMode
	From, To     time.Time
	Settled      time.Time // slots with an open revision or an outcome after are said to be unsettled
}

// Reported is what Stripe was told of a slot.
type Reported struct {
	Slot     schema.Slot
	Customer string
	Item     string
	Ledger   int64 // units that are billable, carries included
	Told     int64 // units that Stripe accepted
	Latest   uint32
	Settled  bool
}

// Reported returns what Stripe was told, of every slot with a revision, ordered by organization,
// meter and hour.
func (q *Queries) Reported(ctx context.Context, p ReportedParams) ([]Reported, error) {
	panic("not yet")
}

// InsertComparisons keeps comparisons.
func (q *Queries) InsertComparisons(ctx context.Context, all []schema.Comparison) error {
	panic("not yet")
}

// ComparisonsParams asks for comparisons made in [From, To).
type ComparisonsParams struct {
	Organization uuid.UUID // zero: every one's
	From, To     time.Time
	Limit        uint64
}

// Comparisons returns comparisons, the newest first.
func (q *Queries) Comparisons(
	ctx context.Context, p ComparisonsParams,
) ([]schema.Comparison, error) {
	panic("not yet")
}

// ReportBacklog is how far the reports are, of everybody.
type ReportBacklog struct {
	Unsynced      uint64    // slots, sealed, that Stripe was told otherwise of
	Oldest        time.Time // start of the oldest of them; zero: there is none
	Unmapped      uint64    // slots with usage that no meter counts
	UnmappedUnits int64     // micro-USD of them
	TooLarge      uint64    // slots of more than schema.SlotUnitsMax
	Conflicts     uint64    // revisions with verdict KeyConflict: must be none
	Rejected      uint64    // slots whose newest revision Stripe refused
}

// ReportBacklog returns how far the reports are. Params are those of OpenSlots.
func (q *Queries) ReportBacklog(
	ctx context.Context, p OpenSlotsParams,
) (ReportBacklog, error) {
	panic("not yet")
}

// EstimateParams asks for an organization's metered usage in [From, To), both whole hours.
type EstimateParams struct {
	Organization uuid.UUID
	From, To     time.Time
	Recent       time.Time // from which on usage shows the present rate
}

// EstimateRow is what was used of a model, for a meter.
type EstimateRow struct {
	Meter          string // empty: no meter counts it
	Unit           schema.MeterUnit
	Model          string
	UsageType      string
	Quantity       schema.Quantity
	BilledCost     schema.USD
	RecentQuantity schema.Quantity
	RecentCost     schema.USD
	Unpriced       int64
}

// EstimateUsage returns what was used so far, ordered by meter, model and usage type.
func (q *Queries) EstimateUsage(ctx context.Context, p EstimateParams) ([]EstimateRow, error) {
	panic("not yet")
}
