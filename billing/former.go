package billing

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// addFormer adds to a customer's organizations those of which Stripe was told as this customer
// before the catalog changed, or before they were retired: invoices come after the period.
func (p *notices) addFormer(ctx context.Context) error {
	told, err := p.cfg.Queries.ToldCustomers(ctx, p.now().Add(-carryFrom))
	if err != nil {
		return err
	}
	p.current = map[string][]uuid.UUID{}
	for customer, all := range p.organizations {
		for _, o := range all {
			p.current[customer] = append(p.current[customer], o.ID)
		}
	}
	for _, t := range told {
		if slices.Contains(p.current[t.Customer], t.Organization) {
			continue
		}
		all := p.organizations[t.Customer]
		i := slices.IndexFunc(all, func(o schema.Organization) bool { return o.ID == t.Organization })
		if i < 0 {
			i, all = len(all), append(all, schema.Organization{
				ID: t.Organization, Stripe: schema.StripeMapping{Customer: t.Customer},
			})
		}
		all[i].Stripe.Meters = append(all[i].Stripe.Meters,
			schema.MeterMapping{Meter: t.Meter, SubscriptionItem: t.Item})
		p.organizations[t.Customer] = all
	}
	return nil
}

// ofMost leaves out periods of organizations that have another customer now, but for those of which
// most hours were told as the invoice's: an hour or two that were told of the wrong customer do not
// make its invoice theirs.
func (p *notices) ofMost(
	ctx context.Context, customer string, all []schema.StripePeriod,
) ([]schema.StripePeriod, error) {
	var kept []schema.StripePeriod
	for _, one := range all {
		if !slices.Contains(p.current[customer], one.Organization) {
			hours, err := p.cfg.Queries.Reported(ctx, queries.ReportedParams{
				Organization: one.Organization, Meter: one.Meter, Mode: p.cfg.Mode,
				From: one.Start, To: one.End, Settled: p.now(),
			})
			if err != nil {
				return nil, err
			}
			theirs := 0
			for _, h := range hours {
				if h.Customer == customer {
					theirs++
				}
			}
			if 2*theirs <= len(hours) {
				continue
			}
		}
		kept = append(kept, one)
	}
	return kept, nil
}
