package server

import (
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meterhouse/meterhouse/schema"
)

// mountOperations adds what an operator and an orchestrator ask. These routes show no usage and
// need no credential.
func (s *Server) mountOperations() {
	s.app.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	s.app.Get("/readyz", s.ready)
	s.app.Get("/metrics", adaptor.HTTPHandler(
		promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{})))
	s.app.Get("/openapi.json", s.document)
	s.app.Get("/docs", s.page)
}

// document answers the description of every route. Any page may read it: it tells no secret.
func (s *Server) document(c *fiber.Ctx) error {
	c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(s.described.JSON)
}

// page answers the same to be read.
func (s *Server) page(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentSecurityPolicy, s.described.Policy)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return c.Send(s.described.Page)
}

// ready answers 200 while writes are accepted, and 503 with the reason while they are not.
// ClickHouse being down is no reason: the log takes the events.
func (s *Server) ready(c *fiber.Ctx) error {
	err := s.cfg.Ingest.Ready()
	if err == nil {
		return c.SendString("ready\n")
	}
	reason := "not ready\n"
	if e := (*schema.Error)(nil); errors.As(err, &e) {
		reason = e.Message + "\n"
	}
	return c.Status(fiber.StatusServiceUnavailable).SendString(reason)
}
