package server

import "github.com/gofiber/fiber/v2"

// Routes returns every route that is mounted, middleware aside.
func (s *Server) Routes() []fiber.Route { return s.app.GetRoutes(true) }
