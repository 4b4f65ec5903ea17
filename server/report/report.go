// Package report serves /v1/report, what Stripe is told of an organization's usage, and
// /webhooks/stripe, what Stripe tells. docs/reports.md is the contract.
package report

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

const (
	prefix  = "/v1/report/"
	webhook = "/webhooks/stripe"
)

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door, notices: rate.NewLimiter(rate.Every(noticeEvery), noticesBurst)}
	return dialect.Dialect{
		Name:       "report",
		Prefixes:   []string{prefix, "/webhooks/"},
		Mount:      d.mount,
		WriteError: dialect.WriteProblem,
	}
}

type api struct {
	door    dialect.Door
	notices *rate.Limiter
}

// mount registers the routes by method: fiber's Get would answer HEAD as well.
func (d *api) mount(r fiber.Router) {
	r.Add(fiber.MethodPost, prefix+"run", d.run)
	r.Add(fiber.MethodGet, prefix+"slots", d.slots)
	r.Add(fiber.MethodGet, prefix+"slots/:organization_id/:meter/:hour", d.explain)
	r.Add(fiber.MethodGet, prefix+"estimate", d.estimate)
	r.Add(fiber.MethodPost, webhook, d.notify)
}

// reports returns who answers; Unavailable where nobody does.
func (d *api) reports() (dialect.Reports, error) {
	if d.door.Reports == nil {
		return nil, &schema.Error{
			Kind: schema.Unavailable, Message: "billing is not running on this node",
			RetryAfter: time.Minute,
		}
	}
	return d.door.Reports, nil
}

// caller is whose organization's reports a request may see: its own, a superadmin's any.
type caller struct {
	organization uuid.UUID
	superadmin   bool
}

// caller returns who asks, who must be a user of at least a role.
func (d *api) caller(c *fiber.Ctx, least schema.Role) (caller, error) {
	who, err := dialect.Authenticate(c, d.door.Access)
	if err != nil {
		return caller{}, err
	}
	if who.Agent != uuid.Nil || who.User == uuid.Nil {
		return caller{}, schema.Errorf(schema.Forbidden, "",
			"an agent's secret opens nothing here: send a user's token")
	}
	role := d.door.Access.Snapshot().Role(who.Organization, who.User)
	switch {
	case role >= least:
		return caller{who.Organization, role >= schema.Superadmin}, nil
	case least >= schema.Superadmin:
		return caller{}, schema.Errorf(schema.Forbidden, "", "only a superadmin may do that")
	}
	return caller{}, schema.Errorf(schema.Forbidden, "", "only an admin may do that")
}

// scope returns the organization that is asked for: zero means the caller's own. One that the
// catalog no longer has may still have slots, so that a superadmin may ask for any.
func (w caller) scope(asked uuid.UUID) (uuid.UUID, error) {
	switch {
	case asked == uuid.Nil:
		return w.organization, nil
	case asked != w.organization && !w.superadmin:
		return asked, schema.Errorf(schema.NotFound, "organization_id", "is unknown")
	}
	return asked, nil
}

// runTimeout is how long a client may wait for a pass. What a pass that is cut off left is the next
// one's.
const runTimeout = 10 * time.Minute

// run makes a pass of the reporter.
func (d *api) run(c *fiber.Ctx) error {
	if _, err := d.caller(c, schema.Superadmin); err != nil {
		return err
	}
	if _, err := readQuery(c); err != nil {
		return err
	}
	reports, err := d.reports()
	if err != nil {
		return err
	}
	ctx, cancel := dialect.Waiting(c, runTimeout)
	defer cancel()
	r, err := reports.Run(ctx)
	if err != nil {
		return err
	}
	answer := struct {
		Slots     uint64     `json:"slots"`
		Sent      uint64     `json:"sent"`
		Failed    uint64     `json:"failed"`
		Ended     string     `json:"ended"`
		NotBefore *time.Time `json:"not_before,omitempty"`
		Detail    string     `json:"detail,omitempty"`
	}{r.Slots, r.Sent, r.Failed, r.End.String(), orNull(r.NotBefore), r.Detail}
	return send(c, answer)
}

// What Stripe sends is taken up to here before anybody looks at a signature: it sends again for
// three days what was refused.
const (
	noticeBytesMax = 512 << 10
	noticeEvery    = 10 * time.Millisecond
	noticesBurst   = 200
)

const headerSignature = "Stripe-Signature"

// notify takes an event that Stripe sent. Nobody else can make its signature, which is over the
// bytes as they came: a body that somebody compressed on the way is not Stripe's.
func (d *api) notify(c *fiber.Ctx) error {
	reports, err := d.reports()
	if err != nil {
		return err
	}
	if !d.notices.AllowN(d.door.Now(), 1) {
		return &schema.Error{
			Kind: schema.Overloaded, Message: "too many notices at once; send it again",
			RetryAfter: time.Second,
		}
	}
	signature := strings.Clone(c.Get(headerSignature))
	if signature == "" {
		return schema.Errorf(schema.Unreadable, headerSignature, "is required")
	}
	if e := c.Get(fiber.HeaderContentEncoding); e != "" && !strings.EqualFold(e, "identity") {
		return schema.Errorf(schema.Unsupported, fiber.HeaderContentEncoding, "must be absent")
	}
	body, err := dialect.ReadBodyUpTo(c, uuid.Nil, noticeBytesMax)
	if err != nil {
		return err
	}
	if err := reports.Notify(c.UserContext(), body, signature); err != nil {
		if schema.KindOf(err) == schema.Unauthenticated { // 401 would ask for a credential
			return schema.Errorf(schema.Unreadable, headerSignature, "is not right")
		}
		return err
	}
	return send(c, struct {
		Received bool `json:"received"`
	}{true})
}

// send answers with JSON that nobody but the caller may keep.
func send(c *fiber.Ctx, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(body)
}

// orNull returns nil for a zero moment.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
