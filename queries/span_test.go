package queries

import "testing"

// TestNothingIsTracedForNothing: where nobody traces, a statement's span costs nothing. Without the
// look at IsRecording every statement had another context.
func TestNothingIsTracedForNothing(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		with, span := begin(ctx, insertEventsName)
		if with != ctx {
			t.Fatal("another context")
		}
		end(span, 1, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
