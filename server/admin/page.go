package admin

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

const (
	limitDefault = 100
	limitMax     = 1000
)

// page is what a list answers with.
type page struct {
	Items      []json.RawMessage `json:"items"`
	NextCursor *string           `json:"next_cursor"`
}

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

// limit returns how many items a page may have.
func (q query) limit() (int, error) {
	text, ok := q["limit"]
	if !ok {
		return limitDefault, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n < 1 || n > limitMax {
		return 0, schema.Errorf(schema.Unreadable, "limit", "must be from 1 to %d", limitMax)
	}
	return int(n), nil
}

// organization returns the organization asked for; zero when none is.
func (q query) organization() (uuid.UUID, error) {
	text, ok := q["organization_id"]
	if !ok {
		return uuid.Nil, nil
	}
	id, ok := parseID(text)
	if !ok {
		return id, schema.Errorf(schema.Unreadable, "organization_id", "must be a UUID")
	}
	return id, nil
}

// cursor returns what a cursor stands for; empty when there is none.
func (q query) cursor() (string, error) {
	text, ok := q["cursor"]
	if !ok {
		return "", nil
	}
	place, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(place) == 0 {
		return "", errCursor()
	}
	return string(place), nil
}

func errCursor() error {
	return schema.Errorf(schema.Unreadable, "cursor", "must be a next_cursor of this list")
}

// cursorAt returns the cursor of what comes after a place.
func cursorAt(place string) *string {
	text := base64.RawURLEncoding.EncodeToString([]byte(place))
	return &text
}
