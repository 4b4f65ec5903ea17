package corrections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/corrections"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// world is a database and the rates of a catalog, for as many nodes as a test starts.
type world struct {
	t     testing.TB
	db    *schematest.Database
	rates *access.Snapshot
}

var (
	rateFrom  = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	acme      = named("acme")
	globex    = named("globex")
	eventTime = time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Microsecond)
)

func newWorld(t testing.TB) *world {
	t.Helper()
	return &world{t: t, db: schematest.New(t), rates: ratesOf(t, "2", "3")}
}

// ratesOf returns a catalog with one rate for INPUT and OUTPUT of each model, "known" when none is
// named: dollars per million.
func ratesOf(t testing.TB, provider, billed string, models ...string) *access.Snapshot {
	t.Helper()
	if len(models) == 0 {
		models = []string{"known"}
	}
	var c schema.Catalog
	for _, model := range models {
		for _, usageType := range []string{schema.Input, schema.Output} {
			r := schema.Rate{
				Model: model, UsageType: usageType, From: rateFrom,
				ProviderUSDPerMillion: usd(provider), BilledUSDPerMillion: usd(billed),
			}
			r.ID = schema.RateID(r)
			c.Rates = append(c.Rates, r)
		}
	}
	return access.NewSnapshot(c)
}

// node is a Corrector with a write path, as serve has them.
type node struct {
	*corrections.Corrector
	w       *world
	queries *queries.Queries
	ingest  *ingest.Ingest
	faults  *faults
}

