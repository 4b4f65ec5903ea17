package agent700

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// check looks everything up that a usage names, in the contract's order.
func (u *usage) check(catalog *access.Snapshot, at time.Time) error {
	if _, ok := catalog.Organization(u.organization); !ok {
		return schema.Errorf(schema.NotFound, "", "%s", noOrganization)
	}
	if catalog.Role(u.organization, u.user) == 0 {
		return schema.Errorf(schema.NotFound, "", "%s", noUser)
	}
	if _, ok := catalog.Service(u.service); !ok {
		return &invalid{text: "Unknown " + fieldService + ": " + u.service}
	}
	if !catalog.HasRates(u.model, at) {
		return &invalid{text: "Unknown " + fieldModel + ": " + u.model}
	}
	return nil
}

// event returns the event of a usage, without its id.
func (u *usage) event(catalog *access.Snapshot, at time.Time) schema.Event {
	e := schema.Event{
		Organization: u.organization,
		Entry:        schema.Record,
		Time:         at,
		User:         u.user,
		Service:      u.service,
		Channel:      u.channel,
		Model:        u.model,
		Chargeable:   true,
	}
	add := func(usageType string, tokens int64) {
		e.Measurements = append(e.Measurements, schema.Measurement{
			UsageType: usageType, Quantity: schema.WholeQuantity(tokens),
		})
	}
	// No tokens at no price are nothing that lacks a price: a model for embeddings has no output.
	_, priced := catalog.Rate(u.model, schema.Output, at)
	withOutput := u.output > 0 || priced
	if _, priced := catalog.Rate(u.model, schema.Input, at); u.input > 0 || priced || !withOutput {
		add(schema.Input, u.input)
	}
	if withOutput {
		add(schema.Output, u.output)
	}
	return e
}

// record writes an event to the ledger and returns it with its id and costs.
func (d *api) record(ctx context.Context, e schema.Event, key string) (schema.Event, error) {
	if key == "" {
		e.ID = d.door.NewID()
	} else {
		e.Key, e.ID = key, schema.EventID(e.Organization, key)
	}
	events := []schema.Event{e}
	receipt, err := d.door.Recorder.Record(ctx, events, true)
	if err != nil {
		return schema.Event{}, err
	}
	if len(receipt.Rejected) > 0 {
		return schema.Event{}, rejected(receipt.Rejected[0].Err)
	}
	if receipt.Duplicates > 0 {
		return d.known(ctx, e.Organization, e.ID)
	}
	return events[0], nil
}

// known returns the event that an idempotency key made before: a retry is answered as the first
// try was, whatever the retry's body says and whatever was corrected since.
func (d *api) known(ctx context.Context, organization, id uuid.UUID) (schema.Event, error) {
	history, err := d.door.Reader.EventHistory(ctx, organization, id)
	if err != nil && schema.KindOf(err) != schema.NotFound {
		return schema.Event{}, err
	}
	if err != nil || !isOurs(history[0].Event) {
		return schema.Event{}, schema.Errorf(schema.Conflict, "",
			"Idempotency-Key was used for something else in this organization")
	}
	return history[0].Event, nil
}

// isOurs reports whether an event may be one that this API wrote.
func isOurs(e schema.Event) bool {
	for _, m := range e.Measurements {
		if m.UsageType != schema.Input && m.UsageType != schema.Output {
			return false
		}
	}
	return e.Service != "" && e.Agent == uuid.Nil
}

// rejected puts the core's reason for not taking an event into the words of this API.
func rejected(e *schema.Error) error {
	field := map[string]string{
		"usage." + schema.Input: fieldInput, "usage." + schema.Output: fieldOutput,
		"service": fieldService, "model": fieldModel,
	}[e.Field]
	if field == "" {
		field = e.Field
	}
	return &invalid{text: validationFailed, details: []string{field + " " + e.Message}}
}
