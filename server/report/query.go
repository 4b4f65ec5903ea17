package report

import (
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// query is the parameters of a request, the request's own.
type query map[string]string

// readQuery reads the parameters of a request, as dialect.Parameters.
func readQuery(c *fiber.Ctx, known ...string) (query, error) {
	return dialect.Parameters(c, known...)
}

// organization returns the organization asked for; zero when none is.
func (q query) organization() (uuid.UUID, error) {
	text, ok := q["organization_id"]
	if !ok {
		return uuid.Nil, nil
	}
	return parseID(text)
}

func parseID(text string) (uuid.UUID, error) {
	const length = 36
	id, err := uuid.Parse(text)
	if err != nil || len(text) != length || id == uuid.Nil {
		return uuid.Nil, schema.Errorf(schema.Unreadable, "organization_id", "must be a UUID")
	}
	return id, nil
}

// instant reads a parameter that is a date or an RFC 3339 instant; zero when it is absent.
func (q query) instant(name string) (time.Time, error) {
	text, ok := q[name]
	if !ok {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse(time.DateOnly, text)
	}
	if err != nil || !schema.InstantValid(t) {
		return t, schema.Errorf(schema.Unreadable, name, "must be a date or an RFC 3339 instant")
	}
	return t.UTC(), nil
}

// hours reads a range, widened to whole hours. What is not given is zero.
func (q query) hours() (from, to time.Time, err error) {
	if from, err = q.instant("from"); err != nil {
		return from, to, err
	}
	if to, err = q.instant("to"); err != nil {
		return from, to, err
	}
	from = from.Truncate(schema.SlotLength)
	if whole := to.Truncate(schema.SlotLength); whole.Before(to) {
		to = whole.Add(schema.SlotLength)
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, schema.Errorf(schema.Unreadable, "to", "must be after from")
	}
	return from, to, nil
}
