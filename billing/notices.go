package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Notify takes an event that Stripe sent, and returns once it is stored: a pass deals with it.
// Unauthenticated when its signature is not right, Invalid when it cannot be read, and Unavailable
// when it has to be sent again.
func (r *Reporter) Notify(ctx context.Context, body []byte, signature string) error {
	if r.cfg.Stripe == nil {
		return schema.Errorf(schema.Unavailable, "",
			"billing is off: set STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET")
	}
	if len(r.cfg.Stripe.secrets) == 0 {
		return schema.Errorf(schema.Unavailable, "",
			"notices are off: set STRIPE_WEBHOOK_SECRET to the endpoint's signing secret")
	}
	n, err := r.cfg.Stripe.Notice(body, signature)
	if err != nil {
		return err
	}
	r.metrics.notices.WithLabelValues("received").Inc()
	err = r.cfg.Queries.SaveWebhook(ctx, schema.Webhook{
		ID: n.ID, Type: n.Type, ReceivedAt: r.now(), Body: body,
	})
	if err != nil {
		return &schema.Error{
			Kind: schema.Unavailable, Message: "the event could not be stored, send it again",
			Cause: err,
		}
	}
	return nil
}

// Bounds of what one pass deals with.
const (
	noticesAtOnce = 200                // that are read from the database
	noticesMax    = 2000               // that are looked at
	giveUpAfter   = 7 * 24 * time.Hour // a notice that could not be dealt with for so long never will
	refusedAfter  = time.Hour          // one that asks for what is not at Stripe, yet
)

// notices is one pass over what Stripe sent.
type notices struct {
	asking
	organizations map[string][]schema.Organization // by customer
	current       map[string][]uuid.UUID           // of them: those that the catalog has so
	meters        map[string]schema.Meter          // by name
}

// dealWithNotices deals with what Stripe sent, the oldest first. What cannot be dealt with now
// stays for another pass and keeps nothing else waiting; any of it may be dealt with twice. The
// error is of the database.
func (r *Reporter) dealWithNotices(ctx context.Context) error {
	if r.cfg.Stripe == nil {
		return nil
	}
	pass, left := notices{asking: asking{Reporter: r}}, map[string]bool{}
	for seen := 0; seen < noticesMax; {
		limit := noticesAtOnce + len(left)
		all, err := r.cfg.Queries.OpenWebhooks(ctx, uint64(limit))
		if err != nil {
			return err
		}
		fresh := 0
		for _, w := range all {
			if left[w.ID] {
				continue
			}
			fresh++
			dealt, err := pass.settle(ctx, w)
			if err != nil {
				return err
			}
			left[w.ID] = !dealt
		}
		seen += fresh
		if len(all) < limit || fresh == 0 {
			return nil
		}
	}
	return nil
}

// settle deals with one notice and notes that it is; false when it stays open. The error is of the
// database, or the test's that lets the pass crash.
func (p *notices) settle(ctx context.Context, w schema.Webhook) (bool, error) {
	detail, err := p.deal(ctx, w)
	switch {
	case err == nil:
	case !ofStripe(err):
		return false, err
	case p.now().Sub(w.ReceivedAt) < patience(err):
		if !errors.Is(err, errAway) && !errors.Is(err, errDenied) {
			p.cfg.Logger.Warn("a notice of Stripe's could not be dealt with yet",
				"event", w.ID, "type", w.Type, "error", err)
		}
		return false, nil
	default:
		p.metrics.alerts.WithLabelValues("notice").Inc()
		p.cfg.Logger.Error("a notice of Stripe's could not be dealt with, look at it in its dashboard",
			"event", w.ID, "type", w.Type, "error", err)
		detail = "given up: " + err.Error()
	}
	w.Done, w.DoneAt, w.Detail, w.Body = true, p.now(), detail, nil
	if err := p.cfg.Queries.SaveWebhook(ctx, w); err != nil {
		return false, err
	}
	p.metrics.notices.WithLabelValues("dealt").Inc()
	return true, p.step(stepDealt)
}

// patience returns how old a notice may get that cannot be dealt with.
func patience(err error) time.Duration {
	if refusedQuestion(err) {
		return refusedAfter
	}
	return giveUpAfter
}

// deal does what a notice calls for and says what that was. An error that is of Stripe's means
// that another pass may be able to.
func (p *notices) deal(ctx context.Context, w schema.Webhook) (string, error) {
	switch w.Type {
	case "invoice.created", "invoice.finalized":
		n, err := decodeNotice(w.Body)
		if err != nil || n.Invoice == nil {
			return "cannot be read", nil
		}
		return p.invoice(ctx, *n.Invoice, w.Type == "invoice.finalized", w.ReceivedAt)
	case "v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found":
		return p.problems(ctx, w)
	case "invoice.voided":
		// Whoever voids an invoice means that it is not paid. Its period stays closed: what was used
		// in it is not to come back by itself, on the next invoice.
		p.cfg.Logger.Warn("an invoice was voided: what it told of stays invoiced", "event", w.ID)
		return "its period stays closed", nil
	}
	return "not needed", nil
}

// invoice takes over the periods that an invoice tells of, drafted or finalized, and says which.
func (p *notices) invoice(
	ctx context.Context, invoice Invoice, finalized bool, at time.Time,
) (string, error) {
	all, detail, err := p.periods(ctx, invoice, finalized, at)
	if err != nil {
		return "", err
	}
	return detail, p.save(ctx, all)
}

// save writes periods.
func (p *notices) save(ctx context.Context, all []schema.StripePeriod) error {
	if err := p.step(stepNotice); err != nil || len(all) == 0 {
		return err
	}
	return p.cfg.Queries.SavePeriods(ctx, all)
}

