package server

import "github.com/gofiber/fiber/v2"

// App is the fiber app of a server, for tests of what no dialect decides.
func (s *Server) App() *fiber.App { return s.app }

// Prefixes returns whose errors each path prefix has, by the dialect's name.
func (s *Server) Prefixes() map[string]string {
	all := make(map[string]string)
	for _, p := range s.byPrefix {
		all[p.path] = p.dialect.Name
	}
	return all
}
