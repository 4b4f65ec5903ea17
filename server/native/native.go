// Package native is Meterhouse's own API: POST /v1/events takes one event or many, GET
// searches them, and /v1/events/{id} reads, amends and voids one.
package native

import (
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the native API. It holds no connection and starts nothing.
func New(door dialect.Door) dialect.Dialect {
	a := &api{door: door, batches: sync.Pool{New: func() any { return new(batch) }}}
	return dialect.Dialect{
		Name:       "native",
		Prefixes:   []string{"/v1/"},
		Mount:      a.mount,
		WriteError: dialect.WriteProblem,
	}
}

type api struct {
	door    dialect.Door
	batches sync.Pool // of *batch
}

// mount adds routes by method, because fiber's Get would answer HEAD as well.
func (a *api) mount(r fiber.Router) {
	r.Add(fiber.MethodPost, eventsPath, a.postEvents)
	r.Add(fiber.MethodGet, eventsPath, a.listEvents)
	r.Add(fiber.MethodGet, eventPath, a.getEvent)
	r.Add(fiber.MethodPatch, eventPath, a.amendEvent)
	r.Add(fiber.MethodDelete, eventPath, a.voidEvent)
	r.Add(fiber.MethodGet, historyPath, a.getHistory)
}

// postEvents answers once what it accepted is durable, or stored where that is asked for.
func (a *api) postEvents(c *fiber.Ctx) error {
	caller, err := dialect.Authenticate(c, a.door.Access)
	if err != nil {
		return err
	}
	r, err := readRequest(c, caller.Organization)
	if err != nil {
		return err
	}
	b := a.batches.Get().(*batch)
	defer a.release(b)
	now := a.door.Now().UTC().Truncate(time.Microsecond)
	err = b.decode(r.body, r.form, origin{
		a.door.Access.Snapshot(), caller, now, a.door.NewID, r.eventKey, r.envelope,
	})
	if err != nil {
		return err
	}
	result, err := a.record(c, b, r.options.atomic)
	if err != nil {
		return err
	}
	if r.options.stored {
		if err := a.waitStored(c, caller.Organization, result.Sequence); err != nil {
			return err
		}
	}
	answer := receiptOf(result)
	if r.options.results {
		answer.Results = b.results(result)
	}
	return writeReceipt(c, answer)
}

// record gives the decoded events to the ledger. The receipt's positions are those in the request,
// in its order. A request of which nothing is accepted or known is a *dialect.Refusal.
func (a *api) record(c *fiber.Ctx, b *batch, atomic bool) (dialect.Receipt, error) {
	rejected := b.rejected
	if len(b.events) == 0 || atomic && len(rejected) > 0 {
		return dialect.Receipt{}, refuse(rejected, b.count)
	}
	result, err := a.door.Recorder.Record(c.UserContext(), b.events, atomic)
	if err != nil {
		return dialect.Receipt{}, err
	}
	for _, r := range result.Rejected {
		err := *r.Err
		err.Field = b.form.fieldOf(err.Field)
		rejected = append(rejected, dialect.Rejection{Index: b.positions[r.Index], Err: &err})
	}
	sortByIndex(rejected)
	if len(rejected) == b.count || atomic && len(rejected) > 0 {
		return dialect.Receipt{}, refuse(rejected, b.count)
	}
	for i, at := range result.Repeated {
		result.Repeated[i] = b.positions[at]
	}
	result.Rejected = rejected
	return result, nil
}

// storedWait is how long a client that asked for it waits for its events to be stored.
const storedWait = 30 * time.Second

func (a *api) waitStored(c *fiber.Ctx, organization uuid.UUID, sequence uint64) error {
	ctx, cancel := dialect.Waiting(c, storedWait)
	defer cancel()
	if err := a.door.Recorder.WaitStored(ctx, organization, sequence); err != nil {
		return &schema.Error{
			Kind: schema.Unavailable,
			Message: "the events are accepted and durable, but not stored yet; " +
				"sending those with an id again counts nothing twice",
			RetryAfter: storedRetry,
		}
	}
	return nil
}

// storedRetry is when to ask again: the database is down, as a rule.
const storedRetry = 5 * time.Second

func (a *api) release(b *batch) {
	if b.reset() {
		a.batches.Put(b)
	}
}

func refuse(rejected []dialect.Rejection, count int) error {
	message := "every event was rejected"
	if len(rejected) < count {
		message = "nothing was accepted: the request is atomic and has rejected events"
	}
	return &dialect.Refusal{
		Reason:   schema.Errorf(schema.Invalid, "", "%s", message),
		Rejected: rejected,
	}
}
