package memori

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// resultOf returns the result code and message of an error about a field of these routes; false
// when the error has no code of its own.
func resultOf(e *schema.Error) (code int32, message string, ok bool) {
	type about struct {
		kind  schema.Kind
		field string
	}
	switch (about{e.Kind, e.Field}) {
	case about{schema.Unauthenticated, "strToken"}:
		if errors.Is(e, access.ErrExpired) {
			return codeSessionExpired, "Session expired", true
		}
		return codeSessionNotFound, "Session not found", true
	case about{schema.Forbidden, "strToken"}:
		return codeNotAdministrative, "Non-administrative session", true
	case about{schema.Invalid, "strType"}:
		return codeInvalidType, "Invalid log type", true
	case about{schema.Invalid, "strDateFrom"}:
		return codeInvalidDateFrom, "Date from: invalid format", true
	case about{schema.Invalid, "strDateTo"}:
		return codeInvalidDateTo, "Date to: invalid format", true
	case about{schema.Invalid, "strUserID"}:
		return codeInvalidUserID, "Invalid user ID", true
	case about{schema.Invalid, "strMemoriID"}:
		return codeInvalidMemoriID, "Invalid Memori ID", true
	case about{schema.NotFound, "tenantName"}:
		return codeTenantNotFound, "Tenant not found", true
	case about{schema.NotFound, "strUserID"}:
		return codeUserNotFound, "User not found", true
	case about{schema.NotFound, "strMemoriID"}:
		return codeMemoriNotFound, "Agent not found", true
	case about{schema.Forbidden, "strMemoriID"}:
		return codeMemoriNotAccessible, "Agent not accessible", true
	}
	return 0, "", false
}

// tokenError says of a token that nobody has whether it was good once.
func tokenError(err error) error {
	e := schema.Errorf(schema.Unauthenticated, "strToken", "unknown token")
	if errors.Is(err, access.ErrExpired) {
		e.Message, e.Cause = "expired token", access.ErrExpired
	}
	return e
}

// statusOf returns the HTTP status that is the result code of an error without one of its own.
func statusOf(kind schema.Kind) int {
	switch kind {
	case schema.Unreadable, schema.Invalid:
		return http.StatusUnprocessableEntity
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

// encodeError returns the result of any error. The text of a router's error is never shown: it
// holds the path, and so the token.
func encodeError(err error) (code int32, message string) {
	status := http.StatusInternalServerError
	var known *schema.Error
	var routed *fiber.Error
	if errors.As(err, &known) {
		if code, message, ok := resultOf(known); ok {
			return code, message
		}
		if status = statusOf(known.Kind); status != http.StatusInternalServerError {
			return int32(status), known.Error()
		}
	} else if errors.As(err, &routed) {
		status = routed.Code
	}
	if http.StatusText(status) == "" || status < http.StatusBadRequest {
		status = http.StatusInternalServerError
	}
	return int32(status), http.StatusText(status)
}
