package dialect

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
)

// TestRequestIDsAreFitForALog: with every id taken as it comes, the last five are in the log.
func TestRequestIDsAreFitForALog(t *testing.T) {
	app := fiber.New()
	app.Get("/", func(c *fiber.Ctx) error {
		NameRequest(c)
		return c.SendString(RequestID(c))
	})
	f := func(asked string, kept bool) {
		t.Helper()
		request := httptest.NewRequest("GET", "/", nil)
		if asked != "" {
			request.Header.Set(HeaderRequestID, asked)
		}
		answer, err := app.Test(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		id := answer.Header.Get(HeaderRequestID)
		if kept && id != asked || !kept && (id == asked || len(id) != 36) {
			t.Errorf("%q: %q", asked, id)
		}
	}
	f("a", true)
	f("Az09._-", true)
	f(strings.Repeat("a", 64), true)
	f("", false)
	f(strings.Repeat("a", 65), false)
	f("a b", false)
	f("a=b", false)
	f(`a"b`, false)
	f("ü", false)
}
