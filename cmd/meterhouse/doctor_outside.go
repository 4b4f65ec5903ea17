package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// checkStripe asks Stripe for what organizations are billed by. Nothing is written there.
func (p *patient) checkStripe(ctx context.Context) error {
	b := p.config.billing
	if b.key == "" {
		p.say("stripe", fine, "", "no STRIPE_API_KEY: slots are kept, nobody is told")
		return nil
	}
	client, err := billing.NewClient(billing.ClientConfig{Key: string(b.key), Base: b.base})
	if err != nil {
		return err
	}
	mode := "live"
	if client.TestMode() {
		mode = "test"
	}
	p.say("stripe", fine, "", "the key is one of %s mode", mode)
	if b.webhooks == "" {
		p.say("stripe", warning, "set STRIPE_WEBHOOK_SECRET",
			"webhooks are refused: what closes a period is learned once a day")
	}
	if !p.checkStripeClock(ctx, b.base) {
		return nil
	}
	if err := p.checkStripeAccount(ctx, client); err != nil {
		return err
	}
	meters, err := client.MeterFaults(ctx, b.mode)
	if f := (*billing.Failure)(nil); errors.As(err, &f) && f.Answer.Ends == schema.RunHalted {
		p.say("stripe", problem, "make a key at Stripe that may read and write billing meters",
			"the key is refused: %s", f.Answer.Detail)
		return nil
	}
	if err != nil || p.queries == nil {
		return err
	}
	c, err := p.queries.LoadCatalog(ctx)
	if queries.Missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	if b.mode == schema.UsageRecord {
		p.say("stripe", fine, "", "subscription items of mode usage_record are not looked at")
		return nil
	}
	p.checkMeters(c.Organizations, meters)
	return p.checkCustomers(ctx, client, c.Organizations)
}

// checkStripeAccount holds the key's account against the one that the database is reported to.
func (p *patient) checkStripeAccount(ctx context.Context, client *billing.Client) error {
	if p.queries == nil {
		return nil
	}
	was, err := p.queries.StripeAccount(ctx)
	if queries.Missing(err) || err == nil && was.Number == 0 {
		return nil
	} else if err != nil {
		return err
	}
	is, _ := client.Account(ctx) // what Stripe does not say is compared by nothing
	if !was.Is(is) {
		p.say("stripe", problem, "use the other's key, or see docs/billing.md and run meterhouse "+
			"report --new-account", "the database is reported to %s, and the key is of %s: nothing "+
			"is told", was, is)
	}
	return nil
}

// checkMeters looks for each meter that organizations are billed by among those of the account.
func (p *patient) checkMeters(organizations []schema.Organization, faults map[string]string) {
	names := make(map[string]bool)
	for _, o := range organizations {
		for _, m := range o.Stripe.Meters {
			names[m.Meter] = true
		}
		names[o.Stripe.Meter] = true
	}
	delete(names, "")
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fault, there := faults[name]
		switch {
		case !there:
			p.say("stripe", problem, "make one with this event_name: see docs/reports.md",
				"meter %s is not there, or archived", name)
		case fault != "":
			p.say("stripe", problem, "make another: see docs/reports.md", "meter %s: %s", name, fault)
		default:
			p.say("stripe", fine, "", "meter %s is there", name)
		}
	}
}

// customersLooked bounds what Stripe is asked: each is a call.
const customersLooked = 20

func (p *patient) checkCustomers(
	ctx context.Context, client *billing.Client, organizations []schema.Organization,
) error {
	looked := 0
	for _, o := range organizations {
		if o.Stripe.Customer == "" {
			continue
		}
		if looked++; looked > customersLooked {
			p.say("stripe", fine, "", "of the customers %d were looked at", customersLooked)
			return nil
		}
		err := client.Customer(ctx, o.Stripe.Customer)
		if f := (*billing.Failure)(nil); errors.As(err, &f) && f.Answer.Ends == schema.RunHalted {
			p.say("stripe", fine, "", "the key may not read customers, which reports do not need")
			return nil
		}
		if e := (*schema.Error)(nil); errors.As(err, &e) && e.Kind == schema.NotFound {
			p.say("stripe", problem, "correct its stripe.customer", "customer %s of %s is not there",
				o.Stripe.Customer, o.Name)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// checkStripeClock compares with the Date of an answer, whatever it says else. It reports whether
// one came.
func (p *patient) checkStripeClock(ctx context.Context, base string) bool {
	if base == "" {
		base = "https://api.stripe.com"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, base, http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.say("stripe", problem, "see whether the way there is open", "cannot be reached")
		return false
	}
	defer answer.Body.Close()
	at, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return true
	}
	if apart := at.Sub(p.now()).Abs(); apart > time.Minute {
		p.say("clock", problem, "run an NTP client", "Stripe's is %s apart", apart.Round(time.Second))
	}
	return true
}

// checkTokens looks at what JWTs are proved by.
func (p *patient) checkTokens(ctx context.Context) error {
	tokens := p.config.access.tokens()
	if err := tokens.Check(); err != nil {
		p.say("tokens", problem, "make a secret of 32 bytes or more: openssl rand -hex 32; or correct "+
			"--jwks-url", "%v", err)
		return nil
	}
	if tokens.Secret != "" {
		p.say("tokens", fine, "", "METERHOUSE_JWT_SECRET is long enough")
	}
	if tokens.JWKSURL == "" {
		if tokens.Secret == "" {
			p.say("tokens", fine, "", "JWTs are taken from nobody")
		}
		return nil
	}
	usable, err := tokens.ReadKeys(ctx)
	switch {
	case err != nil:
		p.say("tokens", problem, "see whether --jwks-url is right and the way there open",
			"the keys of JWTs cannot be read: %v", err)
	case usable == 0:
		p.say("tokens", problem, "have the issuer publish RS256, ES256 or EdDSA keys",
			"--jwks-url has no key that a token may be signed with")
	default:
		p.say("tokens", fine, "", "the keys of JWTs can be read")
	}
	return nil
}
