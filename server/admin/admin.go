// Package admin serves /v1/admin: the catalog, changed by HTTP.
package admin

import (
	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	return dialect.Dialect{
		Name:       "admin",
		Prefixes:   []string{"/v1/admin/"},
		Mount:      func(r fiber.Router) {},
		WriteError: dialect.WriteProblem,
	}
}
