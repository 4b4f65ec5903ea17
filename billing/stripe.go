package billing

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// ClientConfig is what a Client needs.
type ClientConfig struct {
	Key           string // sk_… or rk_…
	WebhookSecret string // whsec_…; empty: notices are refused
	Base          string // another address than Stripe's, for tests; empty: Stripe's
	Transport     http.RoundTripper
	Now           func() time.Time
	Logger        *slog.Logger
}

// Client talks to Stripe. Everything it returns or logs is without its key. It is safe for use by
// many goroutines.
type Client struct{ cfg ClientConfig }

// NewClient returns a client. It calls nobody.
func NewClient(c ClientConfig) (*Client, error) { _ = stripe.APIVersion; panic("not yet") }

// Send sends a delivery, once or, where Stripe surely does not have it, a second time.
func (c *Client) Send(ctx context.Context, d Delivery) Answer { panic("not yet") }

// MeterID returns Stripe's id of the active meter with an event name.
func (c *Client) MeterID(ctx context.Context, name string) (string, error) { panic("not yet") }

// Summaries returns what Stripe says it has, in buckets that have something, ordered by time.
func (c *Client) Summaries(ctx context.Context, p SummaryParams) ([]Bucket, error) {
	panic("not yet")
}

// Records returns what Stripe has of a subscription item's usage records by billing period, the
// newest first.
func (c *Client) Records(ctx context.Context, item string) ([]Bucket, error) { panic("not yet") }

// Lines returns all metered lines of an invoice.
func (c *Client) Lines(ctx context.Context, invoice string) ([]InvoiceLine, error) {
	panic("not yet")
}

// Problems fetches what a thin event says is wrong with meter events.
func (c *Client) Problems(ctx context.Context, event string) ([]MeterProblem, error) {
	panic("not yet")
}

// Notice checks the signature of what was posted to the webhook and reads it. The error is a
// *schema.Error of kind Unauthenticated when the signature is not right, or Invalid when the
// contents cannot be read.
func (c *Client) Notice(body []byte, signature string) (Notice, error) { panic("not yet") }
