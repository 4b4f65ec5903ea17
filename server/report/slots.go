package report

import (
	"errors"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// Which slots are shown when no range is asked for, and how many at most.
const (
	slotsDefault  = 24 * time.Hour
	slotsRangeMax = 100 * 24 * time.Hour
	slotsMax      = 10_000
)

// slot is a slot on the wire. Units are integers in strings; in micro-USD where that is the unit.
type slot struct {
	Organization uuid.UUID        `json:"organization_id"`
	Meter        string           `json:"meter"`
	Start        time.Time        `json:"window_start"`
	BillableUSD  *string          `json:"billable_micro_usd"`
	ReportedUSD  *string          `json:"reported_micro_usd"`
	State        schema.SlotState `json:"state"`
	Unit         string           `json:"unit"`
	Billable     string           `json:"billable_units"`
	Reported     string           `json:"reported_units"`
	CarriedIn    string           `json:"carried_in_units"`
	CarriedOut   string           `json:"carried_out_units"`
	Revision     uint32           `json:"revision"`
	Unpriced     int64            `json:"unpriced"`
	Closed       bool             `json:"closed"`
	Detail       string           `json:"detail"`
}

func slotOf(r schema.SlotReport) slot {
	s := slot{
		Organization: r.Slot.Organization, Meter: r.Slot.Meter, Start: r.Slot.Start.UTC(),
		State: r.State, Unit: r.Unit.String(), Billable: units(r.Billable),
		Reported: units(r.Reported), CarriedIn: units(r.CarriedIn), CarriedOut: units(r.CarriedOut),
		Revision: r.Revision, Unpriced: r.Unpriced, Closed: r.Closed, Detail: r.Detail,
	}
	if r.Unit == schema.MicroUSD {
		s.BillableUSD, s.ReportedUSD = &s.Billable, &s.Reported
	}
	return s
}

func units(n int64) string { return strconv.FormatInt(n, 10) }

// slots answers what is billable by slot, and what Stripe was told.
func (d *api) slots(c *fiber.Ctx) error {
	who, err := d.caller(c, schema.Admin)
	if err != nil {
		return err
	}
	p, err := slotsParams(c, d.door.Now())
	if err != nil {
		return err
	}
	if p.Organization, err = who.scope(p.Organization); err != nil {
		return err
	}
	reports, err := d.reports()
	if err != nil {
		return err
	}
	ctx, cancel := dialect.Reading(c)
	defer cancel()
	found, err := reports.Slots(ctx, p)
	if e := (*schema.Error)(nil); errors.As(err, &e) && e.Kind == schema.Invalid {
		return schema.Errorf(schema.Unreadable, "from", "there are more than %d slots: "+
			"ask for a shorter range", slotsMax)
	}
	if err != nil {
		return err
	}
	answer := make([]slot, len(found))
	for i, r := range found {
		answer[i] = slotOf(r)
	}
	return send(c, answer)
}

func slotsParams(c *fiber.Ctx, now time.Time) (schema.SlotsParams, error) {
	p := schema.SlotsParams{Limit: slotsMax}
	q, err := readQuery(c, "organization_id", "from", "to")
	if err != nil {
		return p, err
	}
	if p.Organization, err = q.organization(); err != nil {
		return p, err
	}
	if p.From, p.To, err = q.hours(); err != nil {
		return p, err
	}
	switch {
	case p.To.IsZero() && p.From.IsZero():
		p.To = now.UTC().Truncate(schema.SlotLength).Add(schema.SlotLength)
		p.From = p.To.Add(-slotsDefault)
	case p.To.IsZero():
		p.To = now.UTC().Truncate(schema.SlotLength).Add(schema.SlotLength)
	case p.From.IsZero():
		p.From = p.To.Add(-slotsDefault)
	}
	switch {
	case !p.From.Before(p.To):
		return p, schema.Errorf(schema.Unreadable, "to", "must be after from")
	case p.To.Sub(p.From) > slotsRangeMax:
		return p, schema.Errorf(schema.Unreadable, "from", "must be at most 100 days before to")
	}
	return p, nil
}
