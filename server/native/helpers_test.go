package native

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"net/http"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// Who there is: two organizations; acme has an admin, a member and two agents, of which idle has
// no owner.
var (
	acme   = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	other  = uuid.MustParse("99999999-63a9-4a0e-9a3b-1d6a2a1f9e55")
	ada    = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	bob    = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d12")
	eve    = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d13") // of the other organization
	helper = uuid.MustParse("12345678-1234-4234-8234-123456789012") // Bob's
	idle   = uuid.MustParse("12345678-1234-4234-8234-123456789013")
	alien  = uuid.MustParse("12345678-1234-4234-8234-123456789014") // of the other organization

	noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
)

func catalog() *access.Snapshot {
	credential := func(secret string, kind schema.CredentialKind, user, agent uuid.UUID,
	) schema.Credential {
		return schema.Credential{
			Hash: schema.HashSecret(secret), Kind: kind, Organization: acme, User: user, Agent: agent,
		}
	}
	return access.NewSnapshot(schema.Catalog{
		Organizations: []schema.Organization{{ID: acme, Name: "Acme"}, {ID: other, Name: "Other"}},
		Users:         []schema.User{{ID: ada}, {ID: bob}, {ID: eve}},
		Memberships: []schema.Membership{
			{Organization: acme, User: ada, Role: schema.Admin, Active: true},
			{Organization: acme, User: bob, Role: schema.Member, Active: true},
			{Organization: other, User: eve, Role: schema.Superadmin, Active: true},
		},
		Agents: []schema.Agent{
			{ID: helper, Organization: acme, Owner: bob},
			{ID: idle, Organization: acme},
			{ID: alien, Organization: other},
		},
		Credentials: []schema.Credential{
			credential("ada-token", schema.AccessToken, ada, uuid.Nil),
			credential("app_a7_bob", schema.AppPassword, bob, uuid.Nil),
			credential("ada-login", schema.LoginToken, ada, uuid.Nil),
			credential("helper-secret", schema.AgentSecret, uuid.Nil, helper),
			credential("idle-secret", schema.AgentSecret, uuid.Nil, idle),
		},
	})
}

// counter returns ids that tests can predict: 00000000-0000-7000-8000-000000000001 and so on.
func counter() func() uuid.UUID {
	n := uint64(0)
	return func() uuid.UUID {
		n++
		id := uuid.UUID{6: 0x70}
		binary.BigEndian.PutUint64(id[8:], 1<<63|n)
		return id
	}
}

func originOf(t testing.TB, secret string, kind schema.CredentialKind, key string) origin {
	t.Helper()
	snapshot := catalog()
	caller, ok := snapshot.Caller(secret, kind)
	if !ok {
		t.Fatalf("nobody has the secret %q", secret)
	}
	return origin{snapshot, caller, noon, counter(), key, nil}
}

// adas is the origin of most requests: an admin's.
func adas(t testing.TB) origin {
	t.Helper()
	return originOf(t, "ada-token", schema.AccessToken, "")
}

// ledger stands for the Recorder: it keeps what it is given and answers as it is told.
type ledger struct {
	dialect.Recorder
	events []schema.Event
	atomic bool
	calls  int
	answer func(events []schema.Event) (dialect.Receipt, error) // nil: accepts everything

	waited []uint64 // what was waited for
	wait   error    // what waiting ends with
}

func (l *ledger) WaitStored(ctx context.Context, _ uuid.UUID, sequence uint64) error {
	l.waited = append(l.waited, sequence)
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > storedWait {
		return errors.New("without a bound")
	}
	return l.wait
}

func (l *ledger) Record(_ context.Context, events []schema.Event, atomic bool,
) (dialect.Receipt, error) {
	l.calls++
	l.atomic = atomic
	l.events = l.events[:0]
	for _, e := range events { // the caller reuses the slices
		e.Measurements = append([]schema.Measurement(nil), e.Measurements...)
		l.events = append(l.events, e)
	}
	if l.answer != nil {
		return l.answer(events)
	}
	return dialect.Receipt{Accepted: len(events), Sequence: uint64(len(events))}, nil
}

// serve returns an app with nothing but the dialect, as the server mounts it.
func serve(l *ledger) *fiber.App { return serveDoor(dialect.Door{Recorder: l}) }

func serveDoor(door dialect.Door) *fiber.App {
	door.Access = access.NewStatic(catalog())
	door.Now = func() time.Time { return noon.Add(123) } // nanoseconds, which nothing keeps
	door.NewID = counter()
	d := New(door)
	app := fiber.New(fiber.Config{StreamRequestBody: true,
		DisableStartupMessage: true,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			c.Context().SetConnectionClose() // the body may be unread
			return d.WriteError(c, err)
		},
	})
	d.Mount(app)
	return app
}

func send(t testing.TB, app *fiber.App, r *http.Request) *http.Response {
	t.Helper()
	response, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func formOf(lines bool) form {
	if lines {
		return asLines
	}
	return asJSON
}
