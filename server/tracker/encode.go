package tracker

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// recordOf returns a record as this API shows it. Records of another API's may count fractions
// of a unit: they are rounded down, as the member is an integer.
func recordOf(r dialect.UsageRecord) record {
	return record{
		UsageID:      r.ID,
		UserID:       r.User,
		APIName:      r.APIName,
		Endpoint:     r.Endpoint,
		UnitsUsed:    r.Units.Floor(),
		CostUSD:      json.Number(r.CostUSD.String()),
		APIKeyUsed:   r.ProviderKey,
		StatusActive: true,
		CreatedAt:    timestamp(r.Time),
	}
}

// timestamp writes a time as pydantic does: microseconds only when there are any, then all six.
func timestamp(t time.Time) string {
	t = t.UTC()
	if t.Nanosecond()/int(time.Microsecond) == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000000Z")
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // texts come back as they were sent
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func send(c *fiber.Ctx, status int, v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(status).Send(body)
}

// statusOf is the status each kind of error has here.
var statusOf = map[schema.Kind]int{
	schema.Unreadable:      fiber.StatusBadRequest,
	schema.Invalid:         fiber.StatusUnprocessableEntity,
	schema.Unauthenticated: fiber.StatusUnauthorized,
	schema.Forbidden:       fiber.StatusForbidden,
	schema.NotFound:        fiber.StatusNotFound,
	schema.TooLarge:        fiber.StatusRequestEntityTooLarge,
	schema.Unsupported:     fiber.StatusUnsupportedMediaType,
	schema.Overloaded:      fiber.StatusTooManyRequests,
	schema.Unavailable:     fiber.StatusServiceUnavailable,
}

// writeError answers with err as FastAPI would. A browser may read it as well as a success.
func writeError(c *fiber.Ctx, err error) error {
	allowOrigin(c)
	status, detail := encodeError(err)
	if status == fiber.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	if wait := dialect.RetryAfter(err); wait != "" {
		c.Set(fiber.HeaderRetryAfter, wait)
	}
	return send(c, status, struct {
		Detail any `json:"detail"`
	}{detail})
}

// encodeError returns the status and the detail of the answer to err: a list of problems, or a
// text. Nothing is shown of an error that is neither ours nor the router's.
func encodeError(err error) (int, any) {
	var problems invalid
	if errors.As(err, &problems) {
		return fiber.StatusUnprocessableEntity, problems
	}
	var routing *fiber.Error
	if errors.As(err, &routing) {
		if routing.Code < 400 || routing.Code >= 500 {
			return fiber.StatusInternalServerError, internalError
		}
		return routing.Code, http.StatusText(routing.Code)
	}
	if errors.Is(err, access.ErrNoUser) {
		return fiber.StatusNotFound, noUser
	}
	var e *schema.Error
	if !errors.As(err, &e) || statusOf[e.Kind] == 0 {
		return fiber.StatusInternalServerError, internalError
	}
	switch e.Kind {
	case schema.Unreadable:
		return statusOf[e.Kind], badBody
	case schema.Invalid:
		return statusOf[e.Kind], invalid{{
			Type: "value_error", Loc: []any{"body"}, Msg: "Value error, " + e.Error(),
		}}
	case schema.Forbidden:
		return statusOf[e.Kind], wrongRole
	case schema.NotFound:
		return statusOf[e.Kind], noUsage
	}
	return statusOf[e.Kind], e.Error()
}
