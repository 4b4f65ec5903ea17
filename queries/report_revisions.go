package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// IdentifierParams names a revision as Stripe knows it.
type IdentifierParams struct {
	Organization uuid.UUID
	Start        time.Time // of the slot
	Identifier   string
}

type revisionRow struct {
	schema.Revision
	mode int8 // the numbers of Enum8s
	said int8
	last time.Time
}

func (r revisionRow) revision() schema.Revision {
	r.Mode, r.Verdict = schema.ReportMode(r.mode), schema.Verdict(r.said)
	r.CreatedAt, r.LastAt = r.CreatedAt.UTC(), fromEpoch(r.last)
	return r.Revision
}

type outcomeRow struct {
	schema.Outcome
	said int8
}

var (
	slotRevisions = ask("slot_revisions", bindSlot, func(r *revisionRow) []any {
		return []any{
			&r.Revision.Revision, &r.mode, &r.Total, &r.Send, &r.Identifier, &r.Customer,
			&r.SubscriptionItem, &r.CreatedAt, &r.Writer, &r.said, &r.Attempts, &r.Rotations,
			&r.last,
		}
	})
	slotOutcomes = ask("slot_outcomes", bindSlot, func(r *outcomeRow) []any {
		return []any{
			&r.Revision, &r.said, &r.KeyGeneration, &r.At, &r.Writer, &r.HTTPStatus,
			&r.RequestID, &r.Detail,
		}
	})
	revisionOf = ask("revision_of",
		func(p IdentifierParams) []any {
			return []any{
				id("organization", p.Organization), second("start", p.Start),
				text("identifier", p.Identifier),
			}
		},
		func(r *revisionRow) []any {
			return []any{
				&r.Slot.Meter, &r.Revision.Revision, &r.mode, &r.Total, &r.Send, &r.Customer,
				&r.SubscriptionItem, &r.CreatedAt, &r.Writer, &r.said, &r.Attempts, &r.Rotations,
				&r.last,
			}
		})
)

func bindSlot(s schema.Slot) []any {
	return []any{
		id("organization", s.Organization), text("meter", s.Meter), second("start", s.Start),
	}
}

// SlotRevisions returns a slot's revisions in order.
func (q *Queries) SlotRevisions(ctx context.Context, s schema.Slot) ([]schema.Revision, error) {
	rows, err := collect(ctx, q.conn, slotRevisions, s)
	var all []schema.Revision
	for _, row := range rows {
		r := row.revision()
		r.Slot = s
		all = append(all, r)
	}
	return all, err
}

// SlotOutcomes returns what came of a slot's attempts, ordered by revision, then time.
func (q *Queries) SlotOutcomes(ctx context.Context, s schema.Slot) ([]schema.Outcome, error) {
	rows, err := collect(ctx, q.conn, slotOutcomes, s)
	var all []schema.Outcome
	for _, row := range rows {
		o := row.Outcome
		o.Slot, o.Verdict, o.At = s, schema.Verdict(row.said), o.At.UTC()
		all = append(all, o)
	}
	return all, err
}

// RevisionOf returns the revision that was sent under an identifier; false when there is none.
func (q *Queries) RevisionOf(
	ctx context.Context, p IdentifierParams,
) (schema.Revision, bool, error) {
	row, ok, err := first(ctx, q.conn, revisionOf, p)
	if err != nil || !ok {
		return schema.Revision{}, false, err
	}
	r := row.revision()
	r.Slot.Organization, r.Slot.Start = p.Organization, p.Start.UTC()
	r.Identifier = p.Identifier
	return r, true, nil
}

// ToldCustomer is a customer of Stripe's whom hours of an organization's meter were told of.
type ToldCustomer struct {
	Customer     string
	Organization uuid.UUID
	Meter        string
	Item         string // subscription item; empty: none
}

var toldCustomers = ask("told_customers",
	func(from time.Time) []any { return []any{second("from", from)} },
	func(c *ToldCustomer) []any {
		return []any{&c.Customer, &c.Organization, &c.Meter, &c.Item}
	})

// ToldCustomers returns whom Stripe was told of for hours from a time on, each once, ordered by
// customer: what the catalog had then.
func (q *Queries) ToldCustomers(ctx context.Context, from time.Time) ([]ToldCustomer, error) {
	return collect(ctx, q.conn, toldCustomers, from)
}

var toldMeters = ask("told_meters",
	func(from time.Time) []any { return []any{second("from", from)} },
	func(r *meterRow) []any { return []any{&r.Name, &r.unit} })

// ToldMeters returns the meters that Stripe was told of for hours from a time on, ordered by name,
// with the unit of each and nothing else: retired ones too.
func (q *Queries) ToldMeters(ctx context.Context, from time.Time) ([]schema.Meter, error) {
	rows, err := collect(ctx, q.conn, toldMeters, from)
	var all []schema.Meter
	for _, r := range rows {
		all = append(all, r.meter())
	}
	return all, err
}
