package usage

import "github.com/gofiber/fiber/v2"

func (d *api) mountAnomalies(r fiber.Router) {}
