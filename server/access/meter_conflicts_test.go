package access

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

func mappedTo(meters ...string) schema.StripeMapping {
	m := schema.StripeMapping{Customer: "cus_1", Meter: "rest", SubscriptionItem: "si_rest"}
	for _, name := range meters {
		m.Meters = append(m.Meters, schema.MeterMapping{Meter: name, SubscriptionItem: "si_" + name})
	}
	return m
}

// Each row below is accepted when what refuses it is taken out of meterConflict.
func TestMetersAndMappingsMustFit(t *testing.T) {
	t.Parallel()
	have := NewSnapshot(schema.Catalog{
		Organizations: []schema.Organization{
			{ID: acme, Stripe: mappedTo("voice", "chat")}, {ID: globex, Name: "Globex"},
		},
		Meters: []schema.Meter{
			{Name: "voice", Unit: schema.WholeUnits}, {Name: "chat"}, {Name: "spare"},
		},
	})
	f := func(what string, c Change, field string) {
		t.Helper()
		err := Conflict(have, c)
		e, _ := err.(*schema.Error)
		switch {
		case field == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case field != "" && (e == nil || e.Kind != schema.Conflict || e.Field != field):
			t.Errorf("%s: %v, want a conflict about %s", what, err, field)
		}
	}
	maps := func(id uuid.UUID, m schema.StripeMapping) schema.Catalog {
		return schema.Catalog{Organizations: []schema.Organization{{ID: id, Stripe: m}}}
	}
	meter := func(name string, unit schema.MeterUnit) schema.Catalog {
		return schema.Catalog{Meters: []schema.Meter{{Name: name, Unit: unit}}}
	}
	both := func(a, b schema.Catalog) schema.Catalog {
		return schema.Catalog{
			Organizations: append(a.Organizations, b.Organizations...),
			Meters:        append(a.Meters, b.Meters...),
		}
	}
	other := func(customer string, meters ...string) schema.StripeMapping {
		return schema.StripeMapping{Customer: customer, Meters: mappedTo(meters...).Meters}
	}
	own := func(customer string, meters ...string) schema.StripeMapping {
		m := other(customer, meters...)
		for i := range m.Meters {
			m.Meters[i].SubscriptionItem += "_own"
		}
		return m
	}

	f("nothing new", Change{Upsert: maps(acme, mappedTo("voice", "chat"))}, "")
	f("another order", Change{Upsert: maps(acme, mappedTo("chat", "voice"))}, "")
	f("a meter that is not there", Change{Upsert: maps(globex, own("cus_2", "none"))},
		"meters[0].meter")
	f("a meter that comes with it", Change{
		Upsert: both(maps(globex, own("cus_2", "new")), meter("new", 0))}, "")
	f("a meter that goes with it", Change{
		Upsert: maps(globex, own("cus_2", "spare")), Retire: meter("spare", 0)}, "name")
	f("one meter of one customer for two", Change{Upsert: maps(globex, own("cus_1", "voice"))},
		"meter")
	f("the rest of one customer for two", Change{
		Upsert: maps(globex, schema.StripeMapping{Customer: "cus_1", Meter: "rest"})}, "meter")
	f("another meter of the customer", Change{Upsert: maps(globex, own("cus_1", "spare"))}, "")
	f("one item for two", Change{Upsert: maps(globex, other("cus_2", "voice"))},
		"subscription_item")
	f("two new ones alike", Change{Upsert: both(
		maps(globex, own("cus_2", "voice")), maps(uuid.New(), own("cus_2", "voice")))}, "meter")
	f("meters handed over", Change{Upsert: both(
		maps(acme, schema.StripeMapping{}), maps(globex, mappedTo("voice")))}, "")
	f("meters of one who goes", Change{
		Upsert: maps(globex, mappedTo("voice")), Retire: maps(acme, schema.StripeMapping{})}, "")
	f("the rest is one of the meters", Change{Upsert: maps(acme, mappedTo("voice", "rest"))},
		"meters[1].meter")
	f("half an hour", Change{Upsert: maps(globex, schema.StripeMapping{
		Customer: "cus_2", Since: time.Unix(1800, 0)})}, "since")
	f("a stranger's name", Change{Upsert: schema.Catalog{Organizations: []schema.Organization{
		{ID: globex, Name: "Renamed"}}}}, "")

	f("retired while in use", Change{Retire: meter("voice", schema.WholeUnits)}, "name")
	f("retired while not in use", Change{Retire: meter("spare", 0)}, "")
	f("taken off and retired", Change{
		Upsert: maps(acme, mappedTo("chat")), Retire: meter("voice", schema.WholeUnits)}, "")
	f("another unit while in use", Change{Upsert: meter("voice", schema.MicroUSD)}, "unit")
	f("another unit of the rest", Change{Upsert: meter("rest", schema.WholeUnits)}, "unit")
	f("the rest as it was", Change{Upsert: meter("rest", schema.MicroUSD)}, "")
	f("another unit while not in use", Change{Upsert: meter("spare", schema.WholeUnits)}, "")
}

