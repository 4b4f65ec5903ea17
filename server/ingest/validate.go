package ingest

import (
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// validate returns why an event cannot be accepted, nil when it can. Fields are named as the
// native API names them.
func validate(e *schema.Event, now time.Time) *schema.Error {
	if err := validateTime(e.Time, now); err != nil {
		return err
	}
	return Validate(e)
}

// Validate returns why what an event says cannot be accepted, whenever it was: a correction may
// come when the event is older than one that is new may be.
func Validate(e *schema.Event) *schema.Error {
	for _, f := range [...]struct{ name, value string }{
		{"service", e.Service}, {"channel", e.Channel}, {"api_name", e.APIName},
		{"endpoint", e.Endpoint}, {"provider", e.Provider},
		{"provider_endpoint", e.ProviderEndpoint}, {"provider_key", e.ProviderKey},
		{"model", e.Model}, {"purpose", e.Purpose},
	} {
		if f.value == "" {
			continue
		}
		if err := schema.CheckText(f.name, f.value); err != nil {
			return err.(*schema.Error)
		}
	}
	switch n := len(e.Measurements); {
	case n == 0:
		return schema.Errorf(schema.Invalid, "usage", "must name at least one usage type")
	case n > schema.MeasurementsMax:
		return schema.Errorf(schema.Invalid, "usage", "must name at most %d usage types",
			schema.MeasurementsMax)
	}
	for i := range e.Measurements {
		if err := validateMeasurement(e.Measurements, i); err != nil {
			return err
		}
	}
	return nil
}

func validateTime(t, now time.Time) *schema.Error {
	if t.After(now.Add(schema.FutureMax)) {
		return schema.Errorf(schema.Invalid, "time", "must be at most %d minutes ahead",
			int(schema.FutureMax.Minutes()))
	}
	if t.Before(now.Add(-schema.PastMax)) {
		return schema.Errorf(schema.Invalid, "time", "must be at most %d days back",
			int(schema.PastMax.Hours()/24))
	}
	return nil
}

func validateMeasurement(all []schema.Measurement, i int) *schema.Error {
	m := &all[i]
	if !schema.UsageTypeValid(m.UsageType) {
		return schema.Errorf(schema.Invalid, "usage",
			"usage types must be upper-case letters, digits and _, at most %d", schema.UsageTypeMax)
	}
	for j := range i {
		if all[j].UsageType == m.UsageType {
			return schema.Errorf(schema.Invalid, "usage."+m.UsageType, "must be given once")
		}
	}
	if m.Quantity.Sign() < 0 {
		return schema.Errorf(schema.Invalid, "usage."+m.UsageType, "must not be negative")
	}
	if m.ProviderCost.Sign() < 0 || m.BilledCost.Sign() < 0 {
		return schema.Errorf(schema.Invalid, "cost_usd", "must not be negative")
	}
	return nil
}
