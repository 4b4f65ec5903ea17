package dialect

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
)

// StatusOf maps what went wrong to HTTP, where an API has no mind of its own about it.
var StatusOf = map[schema.Kind]int{
	schema.Internal:        http.StatusInternalServerError,
	schema.Unreadable:      http.StatusBadRequest,
	schema.Invalid:         http.StatusUnprocessableEntity,
	schema.Unauthenticated: http.StatusUnauthorized,
	schema.Forbidden:       http.StatusForbidden,
	schema.NotFound:        http.StatusNotFound,
	schema.Conflict:        http.StatusConflict,
	schema.Stale:           http.StatusPreconditionFailed,
	schema.TooLarge:        http.StatusRequestEntityTooLarge,
	schema.Unsupported:     http.StatusUnsupportedMediaType,
	schema.Overloaded:      http.StatusTooManyRequests,
	schema.Unavailable:     http.StatusServiceUnavailable,
}

// A Refusal is a request of which nothing was accepted, and why. To whoever only asks for the kind
// it is its Reason.
type Refusal struct {
	Reason   *schema.Error
	Rejected []Rejection
}

func (r *Refusal) Error() string { return r.Reason.Error() }

func (r *Refusal) Unwrap() error { return r.Reason }

// Problem is RFC 9457's problem details, the envelope of our own APIs.
type Problem struct {
	Type   string        `json:"type"`
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Detail string        `json:"detail,omitempty"`
	Errors []ProblemItem `json:"errors,omitempty"`
	// Instance is the request's id, of a failure that is ours: an operator finds it in the log.
	Instance string `json:"instance,omitempty"`
}

// ProblemItem is one thing that is wrong with a request, or with one event of it.
type ProblemItem struct {
	Index   *int   `json:"index,omitempty"` // absent when the fault is not one event's
	Field   string `json:"field"`
	Message string `json:"message"`
}

// MIMEProblem is the media type of a Problem.
const MIMEProblem = "application/problem+json"

// WriteProblem answers any error as a Problem. Of an error that nobody classified it shows nothing.
func WriteProblem(c *fiber.Ctx, err error) error {
	p := ProblemOf(err)
	if id := RequestID(c); id != "" && p.Status >= http.StatusInternalServerError {
		p.Instance = "urn:request:" + id
	}
	body, err2 := json.Marshal(p)
	if err2 != nil {
		return err2
	}
	if p.Status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	if wait := RetryAfter(err); wait != "" {
		c.Set(fiber.HeaderRetryAfter, wait)
	}
	c.Status(p.Status).Set(fiber.HeaderContentType, MIMEProblem)
	return c.Send(body)
}

// ProblemOf renders an error.
func ProblemOf(err error) Problem {
	var known *schema.Error
	var refused *Refusal
	var routed *fiber.Error
	switch {
	case errors.As(err, &refused):
		p := newProblem(StatusOf[refused.Reason.Kind], refused.Reason.Message)
		p.Errors = ProblemItems(refused.Rejected)
		return p
	case errors.As(err, &known) && known.Kind != schema.Internal:
		p := newProblem(StatusOf[known.Kind], known.Error())
		if known.Field != "" {
			p.Errors = []ProblemItem{{Field: known.Field, Message: known.Message}}
		}
		return p
	case errors.As(err, &routed) && routed.Code >= 400 && http.StatusText(routed.Code) != "":
		return newProblem(routed.Code, "") // its message repeats the path
	}
	return newProblem(http.StatusInternalServerError, "")
}

func newProblem(status int, detail string) Problem {
	return Problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
	}
}

// ProblemItems returns the wire form of rejections, never nil.
func ProblemItems(from []Rejection) []ProblemItem {
	to := make([]ProblemItem, len(from))
	for i := range from {
		r := &from[i]
		to[i] = ProblemItem{Index: &r.Index, Field: r.Err.Field, Message: r.Err.Message}
	}
	return to
}
