package system

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

type fixed struct{ status schema.SystemStatus }

func (f fixed) Status(context.Context) (schema.SystemStatus, error) { return f.status, nil }

func catalog() *access.Snapshot {
	acme, agent := uuid.UUID{1}, uuid.UUID{9}
	c := schema.Catalog{Organizations: []schema.Organization{{ID: acme, Name: "Acme"}}}
	for i, role := range []schema.Role{schema.Member, schema.Admin, schema.Superadmin} {
		user := uuid.UUID{2, byte(i)}
		c.Users = append(c.Users, schema.User{ID: user})
		c.Memberships = append(c.Memberships,
			schema.Membership{Organization: acme, User: user, Role: role, Active: true})
		c.Credentials = append(c.Credentials, schema.Credential{
			Hash: schema.HashSecret([]string{"member", "admin", "superadmin"}[i]),
			Kind: schema.AccessToken, Organization: acme, User: user,
		})
	}
	c.Agents = []schema.Agent{{ID: agent, Organization: acme, Owner: uuid.UUID{2, 2}}}
	c.Credentials = append(c.Credentials, schema.Credential{
		Hash: schema.HashSecret("agent"), Kind: schema.AgentSecret, Organization: acme, Agent: agent,
	})
	return access.NewSnapshot(c)
}

// Only a superadmin is told. When the role was not looked at, an admin and an agent were.
func TestOnlyASuperadminIsTold(t *testing.T) {
	d := New(dialect.Door{Access: access.NewStatic(catalog()), System: fixed{}})
	app := fiber.New(fiber.Config{ErrorHandler: d.WriteError})
	d.Mount(app)
	f := func(want int, path, header, value string) {
		t.Helper()
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set(header, value)
		response, err := app.Test(r, -1)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != want {
			t.Errorf("%s %s: %d, want %d", header, value, response.StatusCode, want)
		}
	}
	f(200, path, "Authorization", "Bearer superadmin")
	f(403, path, "Authorization", "Bearer admin")
	f(403, path, "Authorization", "Bearer member")
	f(403, path, "Agent-Secret-Key", "agent")
	f(401, path, "Authorization", "Bearer nobody")
	f(401, path, "X-Nothing", "1")
	f(400, path+"?x=1", "Authorization", "Bearer superadmin")
}

func TestStatusOnTheWire(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	d := New(dialect.Door{Access: access.NewStatic(catalog()), System: fixed{schema.SystemStatus{
		Version: "1.2", Time: at,
		Log:        schema.SystemLog{PendingEvents: 3, LimitBytes: 4 << 30, Lag: 1234 * time.Millisecond},
		ClickHouse: schema.SystemClickHouse{Ping: 56 * time.Microsecond, Problem: "away"},
		Verify: schema.SystemVerify{
			Every: time.Hour, LastRunAt: at, Result: "differences", Differences: []string{"a < b"},
		},
		Aside: schema.SystemAside{Batches: []schema.AsideBatch{
			{File: "f", First: 1 << 60, Last: 1<<60 + 1, Reason: "odd", Events: 2},
		}},
	}}})
	app := fiber.New()
	d.Mount(app)
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Authorization", "Bearer superadmin")
	response, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"version":"1.2","started_at":null,"time":"2026-11-22T10:00:00Z"`,
		`"log":{"pending_events":3,"pending_bytes":0,"limit_bytes":4294967296,"lag_seconds":1.234}`,
		`"version":"","ping_ms":0.056,"problem":"away"}`,
		`"last_run_at":"2026-11-22T10:00:00Z","last_success_at":null,"result":"differences",` +
			`"differences":["a \u003c b"],"more":0}`,
		`"first":"1152921504606846976","last":"1152921504606846977","reason":"odd","events":2}]`,
		`"peers":{"nodes":[],"problem":null}`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is not in\n%s", want, body)
		}
	}
}
