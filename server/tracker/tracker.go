// Package tracker serves the usage tracker: users record what a call to an API used and cost, and
// read it back. docs/tracker.md is the contract.
package tracker

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the dialect that serves the usage tracker through door.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door}
	return dialect.Dialect{
		Name:       "tracker",
		Prefixes:   []string{"/usage", "/api/v1/usage"},
		Mount:      d.mount,
		WriteError: writeError,
	}
}

type api struct {
	door dialect.Door
}

// mount registers the documented paths and those of the original's source. fiber matches each
// with and without a slash at its end, so nobody is redirected. Routes are added by method,
// because fiber's Get would answer HEAD as well.
func (d *api) mount(r fiber.Router) {
	for _, base := range []string{"/usage", "/api/v1/usage"} {
		d.route(r, fiber.MethodPost, base, d.create)
		d.route(r, fiber.MethodGet, base, d.list)
		d.route(r, fiber.MethodGet, base+"/user/:user_id", d.listOfUser)
		d.route(r, fiber.MethodGet, base+"/:usage_id", d.get)
		d.route(r, fiber.MethodPut, base+"/:usage_id", d.update)
		d.route(r, fiber.MethodDelete, base+"/:usage_id", d.remove)
		d.route(r, fiber.MethodOptions, base, preflight("GET, POST"))
		d.route(r, fiber.MethodOptions, base+"/user/:user_id", preflight("GET"))
		d.route(r, fiber.MethodOptions, base+"/:usage_id", preflight("DELETE, GET, PUT"))
	}
}

func (d *api) route(r fiber.Router, method, path string, handler fiber.Handler) {
	r.Add(method, path, func(c *fiber.Ctx) error {
		allowOrigin(c)
		return handler(c)
	})
}

// create takes one record. The answer is the only place where the API key is shown in full.
func (d *api) create(c *fiber.Ctx) error {
	caller, err := d.caller(c)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	body, err := dialect.ReadBody(c, caller.Organization)
	if err != nil {
		return err
	}
	u, err := decode(c.Get(fiber.HeaderContentType), body)
	if err != nil {
		return err
	}
	record, err := d.record(c.UserContext(), caller, u, key)
	if err != nil {
		return err
	}
	if record.ProviderKey == schema.ObfuscateKey(u.apiKey) {
		record.ProviderKey = u.apiKey
	}
	return send(c, fiber.StatusCreated, recordOf(record))
}

// get answers with one record. A record that is not the caller's to see does not exist for them.
func (d *api) get(c *fiber.Ctx) error {
	caller, err := d.caller(c)
	if err != nil {
		return err
	}
	var p params
	id := p.uuid("usage_id", pathParam(c, "usage_id"))
	if err := p.err(); err != nil {
		return err
	}
	record, err := d.door.Reader.UsageRecord(c.UserContext(), caller.Organization, id)
	if err != nil {
		return err
	}
	if caller.Role < schema.Admin && record.User != caller.User {
		return schema.Errorf(schema.NotFound, "usage_id", "no such record")
	}
	return send(c, fiber.StatusOK, recordOf(record))
}

// list answers with a page of the organization's records, or of a member's own.
func (d *api) list(c *fiber.Ctx) error {
	caller, err := d.caller(c)
	if err != nil {
		return err
	}
	var p params
	page := p.page(c)
	if err := p.err(); err != nil {
		return err
	}
	page.Organization = caller.Organization
	if caller.Role < schema.Admin {
		page.User = caller.User
	}
	return d.sendPage(c, page)
}

// listOfUser answers with a page of one user's records. A user nobody knows has none.
func (d *api) listOfUser(c *fiber.Ctx) error {
	caller, err := d.caller(c)
	if err != nil {
		return err
	}
	var p params
	user := p.uuid("user_id", pathParam(c, "user_id"))
	page := p.page(c)
	if err := p.err(); err != nil {
		return err
	}
	if caller.Role < schema.Admin && user != caller.User {
		return schema.Errorf(schema.Forbidden, "user_id", "is not the caller")
	}
	if user == uuid.Nil { // to the reader, no user means every user
		page.Limit = 0
	}
	page.Organization, page.User = caller.Organization, user
	return d.sendPage(c, page)
}

