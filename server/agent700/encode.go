package agent700

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// loggedOf returns an event as the answer to who logged it.
func loggedOf(e schema.Event) logged {
	l := logged{
		Message:        loggedMessage,
		ID:             e.ID,
		UserID:         e.User,
		OrganizationID: e.Organization,
		ServiceName:    e.Service,
		ModelName:      e.Model,
		Channel:        e.Channel,
		CreatedAt:      timestamp(e.Time),
	}
	var provider, billed schema.USD
	for _, m := range e.Measurements {
		provider, billed = provider.Add(m.ProviderCost), billed.Add(m.BilledCost)
		tokens, name := &l.InputTokens, "inputTokens"
		if m.UsageType == schema.Output {
			tokens, name = &l.OutputTokens, "outputTokens"
		}
		*tokens = m.Quantity.Floor()
		if m.Pricing == schema.Unpriced {
			l.Unpriced = append(l.Unpriced, name)
		}
	}
	l.ServiceCost, l.Agent700Cost = number(provider), number(billed)
	return l
}

// billingOf returns a user's requests as a billing report. What a provider takes is not the
// user's to see.
func billingOf(all dialect.BillableRequests) billing {
	b := billing{
		TotalAgent700Cost: number(all.BilledCost),
		TotalCost:         number(all.BilledCost),
		BillingLogs:       make([]request, len(all.Newest)),
	}
	for i, r := range all.Newest {
		b.BillingLogs[i] = request{
			ID:               r.ID,
			ModelName:        r.Model,
			PromptTokens:     r.InputTokens.Floor(),
			CompletionTokens: r.OutputTokens.Floor(),
			Agent700Cost:     number(r.BilledCost),
			Unpriced:         r.Unpriced > 0,
			ServiceName:      r.Service,
			Channel:          r.Channel,
			CreatedAt:        timestamp(r.Time),
		}
	}
	return b
}

func sessionOf(issued access.Issued) session {
	s := session{
		Email:              issued.User.Email,
		AccessToken:        issued.Token,
		ExpiresIn:          int64(issued.ExpiresIn / time.Second),
		OrganizationsRoles: make([]organizationRole, len(issued.Organizations)),
		DefaultOrganization: organization{
			ID: issued.Organization.ID, Name: issued.Organization.Name,
		},
	}
	for i, o := range issued.Organizations {
		s.OrganizationsRoles[i] = organizationRole{
			Name: o.Organization.Name, ID: o.Organization.ID, Role: roleNames[o.Role],
		}
	}
	return s
}

// number is an amount as a JSON number, in the decimal's own digits.
func number(u schema.USD) json.Number { return json.Number(u.String()) }

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func send(c *fiber.Ctx, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // texts come back as they were sent
	if err := enc.Encode(v); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(status).Send(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// statusOf is the status each kind of error has here: this API knows no 422.
var statusOf = map[schema.Kind]int{
	schema.Unreadable:      fiber.StatusBadRequest,
	schema.Invalid:         fiber.StatusBadRequest,
	schema.Unauthenticated: fiber.StatusUnauthorized,
	schema.Forbidden:       fiber.StatusForbidden,
	schema.NotFound:        fiber.StatusNotFound,
	schema.Conflict:        fiber.StatusConflict,
	schema.TooLarge:        fiber.StatusRequestEntityTooLarge,
	schema.Unsupported:     fiber.StatusUnsupportedMediaType,
	schema.Overloaded:      fiber.StatusTooManyRequests,
	schema.Unavailable:     fiber.StatusServiceUnavailable,
}

// writeError answers with err in agent700's envelope.
func writeError(c *fiber.Ctx, err error) error {
	status, body := encodeError(err)
	if status == fiber.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	if wait := dialect.RetryAfter(err); wait != "" {
		c.Set(fiber.HeaderRetryAfter, wait)
	}
	return send(c, status, body)
}

// encodeError returns the status and body of the answer to err. Nothing is shown of an error that
// is neither ours nor the router's.
func encodeError(err error) (int, failure) {
	var bad *invalid
	if errors.As(err, &bad) {
		return fiber.StatusBadRequest, failure{Error: bad.text, Details: bad.details}
	}
	var routing *fiber.Error
	if errors.As(err, &routing) {
		if routing.Code < 400 || routing.Code >= 500 || http.StatusText(routing.Code) == "" {
			return fiber.StatusInternalServerError, failure{Error: internalError}
		}
		return routing.Code, failure{Error: http.StatusText(routing.Code)}
	}
	var known *schema.Error
	if !errors.As(err, &known) || statusOf[known.Kind] == 0 {
		return fiber.StatusInternalServerError, failure{Error: internalError}
	}
	return statusOf[known.Kind], failure{Error: known.Error()}
}
