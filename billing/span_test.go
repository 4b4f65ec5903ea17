package billing

import "testing"

// TestNothingIsTracedForNothing: where nobody traces, neither a pass nor a call pays for it.
// Without the call's look at IsRecording it was 8 allocations.
func TestNothingIsTracedForNothing(t *testing.T) {
	ctx, r, c := t.Context(), &Reporter{}, &Client{}
	if n := testing.AllocsPerRun(1000, func() {
		with, span := r.begin(ctx, "report")
		_, call := beginCall(with, "POST", "/v1/billing/meter_events")
		c.endCall(call, reply{})
		endSpan(span, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
