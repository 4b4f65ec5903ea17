package native

import (
	"strings"
	"unsafe"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// request is what a client asks of POST /v1/events.
type request struct {
	body     string // of its own: outlives the handler
	lines    bool   // the body is NDJSON
	atomic   bool
	eventKey string
}

func readRequest(c *fiber.Ctx) (request, error) {
	var r request
	var err error
	if r.atomic, err = readAtomic(c); err != nil {
		return r, err
	}
	if r.lines, err = readMediaType(c.Get(fiber.HeaderContentType)); err != nil {
		return r, err
	}
	if r.eventKey, err = dialect.IdempotencyKey(c); err != nil {
		return r, err
	}
	body, err := dialect.ReadBody(c)
	// The bytes are ours and nobody writes them again, so the events' strings may be parts of them.
	r.body = unsafe.String(unsafe.SliceData(body), len(body))
	return r, err
}

// readAtomic reads the query. A parameter that does not exist is refused: a misspelt atomic that
// is passed over would half-accept what must not be.
func readAtomic(c *fiber.Ctx) (atomic bool, err error) {
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		switch {
		case err != nil:
		case string(name) == "wait":
			err = schema.Errorf(schema.Unreadable, "wait", "is not offered")
		case string(name) != "atomic":
			err = schema.Errorf(schema.Unreadable, clip(string(name)), "is not a parameter")
		case string(value) != "true":
			err = schema.Errorf(schema.Unreadable, "atomic", "must be true or absent")
		default:
			atomic = true
		}
	})
	return atomic, err
}

// readMediaType reports whether a body is NDJSON; without a media type it is JSON.
func readMediaType(header string) (lines bool, err error) {
	mediaType, _, _ := strings.Cut(header, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "", mimeJSON:
		return false, nil
	case mimeNDJSON, mimeJSONL:
		return true, nil
	}
	return false, schema.Errorf(schema.Unsupported, fiber.HeaderContentType,
		"must be %s or %s", mimeJSON, mimeNDJSON)
}
