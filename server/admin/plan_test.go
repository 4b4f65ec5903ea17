package admin

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// newer is a catalog that has moved on since the caller was let in.
type newer struct {
	dialect.Catalog
	snapshot *access.Snapshot
	planned  bool
}

func (n *newer) Change(
	_ context.Context, _ string, plan func(*access.Snapshot) (access.Change, error),
) error {
	_, err := plan(n.snapshot)
	n.planned = err == nil
	return err
}

// What a caller may do is asked of the catalog that is changed, not of the one that let them in.
func TestRoleIsAskedAgain(t *testing.T) {
	organization, user, agent := uuid.New(), uuid.New(), uuid.New()
	with := func(role schema.Role, active bool) *access.Snapshot {
		return access.NewSnapshot(schema.Catalog{
			Organizations: []schema.Organization{{ID: organization}},
			Users:         []schema.User{{ID: user}},
			Agents:        []schema.Agent{{ID: agent, Organization: organization}},
			Memberships: []schema.Membership{
				{Organization: organization, User: user, Role: role, Active: active},
			},
			Credentials: []schema.Credential{{
				Kind: schema.AccessToken, Hash: schema.HashSecret("token"),
				Organization: organization, User: user,
			}},
		})
	}
	f := func(now *access.Snapshot, want int) {
		t.Helper()
		catalog := &newer{snapshot: now}
		d := New(dialect.Door{
			Access: access.NewStatic(with(schema.Admin, true)), Catalog: catalog,
			Now: time.Now, NewID: uuid.New,
		})
		app := fiber.New(fiber.Config{StreamRequestBody: true, ErrorHandler: d.WriteError})
		d.Mount(app)
		r := httptest.NewRequest("DELETE", prefix+"agents/"+agent.String(), nil)
		r.Header.Set("Authorization", "Bearer token")
		answer, err := app.Test(r, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != want || catalog.planned != (want < 300) {
			t.Errorf("status %d, want %d", answer.StatusCode, want)
		}
	}
	f(with(schema.Admin, true), 204)
	f(with(schema.Member, true), 403)
	f(with(schema.Admin, false), 403)
}
