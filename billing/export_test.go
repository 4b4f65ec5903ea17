package billing

import "context"

// CrashAt has f asked before and after every step of a pass that leaves a trace, by the step's name
// (see the step constants). Its error ends the pass as a dead process would: nothing more is written
// or sent, and Run returns an error that wraps it. f is called by many goroutines at once.
func (r *Reporter) CrashAt(f func(step string) error) { r.crash = f }

// DealWithNotices does what a pass does first.
func (r *Reporter) DealWithNotices(ctx context.Context) error { return r.dealWithNotices(ctx) }