// A catalog from before there were such rules can still be changed where it breaks them.
func TestMappingsOfBeforeStay(t *testing.T) {
	t.Parallel()
	odd := schema.StripeMapping{
		Customer: "cus_1", Meter: "usage:µUSD of everything", SubscriptionItem: "si_1",
	}
	have := NewSnapshot(schema.Catalog{Organizations: []schema.Organization{
		{ID: acme, Stripe: odd}, {ID: globex, Stripe: odd},
	}})
	renamed := schema.Organization{ID: acme, Name: "Renamed", Stripe: odd}
	c := Change{Upsert: schema.Catalog{Organizations: []schema.Organization{renamed}}}
	if err := Conflict(have, c); err != nil {
		t.Errorf("another name: %v", err)
	}
	c.Upsert.Organizations[0].Stripe.Since = time.Unix(3600, 0)
	if err := Conflict(have, c); schema.KindOf(err) != schema.Conflict {
		t.Errorf("another mapping: %v, want a conflict", err)
	}
	c.Upsert.Organizations[0].Stripe.Customer = "cus_2"
	c.Upsert.Organizations[0].Stripe.SubscriptionItem = ""
	if err := Conflict(have, c); err != nil {
		t.Errorf("a customer of its own: %v", err)
	}
}

func TestACatalogHasRoomForSoManyMeters(t *testing.T) {
	t.Parallel()
	var all schema.Catalog
	for i := range metersMax {
		all.Meters = append(all.Meters, schema.Meter{Name: fmt.Sprint("m", i)})
	}
	have := NewSnapshot(all)
	more := Change{Upsert: schema.Catalog{Meters: []schema.Meter{{Name: "more"}}}}
	if err := Conflict(have, more); schema.KindOf(err) != schema.Conflict {
		t.Errorf("one more: %v", err)
	}
	more.Retire.Meters = all.Meters[:1]
	if err := Conflict(have, more); err != nil {
		t.Errorf("one for another: %v", err)
	}
	if err := Conflict(have, Change{Upsert: all}); err != nil {
		t.Errorf("those that are there: %v", err)
	}
}

// A difference is told by what a row says, not by how its lists and times are held.
func TestDiffOfMetersAndMappings(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	catalog := func() schema.Catalog {
		m := mappedTo("voice", "chat")
		m.Since = since
		return schema.Catalog{
			Organizations: []schema.Organization{{ID: acme, Stripe: m}},
			Meters: []schema.Meter{
				{Name: "voice", UsageTypes: []string{"A", "B"}}, {Name: "chat"},
			},
		}
	}
	have := NewSnapshot(catalog())
	f := func(want string, change func(*schema.Catalog)) {
		t.Helper()
		c := catalog()
		change(&c)
		if got := Summary(Diff(have, c)); got != want {
			t.Errorf("difference %q, want %q", got, want)
		}
	}
	const one, meter = "1 organizations", "1 meters"
	f("", func(*schema.Catalog) {})
	f("", func(c *schema.Catalog) {
		c.Organizations[0].Stripe.Since = since.In(time.FixedZone("elsewhere", 3600))
		c.Meters[1].UsageTypes, c.Meters[1].Models = []string{}, []string{}
	})
	f(one, func(c *schema.Catalog) { c.Organizations[0].Stripe.Meters[1].SubscriptionItem = "x" })
	f(one, func(c *schema.Catalog) {
		all := c.Organizations[0].Stripe.Meters
		all[0], all[1] = all[1], all[0]
	})
	f(one, func(c *schema.Catalog) { c.Organizations[0].Stripe.Since = time.Time{} })
	f(one, func(c *schema.Catalog) { c.Organizations[0].EventsPerMinute = 1 })
	f(one, func(c *schema.Catalog) { c.Organizations[0].Name = "x" })
	f(one, func(c *schema.Catalog) { c.Organizations[0].Tenant = "x" })
	f(meter, func(c *schema.Catalog) { c.Meters[0].Unit = schema.WholeUnits })
	f(meter, func(c *schema.Catalog) { c.Meters[0].UsageTypes = []string{"B", "A"} })
	f(meter, func(c *schema.Catalog) { c.Meters[0].Models = []string{"x"} })
	f(meter, func(c *schema.Catalog) { c.Meters[0].StripeID = "mtr_1" })
	f(meter, func(c *schema.Catalog) { // the same twice is once
		c.Meters = append(c.Meters, schema.Meter{Name: "new"}, schema.Meter{Name: "new"})
	})
}

// A change of meters that failed half way is taken back.
func TestInverseOfMeters(t *testing.T) {
	t.Parallel()
	have := NewSnapshot(schema.Catalog{Meters: []schema.Meter{
		{Name: "changed", UsageTypes: []string{"A"}}, {Name: "gone"}, {Name: "stays"},
	}})
	got := have.inverse(Change{
		Upsert: schema.Catalog{Meters: []schema.Meter{{Name: "changed"}, {Name: "new"}}},
		Retire: schema.Catalog{Meters: []schema.Meter{{Name: "gone"}}},
	})
	want := Change{
		Upsert: schema.Catalog{Meters: []schema.Meter{
			{Name: "changed", UsageTypes: []string{"A"}}, {Name: "gone"},
		}},
		Retire: schema.Catalog{Meters: []schema.Meter{{Name: "new"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
