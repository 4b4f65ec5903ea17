package digitalocean

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// newLimitedApp is an app whose one bearer, dop_v1_ada, may ask so often a minute.
func newLimitedApp(requestsPerMinute uint32, r dialect.Reader) *fiber.App {
	d := New(dialect.Door{
		Access: access.NewStatic(access.NewSnapshot(schema.Catalog{
			Organizations: []schema.Organization{{ID: acme}},
			Users:         []schema.User{{ID: ada}},
			Memberships: []schema.Membership{
				{Organization: acme, User: ada, Role: schema.Member, Active: true},
			},
			Agents: []schema.Agent{{ID: helper, Organization: acme}},
			Credentials: []schema.Credential{{
				Hash: schema.HashSecret("dop_v1_ada"), Kind: schema.AccessToken,
				Organization: acme, User: ada, RequestsPerMinute: requestsPerMinute,
			}},
		})),
		Reader: r,
		Now:    time.Now,
		NewID:  func() uuid.UUID { return requestID },
	})
	app := fiber.New(fiber.Config{ErrorHandler: d.WriteError})
	d.Mount(app)
	return app
}

// Every answer to somebody we know tells the rate limit: also a 400, a 404 and the 429 itself.
func TestAnswersTellTheRate(t *testing.T) {
	const limit = 5
	app := newLimitedApp(limit, &reader{})
	start := time.Now()
	f := func(target string, status int, remaining int) {
		t.Helper()
		answer, err := app.Test(request("GET", target, "dop_v1_ada"), -1)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != status {
			t.Errorf("%s: status %d, want %d", target, answer.StatusCode, status)
		}
		h := answer.Header
		if h.Get("ratelimit-limit") != strconv.Itoa(limit) ||
			h.Get("ratelimit-remaining") != strconv.Itoa(remaining) {
			t.Errorf("%s: %v", target, h)
		}
		reset, err := strconv.ParseInt(h.Get("ratelimit-reset"), 10, 64)
		if err != nil || reset <= start.Unix() || reset > time.Now().Unix()+60 || reset%60 != 0 {
			t.Errorf("%s: reset %q", target, h.Get("ratelimit-reset"))
		}
		if h.Get("x-request-id") == "" {
			t.Errorf("%s: no request id", target)
		}
		wait, err := strconv.ParseInt(h.Get("Retry-After"), 10, 64)
		if over := status == http.StatusTooManyRequests; over != (err == nil) ||
			over && (wait < 1 || wait > 60) {
			t.Errorf("%s: status %d, Retry-After %q", target, status, h.Get("Retry-After"))
		}
	}
	// The five are asked within one minute: a new one gets the allowance anew.
	if s := start.Second(); s > 55 {
		time.Sleep(time.Duration(61-s) * time.Second)
		start = time.Now()
	}
	f(path, 200, 4)
	f(path+"?start=tomorrow", 400, 3)
	f(strings.Replace(path, helper.String(), foreign.String(), 1), 404, 2)
	f(path, 200, 1)
	f(path, 200, 0)
	f(path, 429, 0)
	f(path+"?start=tomorrow", 429, 0)
}

func TestStrangersAreToldNoRate(t *testing.T) {
	f := func(app *fiber.App, what, token string) {
		t.Helper()
		answer, err := app.Test(request("GET", path, token), -1)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		for _, name := range []string{"limit", "remaining", "reset"} {
			if v := answer.Header.Values("ratelimit-" + name); len(v) > 0 {
				t.Errorf("%s: %s %q", what, name, v)
			}
		}
	}
	f(newLimitedApp(5, &reader{}), "a stranger", "dop_v1_eve")
	f(newLimitedApp(5, &reader{}), "nobody", "")
	f(newLimitedApp(0, &reader{}), "without a limit", "dop_v1_ada")
}