func (d *api) sendPage(c *fiber.Ctx, page dialect.UsageRecordsParams) error {
	records := []record{} // an empty page is [], not null
	if page.Limit > 0 {
		ctx, cancel := dialect.Reading(c)
		defer cancel()
		found, err := d.door.Reader.UsageRecords(ctx, page)
		if err != nil {
			return err
		}
		for _, r := range found {
			records = append(records, recordOf(r))
		}
	}
	return send(c, fiber.StatusOK, records)
}

// caller returns whose bearer token the request carries.
func (d *api) caller(c *fiber.Ctx) (access.Caller, error) {
	token, ok := dialect.Bearer(c)
	if !ok {
		return access.Caller{}, schema.Errorf(schema.Unauthenticated, "", "%s", noToken)
	}
	caller, err := d.door.Access.Bearer(token, dialect.OrganizationAsked(c))
	if errors.Is(err, access.ErrNoUser) { // the original looks for the user behind a good token
		return access.Caller{}, err
	}
	if schema.KindOf(err) == schema.Unauthenticated {
		return access.Caller{}, schema.Errorf(schema.Unauthenticated, "", "%s", badToken)
	}
	return caller, err
}

// record writes u to the ledger and returns it as it can be read from there.
func (d *api) record(
	ctx context.Context, caller access.Caller, u usage, key string,
) (dialect.UsageRecord, error) {
	e := eventOf(caller, u)
	e.Time = d.door.Now().UTC().Truncate(time.Microsecond)
	if key == "" {
		e.ID = d.door.NewID()
	} else {
		e.Key, e.ID = key, schema.EventID(caller.Organization, key)
	}
	receipt, err := d.door.Recorder.Record(ctx, []schema.Event{e}, true)
	if err != nil {
		return dialect.UsageRecord{}, err
	}
	if len(receipt.Rejected) > 0 {
		return dialect.UsageRecord{}, rejected(receipt.Rejected[0].Err)
	}
	if receipt.Duplicates > 0 {
		return d.known(ctx, caller, e.ID, key)
	}
	return usageOf(e)
}

// known returns the record that an idempotency key made before: a retry is answered as the first
// try was, whatever the retry's body says and whatever was corrected since.
func (d *api) known(
	ctx context.Context, caller access.Caller, id uuid.UUID, key string,
) (dialect.UsageRecord, error) {
	history, err := d.door.Reader.EventHistory(ctx, caller.Organization, id)
	if err != nil && schema.KindOf(err) != schema.NotFound {
		return dialect.UsageRecord{}, err
	}
	if err != nil || history[0].Event.User != caller.User {
		return dialect.UsageRecord{}, invalid{keyTaken(key)}
	}
	record, err := usageOf(history[0].Event)
	if err != nil {
		return dialect.UsageRecord{}, invalid{keyTaken(key)}
	}
	return record, nil
}

// usageOf returns the record that an event is. The error is unitsOf's.
func usageOf(e schema.Event) (dialect.UsageRecord, error) {
	at, err := unitsOf(&e)
	if err != nil {
		return dialect.UsageRecord{}, err
	}
	return dialect.UsageRecord{
		ID:          e.ID,
		User:        e.User,
		APIName:     e.APIName,
		Endpoint:    e.Endpoint,
		Units:       e.Measurements[at].Quantity,
		CostUSD:     e.Measurements[at].BilledCost,
		ProviderKey: e.ProviderKey,
		Time:        e.Time,
	}, nil
}

// eventOf returns the event of u, without id, key and time.
func eventOf(caller access.Caller, u usage) schema.Event {
	return schema.Event{
		Organization: caller.Organization,
		Entry:        schema.Record,
		User:         caller.User,
		APIName:      u.apiName,
		Endpoint:     u.endpoint,
		ProviderKey:  schema.ObfuscateKey(u.apiKey),
		Chargeable:   true,
		Measurements: []schema.Measurement{{
			UsageType:    schema.Units,
			Quantity:     schema.WholeQuantity(u.units),
			ProviderCost: u.cost,
			BilledCost:   u.cost,
			Pricing:      schema.Given,
		}},
	}
}

// pathParam returns a decoded segment of the path.
func pathParam(c *fiber.Ctx, name string) string {
	segment := c.Params(name)
	if decoded, err := url.PathUnescape(segment); err == nil {
		return decoded
	}
	return segment
}
