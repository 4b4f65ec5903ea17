package verify_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/verify"
)

// TestARebuildThatIsKilledIsGoneOnWith ends a rebuild after every statement that changes something, and
// runs it again: the rollup is whole then, no row of it twice. With the table that the first one left
// behind not dropped, the second fails; without the hold, two at once do.
func TestARebuildThatIsKilledIsGoneOnWith(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	store(t, q, named("node"), 10, someDay)
	p := verify.RebuildParams{ // not whole days: the days they touch
		From: someDay.Add(7 * time.Hour), To: someDay.Add(9 * time.Hour),
		Tables: []string{queries.BillableHourly},
	}
	damage := func() { db.Exec("ALTER TABLE billable_hourly DROP PARTITION 202603") }
	again := verify.New(verify.Config{Queries: q, Settle: time.Millisecond})
	for _, statement := range []string{
		"DROP TABLE IF EXISTS rebuild_billable_hourly", "CREATE TABLE rebuild_billable_hourly",
		"INSERT INTO rebuild_billable_hourly", "ALTER TABLE billable_hourly ATTACH",
	} {
		damage()
		k := &killer{statement: statement}
		ctx, cancel := context.WithCancel(t.Context())
		k.kill = cancel
		options := *db.Options
		options.DialContext = k.dial
		dying, err := queries.Open(t.Context(), queries.Config{Options: &options})
		if err != nil {
			t.Fatal(err)
		}
		k.arm()
		err = verify.New(verify.Config{Queries: dying, Settle: time.Millisecond}).Rebuild(ctx, p)
		if err == nil || !k.done() {
			t.Errorf("%s: %v, killed %t", statement, err, k.done())
		}
		cancel()
		_ = dying.Close()
		db.Exec("TRUNCATE TABLE holds") // what it held ends by itself, in half a minute
		if err := again.Rebuild(t.Context(), p); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		if found, err := q.VerifyRollups(t.Context(), queries.VerifyParams{}); err != nil ||
			len(found) > 0 {
			t.Errorf("%s: %v, %+v", statement, err, found)
		}
	}

	// Two at once: what one mends the other finds mended.
	damage()
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := again.Rebuild(t.Context(), p); err != nil {
				t.Errorf("two at once: %v", err)
			}
		})
	}
	both.Wait()
	found, err := q.VerifyRollups(t.Context(), queries.VerifyParams{})
	if err != nil || len(found) > 0 {
		t.Errorf("two at once: %v, %+v", err, found)
	}
}

// killer ends a process, as far as the database knows it, when it sends a statement: nothing more is
// sent, and no answer heard.
type killer struct {
	statement string
	kill      func()

	mu          sync.Mutex
	armed, dead bool
}

func (k *killer) arm() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = true
}

func (k *killer) done() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead
}

var errKilled = errors.New("the process is dead")

func (k *killer) dial(ctx context.Context, address string) (net.Conn, error) {
	if k.done() {
		return nil, errKilled
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &killed{Conn: conn, killer: k}, nil
}

type killed struct {
	net.Conn
	killer *killer
}

func (c *killed) Write(b []byte) (int, error) {
	k := c.killer
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return 0, errKilled
	}
	if k.armed && strings.Contains(string(b), k.statement) {
		k.dead = true
		n, err := c.Conn.Write(b)
		if err == nil { // the answer is waited for, so that the next one finds it done
			_, err = c.Conn.Read(make([]byte, 1))
		}
		k.kill()
		return n, errors.Join(err, errKilled)
	}
	return c.Conn.Write(b)
}
