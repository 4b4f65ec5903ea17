package native_test

import (
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// TestWaitEndsWithItsClient: while the database is down, a client that goes leaves nothing that
// waits for it, and what it wrote is stored all the same.
func TestWaitEndsWithItsClient(t *testing.T) {
	h := dialecttest.New(t)
	q, err := queries.Open(t.Context(), queries.Config{Options: h.Database.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	store := &dialecttest.Switch{Behind: q}
	store.Down.Store(true)
	node := h.Start(t, dialecttest.NodeConfig{Store: store})
	defer store.Down.Store(false) // before the node stops

	r := at("?wait=stored", post(h.Acme.Admin.Secret(schema.AccessToken),
		`{"usage":{"A":1},"purpose":"left alone"}`))
	c := node.Dial(t)
	if _, err := c.Write(r.Bytes()); err != nil {
		t.Fatal(err)
	}
	until(t, "accepted", func() bool { return node.Accepted(t) == 1 })
	time.Sleep(600 * time.Millisecond) // a client that is still there is waited for
	if answered(t, node) {
		t.Error("the wait ended although its client is there")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "given up", func() bool { return answered(t, node) })

	store.Down.Store(false)
	node.Flush(t)
	if n := h.Database.Strings(`SELECT toString(count()) FROM usage_events
		WHERE purpose = 'left alone'`)[0]; n != "1" {
		t.Errorf("%s rows, want 1", n)
	}
}

// answered reports whether the node is done with a request that could not be stored in time.
func answered(t *testing.T, node *dialecttest.Node) bool {
	t.Helper()
	metrics := node.Do(t, dialecttest.Request{Method: "GET", Path: "/metrics"})
	for line := range strings.Lines(string(metrics.Body)) {
		if strings.Contains(line, `"/v1/events"`) && strings.Contains(line, `"503"`) {
			return true
		}
	}
	return false
}

func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	const patience = 10 * time.Second // a third of what the wait itself has
	for end := time.Now().Add(patience); !reached(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s within %s", what, patience)
		}
	}
}
