package access

import "github.com/meterhouse/meterhouse/schema"

// Price fills in the costs of measurements whose cost the client did not state, from the rate in
// force at the event's time. What is not chargeable is billed nothing; what has no rate stays
// Unpriced, which is a state to be seen, not a price.
func (s *Snapshot) Price(e *schema.Event) *schema.Error {
	for i := range e.Measurements {
		m := &e.Measurements[i]
		if m.Pricing == schema.Unpriced && e.Model != "" {
			rate, ok := s.Rate(e.Model, m.UsageType, e.Time)
			if !ok {
				continue
			}
			var fits, fitsToo bool
			m.ProviderCost, fits = schema.Cost(m.Quantity, rate.ProviderUSDPerMillion)
			m.BilledCost, fitsToo = schema.Cost(m.Quantity, rate.BilledUSDPerMillion)
			if !fits || !fitsToo {
				return schema.Errorf(schema.Invalid, "usage."+m.UsageType,
					"costs more than can be kept at the rate of %s", e.Model)
			}
			m.Pricing, m.Rate = schema.Rated, rate.ID
		}
		if !e.Chargeable {
			m.BilledCost = schema.USD{}
		}
	}
	return nil
}
