package retention

import (
	"context"
	"time"
)

// loop does something again and again between start and stop.
type loop struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (l *loop) start(first, every time.Duration, do func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.done = cancel, make(chan struct{})
	go func() {
		defer close(l.done)
		for wait := first; pause(ctx, wait) == nil; wait = every {
			do(ctx)
		}
	}()
}

func (l *loop) stop() {
	if l.cancel != nil {
		l.cancel()
		<-l.done
	}
}

// pause waits; the error is ctx's.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
