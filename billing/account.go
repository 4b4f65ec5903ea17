package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// outcomesAtOnce bounds an insert of what another account was told.
const outcomesAtOnce = 10_000

// Account returns which account of Stripe's the key is of. Its mode is in the key; its id is asked
// for once, and stays empty where the key may not ask. A *Failure when Stripe does not say.
func (c *Client) Account(ctx context.Context) (schema.StripeAccount, error) {
	account := schema.StripeAccount{Live: !c.TestMode()}
	c.mu.Lock()
	known, id := c.accountKnown, c.accountID
	c.mu.Unlock()
	if known {
		account.ID = id
		return account, nil
	}
	const path = "/v1/account"
	body, err := c.get(ctx, path, apiVersion, nil)
	var found struct {
		ID string `json:"id"`
	}
	f := (*Failure)(nil)
	switch {
	case errors.As(err, &f) && mayNotAsk(f.Answer.HTTPStatus):
	case err != nil:
		return account, err
	default:
		if err := json.Unmarshal(body, &found); err != nil || !strings.HasPrefix(found.ID, "acct_") {
			return account, c.unreadable(path, errors.New("an answer that is no account"))
		}
	}
	c.mu.Lock()
	c.accountKnown, c.accountID = true, c.redact.line(found.ID)
	account.ID = c.accountID
	c.mu.Unlock()
	return account, nil
}

// mayNotAsk reports whether a status says that a key is good, and not for this.
func mayNotAsk(status uint16) bool {
	return status == http.StatusForbidden || status == http.StatusNotFound
}

// account returns the key's account; without an id when Stripe does not say now.
func (r *Reporter) account(ctx context.Context) (schema.StripeAccount, bool) {
	a, err := r.cfg.Stripe.Account(ctx)
	return a, err == nil
}

// elsewhere returns why nothing is to be told: another account was, and what it was told counts as
// told. Empty: it was this one, or none.
func (r *Reporter) elsewhere(ctx context.Context) (string, error) {
	was, err := r.cfg.Queries.StripeAccount(ctx)
	if err != nil || was.Number == 0 {
		return "", err
	}
	is, _ := r.account(ctx)
	if was.Is(is) {
		return "", nil
	}
	return fmt.Sprintf("this database is reported to %s, and STRIPE_API_KEY is of %s, which knows "+
		"nothing of that: use the key of the first, or see docs/billing.md and run `meterhouse report "+
		"--new-account`", was, is), nil
}

// claimAccount notes whose the database's reports are, before the first is told: of two nodes with
// keys of two accounts one goes on. It returns what elsewhere does.
func (r *Reporter) claimAccount(ctx context.Context) (string, error) {
	if r.claimed.Load() {
		return "", nil
	}
	was, err := r.cfg.Queries.StripeAccount(ctx)
	if err != nil {
		return "", err
	}
	if was.Number == 0 {
		is, sure := r.account(ctx)
		if !sure {
			return "", nil // the next pass asks again
		}
		is.Number, is.At, is.Writer = 1, r.now(), r.cfg.Writer
		if err := r.cfg.Queries.InsertStripeAccount(ctx, is, claimTimeout); err != nil {
			return "", err
		}
	}
	why, err := r.elsewhere(ctx)
	r.claimed.Store(err == nil && why == "")
	return why, err
}

// foreign ends the pass when another account was told.
func (p *pass) foreign(
	ctx context.Context, look func(context.Context) (string, error),
) (bool, error) {
	why, err := look(ctx)
	if err != nil || why == "" {
		return false, err
	}
	p.run.End, p.run.Detail = schema.RunHalted, why
	p.metrics.alerts.WithLabelValues("account").Inc()
	p.cfg.Logger.Error("nothing is reported: " + why)
	return true, nil
}

// NewAccount has everything told to the key's account from now on: what another was told of hours
// that Stripe still takes, and of none before an organization's Stripe.Since, is told again within
// a day. It returns how many revisions that are. Conflict when the account is the same, or when the
// other one has invoiced, or units were carried, since then.
func (r *Reporter) NewAccount(ctx context.Context) (int, error) {
	if r.cfg.Stripe == nil {
		return 0, schema.Errorf(schema.Unavailable, "", "billing is off: set STRIPE_API_KEY")
	}
	was, err := r.cfg.Queries.StripeAccount(ctx)
	if err != nil {
		return 0, err
	}
	is, err := r.cfg.Stripe.Account(ctx)
	if err != nil {
		return 0, err
	}
	if was.Number == 0 || was.Is(is) {
		return 0, schema.Errorf(schema.Conflict, "", "nothing waits: this database is reported to %s",
			is)
	}
	invoiced, err := r.cfg.Queries.AccountInvoiced(ctx)
	if err != nil {
		return 0, err
	}
	if invoiced > 0 {
		return 0, schema.Errorf(schema.Conflict, "", "%s has invoiced %d organizations since their "+
			"stripe.since, or units of theirs were carried: set it to when reporting to %s begins",
			was, invoiced, is)
	}
	told, err := r.cfg.Queries.ToldRevisions(ctx, oldestSendable(r.now()))
	if err != nil {
		return 0, err
	}
	if err := r.forget(ctx, told, was); err != nil {
		return 0, err
	}
	is.Number, is.At, is.Writer = was.Number+1, r.now(), r.cfg.Writer
	if err := r.cfg.Queries.InsertStripeAccount(ctx, is, claimTimeout); err != nil {
		return 0, err
	}
	why, err := r.elsewhere(ctx)
	if err == nil && why != "" {
		err = schema.Errorf(schema.Conflict, "", "somebody else was first: %s", why)
	}
	return len(told), err
}

// forget notes that revisions are not at the account of now, so that their slots are told again, as
// the catalog has them now.
func (r *Reporter) forget(
	ctx context.Context, told []schema.Outcome, was schema.StripeAccount,
) error {
	for i := range told {
		o := &told[i]
		o.Verdict, o.At, o.Writer = schema.Refused, r.now(), r.cfg.Writer
		o.Detail = "told to " + was.String() + ", until " + r.now().Format(time.RFC3339)
	}
	for from := 0; from < len(told); from += outcomesAtOnce {
		part := told[from:min(from+outcomesAtOnce, len(told))]
		if err := r.cfg.Queries.InsertOutcomes(ctx, part); err != nil {
			return err
		}
	}
	return nil
}
