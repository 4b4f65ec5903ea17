package dialect

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
)

// Parameters returns the parameters of a request's query, the caller's own. One that is not known,
// or is given twice, is refused as Unreadable: a filter that is passed over would show what was not
// asked for.
func Parameters(c *fiber.Ctx, known ...string) (map[string]string, error) {
	given := make(map[string]string)
	var err error
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		n := string(name)
		_, twice := given[n]
		switch {
		case err != nil:
		case !slices.Contains(known, n):
			err = schema.Errorf(schema.Unreadable, Clip(n), "is not a parameter")
		case twice:
			err = schema.Errorf(schema.Unreadable, n, "is given twice")
		}
		given[n] = string(value)
	})
	return given, err
}

// Clip returns what a client sent as an answer may repeat it: valid UTF-8, at most 64 characters
// and a sign that there were more.
func Clip(text string) string {
	const charactersMax = 64
	text = strings.ToValidUTF8(text, "�")
	if runes := []rune(text); len(runes) > charactersMax {
		return string(runes[:charactersMax]) + "…"
	}
	return text
}
