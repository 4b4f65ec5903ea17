package admin

import (
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// meters are what Stripe is told of, for every organization, by their names.
var meters = resource[schema.Meter]{
	path: "meters", key: []string{"name"},
	each: (*access.Snapshot).EachMeter,
	find: func(s *access.Snapshot, key []string) (schema.Meter, bool) {
		return s.Meter(key[0])
	},
	thing: access.MeterThing,
	id:    func(m schema.Meter) string { return m.Name },
	see:   schema.Admin, edit: schema.Superadmin,
	visible: func(view, schema.Meter) bool { return true },
	create:  createMeter,
	change: func(_ view, made schema.Meter, o *object) (outcome, error) {
		o.fixed("name")
		takeMeter(o, &made)
		return writeMeter(made, o)
	},
	retire: func(_ view, m schema.Meter) (access.Change, error) {
		return access.Change{Retire: schema.Catalog{Meters: []schema.Meter{m}}}, nil
	},
}

func createMeter(v view, o *object) (outcome, error) {
	var made schema.Meter
	o.text("name", &made.Name)
	takeMeter(o, &made)
	o.require("name")
	if _, ok := v.Meter(made.Name); ok {
		return outcome{}, exists("name")
	}
	return writeMeter(made, o)
}

func takeMeter(o *object, into *schema.Meter) {
	oneOf(o, "unit", func(s string) (schema.MeterUnit, bool) {
		unit, ok := schema.ParseMeterUnit(s)
		return unit, ok && s != ""
	}, "micro_usd or quantity", &into.Unit)
	o.texts("usage_types", &into.UsageTypes)
	o.texts("models", &into.Models)
	o.optional("stripe_id", &into.StripeID)
}

func writeMeter(m schema.Meter, o *object) (outcome, error) {
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	for _, fault := range access.MeterFaults(m) {
		return outcome{}, fault
	}
	return outcome{
		change: access.Change{Upsert: schema.Catalog{Meters: []schema.Meter{m}}},
		thing:  access.MeterThing(m),
	}, nil
}
