package admin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// A meter comes and goes as other things do, and refuses what Stripe or the view of what is
// reported could not read.
func TestMeters(t *testing.T) {
	t.Parallel()
	_, c := open(t)
	made := c.do("POST", "meters", `{"name":"voice_seconds","unit":"quantity",`+
		`"usage_types":["VAPI_SECONDS"],"models":["gpt-4o","claude-*"],"stripe_id":"mtr_1"}`, 201)
	want := map[string]any{
		"name": "voice_seconds", "unit": "quantity", "usage_types": []any{"VAPI_SECONDS"},
		"models": []any{"gpt-4o", "claude-*"}, "stripe_id": "mtr_1",
		"location": "/v1/admin/meters/voice_seconds",
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.refused("POST", "meters", `{"name":"voice_seconds"}`, 409, "name")
	const path = "meters/voice_seconds"
	changed := c.do("PATCH", path, `{"unit":"micro_usd","usage_types":null,"models":[]}`, 200)
	want = map[string]any{
		"name": "voice_seconds", "unit": "micro_usd", "usage_types": []any{}, "models": []any{},
		"stripe_id": "mtr_1",
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, c.do("GET", path, "", 200)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	invalid := func(member, value, field string) {
		t.Helper()
		c.refused("PATCH", path, fmt.Sprintf(`{%q:%s}`, member, value), 422, field)
	}
	invalid("name", `"x"`, "name")
	invalid("unit", `"cents"`, "unit")
	invalid("unit", `""`, "unit")
	invalid("unit", "null", "unit")
	invalid("usage_types", `"INPUT"`, "usage_types")
	invalid("usage_types", `{"0":"INPUT"}`, "usage_types")
	invalid("usage_types", `["INPUT",1]`, "usage_types[1]")
	invalid("usage_types", `["INPUT","INPUT"]`, "usage_types[1]")
	invalid("usage_types", `["input"]`, "usage_types[0]")
	invalid("usage_types", `[null]`, "usage_types[0]")
	invalid("models", `["a","a*b"]`, "models[1]")
	invalid("models", `["a**"]`, "models[0]")
	invalid("models", `[""]`, "models[0]")
	invalid("models", `["\u0000"]`, "models[0]")
	invalid("models", `["\ud800"]`, "models[0]")
	invalid("models", `["`+strings.Repeat("x", 257)+`"]`, "models[0]")
	invalid("models", `["a"`+strings.Repeat(`,"a"`, 100)+`]`, "models")
	invalid("stripe_id", `"../customers"`, "stripe_id")
	for _, name := range []string{"", "a b", "a/b", "ü", "a:b", strings.Repeat("x", 101)} {
		c.refused("POST", "meters", fmt.Sprintf(`{"name":%q}`, name), 422, "name")
	}
	c.refused("POST", "meters", `{}`, 422, "name")
	c.do("POST", "meters", `{"name":"`+strings.Repeat("x", 100)+`"}`, 201)
	c.do("DELETE", path, "", 204)
	c.do("DELETE", path, "", 404)
	c.do("GET", path, "", 404)
}

// An organization maps to meters that are there, once each, and nobody else's; while it does, they
// stay and count in the same unit.
func TestMappingsToMeters(t *testing.T) {
	t.Parallel()
	h, c := open(t)
	c.do("POST", "meters", `{"name":"voice","unit":"quantity"}`, 201)
	c.do("POST", "meters", `{"name":"chat"}`, 201)
	mapping := mappingOf(h.Acme)
	made := c.do("POST", "stripe_mappings", fmt.Sprintf(`{"organization_id":%q,"customer":"cus_1",`+
		`"meter":"rest","subscription_item":"si_0","since":"2026-11-01",`+
		`"meters":[{"meter":"voice","subscription_item":"si_1"},{"meter":"chat"}]}`, h.Acme.ID), 201)
	delete(made, "location")
	want := map[string]any{
		"organization_id": h.Acme.ID.String(), "customer": "cus_1", "meter": "rest",
		"subscription_item": "si_0", "since": "2026-11-01T00:00:00Z",
		"meters": []any{
			map[string]any{"meter": "voice", "subscription_item": "si_1"},
			map[string]any{"meter": "chat", "subscription_item": ""},
		},
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, c.do("PATCH", mapping, `{"customer":"cus_1"}`, 200)); diff != "" {
		t.Errorf("what is not named (-want +got):\n%s", diff)
	}
	invalid := func(member, value, field string) {
		t.Helper()
		c.refused("PATCH", mapping, fmt.Sprintf(`{%q:%s}`, member, value), 422, field)
	}
	invalid("meters", `"voice"`, "meters")
	invalid("meters", `["voice"]`, "meters[0]")
	invalid("meters", `[{"meter":"voice","meter":"chat"}]`, "meters[0]")
	invalid("meters", `[{"meter":"voice"},{}]`, "meters[1].meter")
	invalid("meters", `[{"meter":"voice","colour":1}]`, "meters[0].colour")
	invalid("meters", `[{"meter":"none"}]`, "meters[0].meter")
	invalid("meters", `[{"meter":"voice"},{"meter":"voice"}]`, "meters[1].meter")
	invalid("meters", `[{"meter":"rest"}]`, "meters[0].meter")
	invalid("meters", `[{"meter":"voice","subscription_item":"si_0"}]`,
		"meters[0].subscription_item")
	invalid("meters", `[{"meter":"voice","subscription_item":"a/b"}]`,
		"meters[0].subscription_item")
	invalid("since", `"2026-11-01T00:30:00Z"`, "since")
	invalid("since", `"2026-11-01T00:00:00+05:30"`, "since")
	invalid("since", `"2106-01-01"`, "since")
	invalid("since", "0", "since")

	c.refused("DELETE", "meters/voice", "", 409, "name")
	c.refused("PATCH", "meters/voice", `{"unit":"micro_usd"}`, 409, "unit")
	c.refused("POST", "meters", `{"name":"rest","unit":"quantity"}`, 409, "unit")
	c.do("POST", "meters", `{"name":"rest"}`, 201)
	c.refused("DELETE", "meters/rest", "", 409, "name")
	c.do("PATCH", "meters/voice", `{"usage_types":["VAPI_SECONDS"]}`, 200)

	theirs := func(members string, status int, field string) {
		t.Helper()
		body := fmt.Sprintf(`{"organization_id":%q,%s}`, h.Globex.ID, members)
		c.refused("POST", "stripe_mappings", body, status, field)
	}
	theirs(`"customer":"cus_1","meters":[{"meter":"chat"}]`, 409, "meter")
	theirs(`"customer":"cus_1","meter":"voice"`, 409, "meter")
	theirs(`"customer":"cus_2","subscription_item":"si_1"`, 409, "subscription_item")
	c.do("POST", "stripe_mappings", fmt.Sprintf(`{"organization_id":%q,"customer":"cus_2",`+
		`"meters":[{"meter":"voice","subscription_item":"si_2"}]}`, h.Globex.ID), 201)
	c.refused("PATCH", mappingOf(h.Globex), `{"customer":"cus_1"}`, 409, "meter")

	changed := c.do("PATCH", mapping, `{"meters":null,"since":null}`, 200)
	want["meters"], want["since"] = []any{}, nil
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.do("DELETE", "meters/chat", "", 204)
	c.do("DELETE", mappingOf(h.Globex), "", 204)
	c.do("PATCH", "meters/voice", `{"unit":"micro_usd"}`, 200)
	c.do("PATCH", "meters/voice", `{"unit":"quantity"}`, 200)
	tell(h, "voice", 34)
	tell(h, "gone", 34)
	tell(h, "spare", 37)
	c.refused("PATCH", "meters/voice", `{"unit":"micro_usd"}`, 409, "unit")
	c.do("PATCH", "meters/voice", `{"usage_types":["VAPI_SECONDS","SECONDS"]}`, 200)
	c.do("DELETE", "meters/voice", "", 204)
	c.refused("POST", "meters", `{"name":"voice"}`, 409, "unit") // it was in seconds
	c.do("POST", "meters", `{"name":"voice","unit":"quantity"}`, 201)
	c.refused("POST", "meters", `{"name":"gone","unit":"quantity"}`, 409, "unit")
	c.do("POST", "meters", `{"name":"spare","unit":"quantity"}`, 201)
}

// tell has Stripe been told of a meter's hour so many days ago, for an organization that the catalog
// does not have any more. With toldConflict's question left out all four changes were made.
func tell(h *dialecttest.Harness, meter string, days int) {
	h.Database.Exec(`INSERT INTO report_intents (organization_id, meter, window_start, revision, mode,
		total, send, identifier, customer, created_at, batch, batch_id)
		SELECT generateUUIDv4(), ?, toStartOfHour(now() - INTERVAL ? DAY), 1, 'preaggregated', 1, 1,
		?, 'cus_gone', now(), ?, generateUUIDv4()`, meter, days, "mh1-"+meter, len(meter))
}

func mappingOf(o *dialecttest.Organization) string { return "stripe_mappings/" + o.ID.String() }
