package console

import (
	"crypto/subtle"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// headerCSRF carries the session's token: only a page of ours can have read it.
const headerCSRF = "X-CSRF-Token"

// The cookie's name. With the prefix browsers keep it only when this very origin set it, over TLS.
const (
	cookieName   = "meterhouse_session"
	cookiePrefix = "__Host-"
)

func (c *Console) cookie() string {
	if c.cfg.Secure {
		return cookiePrefix + cookieName
	}
	return cookieName
}

// Guard lets requests to our own API in by the session's cookie, when they carry no credential. It
// knows the caller by the way any credential is known, so that what is revoked, has expired or may
// do less now counts with the next request.
func (c *Console) Guard(ctx *fiber.Ctx) error {
	value := ctx.Cookies(c.cookie())
	if value == "" || !ours(ctx.Path()) || hasCredential(ctx) {
		return ctx.Next()
	}
	s, err := c.open(ctx, value)
	if err != nil {
		return err
	}
	if err := c.checkWrite(ctx, s); err != nil {
		return err
	}
	caller, err := c.admit(s)
	if err != nil {
		return err
	}
	dialect.SetCaller(ctx, caller)
	err = ctx.Next()
	if len(ctx.Response().Header.Peek(fiber.HeaderCacheControl)) == 0 {
		ctx.Set(fiber.HeaderCacheControl, "no-store") // not to be seen after the session
	}
	return err
}

// ours reports whether a path is our own API's. The five published ones know no cookie.
func ours(path string) bool {
	const prefix = "/v1/"
	return len(path) >= len(prefix) && strings.EqualFold(path[:len(prefix)], prefix)
}

// hasCredential reports whether a request carries one, whatever it is worth.
func hasCredential(ctx *fiber.Ctx) bool {
	h := &ctx.Request().Header
	return len(h.PeekAll(fiber.HeaderAuthorization)) > 0 ||
		len(h.PeekAll(dialect.HeaderAgentSecret)) > 0
}

func ended() error {
	return schema.Errorf(schema.Unauthenticated, "", "the session has ended: sign in again")
}

// open returns the session of a cookie. Errors: Unauthenticated, and Unavailable when its key has to
// be looked up and cannot be.
func (c *Console) open(ctx *fiber.Ctx, value string) (session, error) {
	sealed, ok := parseCookie(value)
	if !ok {
		return session{}, ended()
	}
	with, ok, err := c.keys.find(ctx.UserContext(), sealed.key)
	if err != nil {
		return session{}, err
	}
	if !ok {
		return session{}, ended()
	}
	s, ok := sealed.open(with.aead)
	if !ok || !c.cfg.Now().Before(s.Ends) {
		return session{}, ended()
	}
	return s, nil
}

// admit returns who has a session, by its credential. What it tells of one that counts no more is
// the credential's own: the client had it once.
func (c *Console) admit(s session) (access.Caller, error) {
	switch s.Kind {
	case bearer:
		return c.cfg.Directory.Bearer(s.Credential, s.Organization)
	case agentSecret:
		return c.cfg.Directory.Secret(s.Credential, schema.AgentSecret)
	case loginToken:
		return c.cfg.Directory.Secret(s.Credential, schema.LoginToken)
	}
	return access.Caller{}, ended()
}

// checkWrite refuses what another site may have made the browser send: whatever can change
// something needs the session's token.
func (c *Console) checkWrite(ctx *fiber.Ctx, s session) error {
	if ctx.Method() == fiber.MethodGet || ctx.Method() == fiber.MethodHead {
		return nil
	}
	if err := c.checkOrigin(ctx); err != nil {
		return err
	}
	token := ctx.Get(headerCSRF)
	if s.CSRF == "" || subtle.ConstantTimeCompare([]byte(token), []byte(s.CSRF)) != 1 {
		return schema.Errorf(schema.Forbidden, headerCSRF,
			"must be the session's token, as /console/session tells it")
	}
	return nil
}

// checkOrigin refuses what a browser says another site sent. Browsers that say nothing are let
// through here.
func (c *Console) checkOrigin(ctx *fiber.Ctx) error {
	site := ctx.Get("Sec-Fetch-Site")
	origin := ctx.Get(fiber.HeaderOrigin)
	if site != "" && site != "same-origin" || origin != "" && !c.isOrigin(ctx, origin) {
		return schema.Errorf(schema.Forbidden, "",
			"the request came from another site: the console's own page must send it")
	}
	return nil
}

// isOrigin reports whether an origin is the console's: its public one, or the host that was asked.
// The scheme is only known when it is public: a proxy may have taken TLS off.
func (c *Console) isOrigin(ctx *fiber.Ctx, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if p := c.cfg.PublicURL; p != nil && strings.EqualFold(u.Scheme, p.Scheme) &&
		strings.EqualFold(u.Host, p.Host) {
		return true
	}
	return strings.EqualFold(u.Host, string(ctx.Request().Header.Host()))
}
