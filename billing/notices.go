package billing

import (
	"context"
)

// Notify takes an event that Stripe sent, and returns once it is stored.
func (r *Reporter) Notify(ctx context.Context, body []byte, signature string) error {
	panic("not yet")
}
