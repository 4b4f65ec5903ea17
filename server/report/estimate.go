package report

import (
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// estimateRangeMax is the longest period that an estimate is made of.
const estimateRangeMax = schema.PastMax

// estimate is what a period comes to, on the wire.
type estimate struct {
	Organization uuid.UUID       `json:"organization_id"`
	From         time.Time       `json:"from"`
	To           time.Time       `json:"to"`
	Source       string          `json:"source"`
	At           time.Time       `json:"at"`
	RecentFrom   time.Time       `json:"recent_from"`
	Cost         string          `json:"cost_usd"`
	Projected    string          `json:"projected_usd"`
	Unpriced     int64           `json:"unpriced"`
	Meters       []meterEstimate `json:"meters"`
}

type meterEstimate struct {
	Meter     string          `json:"meter"`
	Unit      string          `json:"unit"`
	Units     string          `json:"units"`
	Projected string          `json:"projected_units"`
	Cost      string          `json:"cost_usd"`
	Models    []modelEstimate `json:"models"`
}

type modelEstimate struct {
	Model         string `json:"model"`
	UsageType     string `json:"usage_type"`
	Quantity      string `json:"quantity"`
	Projected     string `json:"projected_quantity"`
	Cost          string `json:"cost_usd"`
	ProjectedCost string `json:"projected_usd"`
	Unpriced      int64  `json:"unpriced"`
}

// estimate answers what an organization's period comes to.
func (d *api) estimate(c *fiber.Ctx) error {
	who, err := d.caller(c, schema.Admin)
	if err != nil {
		return err
	}
	p, err := estimateParams(c)
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
	found, err := reports.Estimate(ctx, p)
	if err != nil {
		return err
	}
	return send(c, estimateOf(found))
}

func estimateParams(c *fiber.Ctx) (schema.EstimateParams, error) {
	var p schema.EstimateParams
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
	case p.From.IsZero() && !p.To.IsZero():
		return p, schema.Errorf(schema.Unreadable, "from", "goes with to: give both or neither")
	case p.To.IsZero() && !p.From.IsZero():
		return p, schema.Errorf(schema.Unreadable, "to", "goes with from: give both or neither")
	case p.To.Sub(p.From) > estimateRangeMax:
		return p, schema.Errorf(schema.Unreadable, "from", "must be at most 400 days before to")
	}
	return p, nil
}

func estimateOf(e schema.Estimate) estimate {
	to := estimate{
		Organization: e.Organization, From: e.From.UTC(), To: e.To.UTC(), Source: e.Source,
		At: e.At.UTC(), RecentFrom: e.RecentFrom.UTC(), Cost: e.CostUSD.String(),
		Projected: e.ProjectedUSD.String(), Unpriced: e.Unpriced, Meters: []meterEstimate{},
	}
	for _, m := range e.Meters {
		part := meterEstimate{
			Meter: m.Meter, Unit: m.Unit.String(), Units: m.Units, Projected: m.Projected,
			Cost: m.CostUSD.String(), Models: []modelEstimate{},
		}
		for _, o := range m.Models {
			part.Models = append(part.Models, modelEstimate{
				o.Model, o.UsageType, o.Quantity.String(), o.Projected.String(), o.CostUSD.String(),
				o.ProjectedUSD.String(), o.Unpriced,
			})
		}
		to.Meters = append(to.Meters, part)
	}
	return to
}
