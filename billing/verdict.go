package billing

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// reply is what a call of Stripe came to.
type reply struct {
	status  int         // 0: nothing came back
	header  http.Header // nil: nothing came back
	refusal *refusal    // Stripe's own error; nil: there was none, or it could not be read
	err     error       // what went wrong on the way; nil: nothing
}

// refusal is an error in Stripe's words.
type refusal struct{ kind, code, param, message string }

// String returns the refusal's parts that are told, in the order in which they help.
func (r *refusal) String() string {
	var parts []string
	for _, part := range []string{r.code, r.param, r.message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return r.kind
	}
	return strings.Join(parts, ": ")
}

// retryAfterMax bounds what is believed of a Retry-After.
const retryAfterMax = 24 * time.Hour

// classify says what a reply means for the revision that was sent. It is Accepted only when
// Stripe's answer came whole. Whatever Stripe did not say itself means nothing about the revision:
// it may have been executed before the answer was lost.
func classify(r reply, now time.Time) Answer {
	a := Answer{
		HTTPStatus: uint16(r.status),
		RequestID:  r.header.Get("Request-Id"),
		RetryAfter: retryAfter(r.header.Get("Retry-After"), now),
	}
	switch {
	case r.refusal != nil:
		a.Detail = strconv.Itoa(r.status) + ": " + r.refusal.String()
		a.Verdict, a.Ends = refused(r)
	case r.err != nil:
		a.Detail = r.err.Error()
		a.Verdict, a.Ends = unread(r)
		// A page of some proxy is no answer of Stripe's; a broken 200 is one.
		a.Silent = r.status/100 != 2
	default:
		a.Verdict = schema.Accepted
	}
	return a
}

// refused is the verdict of an error that Stripe told of.
func refused(r reply) (schema.Verdict, schema.RunEnd) {
	e := r.refusal
	switch {
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		return schema.NotSent, schema.RunHalted
	case r.status == http.StatusTooManyRequests && e.code != "lock_timeout" &&
		r.header.Get("Stripe-Rate-Limited-Reason") != "resource-specific":
		return schema.NotSent, schema.RunLimited
	case r.status == http.StatusTooManyRequests, r.status == http.StatusConflict:
		return schema.Retry, 0 // one object is busy: the others need not wait
	case r.status >= http.StatusInternalServerError:
		return serverError(r.header), 0
	// Stripe's API of 2023-10-16 has no code for it, and v2 has one.
	case e.code == "duplicate_meter_event",
		strings.Contains(e.message, "already exists with identifier"):
		return schema.Duplicate, 0
	case e.kind == "idempotency_error":
		return schema.KeyConflict, 0
	case r.header.Get("Stripe-Should-Retry") == "true":
		return schema.Retry, 0
	}
	return schema.Rejected, 0
}

// unread is the verdict of an answer that is not Stripe's, was cut short, or never came.
func unread(r reply) (schema.Verdict, schema.RunEnd) {
	switch {
	case r.status == http.StatusTooManyRequests:
		return schema.NotSent, schema.RunLimited
	case r.status >= http.StatusInternalServerError:
		return serverError(r.header), 0
	}
	return schema.Unknown, 0
}

// serverError is the verdict of an error of Stripe's own. One that is replayed will be replayed
// for a day, whatever became of the request: only another key gets another answer.
func serverError(h http.Header) schema.Verdict {
	if h.Get("Idempotent-Replayed") == "true" {
		return schema.Rotate
	}
	return schema.Unknown
}

// retryAfter reads the header's seconds or date; 0 when it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), retryAfterMax)
}

// Failure is why something could not be read from Stripe. Errors of another type mean that an answer
// came which is not as documented, or that what was asked for is not there.
type Failure struct {
	Call   string // as GET /v1/billing/meters
	Answer Answer // Ends and Silent as of a delivery
	cause  error  // the context's, or nil
}

// Error returns what Stripe said, or that it said nothing, without secrets.
func (f *Failure) Error() string { return "stripe: " + f.Call + ": " + f.Answer.Detail }

// Unwrap returns the context's error when it ended the call.
func (f *Failure) Unwrap() error { return f.cause }
