package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// bodyBytesMax is what a sign-in may have: a credential and an id.
const bodyBytesMax = 8 << 10

// Wire forms of a sign-in and of a session.
type (
	signInRequest struct {
		Credential   string `json:"credential"`
		Organization string `json:"organization_id"`
	}
	sessionAnswer struct {
		CSRF         string    `json:"csrf"`
		ExpiresAt    time.Time `json:"expires_at"`
		Organization named     `json:"organization"`
		User         *named    `json:"user"`  // null: an agent
		Agent        *named    `json:"agent"` // null: a user
		Role         string    `json:"role"`
		Version      string    `json:"version"`
		Billing      bool      `json:"billing"`
	}
	named struct {
		ID   uuid.UUID `json:"id"`
		Name string    `json:"name"`
	}
)

// signIn makes a session of any credential, always a new one.
func (c *Console) signIn(ctx *fiber.Ctx) error {
	if err := c.checkOrigin(ctx); err != nil {
		return err
	}
	if ctx.Get(fiber.HeaderContentType) == "" || !dialect.IsJSON(ctx.Get(fiber.HeaderContentType)) {
		// What a form of another site can send without asking is no JSON.
		return schema.Errorf(schema.Unsupported, fiber.HeaderContentType,
			"must be %s", fiber.MIMEApplicationJSON)
	}
	body, err := dialect.ReadSmallBody(ctx, bodyBytesMax)
	if err != nil {
		return err
	}
	asked, err := decodeSignIn(body)
	if err != nil {
		return err
	}
	forgive, err := c.failed.try(ctx.Context().RemoteAddr())
	if err != nil {
		c.tries.WithLabelValues(triedLimited).Inc()
		return err
	}
	s, caller, err := c.identify(asked)
	if schema.KindOf(err) != schema.Unauthenticated {
		forgive()
	} else {
		c.tries.WithLabelValues(triedUnknown).Inc()
	}
	if err != nil {
		return err
	}
	if s, err = c.begin(ctx, s); err != nil {
		return err
	}
	c.tries.WithLabelValues(triedOK).Inc()
	return c.answer(ctx, s, caller)
}

// decodeSignIn is total: any bytes give a request or an error.
func decodeSignIn(body []byte) (signInRequest, error) {
	var r signInRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, schema.Errorf(schema.Unreadable, "",
			"the body must be a JSON object of credential and organization_id")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, schema.Errorf(schema.Unreadable, "", "the body must be one JSON object")
	}
	r.Credential = strings.TrimSpace(r.Credential) // it was pasted
	if r.Credential == "" {
		return r, schema.Errorf(schema.Invalid, "credential", "is required")
	}
	if r.Organization == "" {
		return r, nil
	}
	id, err := uuid.Parse(r.Organization)
	if err != nil {
		return r, schema.Errorf(schema.Invalid, "organization_id", "must be an id (UUID)")
	}
	r.Organization = id.String()
	return r, nil
}

// identify tries a credential as each kind there is. Whatever does not count is told alike:
// Unauthenticated. Other errors are about a credential that was right.
func (c *Console) identify(asked signInRequest) (session, access.Caller, error) {
	s := session{Credential: asked.Credential, Organization: asked.Organization}
	for _, s.Kind = range []kind{bearer, agentSecret, loginToken} {
		caller, err := c.admit(s)
		switch {
		case schema.KindOf(err) == schema.Unauthenticated:
			continue
		case schema.KindOf(err) == schema.Forbidden:
			return s, caller, schema.Errorf(schema.Forbidden, "organization_id",
				"must be one of the organizations that the user is an active member of")
		case err != nil:
			return s, caller, err
		case asked.Organization != "" && asked.Organization != caller.Organization.String():
			return s, caller, schema.Errorf(schema.Forbidden, "organization_id",
				"is not the credential's: leave it out")
		}
		return s, caller, nil
	}
	return s, access.Caller{}, schema.Errorf(schema.Unauthenticated, "", "unknown credential")
}

// begin gives a session its times and its token, and the browser its cookie.
func (c *Console) begin(ctx *fiber.Ctx, s session) (session, error) {
	with, err := c.keys.newest(ctx.UserContext())
	if err != nil {
		return s, err
	}
	s.Issued = c.cfg.Now().UTC().Truncate(time.Second)
	s.Ends = s.Issued.Add(sessionMax)
	if end := c.cfg.Directory.Expires(s.Credential); !end.IsZero() && end.Before(s.Ends) {
		s.Ends = end.UTC()
	}
	if s.CSRF, err = newToken(c.cfg.Random); err != nil {
		return s, err
	}
	value, err := seal(s, with, c.cfg.Random)
	if err != nil {
		return s, err
	}
	if len(value) > cookieBytesMax {
		return s, schema.Errorf(schema.Invalid, "credential",
			"is longer than a browser's cookie can hold: sign in with an access token")
	}
	c.setCookie(ctx, value, s.Ends)
	return s, nil
}

func (c *Console) setCookie(ctx *fiber.Ctx, value string, ends time.Time) {
	ctx.Cookie(&fiber.Cookie{
		Name: c.cookie(), Value: value, Path: "/", Expires: ends,
		HTTPOnly: true, Secure: c.cfg.Secure, SameSite: fiber.CookieSameSiteStrictMode,
	})
}

// whoIs tells who is signed in.
func (c *Console) whoIs(ctx *fiber.Ctx) error {
	s, err := c.current(ctx)
	if err != nil {
		return err
	}
	caller, err := c.admit(s)
	if err != nil {
		return err
	}
	return c.answer(ctx, s, caller)
}

// current returns the session of a request's cookie.
func (c *Console) current(ctx *fiber.Ctx) (session, error) {
	value := ctx.Cookies(c.cookie())
	if value == "" {
		return session{}, schema.Errorf(schema.Unauthenticated, "", "nobody is signed in")
	}
	return c.open(ctx, value)
}

// signOut takes the cookie back. A session that has ended needs no token for that.
func (c *Console) signOut(ctx *fiber.Ctx) error {
	if err := c.checkOrigin(ctx); err != nil {
		return err
	}
	switch s, err := c.current(ctx); schema.KindOf(err) {
	case schema.Unavailable:
		return err
	case schema.Unauthenticated:
	default:
		if err := c.checkWrite(ctx, s); err != nil {
			return err
		}
	}
	c.setCookie(ctx, "", time.Unix(0, 0))
	ctx.Set(fiber.HeaderCacheControl, "no-store")
	return ctx.SendStatus(fiber.StatusNoContent)
}

func (c *Console) answer(ctx *fiber.Ctx, s session, caller access.Caller) error {
	snapshot := c.cfg.Directory.Snapshot()
	organization, _ := snapshot.Organization(caller.Organization)
	a := sessionAnswer{
		CSRF: s.CSRF, ExpiresAt: s.Ends, Version: c.cfg.Version, Billing: c.cfg.Billing,
		Organization: named{caller.Organization, organization.Name},
	}
	if caller.Agent != uuid.Nil {
		agent, _ := snapshot.Agent(caller.Agent)
		a.Agent, a.Role = &named{caller.Agent, agent.Name}, "agent"
	} else {
		user, _ := snapshot.User(caller.User)
		a.User, a.Role = &named{caller.User, user.Name}, access.RoleName(caller.Role)
	}
	ctx.Set(fiber.HeaderCacheControl, "no-store")
	return ctx.JSON(a)
}
