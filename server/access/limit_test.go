package access

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// limited returns the test's catalog, where Ada's access token may ask so often a minute.
func limited(requestsPerMinute uint32) schema.Catalog {
	c := withAppPassword(time.Time{})
	for i := range c.Credentials {
		if c.Credentials[i].Hash == schema.HashSecret("ada-token") {
			c.Credentials[i].RequestsPerMinute = requestsPerMinute
		}
	}
	return c
}

// ask has n requests and returns how many of them were let in.
func ask(t *testing.T, n int, f func() (Caller, error)) int {
	t.Helper()
	in := 0
	for range n {
		c, err := f()
		var known *schema.Error
		switch {
		case err == nil:
			in++
		case !errors.As(err, &known) || known.Kind != schema.Overloaded:
			t.Fatal(err)
		case c != (Caller{Allowance: c.Allowance}):
			t.Errorf("a refused caller is %+v", c)
		}
	}
	return in
}

func TestCredentialAsksSoOftenAMinute(t *testing.T) {
	now := noon.Add(12 * time.Second)
	d := newTestDirectory(t, Config{RequestsPerMinute: 5}, limited(0), &now)
	token := func() (Caller, error) { return d.Bearer("ada-token", "") }
	first, err := token()
	want := Allowance{Limit: 5, Remaining: 4, Reset: noon.Add(time.Minute)}
	if err != nil || first.Allowance != want {
		t.Errorf("the first is left with %+v, %v", first.Allowance, err)
	}
	if in := ask(t, 20, token); in != 4 {
		t.Errorf("%d more were let in, want 4", in)
	}
	over, err := token()
	want.Remaining = 0
	var known *schema.Error
	if !errors.As(err, &known) || known.RetryAfter != 48*time.Second || over.Allowance != want {
		t.Errorf("over the limit: %+v, %v", over.Allowance, err)
	}
	if in := ask(t, 20, func() (Caller, error) {
		return d.Secret("ada-login", schema.LoginToken)
	}); in != 5 {
		t.Errorf("%d with another credential, want 5", in)
	}
	now = noon.Add(time.Minute - time.Nanosecond)
	if in := ask(t, 1, token); in != 0 {
		t.Error("the minute is not over yet")
	}
	now = noon.Add(time.Minute)
	if in := ask(t, 20, token); in != 5 {
		t.Errorf("%d in the next minute, want 5", in)
	}
	now = noon.Add(time.Hour)
	if in := ask(t, 20, token); in != 5 {
		t.Errorf("%d after an hour, want 5", in)
	}
}

func TestCredentialsOwnLimitIsBeforeTheNodes(t *testing.T) {
	now := noon
	f := func(node int64, own uint32, want int) {
		t.Helper()
		d := newTestDirectory(t, Config{RequestsPerMinute: node}, limited(own), &now)
		in := ask(t, 30, func() (Caller, error) { return d.Bearer("ada-token", "") })
		if in != want {
			t.Errorf("node %d, own %d: %d let in, want %d", node, own, in, want)
		}
	}
	f(0, 0, 30)
	f(0, 3, 3)
	f(5, 3, 3)
	f(5, 20, 20)
	f(5, 0, 5)
}

// A change of the catalog gives nobody a new allowance, and takes none away.
func TestCountsOutliveASnapshot(t *testing.T) {
	now := noon
	d := newTestDirectory(t, Config{RequestsPerMinute: 10}, limited(0), &now)
	token := func() (Caller, error) { return d.Bearer("ada-token", "") }
	f := func(catalog schema.Catalog, want int) {
		t.Helper()
		d.install(NewSnapshot(catalog))
		if in := ask(t, 30, token); in != want {
			t.Errorf("%d let in, want %d", in, want)
		}
	}
	ask(t, 4, token)
	f(limited(0), 6)
	f(limited(12), 0) // 34 of 12
	f(limited(100), 30)
	d.install(NewSnapshot(schema.Catalog{}))
	if n := len(d.current.Load().bySecret); n != 0 {
		t.Errorf("%d counts of retired credentials are left", n)
	}
	f(limited(0), 10) // it was retired in between, and its count with it
}

