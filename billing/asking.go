package billing

import (
	"context"
	"errors"

	"github.com/meterhouse/meterhouse/schema"
)

// asking reads from Stripe for one customer after the other, at the pace of all calls. One at a
// time uses it.
type asking struct {
	*Reporter
	away int // calls in a row that failed
}

// awayAfter is how many calls in a row may fail before the others are not made: each may take as
// long as a call is waited for.
const awayAfter = 3

// errAway is why Stripe is not asked any more.
var errAway = asked{errors.New("stripe: it did not answer for others before")}

// asked is an error that came of asking Stripe.
type asked struct{ error }

func (a asked) Unwrap() error { return a.error }

// ask makes a call, unless Stripe failed to answer too often. The error is an asked one, or the
// context's.
func (a *asking) ask(ctx context.Context, call func() error) error {
	if a.away >= awayAfter {
		return errAway
	}
	if err := a.pause(ctx); err != nil {
		return err
	}
	err := call()
	if err == nil {
		a.away = 0
		return nil
	}
	var failure *Failure
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case refusedQuestion(err) || !errors.As(err, &failure):
		a.away = 0 // it answered
	case failure.Answer.Ends != 0:
		a.away = awayAfter // it refuses the key, or asks for fewer calls
	default:
		a.away++
	}
	return asked{err}
}

// ofStripe reports whether an error came of asking Stripe.
func ofStripe(err error) bool { return errors.As(err, new(asked)) }

// refusedQuestion reports whether asking again would not help.
func refusedQuestion(err error) bool {
	var failure *Failure
	return errors.As(err, &failure) && failure.Answer.Verdict == schema.Rejected ||
		schema.KindOf(err) == schema.NotFound
}
