package raia

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// statusOf is the status each kind of error has here. raia knows no 401: whoever is not let in is
// forbidden.
var statusOf = map[schema.Kind]int{
	schema.Unreadable:      fiber.StatusBadRequest,
	schema.Invalid:         fiber.StatusBadRequest,
	schema.Unauthenticated: fiber.StatusForbidden,
	schema.Forbidden:       fiber.StatusForbidden,
	schema.NotFound:        fiber.StatusNotFound,
	schema.TooLarge:        fiber.StatusRequestEntityTooLarge,
	schema.Unsupported:     fiber.StatusUnsupportedMediaType,
	schema.Overloaded:      fiber.StatusTooManyRequests,
	schema.Unavailable:     fiber.StatusServiceUnavailable,
}

// titles are the documented names and messages. A status without one is called by its own name.
var titles = map[int][2]string{
	fiber.StatusBadRequest: {"BAD_REQUEST", "INVALID_REQUEST"},
	fiber.StatusForbidden:  {"FORBIDDEN_ERROR", "INVALID_CREDENTIALS"},
	fiber.StatusNotFound:   {"ENTITY_NOT_FOUND_ERROR", "ENTITY_NOT_FOUND"},
}

// internalError is the one answer the original documents without name and details.
const internalError = `{"status":500,"message":"Internal Server Error"}`

// writeError answers with err in raia's envelope.
func writeError(c *fiber.Ctx, err error) error {
	status, body := encodeError(err)
	if wait := dialect.RetryAfter(err); wait != "" {
		c.Set(fiber.HeaderRetryAfter, wait)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(status).Send(body)
}

// encodeError returns the status and body of the answer to err. Nothing of an error that is not
// a *schema.Error is shown.
func encodeError(err error) (int, []byte) {
	status := errorStatus(err)
	if status < 400 || status >= 500 && status != fiber.StatusServiceUnavailable {
		return fiber.StatusInternalServerError, []byte(internalError)
	}
	title, ok := titles[status]
	if !ok {
		name := strings.ToUpper(strings.ReplaceAll(http.StatusText(status), " ", "_"))
		title = [2]string{name, name}
	}
	e := envelope{Status: status, Name: title[0], Message: title[1], Details: []detail{}}
	// A refused credential gets the documented body, which says nothing more.
	if status != fiber.StatusForbidden {
		e.Details = appendDetails(e.Details, err)
	}
	body, err := json.Marshal(e)
	if err != nil { // not reached: an envelope holds nothing but strings and an integer
		return fiber.StatusInternalServerError, []byte(internalError)
	}
	return status, body
}

func errorStatus(err error) int {
	var routing *fiber.Error
	if errors.As(err, &routing) {
		return routing.Code
	}
	return statusOf[schema.KindOf(err)]
}

// appendDetails adds one detail for each *schema.Error that err is or joins.
func appendDetails(dst []detail, err error) []detail {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			dst = appendDetails(dst, e)
		}
		return dst
	}
	var e *schema.Error
	if errors.As(err, &e) {
		dst = append(dst, detail{Field: e.Field, Message: e.Message})
	}
	return dst
}

// rejected turns the core's reason for not taking an event into the words of this API.
func rejected(e *schema.Error) error {
	if e == nil {
		return errors.New("raia: an event was rejected without a reason")
	}
	own := *e
	switch e.Field {
	case "usage." + schema.OpenAITokens, "usage." + schema.VapiSeconds:
		own.Field = fieldAmount
	case "id":
		own.Field = headerKey
	default:
		own.Field = fieldBody
	}
	return &own
}
