package server

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// questionTimeout bounds a question from outside: the database has bounds of its own, but one that
// hangs keeps none.
const questionTimeout = 30 * time.Second

// reader implements dialect.Reader.
type reader struct {
	queries *queries.Queries
	ingest  *ingest.Ingest
	reads   *reads
	turns   *turns
}

func (r *reader) AgentUsage(
	ctx context.Context, p dialect.AgentUsageParams,
) (dialect.AgentUsage, error) {
	p.From, p.To = p.From.UTC(), p.To.UTC()
	return read(ctx, r.reads, agentUsageReads, p.Organization, p,
		func(ctx context.Context) (dialect.AgentUsage, int, error) {
			if p.To.IsZero() { // what has this very microsecond as its time counts
				p.To = r.reads.now().UTC().Truncate(time.Microsecond).Add(time.Microsecond)
			}
			usage, err := r.agentUsage(ctx, p)
			return usage, rowBytes * (1 + len(usage.Rows)), err
		})
}

// rowBytes is about what a row of an answer takes.
const rowBytes = 256

func (r *reader) agentUsage(
	ctx context.Context, p dialect.AgentUsageParams,
) (dialect.AgentUsage, error) {
	usage := dialect.AgentUsage{From: p.From, To: p.To}
	if p.From.IsZero() {
		first, ok, err := r.queries.AgentFirstEvent(ctx, queries.AgentFirstEventParams{
			Organization: p.Organization, Agent: p.Agent,
		})
		if err != nil {
			return usage, err
		}
		if !ok || !first.Before(p.To) {
			usage.From = p.To
			return usage, nil
		}
		usage.From = first
	}
	rows, err := r.queries.AgentUsage(ctx, queries.AgentUsageParams{
		Organization: p.Organization, Agent: p.Agent, From: usage.From, To: p.To,
	})
	if err != nil {
		return usage, err
	}
	for _, row := range rows {
		usage.Rows = append(usage.Rows, dialect.AgentUsageRow(row))
	}
	return usage, nil
}

// freshWait bounds how long a read waits for events that this node acknowledged to be stored.
const freshWait = 5 * time.Second

// UsageRecord looks twice where it has to: a record that is not there may be one this node
// acknowledged a moment ago.
func (r *reader) UsageRecord(
	ctx context.Context, organization, id uuid.UUID,
) (dialect.UsageRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	p := queries.UsageRecordParams{Organization: organization, Event: id}
	fresh := r.ingest.Pending() > 0 // before the look: what is stored in between is not overlooked
	record, ok, err := r.queries.UsageRecord(ctx, p)
	if err == nil && !ok && fresh {
		if err := r.flush(ctx); err != nil {
			return dialect.UsageRecord{}, unavailable(err)
		}
		record, ok, err = r.queries.UsageRecord(ctx, p)
	}
	if err != nil {
		return dialect.UsageRecord{}, unavailable(err)
	}
	if !ok {
		return dialect.UsageRecord{}, schema.Errorf(schema.NotFound, "usage_id", "is unknown")
	}
	return usageRecord(record), nil
}

// Event looks twice where it has to, as UsageRecord does.
func (r *reader) Event(
	ctx context.Context, organization, id uuid.UUID,
) (dialect.Revision, error) {
	all, err := r.EventHistory(ctx, organization, id)
	if err != nil {
		return dialect.Revision{}, err
	}
	return all[len(all)-1], nil
}