// periods returns the periods that an invoice tells of, heard of at a time, and says what became of
// its lines.
func (p *notices) periods(
	ctx context.Context, invoice Invoice, finalized bool, at time.Time,
) ([]schema.StripePeriod, string, error) {
	if err := p.load(ctx); err != nil {
		return nil, "", err
	}
	customers := p.organizations[invoice.Customer]
	if len(customers) == 0 {
		return nil, "its customer is no organization's", nil
	}
	if invoice.More {
		if err := p.ask(ctx, askInvoices, func() (err error) {
			invoice.Lines, err = p.cfg.Stripe.Lines(ctx, invoice.ID)
			return err
		}); err != nil {
			if refusedQuestion(err) {
				return nil, "its lines cannot be read: " + err.Error(), nil
			}
			return nil, "", err
		}
	}
	ids, err := p.meterIDs(ctx, customers, invoice.Lines)
	if err != nil {
		return nil, "", err
	}
	all, foreign, early := periodsOf(periodsParams{
		Invoice: invoice, Finalized: finalized, Customers: customers, IDs: ids, At: at,
	})
	if all, err = p.ofMost(ctx, invoice.Customer, all); err != nil {
		return nil, "", err
	}
	kind := "invoice.created"
	if finalized {
		kind = "invoice.finalized"
		for _, o := range customers {
			known, err := p.cfg.Queries.StripePeriods(ctx, o.ID)
			if err != nil {
				return nil, "", err
			}
			all = append(all, withoutLine(invoice, o.ID, all, known, at)...)
		}
	}
	return all, fmt.Sprintf("%s of %s: %d periods, %d lines of no meter of ours, "+
		"%d of open periods", kind, invoice.ID, len(all), foreign, early), nil
}

// problems has every revision told again that Stripe says does not count.
func (p *notices) problems(ctx context.Context, w schema.Webhook) (string, error) {
	var problems []MeterProblem
	err := p.ask(ctx, askEvents, func() (err error) {
		problems, err = p.cfg.Stripe.Problems(ctx, w.ID)
		return err
	})
	if err != nil {
		return "", err
	}
	var all []schema.Outcome
	foreign := 0
	for _, problem := range problems {
		revision, ok, err := p.revisionOf(ctx, problem.Identifier)
		if err != nil {
			return "", err
		}
		if !ok {
			foreign++
			continue
		}
		all = append(all, schema.Outcome{
			Slot: revision.Slot, Revision: revision.Revision, Verdict: schema.Refused,
			At: p.now(), Writer: p.cfg.Writer, Detail: problem.Code + ": " + problem.Message,
		})
	}
	if err := p.step(stepNotice); err != nil {
		return "", err
	}
	if len(all) > 0 {
		if err := p.cfg.Queries.InsertOutcomes(ctx, all); err != nil {
			return "", err
		}
		p.metrics.alerts.WithLabelValues("refused").Inc()
		p.cfg.Logger.Warn("Stripe does not count meter events that it had taken",
			"event", w.ID, "revisions", len(all), "first", all[0].Slot.String(),
			"detail", all[0].Detail)
	}
	return fmt.Sprintf("%d revisions refused, %d events that are not ours", len(all), foreign), nil
}

// revisionOf returns the revision that Stripe knows by an identifier; false when it is not ours.
func (p *notices) revisionOf(
	ctx context.Context, identifier string,
) (schema.Revision, bool, error) {
	named, ok := ParseIdentifier(identifier)
	if !ok {
		return schema.Revision{}, false, nil
	}
	return p.cfg.Queries.RevisionOf(ctx, named)
}

// load reads the catalog, once a pass.
func (p *notices) load(ctx context.Context) error {
	if p.organizations != nil {
		return nil
	}
	organizations, meters, err := p.cfg.Queries.Billed(ctx)
	if err != nil {
		return err
	}
	p.organizations, p.meters = map[string][]schema.Organization{}, metersByName(meters)
	for _, o := range organizations {
		if customer := o.Stripe.Customer; customer != "" {
			p.organizations[customer] = append(p.organizations[customer], o)
		}
	}
	return p.addFormer(ctx)
}

func metersByName(meters []schema.Meter) map[string]schema.Meter {
	byName := make(map[string]schema.Meter, len(meters))
	for _, m := range meters {
		byName[m.Name] = m
	}
	return byName
}

// meterIDs returns Stripe's ids of the organizations' meters by name, as far as lines need them.
func (p *notices) meterIDs(
	ctx context.Context, customers []schema.Organization, lines []InvoiceLine,
) (map[string]string, error) {
	ids := map[string]string{}
	for _, o := range customers {
		for _, m := range metersOf(o.Stripe) {
			if id := p.meters[m.Meter].StripeID; id != "" {
				ids[m.Meter] = id
			}
		}
	}
	for _, line := range lines {
		if _, ok := countedBy(line, customers, ids); ok || line.Meter == "" {
			continue
		}
		return ids, p.askMeterIDs(ctx, customers, ids)
	}
	return ids, nil
}

// askMeterIDs adds what only Stripe knows. A meter that Stripe does not have is left out.
func (p *notices) askMeterIDs(
	ctx context.Context, customers []schema.Organization, ids map[string]string,
) error {
	for _, o := range customers {
		for _, m := range metersOf(o.Stripe) {
			if ids[m.Meter] != "" {
				continue
			}
			err := p.ask(ctx, askMeters, func() (err error) {
				ids[m.Meter], err = p.cfg.Stripe.MeterID(ctx, m.Meter)
				return err
			})
			if err != nil && !refusedQuestion(err) {
				return err
			}
		}
	}
	return nil
}
