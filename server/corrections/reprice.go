package corrections

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// RepriceParams says what is priced again: the events in [From, To), by their own time.
type RepriceParams struct {
	Organization uuid.UUID // zero: every one
	Model        string    // empty: any
	From         time.Time // zero: unbounded
	To           time.Time // zero: unbounded
	Actor        string
	Reason       string
	DryRun       bool // find out and write nothing
}

// Repriced is what repricing makes of one organization's events of one model: sums of those whose
// costs change, before and after.
type Repriced struct {
	Organization             uuid.UUID
	Model                    string
	Events                   uint64
	ProviderOld, ProviderNew schema.USD
	BilledOld, BilledNew     schema.USD
}

// An event page is one correction. It shrinks when another writer was first, so that one who
// corrects all the time cannot keep repricing from ever getting through.
const (
	pageMax = 5_000
	pageMin = 100
)

// pageTimeout bounds what one page may take.
const pageTimeout = 2 * time.Minute

// Reprice gives the measurements that no client stated a cost of the costs that the rates in force
// at their event's time make of them, by corrections of up to 5,000 events each. An event that
// somebody else corrects meanwhile is priced as it is then. It returns what it did, ordered by
// organization and model, with an error too: asked again it goes on where it ended.
func (c *Corrector) Reprice(ctx context.Context, p RepriceParams) ([]Repriced, error) {
	organizations := []uuid.UUID{p.Organization}
	if p.Organization == uuid.Nil {
		var err error
		organizations, err = c.cfg.Queries.UsageOrganizations(ctx, queries.VerifyParams{
			From: p.From, To: p.To,
		})
		if err != nil {
			return nil, err
		}
	}
	run := repricing{c: c, p: p, rates: c.cfg.Snapshot(), all: make(map[repricedKey]*Repriced)}
	for _, organization := range organizations {
		if err := run.organization(ctx, organization); err != nil {
			return run.rows(), unavailable(err)
		}
	}
	return run.rows(), nil
}

// repricing is one call of Reprice.
type repricing struct {
	c     *Corrector
	p     RepriceParams
	rates *access.Snapshot
	all   map[repricedKey]*Repriced
}

type repricedKey struct {
	organization uuid.UUID
	model        string
}

// page is some events in the ledger's order, and those of them whose costs change.
type page struct {
	draft
	rows []Repriced // one for each event
	last queries.Place
	more bool
}

func (r *repricing) organization(ctx context.Context, organization uuid.UUID) error {
	after, limit := queries.Place{}, uint64(pageMax)
	for {
		var read page
		build := func(ctx context.Context, now time.Time) (draft, error) {
			var err error
			read, err = r.read(ctx, now, queries.PricedEventsParams{
				Organization: organization, Model: r.p.Model, From: r.p.From, To: r.p.To,
				After: after, Limit: limit,
			})
			return read.draft, err
		}
		if err := r.write(ctx, job{
			organization: organization, actor: r.p.Actor, reason: r.p.Reason, build: build,
			lost: func() { limit = max(limit/2, pageMin) },
		}); err != nil {
			return err
		}
		for _, row := range read.rows {
			r.add(row)
		}
		if !read.more {
			return nil
		}
		after, limit = read.last, min(limit*2, pageMax)
	}
}

func (r *repricing) write(ctx context.Context, j job) error {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	if r.p.DryRun {
		_, err := j.build(ctx, r.c.cfg.Now())
		return err
	}
	_, err := r.c.write(ctx, j)
	return err
}

// read prices the next page.
func (r *repricing) read(
	ctx context.Context, now time.Time, p queries.PricedEventsParams,
) (page, error) {
	events, last, more, err := r.c.cfg.Queries.PricedEvents(ctx, p)
	if err != nil {
		return page{}, err
	}
	var old, new []schema.Event
	for _, e := range events {
		next, differs, err := repriced(r.rates, e)
		if err != nil {
			return page{}, final{fmt.Errorf("event %s of organization %s: %w",
				e.ID, e.Organization, err)}
		}
		if differs {
			follow(&next, e, now)
			old, new = append(old, e), append(new, next)
		}
	}
	extra, err := r.extra(ctx, old)
	if err != nil {
		return page{}, err
	}
	read := page{last: last, more: more}
	for i, e := range old {
		if !extra(e) {
			read.replace(e, &new[i], now)
			read.rows = append(read.rows, rowOf(e, new[i]))
		}
	}
	return read, nil
}

