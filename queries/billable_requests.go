package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// BillableRequest is an event of a service in its current revision: a row of the view
// user_billable_request_logs.
type BillableRequest struct {
	ID           uuid.UUID
	Service      string
	Model        string
	Channel      string
	InputTokens  schema.Quantity // INPUT, CACHED_INPUT and CACHE_WRITE
	OutputTokens schema.Quantity // OUTPUT and REASONING
	ProviderCost schema.USD
	BilledCost   schema.USD
	Unpriced     int64 // measurements without a rate
	Time         time.Time
}

// BillableTotals is what requests cost together.
type BillableTotals struct {
	ProviderCost schema.USD
	BilledCost   schema.USD
}

// BillableRequestsParams asks for a user's requests in an organization in [From, To).
type BillableRequestsParams struct {
	Organization uuid.UUID
	User         uuid.UUID
	From         time.Time
	To           time.Time
	Limit        uint64 // of the requests; the totals are of all of them
}

func bindBillableRange(p BillableRequestsParams) []any {
	return []any{
		id("organization", p.Organization),
		id("user", p.User),
		moment("from", storable(p.From)),
		moment("to", storable(p.To)),
	}
}

var billableRequests = ask("billable_requests", func(p BillableRequestsParams) []any {
	return append(bindBillableRange(p), number("limit", p.Limit),
		id("corrections_node", schema.CorrectionsNode(p.Organization)))
}, func(r *BillableRequest) []any {
	return []any{
		&r.ID, &r.Service, &r.Model, &r.Channel, &r.InputTokens, &r.OutputTokens,
		&r.ProviderCost, &r.BilledCost, &r.Unpriced, &r.Time,
	}
})

var billableTotals = ask("billable_totals", bindBillableRange, func(r *BillableTotals) []any {
	return []any{&r.ProviderCost, &r.BilledCost}
})

// BillableRequests returns the newest requests, newest first, and what all of them cost.
func (q *Queries) BillableRequests(
	ctx context.Context, p BillableRequestsParams,
) ([]BillableRequest, BillableTotals, error) {
	totals, _, err := first(ctx, q.conn, billableTotals, p)
	if err != nil {
		return nil, BillableTotals{}, err
	}
	requests, err := collect(ctx, q.conn, billableRequests, p)
	return requests, totals, err
}
