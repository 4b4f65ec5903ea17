package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

var pricesFile = filepath.Join(repository, "billing", "prices.yaml")

// prices returns the rates of billing/prices.yaml: of a model, by usage type, the newest.
func prices(t *testing.T) map[string]map[string]schema.Rate {
	t.Helper()
	file, err := os.Open(pricesFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c, err := access.ParseFile(file) // which refuses a rate that is given twice
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]map[string]schema.Rate)
	for _, r := range c.Rates {
		if all[r.Model] == nil {
			all[r.Model] = make(map[string]schema.Rate)
		}
		if have, ok := all[r.Model][r.UsageType]; !ok || r.From.After(have.From) {
			all[r.Model][r.UsageType] = r
		}
	}
	return all
}

func TestPricesAreWhole(t *testing.T) {
	all := prices(t)
	const modelsMin = 40
	if len(all) < modelsMin {
		t.Errorf("%d models, want at least %d", len(all), modelsMin)
	}
	for model, rates := range all {
		input, ok := rates[schema.Input]
		if !ok {
			t.Errorf("%s has no price for input", model)
		}
		if _, ok := rates[schema.Output]; !ok && !strings.Contains(model, "embed") {
			t.Errorf("%s has no price for output", model)
		}
		for usageType, r := range rates {
			switch {
			case !schema.CountsTokens(usageType):
				t.Errorf("%s: %s is no class of tokens", model, usageType)
			case r.ProviderUSDPerMillion != r.BilledUSDPerMillion:
				t.Errorf("%s %s has a margin: that is the operator's", model, usageType)
			case r.ProviderUSDPerMillion.Sign() <= 0:
				t.Errorf("%s %s is free", model, usageType)
			case r.Provider == "" || r.Provider != input.Provider || !r.From.Equal(input.From):
				t.Errorf("%s %s: provider or date differ from its input's", model, usageType)
			}
		}
	}
}

// Reading a cache is no dearer than reading afresh, writing it no cheaper, and reasoning is billed
// as output.
func TestPricesAreInProportion(t *testing.T) {
	for model, rates := range prices(t) {
		atMost := func(cheap, dear string) {
			t.Helper()
			c, d := rates[cheap].ProviderUSDPerMillion, rates[dear].ProviderUSDPerMillion
			if c.Add(d.Neg()).Sign() > 0 {
				t.Errorf("%s: %s costs more than %s", model, cheap, dear)
			}
		}
		atMost(schema.CachedInput, schema.Input)
		atMost(schema.Reasoning, schema.Output)
		if _, ok := rates[schema.CacheWrite]; ok {
			atMost(schema.Input, schema.CacheWrite)
		}
		if _, ok := rates[schema.Reasoning]; ok {
			atMost(schema.Output, schema.Reasoning)
		}
	}
}

func TestPricesAreAppliedOnce(t *testing.T) {
	p := newProgram(t, demoCatalog)
	p.start()
	for _, want := range []string{" rates", "catalog is as the file says"} {
		if out := p.apply(pricesFile); !strings.Contains(out, want) {
			t.Errorf("apply says %s, want %q", out, want)
		}
	}
	p.stop()
}
