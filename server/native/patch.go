package native

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// patch is a merge patch (RFC 7396) over an event's members.
type patch struct {
	given, nulls member
	values       schema.Event // of the given members
	removed      []string     // usage types that are null
	cost         schema.USD
}

// decodePatch reads a merge patch for an event of an organization. It is total. Errors: Unreadable
// for what is no JSON object, else Invalid about the first member that is wrong.
func decodePatch(
	body string, s *access.Snapshot, organization uuid.UUID,
) (*patch, error) {
	if !utf8.ValidString(body) {
		return nil, schema.Errorf(schema.Unreadable, "", "the body must be valid UTF-8")
	}
	b := batch{scanner: scanner{text: body}, patching: true, fixed: membersFixed}
	if b.peek() != '{' && b.skip(depthMax) {
		b.fail(0, "a merge patch is expected, a JSON object")
	}
	p := &patch{}
	if b.fault != "" || !b.event(&p.values) || !b.end() {
		return nil, b.unreadable()
	}
	p.given, p.nulls = b.given, b.seen&^b.given
	p.removed, p.cost = b.removed, b.cost
	if p.nulls&memberUsage != 0 {
		b.reject("usage", "cannot be removed")
	}
	if agent, ok := s.Agent(p.values.Agent); p.given&memberAgentID != 0 &&
		(!ok || agent.Organization != organization) {
		b.reject("agent_id", "unknown agent")
	}
	if p.given&memberUserID != 0 && s.Role(organization, p.values.User) == 0 {
		b.reject("user_id", "unknown user")
	}
	if b.problem != nil {
		return nil, b.problem
	}
	return p, nil
}

// apply returns what the patch makes of an event.
func (p *patch) apply(e schema.Event) (*schema.Event, error) {
	was := e
	changed := p.given | p.nulls
	for m := memberService; m <= memberPurpose; m <<= 1 {
		if to := textOf(&e, m); to != nil && changed&m != 0 {
			*to = *textOf(&p.values, m)
		}
	}
	if changed&memberProviderKey != 0 {
		e.ProviderKey = p.values.ProviderKey
	}
	if changed&memberAgentID != 0 {
		e.Agent = p.values.Agent
	}
	if changed&memberUserID != 0 {
		e.User = p.values.User
	}
	if changed&memberChargeable != 0 {
		e.Chargeable = p.values.Chargeable // true when it is null, as where it is left out
	}
	all, err := p.measurements(was.Measurements, e.Model != was.Model ||
		e.Chargeable != was.Chargeable)
	if err != nil {
		return nil, err
	}
	e.Measurements = all
	p.setCosts(&e, &was)
	return &e, nil
}

// measurements merges the usage types by name. One whose quantity changes, and every one where what
// the rate depends on does, loses a cost that a rate gave it; a given one stays.
func (p *patch) measurements(
	was []schema.Measurement, repriced bool,
) ([]schema.Measurement, error) {
	all := make([]schema.Measurement, 0, len(was)+len(p.values.Measurements))
	for _, m := range was {
		if slices.Contains(p.removed, m.UsageType) {
			continue
		}
		if i := indexOf(p.values.Measurements, m.UsageType); i >= 0 &&
			p.values.Measurements[i].Quantity != m.Quantity || repriced {
			if m.Pricing != schema.Given {
				m = schema.Measurement{UsageType: m.UsageType, Quantity: m.Quantity}
			}
			if i >= 0 {
				m.Quantity = p.values.Measurements[i].Quantity
			}
		}
		all = append(all, m)
	}
	kept := len(all)
	for _, m := range p.values.Measurements {
		if indexOf(was, m.UsageType) < 0 {
			all = append(all, m)
		}
	}
	switch n := len(all); {
	case n == 0:
		return nil, schema.Errorf(schema.Invalid, "usage", "must keep at least one usage type")
	case n > schema.MeasurementsMax:
		return nil, schema.Errorf(schema.Invalid, "usage", "must have at most %d usage types",
			schema.MeasurementsMax)
	case n > kept: // else the order stays, so that what changes nothing is no change
		slices.SortStableFunc(all, func(a, b schema.Measurement) int {
			return cmp.Compare(a.UsageType, b.UsageType)
		})
	}
	return all, nil
}

func indexOf(all []schema.Measurement, usageType string) int {
	return slices.IndexFunc(all, func(m schema.Measurement) bool { return m.UsageType == usageType })
}

// setCosts sets what the event costs where that is given and not a rate's.
func (p *patch) setCosts(e, was *schema.Event) {
	all := e.Measurements
	provider, billed, given := givenCost(was.Measurements)
	switch {
	case p.given&memberCost != 0:
		for i := range all {
			all[i] = schema.Measurement{
				UsageType: all[i].UsageType, Quantity: all[i].Quantity, Pricing: schema.Given,
			}
		}
		all[0].ProviderCost, all[0].BilledCost = p.cost, p.cost
	case given && p.nulls&memberCost != 0:
		for i := range all {
			all[i] = schema.Measurement{UsageType: all[i].UsageType, Quantity: all[i].Quantity}
		}
	case given:
		left, leftBilled, _ := givenCost(all)
		for i := range all {
			if all[i].Pricing == schema.Unpriced {
				all[i].Pricing = schema.Given
			}
		}
		// What a removed usage type cost is still the event's cost.
		all[0].ProviderCost = all[0].ProviderCost.Add(provider.Add(left.Neg()))
		all[0].BilledCost = all[0].BilledCost.Add(billed.Add(leftBilled.Neg()))
	}
	for i := range all {
		switch m := &all[i]; {
		case !e.Chargeable:
			m.BilledCost = schema.USD{}
		case !was.Chargeable && m.Pricing == schema.Given:
			m.BilledCost = m.ProviderCost
		}
	}
}

// givenCost sums the given costs of measurements; false when there are none.
func givenCost(all []schema.Measurement) (provider, billed schema.USD, given bool) {
	for _, m := range all {
		if m.Pricing == schema.Given {
			provider, billed, given = provider.Add(m.ProviderCost), billed.Add(m.BilledCost), true
		}
	}
	return provider, billed, given
}
