package admin

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
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

// readQuery reads the parameters of a request, as dialect.Parameters.
func readQuery(c *fiber.Ctx, known ...string) (query, error) {
	return dialect.Parameters(c, known...)
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
