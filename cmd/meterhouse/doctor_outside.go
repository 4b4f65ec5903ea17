package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/queries"
)

// metersLooked bounds what Stripe is asked.
const metersLooked = 20

// checkStripe asks Stripe for each meter that organizations are billed by. Nothing is written there.
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
		p.say("stripe", warning, "set STRIPE_WEBHOOK_SECRET", "webhooks are refused: what closes a period "+
			"is learned once a day")
	}
	p.checkStripeClock(ctx, b.base)
	if p.queries == nil {
		return nil
	}
	c, err := p.queries.LoadCatalog(ctx)
	if queries.Missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	names := make(map[string]bool)
	for _, o := range c.Organizations {
		for _, m := range o.Stripe.Meters {
			names[m.Meter] = true
		}
		names[o.Stripe.Meter] = true
	}
	delete(names, "")
	looked := 0
	for name := range names {
		if looked++; looked > metersLooked {
			p.say("stripe", fine, "", "%d more meters were not looked at", len(names)-metersLooked)
			break
		}
		if _, err := client.MeterID(ctx, name); err != nil {
			p.say("stripe", problem, "make a meter with this event_name at Stripe, and check the key",
				"meter %s: %v", name, err)
		} else {
			p.say("stripe", fine, "", "meter %s is there", name)
		}
	}
	return nil
}

// checkStripeClock compares with the Date of an answer, whatever it says else.
func (p *patient) checkStripeClock(ctx context.Context, base string) {
	if base == "" {
		base = "https://api.stripe.com"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, base, http.NoBody)
	if err != nil {
		return
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.say("stripe", problem, "see whether the way there is open", "cannot be reached")
		return
	}
	defer answer.Body.Close()
	at, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return
	}
	if apart := at.Sub(p.now()).Abs(); apart > time.Minute {
		p.say("clock", problem, "run an NTP client", "Stripe's is %s apart", apart.Round(time.Second))
	}
}

const secretLeast = 32 // bytes of a key of HS256

// checkTokens looks at what JWTs are proved by.
func (p *patient) checkTokens(ctx context.Context) error {
	a := p.config.access
	switch {
	case a.jwtSecret == "" && a.jwks == "":
		p.say("tokens", fine, "", "JWTs are taken from nobody")
	case a.jwtSecret != "" && len(a.jwtSecret) < secretLeast:
		p.say("tokens", problem, "make one of 32 bytes or more: openssl rand -hex 32",
			"METERHOUSE_JWT_SECRET has %d bytes", len(a.jwtSecret))
	case a.jwtSecret != "":
		p.say("tokens", fine, "", "METERHOUSE_JWT_SECRET is long enough")
	}
	if a.jwks == "" {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.jwks, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		if err == nil {
			err = answer.Body.Close()
		}
		p.say("tokens", problem, "see whether --jwks-url is right and the way there open",
			"the keys cannot be read")
		return err
	}
	defer answer.Body.Close()
	if strings.Contains(answer.Header.Get("Content-Type"), "html") {
		p.say("tokens", problem, "correct --jwks-url", "the keys' address answers with a page")
	} else {
		p.say("tokens", fine, "", "the keys of JWTs can be read")
	}
	return nil
}
