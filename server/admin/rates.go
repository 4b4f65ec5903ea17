package admin

import (
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// rates are what things cost, for every organization.
var rates = resource[schema.Rate]{
	path: "text_model_costs", key: []string{"id"},
	each:  (*access.Snapshot).EachRate,
	find:  findRate,
	thing: access.RateThing,
	id:    func(r schema.Rate) string { return r.ID.String() },
	see:   schema.Admin, edit: schema.Superadmin,
	visible: func(view, schema.Rate) bool { return true },
	create:  createRate,
	change:  changeRate,
	retire: func(_ view, r schema.Rate) (access.Change, error) {
		return access.Change{Retire: schema.Catalog{Rates: []schema.Rate{r}}}, nil
	},
}

func findRate(s *access.Snapshot, key []string) (schema.Rate, bool) {
	id, ok := parseID(key[0])
	for r := range s.EachRate() {
		if ok && r.ID == id {
			return r, true
		}
	}
	return schema.Rate{}, false
}

func createRate(v view, o *object) (outcome, error) {
	var made schema.Rate
	o.text("model", &made.Model)
	o.text("usage_type", &made.UsageType)
	o.instant("from", &made.From)
	takePrices(o, &made)
	o.require("model", "usage_type", "provider_usd_per_million", "billed_usd_per_million", "from")
	if o.has("usage_type") && !schema.UsageTypeValid(made.UsageType) {
		o.fail("usage_type", "must be upper-case letters, digits and _")
	}
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	for r := range v.EachRate() {
		if r.Model == made.Model && r.UsageType == made.UsageType && r.From.Equal(made.From) {
			return outcome{}, schema.Errorf(schema.Conflict, "from",
				"has a rate already, %s: change its prices", r.ID)
		}
	}
	return writeRate(made), nil
}

func changeRate(_ view, made schema.Rate, o *object) (outcome, error) {
	o.fixed("id", "model", "usage_type", "from")
	takePrices(o, &made)
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	return writeRate(made), nil
}

func takePrices(o *object, into *schema.Rate) {
	o.optional("provider", &into.Provider)
	o.usd("provider_usd_per_million", &into.ProviderUSDPerMillion)
	o.usd("billed_usd_per_million", &into.BilledUSDPerMillion)
}

// writeRate names the rate anew: a cost is explained by the id of exactly the prices that made it.
func writeRate(r schema.Rate) outcome {
	r.ID = schema.RateID(r)
	return outcome{
		change: access.Change{Upsert: schema.Catalog{Rates: []schema.Rate{r}}},
		thing:  access.RateThing(r),
	}
}

// day is the grain that unpriced usage is told in.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func orNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
