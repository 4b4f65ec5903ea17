package dialect

import (
	"errors"
	"strconv"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// RetryAfter returns the value of the Retry-After header that belongs to an error: whole seconds,
// rounded up, at least one; empty when the error is not about waiting.
func RetryAfter(err error) string {
	var e *schema.Error
	if !errors.As(err, &e) || e.Kind != schema.Overloaded && e.Kind != schema.Unavailable {
		return ""
	}
	seconds := int64(e.RetryAfter / time.Second)
	if e.RetryAfter%time.Second > 0 {
		seconds++
	}
	return strconv.FormatInt(max(seconds, 1), 10)
}
