package billing

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/meterhouse/meterhouse/schema"
)

// Keys of a meter event's payload.
const (
	payloadCustomer = "stripe_customer_id"
	payloadValue    = "value"
)

// MeterFaults reads the account's active meters, and returns by event name what is wrong with each
// for a mode; empty: nothing is. A meter that is not among them is not there. A *Failure, as of all
// that reads of Stripe.
func (c *Client) MeterFaults(
	ctx context.Context, mode schema.ReportMode,
) (map[string]string, error) {
	all, err := list[meter](ctx, c, "/v1/billing/meters", map[string]string{"status": "active"})
	if err != nil {
		return nil, err
	}
	faults := make(map[string]string, len(all))
	for _, m := range all {
		faults[m.EventName] = c.redact.line(m.fault(mode))
	}
	return faults, nil
}

// fault says why a meter counts otherwise than a mode needs; empty: it does not.
func (m meter) fault(mode schema.ReportMode) string {
	switch {
	case m.Aggregation.Formula != "sum":
		return "it aggregates by " + m.Aggregation.Formula + ", and not by sum"
	case mode == schema.Preaggregated && m.Window != "hour":
		return "its event_time_window is not hour: totals that are told again would add up"
	case mode == schema.Raw && m.Window != "":
		return "it has an event_time_window: of differences within an hour the last would count"
	case m.Customer.Key != payloadCustomer:
		return "it takes the customer from " + m.Customer.Key + ", and not from " + payloadCustomer
	case m.Value.Key != payloadValue:
		return "it takes the value from " + m.Value.Key + ", and not from " + payloadValue
	}
	return ""
}

// Customer looks for a customer. NotFound when there is none, or it was deleted.
func (c *Client) Customer(ctx context.Context, id string) error {
	path := "/v1/customers/" + url.PathEscape(id)
	body, err := c.get(ctx, path, apiVersion, nil)
	var found struct {
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}
	f := (*Failure)(nil)
	switch {
	case errors.As(err, &f) && f.Answer.HTTPStatus == http.StatusNotFound:
		found.Deleted = true
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(body, &found); err != nil || found.Object != "customer" {
			return c.unreadable(path, errors.New("an answer that is no customer"))
		}
	}
	if found.Deleted {
		return schema.Errorf(schema.NotFound, "customer", "Stripe has no customer %s", id)
	}
	return nil
}
