package dialect

import (
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// Headers that more than one dialect reads.
const (
	HeaderAgentSecret    = "Agent-Secret-Key"
	HeaderIdempotencyKey = "Idempotency-Key"
	headerOrganization   = "X-Organization-ID"
)

type callerKey struct{}

// SetCaller says who is calling one of our own routes, for a request that carries no credential but
// was let in before its route: by the console's session.
func SetCaller(c *fiber.Ctx, caller access.Caller) { c.Locals(callerKey{}, caller) }

// Authenticate returns who is calling one of our own routes. An Agent-Secret-Key decides alone:
// Authorization may then be a gateway's in front of us.
func Authenticate(c *fiber.Ctx, a Access) (access.Caller, error) {
	if caller, ok := c.Locals(callerKey{}).(access.Caller); ok {
		return caller, nil
	}
	if secret := c.Get(HeaderAgentSecret); secret != "" {
		return a.Secret(secret, schema.AgentSecret)
	}
	token, ok := Bearer(c)
	if !ok {
		return access.Caller{}, schema.Errorf(schema.Unauthenticated, "",
			"send Authorization: Bearer or Agent-Secret-Key")
	}
	return a.Bearer(token, OrganizationAsked(c))
}

// Bearer returns the credential of an `Authorization: Bearer` header; false when there is no
// such header. The string is the caller's own.
func Bearer(c *fiber.Ctx) (string, bool) {
	const scheme = "bearer "
	h := c.Get(fiber.HeaderAuthorization)
	if len(h) <= len(scheme) || !strings.EqualFold(h[:len(scheme)], scheme) {
		return "", false
	}
	token := strings.TrimSpace(h[len(scheme):])
	return strings.Clone(token), token != ""
}

// OrganizationAsked returns the organization, as text, that a caller with several chooses; empty
// when it names none.
func OrganizationAsked(c *fiber.Ctx) string { return strings.Clone(c.Get(headerOrganization)) }

// IdempotencyKey returns the Idempotency-Key header, the caller's own; empty when there is none.
// The error is Unreadable: a key is 1 to 200 characters, none of them a control character.
func IdempotencyKey(c *fiber.Ctx) (string, error) {
	switch values := c.Request().Header.PeekAll(HeaderIdempotencyKey); len(values) {
	case 0:
		return "", nil
	case 1:
		key := string(values[0])
		if message := CheckKey(key); message != "" {
			return "", schema.Errorf(schema.Unreadable, HeaderIdempotencyKey, "%s", message)
		}
		return key, nil
	}
	return "", schema.Errorf(schema.Unreadable, HeaderIdempotencyKey, "is given twice")
}

// CheckKey returns what is wrong with an idempotency key; empty when nothing is.
func CheckKey(key string) string {
	switch n := utf8.RuneCountInString(key); {
	case n == 0 || n > schema.KeyMax:
		return "must have 1 to 200 characters"
	case !utf8.ValidString(key):
		return "must be valid UTF-8"
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] == 0x7f {
			return "must not contain control characters"
		}
	}
	return ""
}