func TestTokenCountsWhereItComesFrom(t *testing.T) {
	now := noon
	d := newTestDirectory(t, Config{
		RequestsPerMinute: 10, Tokens: TokenConfig{Secret: testSecret},
	}, limited(0), &now)
	issued, err := d.IssueToken("app_a7_ada") // the first of ten
	if err != nil {
		t.Fatal(err)
	}
	bearer := func(token string) func() (Caller, error) {
		return func() (Caller, error) { return d.Bearer(token, "") }
	}
	if in := ask(t, 7, bearer(issued.Token)); in != 7 {
		t.Errorf("%d of 7 let in", in)
	}
	if in := ask(t, 7, bearer("app_a7_ada")); in != 2 { // they count together
		t.Errorf("%d more with the app password, want 2", in)
	}
	if _, err := d.IssueToken("app_a7_ada"); schema.KindOf(err) != schema.Overloaded {
		t.Errorf("a token over the limit: %v", err)
	}
	// Tokens that no credential stands behind count together, by their user.
	one, other := mint(head, adas, hs256), mint(head, with(adas, "jti", "x"), hs256)
	if in := ask(t, 7, bearer(one)) + ask(t, 7, bearer(other)); in != 10 {
		t.Errorf("%d of a user's tokens, want 10", in)
	}
	if _, ok := d.users.Load(ada); !ok {
		t.Error("the user's count is not kept")
	}
	d.install(NewSnapshot(schema.Catalog{}))
	if _, ok := d.users.Load(ada); ok {
		t.Error("the count of a user who is gone is kept")
	}
}

// A refused request counts for nobody: neither a stranger's nor an expired credential's.
func TestStrangersHaveNoCount(t *testing.T) {
	now := noon
	d := newTestDirectory(t, Config{
		RequestsPerMinute: 1, Tokens: TokenConfig{Secret: testSecret},
	}, limited(0), &now)
	for range 3 {
		refuses(t, d, "a stranger", uuid.NewString(), schema.Unauthenticated)
		refuses(t, d, "a stranger's token",
			mint(head, with(adas, "sub", uuid.NewString()), hs256), schema.Unauthenticated)
	}
	d.users.Range(func(user, _ any) bool {
		t.Errorf("a count of %s is kept", user)
		return true
	})
}

func TestWindowOverManyGoroutines(t *testing.T) {
	var w window
	var in atomic.Int64
	var all sync.WaitGroup
	const limit = 1000
	for range 8 {
		all.Go(func() {
			for n := range 1000 {
				// The minute turns somewhere in between, not for all of them at once.
				now := noon.Add(time.Duration(n/500) * time.Minute)
				if _, err := admit(Caller{}, &w, limit, now); err == nil {
					in.Add(1)
				}
			}
		})
	}
	all.Wait()
	// Who is still in the first minute when others are in the next counts there.
	if n := in.Load(); n < limit || n > 2*limit {
		t.Errorf("%d let in, want %d to %d", n, limit, 2*limit)
	}
}

func TestWindowWhenTheClockIsSet(t *testing.T) {
	var w window
	f := func(now time.Time, minute time.Time, count int64) {
		t.Helper()
		m, n := w.add(now)
		if got := time.Unix(int64(m)*60, 0); !got.Equal(minute) || n != count {
			t.Errorf("at %s: the %d. of %s, want the %d. of %s", now, n, got, count, minute)
		}
	}
	next := noon.Add(time.Minute)
	f(noon, noon, 1)
	f(next, next, 1)
	f(noon.Add(59*time.Second), next, 2) // overtaken
	f(next, next, 3)
	f(noon.Add(-24*time.Hour), noon.Add(-24*time.Hour), 1) // the clock was a day ahead
	f(noon, noon, 1)
	f(time.Unix(-1, 0), time.Unix(0, 0), 1)
}

func TestSecretAllocatesNothing(t *testing.T) {
	now := noon
	c := testCatalog()
	secret := "mh_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	c.Credentials = append(c.Credentials,
		credential(schema.AgentSecret, acme, uuid.Nil, helper, secret))
	d := newTestDirectory(t, Config{RequestsPerMinute: 1 << 30}, c, &now)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Secret(secret, schema.AgentSecret); err != nil {
			t.Error(err)
		}
		if _, err := d.Bearer("ada-token", ""); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSecret(b *testing.B) {
	d, err := New(Config{RequestsPerMinute: 1 << 31})
	if err != nil {
		b.Fatal(err)
	}
	c := testCatalog()
	long := "mh_0123456789abcdef0123456789abcdef0123456789abcdef"
	c.Credentials = append(c.Credentials,
		credential(schema.AgentSecret, acme, uuid.Nil, helper, long))
	d.install(NewSnapshot(c))
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Secret(long, schema.AgentSecret); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := d.Secret(long, schema.AgentSecret); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
