package schema

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Meter says what a Stripe meter counts.
type Meter struct {
	Name       string    // Stripe's event_name
	Unit       MeterUnit // of what it is told
	UsageTypes []string  // that it counts; empty: all
	Models     []string  // that it counts: names, or beginnings of names before a *; empty: all
	StripeID   string    // mtr_…; empty: looked up by name
}

// MeterUnit is what one unit of a meter is.
type MeterUnit int8

// The units, by their numbers in the meters table.
const (
	MicroUSD   MeterUnit = 0 // a millionth of a US dollar of billed cost
	WholeUnits MeterUnit = 1 // a unit of the usage type: a second, a token, a call
)

// String returns the unit as it is written in files and answers.
func (u MeterUnit) String() string {
	if u == WholeUnits {
		return "quantity"
	}
	return "micro_usd"
}

// ParseMeterUnit reads what String writes. Empty is MicroUSD.
func ParseMeterUnit(s string) (MeterUnit, bool) {
	switch s {
	case "", "micro_usd":
		return MicroUSD, true
	case "quantity":
		return WholeUnits, true
	}
	return 0, false
}

// MeterMapping is a meter that an organization's usage is reported to.
type MeterMapping struct {
	Meter            string // Meter.Name
	SubscriptionItem string // Stripe's si_…, for mode UsageRecord; else may be empty
}

// SlotLength is how long a slot is.
const SlotLength = time.Hour

// SlotUnitsMax bounds the units of a slot, either way: Stripe keeps fifteen digits of a value.
const SlotUnitsMax = 999_999_999_999_999

// Slot names one number that Stripe is told: what an organization used of a meter in a UTC hour.
type Slot struct {
	Organization uuid.UUID
	Meter        string    // Stripe's event_name; empty: no meter counts the usage
	Start        time.Time // of the hour, UTC
}

const slotTime = "2006-01-02T15"

// End returns the end of the slot's hour.
func (s Slot) End() time.Time { return s.Start.Add(SlotLength) }

// String returns the slot's name, as organization/meter/2026-11-22T13.
func (s Slot) String() string {
	return s.Organization.String() + "/" + s.Meter + "/" + s.Start.UTC().Format(slotTime)
}

// ParseSlot reads what String writes.
func ParseSlot(text string) (Slot, error) {
	bad := fmt.Errorf("slot %q: must be organization/meter/hour, as "+
		"0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55/usage_micro_usd/2026-11-22T13", text)
	first, rest, ok := strings.Cut(text, "/")
	last := strings.LastIndexByte(rest, '/')
	if !ok || last < 0 {
		return Slot{}, bad
	}
	organization, err := uuid.Parse(first)
	if err != nil || len(first) != 36 {
		return Slot{}, bad
	}
	start, err := time.Parse(slotTime, rest[last+1:])
	if err != nil {
		return Slot{}, bad
	}
	return Slot{organization, rest[:last], start}, nil
}

// ReportMode is how Stripe is told.
type ReportMode int8

// The modes, by their numbers in report_intents.
const (
	Preaggregated ReportMode = 1 // a meter event with the slot's total replaces the one before
	UsageRecord   ReportMode = 2 // a usage record with the slot's total, action set
	Raw           ReportMode = 3 // a meter event with the difference adds to those before
)

var reportModes = map[ReportMode]string{
	Preaggregated: "preaggregated", UsageRecord: "usage_record", Raw: "raw",
}

// String returns the mode as METERHOUSE_STRIPE_MODE has it.
func (m ReportMode) String() string { return reportModes[m] }

// ParseReportMode reads what String writes.
func ParseReportMode(s string) (ReportMode, bool) {
	for m, name := range reportModes {
		if name == s {
			return m, true
		}
	}
	return 0, false
}

// Verdict is what is known of sending a revision. The greatest one is the revision's state.
type Verdict int8

// The verdicts, by their numbers in report_outcomes.
const (
	NotSent Verdict = 0 // no attempt is known

	Unknown Verdict = 1 // Stripe may have it: no answer, or an error of Stripe's own
	Retry   Verdict = 2 // Stripe does not have it yet: too many requests, or one under way
	Rotate  Verdict = 3 // as Unknown, and the idempotency key replays an error: the next is needed

	Abandoned   Verdict = 10 // Stripe does not have it, and it will not be sent again
	Rejected    Verdict = 11 // Stripe refused it
	KeyConflict Verdict = 12 // Stripe had another value under its key: must never be

	Accepted  Verdict = 20 // Stripe took it
	Duplicate Verdict = 21 // Stripe had it
	Settled   Verdict = 22 // Stripe's own sums show it

	Refused Verdict = 30 // Stripe took it, and reported later that it does not count
	Differs Verdict = 31 // Stripe took it, and its own sums do not show it
)

var verdicts = map[Verdict]string{
	NotSent: "not_sent", Unknown: "unknown", Retry: "retry", Rotate: "rotate",
	Abandoned: "abandoned", Rejected: "rejected", KeyConflict: "conflict",
	Accepted: "accepted", Duplicate: "duplicate", Settled: "settled",
	Refused: "refused", Differs: "differs",
}