// node starts a node with connections of its own. Its keeper is not started.
func (w *world) node() *node {
	w.t.Helper()
	n := &node{w: w, faults: &faults{}}
	options := *w.db.Options
	options.DialContext = n.faults.dial
	options.MaxOpenConns = 16
	var err error
	if n.queries, err = queries.Open(w.t.Context(), queries.Config{Options: &options}); err != nil {
		w.t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	n.ingest, err = ingest.Open(ingest.Config{
		Dir: w.t.TempDir(), Store: n.queries, Snapshot: w.snapshot, Now: time.Now,
		Logger: logger, BatchAge: 5 * time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	n.ingest.Start()
	n.Corrector = corrections.New(corrections.Config{
		Queries: n.queries, Snapshot: w.snapshot, Flush: n.ingest.Flush, Now: time.Now,
		Logger: logger,
	})
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		n.Stop()
		if err := errors.Join(n.ingest.Stop(ctx), n.queries.Close()); err != nil {
			w.t.Errorf("stop: %v", err)
		}
	})
	return n
}

func (w *world) snapshot() *access.Snapshot { return w.rates }

// record takes events into the ledger and waits until they are there.
func (n *node) record(events ...schema.Event) {
	n.w.t.Helper()
	receipt, err := n.ingest.Record(n.w.t.Context(), events, true)
	if err != nil || len(receipt.Rejected) > 0 {
		n.w.t.Fatalf("record: %+v, %v", receipt, err)
	}
	if err := n.ingest.Flush(n.w.t.Context()); err != nil {
		n.w.t.Fatal(err)
	}
}

// event returns an event of acme's with one measurement that no rate prices.
func event(name string, units int64) schema.Event {
	return schema.Event{
		Organization: acme, ID: named(name), Entry: schema.Record, Time: eventTime,
		User: named("ada"), APIName: "search", Chargeable: true,
		Measurements: []schema.Measurement{{
			UsageType: schema.Units, Quantity: schema.WholeQuantity(units),
			ProviderCost: usd("0.5"), BilledCost: usd("0.75"), Pricing: schema.Given,
		}},
	}
}

// change asks for the correction of an event by a function of what it is.
func change(e schema.Event, edit func(*schema.Event)) dialect.CorrectParams {
	return dialect.CorrectParams{
		Organization: e.Organization, Event: e.ID, Actor: "user:test", Reason: "because",
		Change: func(e schema.Event) (*schema.Event, error) { edit(&e); return &e, nil },
	}
}

// addUnits adds to the quantity of an event's first measurement.
func addUnits(e schema.Event, n int64) dialect.CorrectParams {
	return change(e, func(e *schema.Event) {
		m := &e.Measurements[0]
		m.Quantity = m.Quantity.Add(schema.WholeQuantity(n))
	})
}

// void asks for the end of an event.
func void(e schema.Event) dialect.CorrectParams {
	return dialect.CorrectParams{
		Organization: e.Organization, Event: e.ID, Actor: "user:test", Reason: "wrong",
		Change: func(schema.Event) (*schema.Event, error) { return nil, nil },
	}
}

// tables are those that hold sums, the ledger first.
var tables = []string{
	"usage_events", "agent_usage_15m", "billable_hourly", "consumption_daily", "consumption_monthly",
}

// total returns events, measurements, quantity and billed cost of a table.
func (w *world) total(table string) string {
	w.t.Helper()
	what := "toString(sum(events)), toString(sum(measurements))"
	if table == "usage_events" {
		what = "toString(sumIf(toInt64(entry), ordinal = 0)), toString(sum(toInt64(entry)))"
	}
	return w.db.Strings(fmt.Sprintf(
		"SELECT %s, toString(sum(quantity)), toString(sum(billed_cost)) FROM %s", what, table))[0]
}

// check fails the test where a total differs, or verify finds anything.
func (w *world) check(n *node, want string) {
	w.t.Helper()
	for _, table := range tables {
		if got := w.total(table); got != want {
			w.t.Errorf("%s holds %q, want %q", table, got, want)
		}
	}
	w.verify(n)
}

// verify fails the test where `meterhouse verify` would.
func (w *world) verify(n *node) {
	w.t.Helper()
	all := queries.VerifyParams{}
	differences, err := n.queries.VerifyRollups(w.t.Context(), all)
	if err != nil || len(differences) > 0 {
		w.t.Errorf("VerifyRollups = %+v, %v, want none", differences, err)
	}
	doubled, err := n.queries.VerifyEvents(w.t.Context(), all)
	if err != nil || len(doubled) > 0 {
		w.t.Errorf("VerifyEvents = %+v, %v, want none", doubled, err)
	}
	defects, err := n.queries.VerifyCorrections(w.t.Context(), all)
	if err != nil || len(defects) > 0 {
		w.t.Errorf("VerifyCorrections = %+v, %v, want none", defects, err)
	}
}

// revisions returns what the ledger says of an event.
func (n *node) revisions(e schema.Event) []queries.Revision {
	n.w.t.Helper()
	all, err := n.queries.EventRevisions(n.w.t.Context(), queries.EventParams{
		Organization: e.Organization, Event: e.ID,
	})
	if err != nil {
		n.w.t.Fatal(err)
	}
	return all
}

func named(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)) }

func usd(s string) schema.USD {
	u, err := schema.ParseUSD(s)
	if err != nil {
		panic(err)
	}
	return u
}

// faults makes a node's connections lose answers: the engine does what it is told and nobody hears.
type faults struct {
	mu   sync.Mutex
	lose string // of the next statement with this text
	lost int
}

// loseAnswer loses the answer to the next statement that inserts into a table.
func (f *faults) loseAnswer(table string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = table
}

func (f *faults) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

func (f *faults) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &lossyConn{Conn: conn, faults: f}, nil
}

type lossyConn struct {
	net.Conn
	faults *faults
	losing bool
}

func (c *lossyConn) Write(b []byte) (int, error) {
	c.faults.mu.Lock()
	text := strings.NewReplacer("+", " ", "%20", " ", "%0A", " ", "\n", " ").Replace(string(b))
	if c.faults.lose != "" && strings.Contains(text, "INSERT INTO "+c.faults.lose+" ") {
		c.losing = true
		c.faults.lose = ""
	}
	c.faults.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	if c.losing && n > 0 {
		c.faults.lost++
		_ = c.Conn.Close()
		return 0, errors.New("the answer was lost")
	}
	return n, err
}
