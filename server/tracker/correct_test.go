package tracker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// corrector keeps one event of the organization's, as a Corrector would.
type corrector struct {
	event  schema.Event
	voided bool
	err    error
	asked  dialect.CorrectParams
}

func newCorrector() *corrector {
	return &corrector{event: schema.Event{
		Organization: organization, ID: storedID, Time: now.Add(1500 * time.Microsecond),
		User: member, APIName: "llm", Endpoint: "/chat", ProviderKey: "sk-…efgh", Chargeable: true,
		Measurements: []schema.Measurement{{
			UsageType: schema.Units, Quantity: schema.WholeQuantity(346), Pricing: schema.Given,
			ProviderCost: usd("0.0043"), BilledCost: usd("0.0043"),
		}},
	}}
}

func (k *corrector) Correct(
	_ context.Context, p dialect.CorrectParams,
) (dialect.Revision, error) {
	k.asked = p
	if k.err != nil {
		return dialect.Revision{}, k.err
	}
	if p.Organization != organization || p.Event != storedID || k.voided {
		return dialect.Revision{}, schema.Errorf(schema.NotFound, "id", "is unknown")
	}
	next, err := p.Change(k.event)
	if err != nil {
		return dialect.Revision{}, err
	}
	if next == nil {
		k.voided = true
		return dialect.Revision{Event: k.event, Voided: true}, nil
	}
	k.event = *next
	return dialect.Revision{Event: k.event}, nil
}

func TestCorrectExchanges(t *testing.T) {
	g := golden{t: t}
	with := func(k *corrector) *system { s := newSystem(); s.Corrector = k; return s }
	fresh := func() *system { return with(newCorrector()) }
	fails := func(err error) *system { k := newCorrector(); k.err = err; return with(k) }
	other := func(edit func(*schema.Event)) *system {
		k := newCorrector()
		edit(&k.event)
		return with(k)
	}
	path := "/usage/" + storedID.String()
	put := func(body string, headers ...string) *http.Request {
		return request("PUT", path, body, headers...)
	}
	remove := func(path string, headers ...string) *http.Request {
		return request("DELETE", path, "", headers...)
	}
	tokens := func(e *schema.Event) { e.Measurements[0].UsageType = schema.Input }

	g.add("both", fresh(), put(`{"units_used":7,"cost_usd":0.01}`))
	g.add("units", fresh(), put(`{"units_used":0}`))
	g.add("cost", fresh(), put(`{"cost_usd":"999999.9999"}`))
	g.add("nothing", fresh(), put(`{}`))
	g.add("what is not ours", fresh(), put(`{"api_name":7,"user_id":null,"status_active":false}`))
	g.add("at the original's mount", fresh(), request("PUT", "/api/v1"+path+"/", `{"units_used":1}`))
	g.add("from a page", fresh(), put(`{}`, "Origin: https://a.example"))
	g.add("null", fresh(), put(`{"units_used":null,"cost_usd":null}`))
	g.add("all wrong", fresh(),
		request("PUT", "/usage/usage-uuid", `{"units_used":-1,"cost_usd":0.00001}`))
	g.add("bad JSON", fresh(), put(`{"units_used":`))
	g.add("not UTF-8", fresh(), put("{\"a\":\"\xff\"}"))
	g.add("empty body", fresh(), put(""))
	g.add("form", fresh(), put("a=1", "Content-Type: application/x-www-form-urlencoded"))
	g.add("no token", fresh(), put("{", "Authorization: "))
	g.add("a member", fresh(), put(`{`, asMember))
	g.add("unknown", fresh(), request("PUT", "/usage/"+freshID.String(), `{}`))
	g.add("not of units", other(tokens), put(`{}`))
	g.add("unavailable", fails(&schema.Error{
		Kind: schema.Unavailable, Message: "try again", RetryAfter: 2 * time.Second,
	}), put(`{}`))
	g.add("invalid", fails(schema.Errorf(schema.Invalid, "usage.UNITS", "is not allowed")), put(`{}`))
	g.add("internal", fails(errors.New("table corrections is gone")), put(`{}`))

	g.add("deleted", fresh(), remove(path))
	g.add("deleted at the original's mount", fresh(), remove("/api/v1"+path+"/"))
	g.add("deleted from a page", fresh(), remove(path, "Origin: https://a.example"))
	g.add("delete without a token", fresh(), remove(path, "Authorization: "))
	g.add("delete by a member", fresh(), remove(path, asMember))
	g.add("delete nothing", fresh(), remove("/usage/"+freshID.String()))
	g.add("delete a placeholder", fresh(), remove("/usage/usage-uuid"))
	g.add("delete not of units", other(tokens), remove(path))
	g.add("preflight", fresh(), request("OPTIONS", path, "", "Origin: https://a.example",
		"Access-Control-Request-Method: DELETE", "Access-Control-Request-Headers: authorization"))
	g.add("no preflight", fresh(), request("OPTIONS", path, ""))
	g.add("another method", fresh(), request("PATCH", path, "{}"))
	g.compare("testdata/correct.golden")
}

// TestChanges is what becomes of the ledger's measurement.
func TestChanges(t *testing.T) {
	units := func(n int64) *int64 { return &n }
	cost := func(s string) *schema.USD { u := usd(s); return &u }
	f := func(pricing schema.Pricing, made change, want string) {
		t.Helper()
		m := schema.Measurement{
			UsageType: schema.Units, Quantity: schema.WholeQuantity(5), Pricing: pricing,
			ProviderCost: usd("2"), BilledCost: usd("3"), Rate: uuid.UUID{byte(pricing)},
		}
		made.apply(&m)
		got := fmt.Sprint(m.Quantity, " ", m.ProviderCost, " ", m.BilledCost, " ", m.Pricing,
			" ", m.Rate != uuid.Nil)
		if got != want {
			t.Errorf("%+v of pricing %d: %s, want %s", made, pricing, got, want)
		}
	}
	f(schema.Given, change{}, "5 2 3 2 true")
	f(schema.Given, change{units: units(7)}, "7 2 3 2 true")
	f(schema.Given, change{cost: cost("1")}, "5 1 1 2 false")
	f(schema.Rated, change{}, "5 2 3 1 true")
	f(schema.Rated, change{units: units(5)}, "5 2 3 1 true")
	f(schema.Rated, change{units: units(7)}, "7 0 0 0 false") // priced anew
	f(schema.Rated, change{units: units(7), cost: cost("1")}, "7 1 1 2 false")
}

// What an event of another API's used beside its units is not the tracker's to delete.
func TestDeleteTakesUnitsOnly(t *testing.T) {
	k := newCorrector()
	k.event.Measurements = append([]schema.Measurement{{
		UsageType: schema.Input, Quantity: schema.WholeQuantity(9),
	}}, k.event.Measurements...)
	s := newSystem()
	s.Corrector = k
	exchange(t, s.app(), request("DELETE", "/usage/"+storedID.String(), ""))
	if k.voided || len(k.event.Measurements) != 1 ||
		k.event.Measurements[0].UsageType != schema.Input {
		t.Errorf("left is %+v", k.event)
	}
	if !strings.HasPrefix(k.asked.Actor, "user:"+admin.String()) || k.asked.Reason == "" {
		t.Errorf("by %q because of %q", k.asked.Actor, k.asked.Reason)
	}
}
