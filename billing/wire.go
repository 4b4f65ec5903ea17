package billing

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
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

// Invoice is what an invoice event, or the list of invoices, tells of.
type Invoice struct {
	ID       string
	Customer string
	Status   string    // draft, open, paid, uncollectible, void
	Created  time.Time // zero: not told
	Lines    []InvoiceLine
	More     bool // there are lines that it does not hold: Client.Lines has all
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

// summary is a meter event summary as Stripe sends it.
type summary struct {
	ID    string      `json:"id"`
	Value json.Number `json:"aggregated_value"`
	Start int64       `json:"start_time"`
	End   int64       `json:"end_time"`
}

func (s summary) cursor() string { return s.ID }

// usageSummary is what a subscription item has of usage records in a period.
type usageSummary struct {
	ID     string      `json:"id"`
	Total  json.Number `json:"total_usage"`
	Period span        `json:"period"`
}

func (s usageSummary) cursor() string { return s.ID }

// span is a period; its ends are null while it has none.
type span struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// meter is a meter of the account.
type meter struct {
	ID        string `json:"id"`
	EventName string `json:"event_name"`
	Status    string `json:"status"`

	Window      string `json:"event_time_window"` // null: not pre-aggregated
	Aggregation struct {
		Formula string `json:"formula"`
	} `json:"default_aggregation"`
	Customer payloadKey `json:"customer_mapping"`
	Value    payloadKey `json:"value_settings"`
}

// payloadKey is where in an event a meter looks for something.
type payloadKey struct {
	Key string `json:"event_payload_key"`
}

func (m meter) cursor() string { return m.ID }

// line is an invoice's line in the shape of apiVersion: later ones name the price in other places.
type line struct {
	ID       string      `json:"id"`
	Quantity json.Number `json:"quantity"`
	Item     reference   `json:"subscription_item"`
	Period   span        `json:"period"`
	Price    *struct {
		Recurring *struct {
			UsageType string    `json:"usage_type"`
			Meter     reference `json:"meter"`
		} `json:"recurring"`
	} `json:"price"`
}

func (l line) cursor() string { return l.ID }

func (l line) metered() bool {
	return l.Price != nil && l.Price.Recurring != nil && l.Price.Recurring.UsageType == "metered"
}

// invoiceLines keeps the metered lines.
func invoiceLines(lines []line) ([]InvoiceLine, error) {
	var out []InvoiceLine
	for _, l := range lines {
		if !l.metered() {
			continue
		}
		var quantity int64
		if l.Quantity != "" {
			var err error
			if quantity, err = wholeUnits(l.Quantity); err != nil {
				return nil, fmt.Errorf("line %q: quantity: %w", l.ID, err)
			}
		}
		out = append(out, InvoiceLine{
			Meter: string(l.Price.Recurring.Meter), SubscriptionItem: string(l.Item),
			Start: instant(l.Period.Start), End: instant(l.Period.End), Quantity: quantity,
		})
	}
	return out, nil
}

// reference is another object's id: Stripe sends it alone, or within the object.
type reference string

// UnmarshalJSON reads an id, an object with one, or null.
func (r *reference) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var object struct {
			ID string `json:"id"`
		}
		err := json.Unmarshal(b, &object)
		*r = reference(object.ID)
		return err
	}
	return json.Unmarshal(b, (*string)(r))
}

// errNotWhole is why a number of Stripe's is no count of units.
var errNotWhole = errors.New("is not a whole number of at most 15 digits")

// wholeUnits reads a number in any of JSON's forms exactly: 25, 25.0 and 2.5e1 are the same. More
// digits than Stripe keeps would be digits that it made up.
func wholeUnits(n json.Number) (int64, error) {
	q, err := schema.ParseQuantity(n.String())
	if err != nil {
		return 0, errNotWhole
	}
	units := q.Floor()
	if units < -schema.SlotUnitsMax || units > schema.SlotUnitsMax ||
		schema.WholeQuantity(units) != q {
		return 0, errNotWhole
	}
	return units, nil
}

// instant returns the time of Stripe's seconds; zero for none.
func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// eventID bounds what is taken for an event's id: it becomes a key, and part of an address.
var eventID = regexp.MustCompile(`^[A-Za-z0-9_]{1,255}$`)