// String returns the verdict as report_outcomes has it.
func (v Verdict) String() string { return verdicts[v] }

// Open reports whether the revision may still be sent.
func (v Verdict) Open() bool { return v < Abandoned }

// Delivered reports whether Stripe has the revision.
func (v Verdict) Delivered() bool { return v >= Accepted && v < Refused }

// Intent is a revision of a slot, as it was fixed before the first call.
type Intent struct {
	Slot             Slot
	Revision         uint32 // counts from 1
	Mode             ReportMode
	Total            int64  // units of the slot
	Send             int64  // units that are sent: Total, in mode Raw the difference
	Identifier       string // names the revision to Stripe
	Customer         string
	SubscriptionItem string // for mode UsageRecord
	CreatedAt        time.Time
	Writer           uuid.UUID // the instance
}

// Revision is an intent and what came of it.
type Revision struct {
	Intent
	Verdict   Verdict   // the greatest of its outcomes
	Attempts  uint64    // that are known
	Rotations uint64    // of its idempotency key that are known to be needed
	LastAt    time.Time // of the newest outcome; zero: there is none
}

// Outcome is what came of one attempt, or was learned of a revision later.
type Outcome struct {
	Slot          Slot
	Revision      uint32
	Verdict       Verdict
	KeyGeneration uint16 // of the idempotency key
	At            time.Time
	Writer        uuid.UUID
	HTTPStatus    uint16 // 0: there was no answer
	RequestID     string // Stripe's
	Detail        string // without secrets
}

// Carry moves units from where Stripe takes no more to a slot that is open.
type Carry struct {
	Organization uuid.UUID
	Meter        string
	From         time.Time // the hour, or the start of the closed period
	Number       uint32    // counts those of From from 1
	ID           uuid.UUID // of the try
	To           time.Time // the hour of the slot that takes them
	Units        int64     // may be negative
	Reason       string
	CreatedAt    time.Time
	Writer       uuid.UUID
}

// StripePeriod is a billing period of an organization and meter, as an invoice told of it.
type StripePeriod struct {
	Organization  uuid.UUID
	Meter         string
	Start, End    time.Time
	Finalized     bool
	Invoice       string // in_…
	InvoicedUnits int64  // once it is finalized
	SeenAt        time.Time
}

// Comparison is what Stripe said it holds beside what it was told.
type Comparison struct {
	Organization uuid.UUID
	Meter        string
	From, To     time.Time
	Ledger       int64  // units that are billable
	Reported     int64  // units that Stripe accepted
	Stripe       int64  // units that Stripe says it has
	Repaired     uint32 // slots that will be sent again because of it
	At           time.Time
	Run          uuid.UUID

	Part bool // a day or an hour of the one before it that is none

	// Of the answer only: these are not kept.
	Skipped bool   // nothing was compared: Detail says why
	Detail  string // what a difference calls for
}

// Difference returns the units that Stripe has beyond what it was told.
func (c Comparison) Difference() int64 { return c.Stripe - c.Reported }

// Webhook is an event that Stripe sent.
type Webhook struct {
	ID         string
	Type       string
	ReceivedAt time.Time
	Done       bool
	DoneAt     time.Time
	Detail     string // what came of it
	Body       []byte // as it was signed
}

// RunEnd is how a pass of the reporter ended.
type RunEnd int8

// The ends, by their numbers in report_runs.
const (
	RunDone        RunEnd = 1 // everything that could be told was
	RunLimited     RunEnd = 2 // Stripe asked for fewer requests
	RunUnreachable RunEnd = 3 // Stripe did not answer, for one customer after the other
	RunHalted      RunEnd = 4 // Stripe refused the key
	RunFailed      RunEnd = 5 // the database did not answer
)

var runEnds = map[RunEnd]string{
	RunDone: "done", RunLimited: "limited", RunUnreachable: "unreachable", RunHalted: "halted",
	RunFailed: "failed",
}

// String returns the end as report_runs has it.
func (e RunEnd) String() string { return runEnds[e] }

// ReportRun is one pass of the reporter.
type ReportRun struct {
	ID        uuid.UUID
	Writer    uuid.UUID
	StartedAt time.Time
	EndedAt   time.Time
	Slots     uint64 // that had something to be told
	Sent      uint64 // revisions that Stripe has since
	Failed    uint64 // slots that are left for another pass
	End       RunEnd
	NotBefore time.Time // the next calls of Stripe; zero: at once
	Detail    string
}

// StripeAccount is an account of Stripe's that a database is reported to.
type StripeAccount struct {
	Number uint64 // counts a database's accounts from 1; 0: there is none
	Live   bool   // false: a test account, or a sandbox
	ID     string // acct_…; empty: the key may not ask
	At     time.Time
	Writer uuid.UUID
}

// String names an account as people know it.
func (a StripeAccount) String() string {
	name := "a test account"
	if a.Live {
		name = "a live account"
	}
	if a.ID != "" {
		name += " (" + a.ID + ")"
	}
	return name
}

// Is reports whether two may be one account: whose ids are known have the same.
func (a StripeAccount) Is(other StripeAccount) bool {
	return a.Live == other.Live && (a.ID == "" || other.ID == "" || a.ID == other.ID)
}
