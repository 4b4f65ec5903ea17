package dialect

import (
	"github.com/gofiber/fiber/v2"
)

// Dialect is one wire API: its routes, and how it tells errors on the paths it owns.
type Dialect struct {
	Name string // lower case; a label in logs and metrics
	// Prefixes are the lower-case path prefixes whose router-level failures (unknown path, wrong
	// method, body too large, a panic) are written by WriteError. A longer prefix wins.
	Prefixes []string
	// Mount registers the routes.
	Mount func(r fiber.Router)
	// WriteError renders any error in the dialect's envelope: a *schema.Error by its kind, a
	// *fiber.Error by its status, anything else as internal, showing nothing of it.
	WriteError func(c *fiber.Ctx, err error) error
}
