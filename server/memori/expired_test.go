package memori

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// The codes of the API that is served here tell a session that ended from one nobody had.
func TestExpiredTokenIsToldApart(t *testing.T) {
	k := schema.Credential{Kind: schema.LoginToken, Organization: acme, User: ada}
	c := schema.Catalog{
		Organizations: []schema.Organization{{ID: acme, Tenant: "www.acme.example"}},
		Users:         []schema.User{{ID: ada}},
		Memberships: []schema.Membership{
			{Organization: acme, User: ada, Role: schema.Admin, Active: true},
		},
	}
	for secret, expires := range map[string]time.Time{
		"good": time.Now().Add(time.Hour), "old": time.Now().Add(-time.Second), "endless": {},
	} {
		k.Hash, k.ExpiresAt = schema.HashSecret(secret), expires
		c.Credentials = append(c.Credentials, k)
	}
	d := New(dialect.Door{
		Access: access.NewStatic(access.NewSnapshot(c)), Reader: &reader{},
		Now: func() time.Time { return now },
	})
	app := fiber.New(fiber.Config{ErrorHandler: d.WriteError})
	d.Mount(app)
	f := func(token string, code int32, message string) {
		t.Helper()
		_, body := send(t, app, request("GET", fmt.Sprintf(
			"/api/v2/TenantConsumptionLogs/%s/www.acme.example/Daily", token)))
		var got listResponse
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if got.ResultCode != code || got.ResultMessage != message {
			t.Errorf("%s: %s", token, body)
		}
	}
	f("good", codeOK, messageOK)
	f("endless", codeOK, messageOK)
	f("old", codeSessionExpired, "Session expired")
	f("unknown", codeSessionNotFound, "Session not found")
}
