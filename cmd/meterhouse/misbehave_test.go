package main

import (
	"strings"
	"testing"
)

// TestMisbehaviourLosesNothing lets ClickHouse, and what lies between, answer in every wrong way,
// with writers that do not notice. What the batcher says of it is what the operator reads.
func TestMisbehaviourLosesNothing(t *testing.T) {
	o := newOutage(t)
	f := func(f fault, said string) {
		t.Helper()
		before := len(o.stderrText())
		o.during(f, func() {
			if f == trickle || f == mixed {
				return
			}
			eventually(t, "the log says "+said, func() bool {
				return strings.Contains(o.stderrText()[before:], said)
			})
		})
		o.proxy.set(healthy)
		o.waitStored()
	}
	f(bare, "Internal Server Error")
	f(unavailable, "503")
	f(garbage, "no answer of ClickHouse")
	f(half, "unexpected EOF")
	f(reset, "connection reset by peer")
	f(lie, "TIMEOUT_EXCEEDED")
	f(tooManyParts, "TOO_MANY_PARTS")
	f(outOfMemory, "MEMORY_LIMIT_EXCEEDED")
	f(readOnly, "TABLE_IS_READ_ONLY")
	f(trickle, "")
	f(mixed, "")
	o.load.check(o.program, o.clickhouse)
	o.stop()
}
