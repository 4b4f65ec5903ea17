package server

import (
	"errors"
	"io"
	"net/http"

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

// Operations returns what an operator asks, for a listener that only operators reach: /healthz,
// /readyz and /metrics, as on the main one.
func (s *Server) Operations() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status, text := s.readiness()
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{}))
	return mux
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
	status, text := s.readiness()
	return c.Status(status).SendString(text)
}

func (s *Server) readiness() (status int, text string) {
	err := s.cfg.Ingest.Ready()
	if err == nil {
		return http.StatusOK, "ready\n"
	}
	text = "not ready\n"
	if e := (*schema.Error)(nil); errors.As(err, &e) {
		text = e.Message + "\n"
	}
	return http.StatusServiceUnavailable, text
}
