package billing

import (
	"context"
	"errors"
	"net/http"

	"github.com/meterhouse/meterhouse/schema"
)

// asking reads from Stripe for one customer after the other, at the pace of all calls. One at a
// time uses it.
type asking struct {
	*Reporter
	away   int               // calls in a row that failed
	denied map[question]bool // by a key that may do other things
}

// question is a kind of call: a restricted key may be let ask some of them.
type question string

const (
	askInvoices question = "invoices" // and their lines
	askMeters   question = "meters"
	askSums     question = "sums"
	askEvents   question = "events"
)

// awayAfter is how many calls in a row may fail before the others are not made: each may take as
// long as a call is waited for.
const awayAfter = 3

// errAway is why Stripe is not asked any more.
var errAway = asked{errors.New("stripe: it did not answer for others before")}

// errDenied is why a kind of question is not asked any more.
var errDenied = asked{errors.New("stripe: the key may not ask for it, as it was told before")}

// asked is an error that came of asking Stripe.
type asked struct{ error }

func (a asked) Unwrap() error { return a.error }

// ask makes a call, unless Stripe failed to answer too often, or forbade such a question. The error
// is an asked one, or the context's.
func (a *asking) ask(ctx context.Context, what question, call func() error) error {
	switch {
	case a.away >= awayAfter:
		return errAway
	case a.denied[what]:
		return errDenied
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
	case failure.Answer.HTTPStatus == http.StatusForbidden:
		if a.denied == nil {
			a.denied = map[question]bool{}
		}
		a.away, a.denied[what] = 0, true // and may answer others
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