func (r *reader) EventHistory(
	ctx context.Context, organization, id uuid.UUID,
) ([]dialect.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	p := queries.EventParams{Organization: organization, Event: id}
	fresh := r.ingest.Pending() > 0
	found, err := r.queries.EventRevisions(ctx, p)
	if err == nil && len(found) == 0 && fresh {
		if err := r.flush(ctx); err != nil {
			return nil, unavailable(err)
		}
		found, err = r.queries.EventRevisions(ctx, p)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	if len(found) == 0 {
		return nil, schema.Errorf(schema.NotFound, "id", "is unknown")
	}
	all := make([]dialect.Revision, len(found))
	for i, f := range found {
		all[i] = revisionOf(f, i == len(found)-1)
	}
	return all, nil
}

// eventsAhead is after whatever may have been accepted: a client's clock may be five minutes ahead.
const eventsAhead = 10 * time.Minute

func (r *reader) Events(
	ctx context.Context, p dialect.EventsParams,
) (dialect.EventsPage, error) {
	p.From, p.Before.Time = p.From.UTC(), p.Before.Time.UTC()
	return read(ctx, r.reads, eventsReads, p.Organization, p,
		func(ctx context.Context) (dialect.EventsPage, int, error) {
			now := r.reads.now().UTC().Truncate(time.Microsecond)
			if p.From.IsZero() {
				p.From = now.Add(-dialect.EventsDefault)
			}
			if p.Before.Time.IsZero() {
				p.Before.Time = now.Add(eventsAhead)
			}
			found, err := r.queries.Events(ctx, queries.EventsParams{
				Organization: p.Organization, Agent: p.Agent, User: p.User, Model: p.Model,
				Service: p.Service, UsageType: p.UsageType, Voided: p.Voided,
				From: p.From, Before: queries.EventPosition(p.Before), Limit: p.Limit,
			})
			if err != nil {
				return dialect.EventsPage{}, 0, err
			}
			page := dialect.EventsPage{From: p.From, Next: (*dialect.EventPosition)(found.Next)}
			for _, f := range found.Events {
				page.Events = append(page.Events, revisionOf(f, true))
			}
			return page, eventBytes * (1 + len(page.Events)), nil
		})
}

// eventBytes is about what an event of an answer takes.
const eventBytes = 1024

func revisionOf(r queries.Revision, last bool) dialect.Revision {
	revision := dialect.Revision{
		Event: r.Event, Reversed: r.Reversed, At: r.Event.IngestTime,
		By: r.Actor, Reason: r.Reason,
	}
	if r.Reversed && last {
		revision.Voided = true
		revision.VoidedAt = r.ReversedAt
		revision.VoidedBy, revision.VoidedReason = r.ReversedBy, r.ReversedReason
	}
	return revision
}

func (r *reader) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	return r.ingest.Flush(ctx)
}

func (r *reader) UsageRecords(
	ctx context.Context, p dialect.UsageRecordsParams,
) ([]dialect.UsageRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	rows, err := r.queries.UsageRecords(ctx, queries.UsageRecordsParams{
		Organization: p.Organization,
		User:         p.User,
		Offset:       uint64(p.Offset),
		Limit:        uint64(p.Limit),
	})
	if err != nil {
		return nil, unavailable(queries.Narrow(err))
	}
	records := make([]dialect.UsageRecord, len(rows))
	for i, row := range rows {
		records[i] = usageRecord(row)
	}
	return records, nil
}

func usageRecord(r queries.UsageRecord) dialect.UsageRecord {
	return dialect.UsageRecord{
		ID: r.ID, User: r.User, APIName: r.APIName, Endpoint: r.Endpoint, Units: r.Units,
		CostUSD: r.CostUSD, ProviderKey: r.ProviderKey, Time: r.Time,
	}
}

func (r *reader) BillableRequests(
	ctx context.Context, p dialect.BillableRequestsParams,
) (dialect.BillableRequests, error) {
	p.From, p.To = p.From.UTC(), p.To.UTC()
	return read(ctx, r.reads, billableReads, p.Organization, p,
		func(ctx context.Context) (all dialect.BillableRequests, _ int, err error) {
			rows, totals, err := r.queries.BillableRequests(ctx, queries.BillableRequestsParams{
				Organization: p.Organization, User: p.User, From: p.From, To: p.To,
				Limit: uint64(p.Limit),
			})
			if err != nil {
				return all, 0, err
			}
			all.ProviderCost, all.BilledCost = totals.ProviderCost, totals.BilledCost
			all.Newest = make([]dialect.BillableRequest, len(rows))
			for i, row := range rows {
				all.Newest[i] = dialect.BillableRequest(row)
			}
			return all, rowBytes * (1 + len(rows)), nil
		})
}

func (r *reader) Unpriced(
	ctx context.Context, p dialect.UnpricedParams,
) ([]dialect.Unpriced, error) {
	p.From, p.To = p.From.UTC(), p.To.UTC()
	return read(ctx, r.reads, unpricedReads, p.Organization, p,
		func(ctx context.Context) ([]dialect.Unpriced, int, error) {
			rows, err := r.queries.Unpriced(ctx, queries.UnpricedParams{
				Organization: p.Organization, From: p.From, To: p.To, Limit: uint64(p.Limit),
			})
			if err != nil {
				return nil, 0, err
			}
			all := make([]dialect.Unpriced, len(rows))
			for i, row := range rows {
				all[i] = dialect.Unpriced(row)
			}
			return all, rowBytes * (1 + len(rows)), nil
		})
}

// readRetry is when to ask again after the database did not answer: it is restarting, as a rule.
const readRetry = 2 * time.Second

// unavailable tells a reader to come back when the database could not be reached; what it answered
// with is internal.
func unavailable(err error) error {
	if schema.KindOf(err) != schema.Internal ||
		!queries.Unreachable(err) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &schema.Error{
		Kind:       schema.Unavailable,
		Message:    "the database does not answer right now; try again",
		RetryAfter: readRetry,
	}
}
