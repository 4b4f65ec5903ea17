// Package otlp takes OpenTelemetry traces: the spans of GenAI calls become events.
package otlp

import (
	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	return dialect.Dialect{
		Name:       "otlp",
		Prefixes:   []string{"/v1/traces"},
		Mount:      func(r fiber.Router) {},
		WriteError: dialect.WriteProblem,
	}
}
