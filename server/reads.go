package server

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/ingest"
	"github.com/meterhouse/meterhouse/server/share"
)

// keepAnswers is how old an answer may be for the next one who asks the same: no answer is staler
// than a second, its way to the client included. From refreshAnswers on a dashboards' question that
// is asked again is asked anew beside, so that its askers rarely wait, and rarely see its age.
const (
	keepAnswers    = 900 * time.Millisecond
	refreshAnswers = 400 * time.Millisecond
)

// Bounds of the answers that are kept.
const (
	answersMax     = 4096
	answerBytesMax = 16 << 20
)

// reads lets those who ask the same share a question.
type reads struct {
	group   *share.Group
	metrics *readMetrics
	answers answers
	now     func() time.Time
}

func newReads(now func() time.Time, metrics *readMetrics) *reads {
	return &reads{
		group: share.New(share.Config{
			Now: now, Keep: keepAnswers, Refresh: refreshAnswers, Timeout: questionTimeout,
			EntriesMax: answersMax, BytesMax: answerBytesMax, Observe: metrics.joined,
		}),
		metrics: metrics,
		answers: newAnswers(),
		now:     now,
	}
}

// sized is an answer and about how many bytes it takes.
type sized[V any] struct {
	value V
	bytes int
}

// read returns what ask answers, or what it answered somebody else just now. key is everything the
// answer depends on beside the organization.
func read[V any](
	ctx context.Context, r *reads, kind string, organization uuid.UUID, key any,
	ask func(context.Context) (V, int, error),
) (V, error) {
	q := share.Question{Kind: kind, Organization: organization, Key: key}
	asker := trace.SpanFromContext(ctx)
	answer, err := share.Do(ctx, r.group, q, func(ctx context.Context) (sized[V], int, error) {
		if asker.IsRecording() { // the question is in the trace of the first who asked
			ctx = trace.ContextWithSpan(ctx, asker)
		}
		defer r.metrics.asking(kind)()
		value, bytes, err := ask(ctx)
		return sized[V]{value, bytes}, bytes, err
	})
	if err == nil {
		err = r.answers.room(ctx, organization, answer.bytes)
	}
	return answer.value, unavailable(queries.Narrow(err))
}

// recorder implements dialect.Recorder: what a client was told to be stored, its organization's
// next read shows.
type recorder struct {
	*ingest.Ingest
	group  *share.Group
	counts dialectCounts
}

// Record also counts what became of a dialect's events.
func (r *recorder) Record(
	ctx context.Context, events []schema.Event, atomic bool,
) (dialect.Receipt, error) {
	receipt, err := r.Ingest.Record(ctx, events, atomic)
	r.counts.recorded(len(events), receipt, err)
	return receipt, err
}

func (r *recorder) WaitStored(
	ctx context.Context, organization uuid.UUID, sequence uint64,
) error {
	if err := r.Ingest.WaitStored(ctx, sequence); err != nil {
		return err
	}
	r.group.Renew(organization)
	return nil
}

// corrector shows corrections in the next read. One that failed may be made all the same.
type corrector struct {
	behind dialect.Corrector
	group  *share.Group
}

func (c *corrector) Correct(
	ctx context.Context, p dialect.CorrectParams,
) (dialect.Revision, error) {
	defer c.group.Renew(p.Organization)
	return c.behind.Correct(ctx, p)
}

// erasures shows the replacement in the next read. One that failed goes on by itself.
type erasures struct {
	behind dialect.Erasures
	group  *share.Group
}

func (e *erasures) Erase(
	ctx context.Context, organization, user uuid.UUID, actor string,
) (schema.Erasure, error) {
	defer e.group.Renew(organization)
	return e.behind.Erase(ctx, organization, user, actor)
}