// extra returns what tells whether an event is a copy that the sweep will take back: a page need not
// hold the other one, which may have happened at another time.
func (r *repricing) extra(
	ctx context.Context, events []schema.Event,
) (func(schema.Event) bool, error) {
	ids := make([]uuid.UUID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	copies := make(map[uuid.UUID][]schema.Event)
	for page := range slices.Chunk(ids, queries.DoubledEventsMax) {
		doubled, err := r.c.cfg.Queries.DoubledEvents(ctx, page)
		if err != nil {
			return nil, err
		}
		for some := range slices.Chunk(doubled, sweepPage) {
			found, err := r.c.cfg.Queries.ExtraCopies(ctx,
				r.c.doubledParams(some[0].Organization, some))
			if err != nil {
				return nil, err
			}
			for _, extra := range found {
				copies[extra.Event.ID] = append(copies[extra.Event.ID], extra.Event)
			}
		}
	}
	return func(e schema.Event) bool {
		return slices.ContainsFunc(copies[e.ID], func(extra schema.Event) bool {
			return e.Revision == 0 && e.IngestTime.Equal(extra.IngestTime) &&
				e.Time.Equal(extra.Time) && same(e, extra)
		})
	}, nil
}

// repriced returns an event with costs by these rates where no client stated one, and whether that
// changes any. The same costs by another rate are no reason to correct.
func repriced(rates *access.Snapshot, e schema.Event) (schema.Event, bool, error) {
	next := copied(e)
	for i := range next.Measurements {
		m := &next.Measurements[i]
		if m.Pricing != schema.Given {
			*m = schema.Measurement{UsageType: m.UsageType, Quantity: m.Quantity}
		}
	}
	if err := rates.Price(&next); err != nil {
		return e, false, err
	}
	differs := false
	for i := range next.Measurements {
		old, m := e.Measurements[i], &next.Measurements[i]
		if m.Pricing == schema.Given {
			*m = old
		}
		differs = differs || m.Pricing != old.Pricing ||
			m.ProviderCost != old.ProviderCost || m.BilledCost != old.BilledCost
	}
	return next, differs, nil
}

func rowOf(old, next schema.Event) Repriced {
	row := Repriced{Organization: old.Organization, Model: old.Model, Events: 1}
	for i := range old.Measurements {
		before, after := old.Measurements[i], next.Measurements[i]
		row.ProviderOld = row.ProviderOld.Add(before.ProviderCost)
		row.ProviderNew = row.ProviderNew.Add(after.ProviderCost)
		row.BilledOld = row.BilledOld.Add(before.BilledCost)
		row.BilledNew = row.BilledNew.Add(after.BilledCost)
	}
	return row
}

func (r *repricing) add(row Repriced) {
	key := repricedKey{row.Organization, row.Model}
	sum, ok := r.all[key]
	if !ok {
		sum = &Repriced{Organization: row.Organization, Model: row.Model}
		r.all[key] = sum
	}
	sum.Events += row.Events
	sum.ProviderOld = sum.ProviderOld.Add(row.ProviderOld)
	sum.ProviderNew = sum.ProviderNew.Add(row.ProviderNew)
	sum.BilledOld = sum.BilledOld.Add(row.BilledOld)
	sum.BilledNew = sum.BilledNew.Add(row.BilledNew)
}

func (r *repricing) rows() []Repriced {
	rows := make([]Repriced, 0, len(r.all))
	for _, row := range r.all {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b Repriced) int {
		return cmp.Or(strings.Compare(a.Organization.String(), b.Organization.String()),
			strings.Compare(a.Model, b.Model))
	})
	return rows
}
