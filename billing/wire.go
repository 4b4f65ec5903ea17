package billing

import (
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// Delivery is a revision on its way to Stripe.
type Delivery struct {
	schema.Intent
	Key  string    // idempotency key
	Time time.Time // of the meter event or usage record
}

// Answer is what a call of Stripe came to.
type Answer struct {
	Verdict    schema.Verdict // of the revision; NotSent when Ends says more
	Ends       schema.RunEnd  // RunLimited, RunHalted: why the pass goes no further; 0: it goes on
	Silent     bool           // nothing came back from Stripe
	RetryAfter time.Duration  // what Stripe asked for; 0: it did not
	HTTPStatus uint16         // 0: there was no answer
	RequestID  string
	Detail     string // without secrets
}

// Bucket is what Stripe says it has of a customer's meter in [From, To).
type Bucket struct {
	From, To time.Time
	Units    int64
}

// Grouping is the length of the buckets of a summary.
type Grouping int8

// The groupings.
const (
	Whole Grouping = iota // one bucket
	ByDay
	ByHour
)

// SummaryParams asks Stripe for what it has of a customer's meter in [From, To), whole minutes;
// whole days or hours where they are grouped.
type SummaryParams struct {
	Meter    string // mtr_…
	Customer string
	From, To time.Time
	By       Grouping
}

// InvoiceLine is a metered line of an invoice.
type InvoiceLine struct {
	Meter            string // mtr_… of its price; empty: the price has no meter
	SubscriptionItem string
	Start, End       time.Time // of the service period
	Quantity         int64     // units
}

// Invoice is what an invoice event tells of.
type Invoice struct {
	ID       string
	Customer string
	Status   string // draft, open, paid, …
	Lines    []InvoiceLine
	More     bool // there are lines that the event does not hold
}

// Notice is an event of Stripe's whose signature was right.
type Notice struct {
	ID      string
	Type    string
	Thin    bool // its contents have to be fetched
	Invoice *Invoice
}

// MeterProblem is what Stripe found wrong with a meter event it had accepted.
type MeterProblem struct {
	Code       string // as meter_event_customer_not_found
	Identifier string // of the revision; empty: not told
	Message    string
}
