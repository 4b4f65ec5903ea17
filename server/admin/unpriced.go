package admin

import (
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// The range of usage without a rate, when none is asked for, and at most.
const (
	unpricedDefault = 30 * 24 * time.Hour
	unpricedMax     = schema.PastMax
)

// unpricedItem is what an organization used of a model and usage type without a rate.
type unpricedItem struct {
	Organization uuid.UUID `json:"organization_id"`
	Model        string    `json:"model"`
	UsageType    string    `json:"usage_type"`
	Measurements int64     `json:"measurements"`
	Quantity     string    `json:"quantity"`
	FirstDay     string    `json:"first_day"`
	LastDay      string    `json:"last_day"`
}

// unpriced answers what was used without a rate to price it, the most measurements first.
func (d *api) unpriced(c *fiber.Ctx) error {
	v, err := d.view(c, schema.Admin)
	if err != nil {
		return err
	}
	q, err := readQuery(c, "from", "to", "limit", "organization_id")
	if err != nil {
		return err
	}
	p, err := q.unpriced(v.now)
	if err != nil {
		return err
	}
	if p.Organization, err = v.scope(q); err != nil {
		return err
	}
	limit := p.Limit
	p.Limit++ // one more tells whether there are more
	ctx, cancel := dialect.Reading(c)
	defer cancel()
	rows, err := d.door.Reader.Unpriced(ctx, p)
	if err != nil {
		return err
	}
	answer := struct {
		From  time.Time      `json:"from"`
		To    time.Time      `json:"to"`
		Items []unpricedItem `json:"items"`
		More  bool           `json:"more"`
	}{From: p.From, To: p.To, More: len(rows) > limit, Items: []unpricedItem{}}
	for _, r := range rows[:min(len(rows), limit)] {
		answer.Items = append(answer.Items, unpricedItem{
			r.Organization, r.Model, r.UsageType, r.Measurements, r.Quantity.String(),
			day(r.First), day(r.Last),
		})
	}
	return send(c, fiber.StatusOK, answer)
}

// unpriced reads the range, widened to whole hours: the rollup that is asked has no finer grain.
func (q query) unpriced(now time.Time) (dialect.UnpricedParams, error) {
	var p dialect.UnpricedParams
	var err error
	if p.Limit, err = q.limit(); err != nil {
		return p, err
	}
	if p.To, err = q.instant("to", now); err != nil {
		return p, err
	}
	if p.From, err = q.instant("from", p.To.Add(-unpricedDefault)); err != nil {
		return p, err
	}
	p.From = p.From.Truncate(time.Hour)
	if whole := p.To.Truncate(time.Hour); whole.Before(p.To) {
		p.To = whole.Add(time.Hour)
	}
	switch {
	case !p.From.Before(p.To):
		return p, schema.Errorf(schema.Unreadable, "to", "must be after from")
	case p.To.Sub(p.From) > unpricedMax:
		return p, schema.Errorf(schema.Unreadable, "from", "must be at most 400 days before to")
	}
	return p, nil
}

// instant reads a parameter that is a date or an RFC 3339 instant.
func (q query) instant(name string, absent time.Time) (time.Time, error) {
	text, ok := q[name]
	if !ok {
		return absent.UTC(), nil
	}
	t, ok := parseInstant(text)
	if !ok || !schema.InstantValid(t) {
		return t, schema.Errorf(schema.Unreadable, name, "must be a date or an RFC 3339 instant")
	}
	return t, nil
}
