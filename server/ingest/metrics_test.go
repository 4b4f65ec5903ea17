package ingest

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/schema"
)

// What no rate prices is counted once: not again with a known duplicate, and not when it is refused.
func TestUnpricedIsCountedOnce(t *testing.T) {
	c := testConfig(t.TempDir(), &tap{})
	registry := prometheus.NewRegistry()
	c.Metrics = registry
	in := mustOpen(t, c)
	in.Start()
	defer stop(t, in)
	given := event("given")
	given.Measurements[0].Pricing = schema.Given
	two := event("two")
	two.Measurements = append(two.Measurements, schema.Measurement{
		UsageType: schema.Output, Quantity: schema.WholeQuantity(1),
	})
	bad := event("bad")
	bad.Measurements[0].Quantity = schema.WholeQuantity(-1)
	for range 2 {
		all := []schema.Event{event("a"), bad, two, given}
		if _, err := in.Record(context.Background(), all, false); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "meterhouse_unpriced_measurements_total" {
			continue
		}
		if got := f.GetMetric()[0].GetCounter().GetValue(); got != 3 {
			t.Errorf("%v measurements are counted as unpriced, want 3", got)
		}
		return
	}
	t.Error("there is no count of unpriced measurements")
}
