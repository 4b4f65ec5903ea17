package access

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// told returns the meters that a mapping has Stripe told of, each with its subscription item.
func told(m schema.StripeMapping) []schema.MeterMapping {
	if m.Customer == "" {
		return nil
	}
	rest := schema.MeterMapping{Meter: m.Meter, SubscriptionItem: m.SubscriptionItem}
	return append(slices.Clone(m.Meters), rest)
}

// names reports whether a mapping has a meter, though it may have no customer.
func names(m schema.StripeMapping, meter string) bool {
	return m.Meter == meter || slices.ContainsFunc(m.Meters, func(each schema.MeterMapping) bool {
		return each.Meter == meter
	})
}

// telling is who tells Stripe what: two who told it of one meter of one customer, or of one
// subscription item, would overwrite each other's hours.
type telling struct {
	meters map[customerMeter]uuid.UUID
	items  map[string]uuid.UUID
}

type customerMeter struct{ customer, meter string }

func newTelling() telling {
	return telling{make(map[customerMeter]uuid.UUID), make(map[string]uuid.UUID)}
}

// clash returns what of a mapping another organization has: the member, and the other's id.
func (t telling) clash(id uuid.UUID, m schema.StripeMapping) (*schema.Error, bool) {
	for _, each := range told(m) {
		key := customerMeter{m.Customer, each.Meter}
		if other, ok := t.meters[key]; ok && other != id && each.Meter != "" {
			return schema.Errorf(schema.Conflict, "meter",
				"%s of %s is organization %s's: two would overwrite each other's hours",
				each.Meter, m.Customer, other), true
		}
		item := each.SubscriptionItem
		if other, ok := t.items[item]; ok && other != id && item != "" {
			return schema.Errorf(schema.Conflict, "subscription_item",
				"%s is organization %s's: two would overwrite each other's hours", item, other), true
		}
	}
	return nil, false
}

// add lets an organization tell what its mapping says.
func (t telling) add(id uuid.UUID, m schema.StripeMapping) {
	for _, each := range told(m) {
		t.meters[customerMeter{m.Customer, each.Meter}] = id
		t.items[each.SubscriptionItem] = id
	}
}

// meterConflict returns why meters and mappings cannot be as a change has them. A mapping that the
// change leaves as it is was there before there were such rules.
func meterConflict(have *Snapshot, c Change) error {
	if err := unitConflict(have, c.Upsert.Meters); err != nil {
		return err
	}
	gone := make(map[string]bool, len(c.Retire.Meters))
	for _, m := range c.Retire.Meters {
		gone[m.Name] = true
	}
	made := make(map[string]bool, len(c.Upsert.Meters))
	for _, m := range c.Upsert.Meters {
		if _, ok := have.meters[m.Name]; !ok {
			made[m.Name] = true
		}
	}
	if len(made) > 0 && len(have.meters)+len(made)-len(gone) > metersMax {
		return schema.Errorf(schema.Conflict, "name", "would be over %d meters", metersMax)
	}
	var mapped []schema.Organization
	others := newTelling()
	changed := changedMappings(have, c)
	if len(gone) == 0 && len(changed) == 0 {
		return nil
	}
	for o := range have.after(c) {
		for meter := range gone {
			if names(o.Stripe, meter) {
				return schema.Errorf(schema.Conflict, "name",
					"%s is a meter of organization %s: take it off there first", meter, o.ID)
			}
		}
		if changed[o.ID] {
			mapped = append(mapped, o)
			continue
		}
		others.add(o.ID, o.Stripe)
	}
	for _, o := range mapped {
		if err := mappingConflict(o, func(meter string) bool {
			_, ok := have.meters[meter]
			return made[meter] || ok && !gone[meter]
		}); err != nil {
			return err
		}
		if err, clashes := others.clash(o.ID, o.Stripe); clashes {
			return err
		}
		others.add(o.ID, o.Stripe)
	}
	return nil
}

// unitConflict refuses another unit for a meter in use: Stripe would be told five weeks of usage
// again, in a unit that its prices are not for. A meter that is not in the catalog counts
// micro-USD.
func unitConflict(have *Snapshot, upsert []schema.Meter) error {
	units := make(map[string]schema.MeterUnit)
	for _, m := range upsert {
		if old := have.meters[m.Name]; old.Unit != m.Unit {
			units[m.Name] = old.Unit
		}
	}
	if len(units) == 0 {
		return nil
	}
	for o := range have.EachOrganization() {
		for name, unit := range units {
			if names(o.Stripe, name) {
				return schema.Errorf(schema.Conflict, "unit",
					"%s counts %s for organization %s: make another meter", name, unit, o.ID)
			}
		}
	}
	return nil
}

// toldFor is how long ago the hours are that Stripe may still be told of, and a day.
const toldFor = 36 * 24 * time.Hour

// conflict returns why a change cannot be made beside what is there, or beside what Stripe was told.
func (d *Directory) conflict(ctx context.Context, have *Snapshot, c Change) error {
	if err := Conflict(have, c); err != nil || len(c.Upsert.Meters) == 0 {
		return err
	}
	told, err := d.catalog.ToldMeters(ctx, d.now().Add(-toldFor))
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return toldConflict(told, c.Upsert.Meters)
}

// toldConflict refuses another unit for a meter that nobody has any more and Stripe was told of: what
// a retired organization used is told to the end, and would be told again in the other unit. A meter
// that was retired, and comes back, is the same meter to Stripe.
func toldConflict(told, upsert []schema.Meter) error {
	units := make(map[string]schema.MeterUnit, len(told))
	for _, m := range told {
		units[m.Name] = m.Unit
	}
	for _, m := range upsert {
		if unit, ok := units[m.Name]; ok && unit != m.Unit {
			return schema.Errorf(schema.Conflict, "unit",
				"Stripe was told of %s in %s within 36 days: make another meter", m.Name, unit)
		}
	}
	return nil
}

// mappingConflict looks at a mapping as it will be: what a file left out is part of it.
func mappingConflict(o schema.Organization, known func(meter string) bool) error {
	for _, fault := range MappingFaults(o.Stripe) {
		return schema.Errorf(schema.Conflict, fault.Field, "of organization %s %s",
			o.ID, fault.Message)
	}
	for i, each := range o.Stripe.Meters {
		if !known(each.Meter) {
			return schema.Errorf(schema.Conflict, fmt.Sprintf("meters[%d].meter", i),
				"of organization %s: %s is not among the catalog's meters", o.ID, each.Meter)
		}
	}
	return nil
}

// changedMappings returns the organizations that a change maps otherwise than before.
func changedMappings(have *Snapshot, c Change) map[uuid.UUID]bool {
	changed := make(map[uuid.UUID]bool)
	for _, o := range c.Upsert.Organizations {
		if !o.Stripe.Equal(have.organizations[o.ID].Stripe) {
			changed[o.ID] = true
		}
	}
	return changed
}

// after returns the organizations as a change leaves them.
func (s *Snapshot) after(c Change) iter.Seq[schema.Organization] {
	return func(yield func(schema.Organization) bool) {
		other := make(map[uuid.UUID]bool)
		for _, o := range c.Retire.Organizations {
			other[o.ID] = true
		}
		for _, o := range c.Upsert.Organizations {
			other[o.ID] = true
			if !yield(o) {
				return
			}
		}
		for id, o := range s.organizations {
			if !other[id] && !yield(o) {
				return
			}
		}
	}
}
