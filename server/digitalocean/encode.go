package digitalocean

import (
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

func encodeUsage(agent uuid.UUID, asked interval, used dialect.AgentUsage) usageAnswer {
	stop := asked.Stop
	if asked.Open && !used.To.IsZero() {
		stop = used.To.Add(-time.Microsecond) // when the question was asked: a moment ago or now
	}
	start := asked.Start
	if start.IsZero() {
		start = used.From
		if start.After(stop) { // nothing was recorded until then
			start = stop
		}
	}
	empty := resourceUsage{
		Measurements: []measurement{},
		ResourceUUID: agent.String(),
		Start:        encodeInstant(start),
		Stop:         encodeInstant(stop),
	}
	answer := usageAnswer{LogInsightsUsage: empty, Usage: empty}
	for _, row := range used.Rows {
		// What was corrected away counts nothing, whether or not a merge has removed its row yet.
		if !schema.CountsTokens(row.UsageType) || row.Quantity.Sign() == 0 {
			continue
		}
		of := &answer.Usage
		if row.LogInsights {
			of = &answer.LogInsightsUsage
		}
		of.Measurements = append(of.Measurements, measurement{
			Tokens: row.Quantity.Floor(), UsageType: row.UsageType,
		})
	}
	return answer
}

func encodeInstant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func statusOf(kind schema.Kind) int {
	switch kind {
	case schema.Unreadable, schema.Invalid:
		return http.StatusBadRequest
	case schema.Unauthenticated:
		return http.StatusUnauthorized
	case schema.Forbidden:
		return http.StatusForbidden
	case schema.NotFound:
		return http.StatusNotFound
	case schema.TooLarge:
		return http.StatusRequestEntityTooLarge
	case schema.Unsupported:
		return http.StatusUnsupportedMediaType
	case schema.Overloaded:
		return http.StatusTooManyRequests
	case schema.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// encodeError returns an error's status, how long to wait when that is known, and its body without
// the request's id. Only a client's own mistake is told in its own words.
func encodeError(err error) (status int, retryAfter time.Duration, answer errorAnswer) {
	status = http.StatusInternalServerError
	var known *schema.Error
	var routed *fiber.Error
	if errors.As(err, &known) {
		status, retryAfter = statusOf(known.Kind), known.RetryAfter
	} else if errors.As(err, &routed) {
		status = routed.Code
	}
	status, answer = answerOf(status)
	if status == http.StatusBadRequest && known != nil {
		answer.Message = known.Error()
	}
	if retryAfter <= 0 && status == http.StatusTooManyRequests {
		retryAfter = time.Second // the reference promises the header with this status
	}
	return status, retryAfter, answer
}

// answerOf returns the body of a status. A client's error without a body of its own is a
// bad_request under its status, anything else the server's error.
func answerOf(status int) (int, errorAnswer) {
	answer := func(id, message string) (int, errorAnswer) {
		return status, errorAnswer{ID: id, Message: message}
	}
	switch status {
	case http.StatusUnauthorized:
		return answer("unauthorized", "Unable to authenticate you")
	case http.StatusForbidden:
		return answer("forbidden", "You do not have access for the attempted action.")
	case http.StatusNotFound:
		return answer("not_found", "The resource you requested could not be found.")
	case http.StatusMethodNotAllowed:
		return answer("method_not_allowed", "The method is not allowed on this resource.")
	case http.StatusRequestEntityTooLarge:
		return answer("request_entity_too_large", "The request is too large.")
	case http.StatusUnsupportedMediaType:
		return answer("unsupported_media_type", "The request's encoding is not supported.")
	case http.StatusTooManyRequests:
		return answer("too_many_requests", "API rate limit exceeded.")
	case http.StatusServiceUnavailable:
		return answer("service_unavailable", "The service is unavailable. Try again later.")
	}
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		return answer("bad_request", "The request is not valid.")
	}
	status = http.StatusInternalServerError
	return answer("server_error", "Unexpected server-side error")
}
