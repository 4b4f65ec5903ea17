// Package native is Meterhouse's own API: POST /v1/events takes one event or many.
package native

import (
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the native API. It holds no connection and starts nothing.
func New(door dialect.Door) dialect.Dialect {
	a := &api{door: door, batches: sync.Pool{New: func() any { return new(batch) }}}
	return dialect.Dialect{
		Name:       "native",
		Prefixes:   []string{"/v1/"},
		Mount:      func(r fiber.Router) { r.Post(eventsPath, a.postEvents) },
		WriteError: dialect.WriteProblem,
	}
}

type api struct {
	door    dialect.Door
	batches sync.Pool // of *batch
}

// postEvents answers once what it accepted is durable.
func (a *api) postEvents(c *fiber.Ctx) error {
	caller, err := dialect.Authenticate(c, a.door.Access)
	if err != nil {
		return err
	}
	r, err := readRequest(c)
	if err != nil {
		return err
	}
	b := a.batches.Get().(*batch)
	defer a.release(b)
	now := a.door.Now().UTC().Truncate(time.Microsecond)
	err = b.decode(r.body, r.lines, origin{
		a.door.Access.Snapshot(), caller, now, a.door.NewID, r.eventKey,
	})
	if err != nil {
		return err
	}
	result, err := a.record(c, b, r.atomic)
	if err != nil {
		return err
	}
	return writeReceipt(c, result)
}

// record gives the decoded events to the ledger. The receipt's rejections are by position in the
// request, in its order. A request of which nothing is accepted or known is a
// *dialect.Refusal.
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
		rejected = append(rejected, dialect.Rejection{Index: b.positions[r.Index], Err: r.Err})
	}
	sortByIndex(rejected)
	if len(rejected) == b.count || atomic && len(rejected) > 0 {
		return dialect.Receipt{}, refuse(rejected, b.count)
	}
	result.Rejected = rejected
	return result, nil
}

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
