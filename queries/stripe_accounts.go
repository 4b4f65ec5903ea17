package queries

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var (
	stripeAccount = ask("stripe_account", bindNone, func(a *schema.StripeAccount) []any {
		return []any{&a.Number, &a.Live, &a.ID, &a.At, &a.Writer}
	})

	toldRevisions = ask("told_revisions",
		func(from time.Time) []any { return []any{second("from", from)} },
		func(o *schema.Outcome) []any {
			return []any{&o.Slot.Organization, &o.Slot.Meter, &o.Slot.Start, &o.Revision}
		})

	accountInvoiced = ask("account_invoiced", bindNone, func(n *uint64) []any { return []any{n} })
)

const insertStripeAccounts = "insert_stripe_accounts"

// StripeAccount returns the account that this database is reported to; zero before it is to any.
func (q *Queries) StripeAccount(ctx context.Context) (schema.StripeAccount, error) {
	a, _, err := first(ctx, q.conn, stripeAccount, none{})
	a.At = a.At.UTC()
	return a, err
}

// InsertStripeAccount writes an account unless its number is taken: StripeAccount tells which is
// there.
func (q *Queries) InsertStripeAccount(
	ctx context.Context, a schema.StripeAccount, within time.Duration,
) error {
	if a.Number == 0 || a.Writer == (uuid.UUID{}) {
		return errors.New(insertStripeAccounts + ": an account needs a number and a writer")
	}
	settings := claimSettings(fmt.Sprintf("account:%d", a.Number), within)
	return q.insertRow(ctx, insertStripeAccounts, settings, []tableColumn{
		{Name: "number", Type: "UInt64"},
		{Name: "live", Type: "Bool"},
		{Name: "account", Type: "String"},
		{Name: "at", Type: "DateTime64(6, 'UTC')"},
		{Name: "writer", Type: "UUID"},
	}, a.Number, a.Live, a.ID, a.At.UTC(), a.Writer)
}

// ToldRevisions returns the revisions of slots from an hour on that Stripe has not refused, of no
// hour before its organization's Stripe.Since: outcomes with a slot and a revision.
func (q *Queries) ToldRevisions(ctx context.Context, from time.Time) ([]schema.Outcome, error) {
	all, err := collect(ctx, q.conn, toldRevisions, from)
	for i := range all {
		all[i].Slot.Start = all[i].Slot.Start.UTC()
	}
	return all, err
}

// AccountInvoiced returns how many organizations have a finalized period, or carried units, since
// their Stripe.Since.
func (q *Queries) AccountInvoiced(ctx context.Context) (uint64, error) {
	n, _, err := first(ctx, q.conn, accountInvoiced, none{})
	return n, err
}
