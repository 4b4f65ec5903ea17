// Package usage serves analysts: /v1/usage, /v1/agents/{id}/usage and /v1/exports. docs/usage.md is
// the contract.
package usage

import (
	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door}
	return dialect.Dialect{
		Name:       "usage",
		Prefixes:   []string{"/v1/usage/", "/v1/agents/", "/v1/exports"},
		Mount:      d.mount,
		WriteError: dialect.WriteProblem,
	}
}

type api struct{ door dialect.Door }

func (d *api) mount(r fiber.Router) {
	d.mountQuery(r)
	d.mountAnomalies(r)
	d.mountExports(r)
}
