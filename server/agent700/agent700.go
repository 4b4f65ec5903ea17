// Package agent700 serves agent700's billing of external services.
package agent700

import (
	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	return dialect.Dialect{
		Name:       "agent700",
		Prefixes:   []string{"/api/billing/", "/api/auth/"},
		Mount:      func(r fiber.Router) {},
		WriteError: dialect.WriteProblem,
	}
}
