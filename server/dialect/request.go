package dialect

import (
	"math/rand/v2"

	"github.com/gofiber/fiber/v2"
)

// HeaderRequestID is by what a request is found in the log: every answer has it.
const HeaderRequestID = "X-Request-Id"

const requestIDMax = 64 // characters

// NameRequest gives a request its id: the client's own when it is fit to be in a log, else one that
// is made up. It is kept in the answer's header, where RequestID finds it.
func NameRequest(c *fiber.Ctx) {
	header := &c.Response().Header
	if asked := c.Request().Header.Peek(HeaderRequestID); isRequestID(asked) {
		header.SetBytesV(HeaderRequestID, asked)
		return
	}
	const digits = "0123456789abcdef"
	var id [32]byte
	for half := range 2 {
		n := rand.Uint64() // it is a name, not a secret
		for i := range 16 {
			id[16*half+i] = digits[n>>(4*i)&15]
		}
	}
	header.SetBytesV(HeaderRequestID, id[:])
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
