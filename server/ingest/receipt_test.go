package ingest

import (
	"context"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// TestDuplicatesWaitForWhatTheyRepeat: of a request of nothing but known duplicates, the receipt's
// sequence is still one behind which the events are stored.
func TestDuplicatesWaitForWhatTheyRepeat(t *testing.T) {
	store := &tap{}
	c := testConfig(t.TempDir(), store)
	c.BatchAge = time.Hour
	in := mustOpen(t, c)
	in.Start()
	record(t, in, event("a"), event("b"))
	receipt, err := in.Record(context.Background(), []schema.Event{event("b")}, false)
	if err != nil || receipt.Duplicates != 1 || receipt.Sequence != 2 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := in.WaitStored(ctx, receipt.Sequence); err != nil {
		t.Fatal(err)
	}
	if _, rows := store.stored(); rows != 2 {
		t.Errorf("%d rows stored, want 2", rows)
	}
	stop(t, in)
}
