// Package otlp takes OpenTelemetry traces over HTTP: the spans of calls to models become events,
// so that an agent that is instrumented with OpenTelemetry is metered without code of its own.
package otlp

import (
	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the dialect. It holds no connection and starts nothing.
func New(door dialect.Door) dialect.Dialect {
	a := &api{door: door}
	return dialect.Dialect{
		Name:       "otlp",
		Prefixes:   []string{tracesPath},
		Mount:      func(r fiber.Router) { r.Post(tracesPath, a.postTraces) },
		WriteError: writeError,
	}
}

type api struct {
	door dialect.Door
}

// postTraces answers once every event it made of the spans is durable.
func (a *api) postTraces(c *fiber.Ctx) error {
	caller, err := dialect.Authenticate(c, a.door.Access)
	if err != nil {
		return err
	}
	as, err := encodingOf(c)
	if err != nil {
		return err
	}
	body, err := dialect.ReadBody(c, caller.Organization)
	if err != nil {
		return err
	}
	b := batch{caller: caller, snapshot: a.door.Access.Snapshot()}
	if err := b.decode(body, as); err != nil {
		return err
	}
	if err := a.record(c, &b); err != nil {
		return err
	}
	return writeResponse(c, as, &b)
}

// record gives the events to the ledger and notes which of them it did not take.
func (a *api) record(c *fiber.Ctx, b *batch) error {
	if len(b.events) == 0 {
		return nil
	}
	receipt, err := a.door.Recorder.Record(c.UserContext(), b.events, false)
	if err != nil {
		return err
	}
	for _, r := range receipt.Rejected {
		b.rejected = append(b.rejected, rejection{spanOf(&b.events[r.Index]), inOurWords(r.Err)})
	}
	return nil
}
