package report

import (
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// noMeter stands in a path for the meter of usage that no meter counts. No name has it.
const noMeter = "~"

// explanation is everything behind a slot's number, on the wire.
type explanation struct {
	Name string `json:"slot"`
	slot
	Exact     string     `json:"exact"`
	Rounded   string     `json:"rounded_units"`
	Usage     []usage    `json:"usage"`
	Rates     []rateItem `json:"rates"`
	Events    []event    `json:"events"`
	More      bool       `json:"more_events"`
	Revisions []revision `json:"revisions"`
	Attempts  []attempt  `json:"attempts"`
	Carries   []carry    `json:"carries"`
}

type usage struct {
	UsageType    string     `json:"usage_type"`
	Model        string     `json:"model"`
	Rate         *uuid.UUID `json:"rate_id"`
	Pricing      string     `json:"pricing"`
	Events       int64      `json:"events"`
	Measurements int64      `json:"measurements"`
	Quantity     string     `json:"quantity"`
	BilledCost   string     `json:"billed_cost_usd"`
}

type rateItem struct {
	ID        uuid.UUID `json:"id"`
	Model     string    `json:"model"`
	UsageType string    `json:"usage_type"`
	Provider  string    `json:"provider"`
	OfCost    string    `json:"provider_usd_per_million"`
	OfBill    string    `json:"billed_usd_per_million"`
	From      time.Time `json:"from"`
}

type event struct {
	Event      uuid.UUID  `json:"event_id"`
	Revision   uint32     `json:"revision"`
	Reversal   bool       `json:"reversal"`
	Time       time.Time  `json:"time"`
	UsageType  string     `json:"usage_type"`
	Model      string     `json:"model"`
	Quantity   string     `json:"quantity"`
	BilledCost string     `json:"billed_cost_usd"`
	Rate       *uuid.UUID `json:"rate_id"`
}

type revision struct {
	Revision   uint32     `json:"revision"`
	Mode       string     `json:"mode"`
	Total      string     `json:"total_units"`
	Send       string     `json:"send_units"`
	Identifier string     `json:"identifier"`
	Customer   string     `json:"customer"`
	Item       string     `json:"subscription_item"`
	CreatedAt  time.Time  `json:"created_at"`
	Verdict    string     `json:"verdict"`
	Attempts   uint64     `json:"attempts"`
	Rotations  uint64     `json:"rotations"`
	LastAt     *time.Time `json:"last_at"`
}

type attempt struct {
	Revision      uint32    `json:"revision"`
	Verdict       string    `json:"verdict"`
	KeyGeneration uint16    `json:"key_generation"`
	At            time.Time `json:"at"`
	HTTPStatus    *uint16   `json:"http_status"`
	RequestID     string    `json:"request_id"`
	Detail        string    `json:"detail"`
}

type carry struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Number    uint32    `json:"number"`
	Units     string    `json:"units"`
	Reason    string    `json:"reason"`
	CreatedAt time.Time `json:"created_at"`
}

// explain answers what is behind a slot's number.
func (d *api) explain(c *fiber.Ctx) error {
	who, err := d.caller(c, schema.Admin)
	if err != nil {
		return err
	}
	if _, err := readQuery(c); err != nil {
		return err
	}
	s, err := slotAsked(c)
	if err != nil {
		return err
	}
	if s.Organization, err = who.scope(s.Organization); err != nil {
		return err
	}
	reports, err := d.reports()
	if err != nil {
		return err
	}
	ctx, cancel := dialect.Reading(c)
	defer cancel()
	found, err := reports.Explain(ctx, s)
	if err != nil {
		return err
	}
	return send(c, explanationOf(found))
}

// slotAsked reads the path. The hour is as in a slot's name, or as in window_start.
func slotAsked(c *fiber.Ctx) (schema.Slot, error) {
	organization, err := parseID(segment(c, "organization_id"))
	if err != nil {
		return schema.Slot{}, err
	}
	hour := segment(c, "hour")
	start, err := time.Parse("2006-01-02T15", hour)
	if err != nil {
		start, err = time.Parse(time.RFC3339, hour)
	}
	if err != nil || !start.Equal(start.Truncate(schema.SlotLength)) || !schema.InstantValid(start) {
		return schema.Slot{}, schema.Errorf(schema.Unreadable, "hour",
			"must be an hour in UTC, as 2026-11-22T13")
	}
	meter := strings.ToValidUTF8(segment(c, "meter"), "�")
	if meter == noMeter {
		meter = ""
	}
	return schema.Slot{Organization: organization, Meter: meter, Start: start.UTC()}, nil
}

// segment returns a parameter of the path, unescaped and the request's own.
func segment(c *fiber.Ctx, name string) string {
	text := strings.Clone(c.Params(name))
	if decoded, err := url.PathUnescape(text); err == nil {
		return decoded
	}
	return text
}

func explanationOf(x schema.Explanation) explanation {
	to := explanation{
		Name: x.Report.Slot.String(), slot: slotOf(x.Report), Exact: x.Exact,
		Rounded: units(x.Rounded), Usage: []usage{}, Rates: []rateItem{}, Events: []event{},
		More: x.More, Revisions: []revision{}, Attempts: []attempt{}, Carries: []carry{},
	}
	for _, u := range x.Usage {
		to.Usage = append(to.Usage, usage{
			UsageType: u.UsageType, Model: u.Model, Rate: idOrNull(u.Rate),
			Pricing: pricings[u.Pricing], Events: u.Events, Measurements: u.Measurements,
			Quantity: u.Quantity.String(), BilledCost: u.BilledCost.String(),
		})
	}
	for _, r := range x.Rates {
		to.Rates = append(to.Rates, rateItem{
			r.ID, r.Model, r.UsageType, r.Provider, r.ProviderUSDPerMillion.String(),
			r.BilledUSDPerMillion.String(), r.From.UTC(),
		})
	}
	for _, e := range x.Events {
		to.Events = append(to.Events, event{
			e.Event, e.Revision, e.Reversal, e.Time.UTC(), e.UsageType, e.Model,
			e.Quantity.String(), e.BilledCost.String(), idOrNull(e.Rate),
		})
	}
	for _, r := range x.Revisions {
		to.Revisions = append(to.Revisions, revision{
			r.Revision, r.Mode.String(), units(r.Total), units(r.Send), r.Identifier, r.Customer,
			r.SubscriptionItem, r.CreatedAt.UTC(), r.Verdict.String(), r.Attempts, r.Rotations,
			orNull(r.LastAt),
		})
	}
	for _, o := range x.Outcomes {
		to.Attempts = append(to.Attempts, attempt{
			o.Revision, o.Verdict.String(), o.KeyGeneration, o.At.UTC(), statusOrNull(o.HTTPStatus),
			o.RequestID, o.Detail,
		})
	}
	for _, k := range x.Carries {
		to.Carries = append(to.Carries, carry{
			k.From.UTC(), k.To.UTC(), k.Number, units(k.Units), k.Reason, k.CreatedAt.UTC(),
		})
	}
	return to
}

var pricings = map[schema.Pricing]string{
	schema.Unpriced: "unpriced", schema.Rated: "rated", schema.Given: "given",
}

func idOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

func statusOrNull(status uint16) *uint16 {
	if status == 0 {
		return nil
	}
	return &status
}
