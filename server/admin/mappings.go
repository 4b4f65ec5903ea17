package admin

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// stripeMappings say what an organization is to Stripe, one for each.
var stripeMappings = resource[schema.Organization]{
	path: "stripe_mappings", key: []string{"organization_id"},
	each: (*access.Snapshot).EachOrganization,
	find: func(s *access.Snapshot, key []string) (schema.Organization, bool) {
		return findOrganization(s, key)
	},
	thing: access.StripeThing,
	id:    func(o schema.Organization) string { return o.ID.String() },
	of:    func(o schema.Organization) uuid.UUID { return o.ID },
	see:   schema.Superadmin, edit: schema.Superadmin,
	visible: func(_ view, o schema.Organization) bool {
		return !o.Stripe.IsZero()
	},
	create: createMapping,
	change: changeMapping,
	retire: func(_ view, o schema.Organization) (access.Change, error) {
		o.Stripe = schema.StripeMapping{}
		made, err := writeOrganization(o)
		return made.change, err
	},
}

func createMapping(v view, o *object) (outcome, error) {
	var id uuid.UUID
	var mapping schema.StripeMapping
	o.id("organization_id", &id)
	takeMapping(o, &mapping)
	o.require("organization_id", "customer")
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if err := v.organization(id); err != nil {
		return outcome{}, err
	}
	made, _ := v.Organization(id)
	if !made.Stripe.IsZero() {
		return outcome{}, exists("organization_id")
	}
	made.Stripe = mapping
	return writeMapping(v, made)
}

func changeMapping(v view, made schema.Organization, o *object) (outcome, error) {
	o.fixed("organization_id")
	takeMapping(o, &made.Stripe)
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	return writeMapping(v, made)
}

func takeMapping(o *object, into *schema.StripeMapping) {
	o.text("customer", &into.Customer)
	o.optional("meter", &into.Meter)
	o.optional("subscription_item", &into.SubscriptionItem)
	var meters []schema.MeterMapping
	if o.objects("meters", func(of *object) {
		var m schema.MeterMapping
		of.text("meter", &m.Meter)
		of.optional("subscription_item", &m.SubscriptionItem)
		of.require("meter")
		meters = append(meters, m)
	}) {
		into.Meters = meters
	}
	o.optionalInstant("since", &into.Since)
	if into.Since.Unix() == 0 {
		into.Since = time.Time{} // all there is
	}
}

// writeMapping refuses what is wrong with a mapping in itself, and meters that are not there.
func writeMapping(v view, o schema.Organization) (outcome, error) {
	for _, fault := range access.MappingFaults(o.Stripe) {
		return outcome{}, fault
	}
	for i, m := range o.Stripe.Meters {
		if _, ok := v.Meter(m.Meter); !ok {
			return outcome{}, schema.Errorf(schema.Invalid, fmt.Sprintf("meters[%d].meter", i),
				"is not a meter of the catalog")
		}
	}
	made, err := writeOrganization(o)
	made.thing = access.StripeThing(o)
	return made, err
}
