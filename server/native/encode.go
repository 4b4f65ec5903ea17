package native

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// statusOf maps what went wrong to HTTP.
var statusOf = map[schema.Kind]int{
	schema.Internal:        http.StatusInternalServerError,
	schema.Unreadable:      http.StatusBadRequest,
	schema.Invalid:         http.StatusUnprocessableEntity,
	schema.Unauthenticated: http.StatusUnauthorized,
	schema.Forbidden:       http.StatusForbidden,
	schema.NotFound:        http.StatusNotFound,
	schema.TooLarge:        http.StatusRequestEntityTooLarge,
	schema.Unsupported:     http.StatusUnsupportedMediaType,
	schema.Overloaded:      http.StatusTooManyRequests,
	schema.Unavailable:     http.StatusServiceUnavailable,
}

// writeReceipt answers 201 with what became of each event.
func writeReceipt(c *fiber.Ctx, r dialect.Receipt) error {
	c.Status(http.StatusCreated).Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	body, err := encodeReceipt(r)
	if err != nil {
		return err
	}
	return c.Send(body)
}

func encodeReceipt(r dialect.Receipt) ([]byte, error) {
	return json.Marshal(receipt{
		Accepted:   r.Accepted,
		Duplicates: r.Duplicates,
		Rejected:   rejections(r.Rejected),
	})
}

// rejections returns their wire form, never nil.
func rejections(from []dialect.Rejection) []rejection {
	to := make([]rejection, len(from))
	for i := range from {
		r := &from[i]
		to[i] = rejection{Index: &r.Index, Field: r.Err.Field, Message: r.Err.Message}
	}
	return to
}

func sortByIndex(rejected []dialect.Rejection) {
	slices.SortStableFunc(rejected, func(a, b dialect.Rejection) int {
		return cmp.Compare(a.Index, b.Index)
	})
}

// writeError answers any error as problem details (RFC 9457). Of an error that nobody classified
// it shows nothing.
func writeError(c *fiber.Ctx, err error) error {
	p, wait := problemOf(err)
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	switch p.Status {
	case http.StatusUnauthorized:
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		c.Set(fiber.HeaderRetryAfter, wholeSeconds(wait))
	}
	c.Status(p.Status).Set(fiber.HeaderContentType, mimeProblem)
	return c.Send(body)
}

// problemOf renders an error, and says after which time a client may try again.
func problemOf(err error) (problem, time.Duration) {
	var known *schema.Error
	var refused *refusal
	var routed *fiber.Error
	switch {
	case errors.As(err, &refused):
		p := newProblem(statusOf[schema.Invalid], refused.reason.Message)
		p.Errors = rejections(refused.rejected)
		return p, 0
	case errors.As(err, &known) && known.Kind != schema.Internal:
		p := newProblem(statusOf[known.Kind], known.Error())
		if known.Field != "" {
			p.Errors = []rejection{{Field: known.Field, Message: known.Message}}
		}
		return p, known.RetryAfter
	case errors.As(err, &routed) && routed.Code >= 400 && http.StatusText(routed.Code) != "":
		return newProblem(routed.Code, ""), 0 // its message repeats the path
	}
	return newProblem(http.StatusInternalServerError, ""), 0
}

func newProblem(status int, detail string) problem {
	return problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
	}
}

// wholeSeconds rounds up to the seconds of a Retry-After header: at least one.
func wholeSeconds(d time.Duration) string {
	seconds := int64(d / time.Second)
	if d%time.Second > 0 {
		seconds++
	}
	return strconv.FormatInt(max(seconds, 1), 10)
}
