package usage

import "github.com/gofiber/fiber/v2"

func (d *api) mountQuery(r fiber.Router) {}
