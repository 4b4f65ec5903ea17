package tracker

import (
	"github.com/gofiber/fiber/v2"
)

// The original lets pages of any origin call it, with credentials. That is safe here because
// nothing but a bearer token counts: a browser never adds one by itself.

// methods is every method this API ever answers, so that a page can read a 405 as well.
const methods = "DELETE, GET, POST, PUT"

// allowOrigin lets the page a browser is on read the answer.
func allowOrigin(c *fiber.Ctx) {
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	c.Vary(fiber.HeaderOrigin)
}

// preflight answers a browser's question before a request. Any other OPTIONS is a method the
// original does not know; allowed are the methods of the path.
func preflight(allowed string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if c.Get(fiber.HeaderOrigin) == "" ||
			c.Get(fiber.HeaderAccessControlRequestMethod) == "" {
			c.Set(fiber.HeaderAllow, allowed)
			return fiber.ErrMethodNotAllowed
		}
		c.Set(fiber.HeaderAccessControlAllowMethods, methods)
		if headers := c.Get(fiber.HeaderAccessControlRequestHeaders); headers != "" {
			c.Set(fiber.HeaderAccessControlAllowHeaders, headers)
		}
		c.Vary(fiber.HeaderAccessControlRequestMethod,
			fiber.HeaderAccessControlRequestHeaders)
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
		return c.SendStatus(fiber.StatusNoContent)
	}
}
