package billing

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

const (
	// invoicesFor is how long ago an invoice may have been made, and a slot of its customer's have
	// begun, to be looked for: an hour is told for 35 days, and reconciliations may be missed.
	invoicesFor = 40 * day

	invoicesMax = 5000 // customers whose invoices one reconciliation asks for
)

// invoices learns of Stripe what webhooks have not told: they may be lost, and need not be set up.
// Its calls are counted by themselves: a key that must not read invoices may still compare.
type invoices struct {
	notices
	asked   map[string]bool // customers
	learned int             // periods
	first   string          // an invoice of theirs
}

func newInvoices(r *Reporter) *invoices {
	return &invoices{notices: notices{asking: asking{Reporter: r}}, asked: map[string]bool{}}
}

// customer takes over what a customer's invoices that were made since a time tell of periods, once.
// What goes wrong at Stripe is logged, and left to another reconciliation; the error is of the
// database.
func (p *invoices) customer(ctx context.Context, customer string, since time.Time) error {
	if customer == "" || p.asked[customer] || len(p.asked) >= invoicesMax {
		return nil
	}
	p.asked[customer] = true
	var all []Invoice
	err := p.ask(ctx, askInvoices, func() (err error) {
		all, err = p.cfg.Stripe.Invoices(ctx, customer, since)
		return err
	})
	if err == nil {
		err = p.takeOver(ctx, all)
	}
	if err == nil || !ofStripe(err) {
		return err
	}
	if !errors.Is(err, errAway) && !errors.Is(err, errDenied) {
		p.cfg.Logger.Warn("a customer's invoices could not be looked at",
			"customer", customer, "error", err)
	}
	return nil
}

// takeOver takes over a customer's invoices, which come the newest first, as webhooks would have
// told of them. A voided one counts as finalized, as its period stays closed, unless another took
// its place.
func (p *invoices) takeOver(ctx context.Context, all []Invoice) error {
	void := map[string]bool{}
	for _, in := range all {
		void[in.ID] = in.Status == "void"
	}
	for _, in := range slices.Backward(all) {
		switch in.Status {
		case "draft", "open", "paid", "uncollectible", "void":
		default:
			continue
		}
		if err := p.learn(ctx, in, void); err != nil {
			return err
		}
	}
	return nil
}

// learn writes what an invoice tells of periods and is not known.
func (p *invoices) learn(ctx context.Context, in Invoice, void map[string]bool) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	finalized := in.Status != "draft"
	var known []schema.StripePeriod
	for _, o := range p.organizations[in.Customer] {
		of, err := p.cfg.Queries.StripePeriods(ctx, o.ID)
		if err != nil {
			return err
		}
		known = append(known, of...)
	}
	if slices.ContainsFunc(known, func(k schema.StripePeriod) bool {
		return k.Invoice == in.ID && (k.Finalized || !finalized)
	}) {
		return nil // all of an invoice's periods are written at once
	}
	all, _, err := p.periods(ctx, in, finalized, p.now())
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(s schema.StripePeriod) bool {
		return isKnown(s, known, void)
	})
	if err := p.save(ctx, all); err != nil || len(all) == 0 {
		return err
	}
	p.metrics.learned(len(all))
	if p.learned == 0 {
		p.first = in.ID
	}
	p.learned += len(all)
	return nil
}

// isKnown reports whether a period is known to be as far: of two invoices of a finalized one, which
// was heard of first stays, unless it was voided and the other was not.
func isKnown(s schema.StripePeriod, known []schema.StripePeriod, void map[string]bool) bool {
	return slices.ContainsFunc(known, func(k schema.StripePeriod) bool {
		if k.Organization != s.Organization || k.Meter != s.Meter || !k.Start.Equal(s.Start) {
			return false
		}
		if k.Finalized && s.Finalized {
			return !void[k.Invoice] || void[s.Invoice]
		}
		return k.Finalized || !s.Finalized
	})
}

// tell says that webhooks are missing.
func (p *invoices) tell() {
	if p.learned > 0 {
		p.cfg.Logger.Warn("invoices were found that no webhook told of: what came late for their "+
			"periods is carried later than it could be; look at the endpoint in Stripe's dashboard",
			"periods", p.learned, "first", p.first)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
