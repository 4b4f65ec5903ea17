package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/share"
)

// sharedRows is how many rows an answer to a usage query may have to be shared. Those of a larger
// one go to its asker as they come.
const sharedRows = 10_000

// analystTimeout bounds a usage query and its answer's way to the client, its wait for a turn
// included. The database's own bound is shorter, and says what to narrow.
const analystTimeout = 100 * time.Second

// usageReads implements dialect.Usage.
type usageReads struct {
	queries usageQueries
	reads   *reads
	turns   *turns
	answers answers
}

// usageQueries is *queries.Queries, or slower.
type usageQueries interface {
	Usage(ctx context.Context, q schema.UsageQuery, each func(schema.UsageRow) error) error
	UsageVersion(ctx context.Context, q schema.UsageQuery) (string, error)
	Anomalies(ctx context.Context, p schema.AnomaliesParams) ([]schema.Anomaly, error)
}

var _ usageQueries = (*queries.Queries)(nil)

// errLarge tells who joined a question that its answer is more than is shared.
var errLarge = errors.New("too large to be shared")

func (u *usageReads) Query(
	ctx context.Context, q schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, analystTimeout)
	defer cancel()
	for {
		f, first := u.reads.group.Join(question(usageQueryReads, q))
		if first {
			return u.lead(ctx, f, q, each)
		}
		rows, err := f.Wait(ctx)
		switch {
		case err == nil:
			return u.share(ctx, q, rows.([]schema.UsageRow), each)
		case errors.Is(err, errLarge):
			return u.ask(ctx, q, func() {}, each, func() error { return nil })
		case !errors.Is(err, share.ErrGone):
			return unavailable(err)
		}
	}
}

// lead asks for everybody who asks the same: they get the answer if it is not large, and wait for
// nobody's network. If it is, its asker gets it row by row, and the others ask by themselves.
func (u *usageReads) lead(
	ctx context.Context, f *share.Flight, q schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	defer f.End(nil, 0, share.ErrGone) // where nothing else ended it
	var rows []schema.UsageRow
	give := func() {}
	defer func() { give() }()
	large := false
	err := u.ask(ctx, q, f.Begin, func(row schema.UsageRow) error {
		if large {
			return each(row)
		}
		rows = append(rows, row)
		if len(rows) <= sharedRows {
			return nil
		}
		large = true
		f.End(nil, 0, errLarge)
		early := rows
		rows = nil
		return hand(early, each)
	}, func() (err error) {
		if !large {
			give, err = u.hold(ctx, q, rows)
		}
		return err
	})
	switch {
	case large:
		return err
	case err == nil:
		f.End(rows, rowBytes*(1+len(rows)), nil)
		return hand(rows, each)
	case ctx.Err() == nil: // else it is the asker's own
		f.End(nil, 0, err)
	}
	return err
}

// hold takes room for rows, which are in memory until their client has read them.
func (u *usageReads) hold(
	ctx context.Context, q schema.UsageQuery, rows []schema.UsageRow,
) (give func(), err error) {
	n := rowBytes * len(rows)
	for _, row := range rows {
		for _, value := range row.Values {
			n += len(value)
		}
	}
	if n > answerSmall {
		n += answerEncoding
	}
	if give, err = u.answers.take(ctx, q.Organization, n, answerWait); err != nil {
		return func() {}, err
	}
	return give, nil
}

// share hands out somebody else's answer.
func (u *usageReads) share(
	ctx context.Context, q schema.UsageQuery, rows []schema.UsageRow,
	each func(schema.UsageRow) error,
) error {
	give, err := u.hold(ctx, q, rows)
	if err != nil {
		return err
	}
	defer give()
	return hand(rows, each)
}

// ask waits for a turn, calls begin, asks the database, and calls end before the turn is another's.
func (u *usageReads) ask(
	ctx context.Context, q schema.UsageQuery, begin func(), each func(schema.UsageRow) error,
	end func() error,
) error {
	give, err := u.turns.take(ctx, q.Organization)
	if err != nil {
		return unavailable(err)
	}
	defer give()
	defer u.reads.metrics.asking(usageQueryReads)()
	begin()
	if err := u.queries.Usage(ctx, q, each); err != nil {
		return unavailable(queries.Narrow(err))
	}
	return end()
}

func hand[R any](rows []R, each func(R) error) error {
	for _, row := range rows {
		if err := each(row); err != nil {
			return err
		}
	}
	return nil
}

// Version is never newer than the answer that Query gives after it: an answer from before the
// version was asked for is not given again. A client would keep it as the newest.
func (u *usageReads) Version(ctx context.Context, q schema.UsageQuery) (string, error) {
	ours := question(versionReads, q)
	return read(ctx, u.reads, versionReads, q.Organization, ours.Key,
		func(ctx context.Context) (string, int, error) {
			version, err := u.queries.UsageVersion(ctx, q)
			// Not before: somebody else's answer may come in between.
			u.reads.group.Forget(question(usageQueryReads, q))
			return version, rowBytes, err
		})
}

func (u *usageReads) Anomalies(
	ctx context.Context, p schema.AnomaliesParams,
) ([]schema.Anomaly, error) {
	p.From, p.To = p.From.UTC(), p.To.UTC()
	return read(ctx, u.reads, anomalyReads, p.Organization, p,
		func(ctx context.Context) ([]schema.Anomaly, int, error) {
			give, err := u.turns.take(ctx, p.Organization)
			if err != nil {
				return nil, 0, err
			}
			defer give()
			all, err := u.queries.Anomalies(ctx, p)
			return all, rowBytes * (1 + len(all)), err
		})
}

// question returns what makes two usage queries the same one. Quoting tells every text apart, also
// what is no UTF-8.
func question(kind string, q schema.UsageQuery) share.Question {
	zone := ""
	if q.Zone != nil {
		zone = q.Zone.String()
	}
	text := fmt.Appendf(nil, "%d.%d %d.%d %q %q %q %q %d %q",
		q.From.Unix(), q.From.Nanosecond(), q.To.Unix(), q.To.Nanosecond(),
		q.Granularity, zone, q.GroupBy, q.Filters, q.Top, q.OrderBy)
	return share.Question{Kind: kind, Organization: q.Organization, Key: sha256.Sum256(text)}
}
