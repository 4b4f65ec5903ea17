package dialect

import (
	"math/rand/v2"

	"github.com/gofiber/fiber/v2"
)

// HeaderRequestID is by what a request is found in the log: every answer has it.
const HeaderRequestID = "X-Request-Id"

const requestIDMax = 64 // characters

// requestIDForm is a UUID of version 4: that is what DigitalOcean's clients expect.
const requestIDForm = "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx"

// NameRequest gives a request its id: the client's own when it is fit to be in a log, else one that
// is made up. It is kept in the answer's header, where RequestID finds it.
func NameRequest(c *fiber.Ctx) {
	id := c.Request().Header.Peek(HeaderRequestID)
	var made [len(requestIDForm)]byte
	if !isRequestID(id) {
		id = append(made[:0], requestIDForm...)
		makeRequestID(id)
	}
	var key [len(HeaderRequestID)]byte // as it is spelled: setting it by name costs twice as much
	c.Response().Header.SetCanonical(append(key[:0], HeaderRequestID...), id)
}

func makeRequestID(id []byte) {
	var n uint64 // random digits that are left; it is a name, not a secret
	for i := range id {
		if i%16 == 0 {
			n = rand.Uint64()
		}
		if id[i] == 'x' {
			id[i] = "0123456789abcdef"[n&15]
		}
		n >>= 4
	}
}

// isRequestID lets nothing into the log that could be taken for another part of it.
func isRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > requestIDMax {
		return false
	}
	for _, b := range id {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		case b == '.', b == '_', b == '-':
		default:
			return false
		}
	}
	return true
}

// RequestID returns the id that NameRequest gave, the caller's own; empty when it gave none.
func RequestID(c *fiber.Ctx) string {
	return string(c.Response().Header.Peek(HeaderRequestID))
}
