package schema

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a caller can do about an Error.
type Kind uint8

// The kinds of Error. The zero Kind is Internal, so that an error nobody classified shows nothing.
const (
	Internal        Kind = iota // ours: logged once, shown as nothing
	Unreadable                  // the body or a parameter could not be parsed
	Invalid                     // readable, but a field's value is not allowed
	Unauthenticated             // no credential, or one we do not know
	Forbidden                   // a known caller who may not do this
	NotFound                    // no such thing, or not the caller's
	Conflict                    // it is there already, or is not as the caller expects
	Stale                       // it is no longer what the caller made a condition
	TooLarge                    // over a limit in bytes or counts
	Unsupported                 // a media type or encoding we do not read
	Overloaded                  // a bound is reached: try again after RetryAfter
	Unavailable                 // a part we need is down: try again
)

// Error is what can go wrong, in the words of the person who sent the request.
type Error struct {
	Kind       Kind
	Field      string        // the member or parameter at fault, as the client named it; may be empty
	Message    string        // a sentence fragment that says what to do; never a secret
	RetryAfter time.Duration // for Overloaded and Unavailable
	Cause      error         // what errors.Is finds in its chain; shown to nobody; may be nil
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Unwrap returns the Cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error of a kind about a field.
func Errorf(kind Kind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}

// KindOf returns the Kind of the first *Error in err's chain, and Internal when there is none.
func KindOf(err error) Kind {
	if err == nil {
		return Internal // nothing is allocated to find that out
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
