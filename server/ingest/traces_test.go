package ingest

import "testing"

// TestNothingIsTracedForNothing: where nobody traces, neither a request's way to the log nor a batch
// pays for it. Without the look at IsRecording it was 4 allocations.
func TestNothingIsTracedForNothing(t *testing.T) {
	ctx, r := t.Context(), &request{ends: []int{1}}
	b := &batcher{in: &Ingest{}}
	f := &batch{}
	if n := testing.AllocsPerRun(1000, func() {
		endSpan(traceAppend(ctx, r), nil)
		_, span := b.traceBatch(ctx, f)
		endSpan(span, nil)
	}); n != 0 || r.span.IsValid() {
		t.Errorf("%v allocations", n)
	}
}