// event is what a webhook's body says, be it a snapshot or thin.
type event struct {
	ID      string          `json:"id"`
	Object  string          `json:"object"`
	Type    string          `json:"type"`
	Version string          `json:"api_version"`
	Data    json.RawMessage `json:"data"` // of the type's own shape
}

// thin reports whether the event only names what happened. Their object was "event" at first.
func (e event) thin() bool {
	return e.Object == "v2.core.event" ||
		strings.HasPrefix(e.Type, "v1.") || strings.HasPrefix(e.Type, "v2.")
}

// decodeNotice reads an event. Of types that nobody asks for only the id and type are read.
func decodeNotice(body []byte) (Notice, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return Notice{}, schema.Errorf(schema.Invalid, "", "must be an event of Stripe's")
	}
	if !eventID.MatchString(e.ID) {
		return Notice{}, schema.Errorf(schema.Invalid, "id", "must be an event's id")
	}
	if e.Type == "" || len(e.Type) > 255 {
		return Notice{}, schema.Errorf(schema.Invalid, "type", "must be an event's type")
	}
	n := Notice{ID: e.ID, Type: e.Type, Thin: e.thin()}
	if n.Thin || e.Type != "invoice.created" && e.Type != "invoice.finalized" {
		return n, nil
	}
	invoice, err := decodeInvoice(e.Data, e.Version == apiVersion)
	if err != nil {
		return Notice{}, schema.Errorf(schema.Invalid, "data", "%s", err)
	}
	n.Invoice = &invoice
	return n, nil
}

// invoice is an invoice as Stripe sends it.
type invoice struct {
	ID       string    `json:"id"`
	Customer reference `json:"customer"`
	Status   string    `json:"status"`
	Created  int64     `json:"created"`
	Lines    struct {
		Data json.RawMessage `json:"data"`
		More bool            `json:"has_more"`
	} `json:"lines"`
}

func (i invoice) cursor() string { return i.ID }

// decodeInvoice reads an event's invoice.
func decodeInvoice(body []byte, known bool) (Invoice, error) {
	var data struct {
		Object invoice `json:"object"`
	}
	if err := json.Unmarshal(body, &data); err != nil || data.Object.ID == "" {
		return Invoice{}, errors.New("must hold an invoice")
	}
	return invoiceOf(data.Object, known), nil
}

// invoiceOf keeps the metered lines. Where they are not all there, or not in the shape of
// apiVersion, they are left out with More set.
func invoiceOf(in invoice, known bool) Invoice {
	out := Invoice{
		ID: in.ID, Customer: string(in.Customer), Status: in.Status,
		Created: instant(in.Created), More: in.Lines.More || !known || in.Lines.Data == nil,
	}
	if out.More {
		return out
	}
	var lines []line
	err := json.Unmarshal(in.Lines.Data, &lines)
	if err == nil {
		out.Lines, err = invoiceLines(lines)
	}
	out.More = err != nil
	return out
}

// generation is what an idempotency key has after the identifier once it was rotated.
var generation = regexp.MustCompile(`-g[0-9]+$`)

// decodeProblems reads the event that tells of meter events that did not count. Stripe samples
// them: a problem without one of them is told without an identifier.
func decodeProblems(body []byte) ([]MeterProblem, error) {
	type names struct {
		Identifier string `json:"identifier"`
		Key        string `json:"idempotency_key"` // what it was named by at first
	}
	var e struct {
		Data struct {
			Reason struct {
				Types []struct {
					Code    string `json:"code"`
					Samples []struct {
						Message string `json:"error_message"`
						Request names  `json:"request"`
						Older   names  `json:"api_request"`
					} `json:"sample_errors"`
				} `json:"error_types"`
			} `json:"reason"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, errors.New("the event cannot be read")
	}
	var out []MeterProblem
	for _, t := range e.Data.Reason.Types {
		for _, s := range t.Samples {
			p := MeterProblem{Code: t.Code, Identifier: s.Request.Identifier, Message: s.Message}
			for _, key := range []string{s.Request.Key, s.Older.Identifier, s.Older.Key} {
				if p.Identifier == "" {
					p.Identifier = generation.ReplaceAllString(key, "")
				}
			}
			out = append(out, p)
		}
		if len(t.Samples) == 0 {
			out = append(out, MeterProblem{Code: t.Code})
		}
	}
	return out, nil
}
