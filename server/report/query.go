package report

import (
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// query is the parameters of a request, the request's own.
type query map[string]string

// readQuery reads the parameters of a request. One that is not known, or is given twice, is
// refused: a filter that is passed over would show what was not asked for.
func readQuery(c *fiber.Ctx, known ...string) (query, error) {
	q := make(query)
	var err error
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		n := string(name)
		_, twice := q[n]
		switch {
		case err != nil:
		case !slices.Contains(known, n):
			err = schema.Errorf(schema.Unreadable, clip(strings.ToValidUTF8(n, "�")),
				"is not a parameter")
		case twice:
			err = schema.Errorf(schema.Unreadable, n, "is given twice")
		}
		q[n] = string(value)
	})
	return q, err
}

// clip shortens what a client sent, to be shown.
func clip(text string) string {
	const charactersMax = 64
	if runes := []rune(text); len(runes) > charactersMax {
		return string(runes[:charactersMax]) + "…"
	}
	return text
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
