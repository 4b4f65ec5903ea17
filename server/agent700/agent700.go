// Package agent700 serves agent700's billing API: superadmins log what external services used, and
// users read what they spent. docs/agent700.md is the contract.
package agent700

import (
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door}
	return dialect.Dialect{
		Name:       "agent700",
		Prefixes:   []string{"/api/billing/", "/api/auth/"},
		Mount:      d.mount,
		WriteError: writeError,
	}
}

type api struct {
	door dialect.Door
}

// mount adds routes by method, because fiber's Get would answer HEAD as well.
func (d *api) mount(r fiber.Router) {
	r.Add(fiber.MethodPost, "/api/billing/external-usage", d.create)
	r.Add(fiber.MethodGet, "/api/billing/user", d.list)
	r.Add(fiber.MethodPost, "/api/auth/app-login", d.login)
}

// create logs what an external service used. The order of its checks is the contract's.
func (d *api) create(c *fiber.Ctx) error {
	caller, err := d.caller(c)
	if err != nil {
		return err
	}
	// Whoever is superadmin anywhere may log for any organization: so says the original. The
	// caller's own organization is the likelier one, and known already.
	catalog := d.door.Access.Snapshot()
	if caller.Role < schema.Superadmin && catalog.HighestRole(caller.User) < schema.Superadmin {
		return schema.Errorf(schema.Forbidden, "", "%s", notSuperadmin)
	}
	key, err := dialect.IdempotencyKey(c)
	if err != nil {
		return err
	}
	if err := checkType(c); err != nil {
		return err
	}
	body, err := dialect.ReadBody(c, caller.Organization)
	if err != nil {
		return err
	}
	u, err := decode(body)
	if err != nil {
		return err
	}
	now := d.door.Now().UTC().Truncate(time.Microsecond)
	if err := u.check(catalog, now); err != nil {
		return err
	}
	e, err := d.record(c.UserContext(), u.event(catalog, now), key)
	if err != nil {
		return err
	}
	return send(c, fiber.StatusCreated, loggedOf(e))
}

// list answers with the caller's own requests.
func (d *api) list(c *fiber.Ctx) error {
	caller, err := d.caller(c)
	if err != nil {
		return err
	}
	from, to, err := decodeRange(c.Query(paramStart), c.Query(paramEnd), d.door.Now().UTC())
	if err != nil {
		return err
	}
	ctx, cancel := dialect.Reading(c)
	defer cancel()
	requests, err := d.door.Reader.BillableRequests(ctx, dialect.BillableRequestsParams{
		Organization: caller.Organization, User: caller.User, From: from, To: to, Limit: logsMax,
	})
	if err != nil {
		return err
	}
	return send(c, fiber.StatusOK, billingOf(requests))
}

// login exchanges an app password for an access token. Whatever is wrong with the password, the
// answer is the same, and so is the work: one look-up by hash.
func (d *api) login(c *fiber.Ctx) error {
	if c.Request().Header.ContentLength() > loginBytesMax { // nobody has shown a credential yet
		return loginTooLarge()
	}
	if err := checkType(c); err != nil {
		return err
	}
	body, err := dialect.ReadSmallBody(c, loginBytesMax)
	if schema.KindOf(err) == schema.TooLarge {
		return loginTooLarge()
	}
	if err != nil {
		return err
	}
	token, err := decodeLogin(body)
	if err != nil {
		return err
	}
	issued, err := d.door.Access.IssueToken(token)
	if schema.KindOf(err) == schema.Unauthenticated {
		return schema.Errorf(schema.Unauthenticated, "", "%s", badAppPassword)
	}
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return send(c, fiber.StatusOK, sessionOf(issued))
}

func loginTooLarge() error {
	return schema.Errorf(schema.TooLarge, "", "the body must have at most %d bytes", loginBytesMax)
}

// caller returns whose bearer token the request carries.
func (d *api) caller(c *fiber.Ctx) (access.Caller, error) {
	token, ok := dialect.Bearer(c)
	if !ok {
		return access.Caller{}, schema.Errorf(schema.Unauthenticated, "", "%s", noToken)
	}
	caller, err := d.door.Access.Bearer(token, dialect.OrganizationAsked(c))
	if schema.KindOf(err) == schema.Unauthenticated {
		text := badToken
		if strings.HasPrefix(token, appPasswordPrefix) {
			text = badAppPassword
		}
		return access.Caller{}, schema.Errorf(schema.Unauthenticated, "", "%s", text)
	}
	return caller, err
}

func checkType(c *fiber.Ctx) error {
	if !dialect.IsJSON(c.Get(fiber.HeaderContentType)) {
		return schema.Errorf(schema.Unsupported, fiber.HeaderContentType,
			"must be application/json")
	}
	return nil
}
