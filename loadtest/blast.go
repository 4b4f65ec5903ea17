package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A blast sends requests over keep-alive connections, the next as soon as the last is answered,
// for a while. Both sides of a ratio are measured with the same blast.
type blast struct {
	base        string
	path        string
	connections int
	duration    time.Duration
	timeout     time.Duration
	secrets     []string                // connection i uses the i-th, in turn
	body        func(dst []byte) []byte // must be safe for concurrent use
}

// A blasted is what a blast came to.
type blasted struct {
	answered []int64 // answers 201, by secret
	refused  int64   // answers 429 or 503
	elapsed  time.Duration
}

func (b *blasted) total() int64 {
	var total int64
	for _, n := range b.answered {
		total += n
	}
	return total
}

func (b *blasted) rate() float64 { return float64(b.total()) / b.elapsed.Seconds() }

// run sends until the time is over and counts into done as it goes. An answer that is neither 201
// nor a refusal ends it.
func (b *blast) run(ctx context.Context, l *latencies, done *atomic.Int64) (*blasted, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	c := newClient(b.base, b.connections, b.timeout)
	defer c.close()
	answered := make([]atomic.Int64, len(b.secrets))
	var refused atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	end := began.Add(b.duration)
	for i := range b.connections {
		group.Go(func() {
			count, no, err := b.connection(ctx, c, i, end, l, done)
			answered[i%len(b.secrets)].Add(count)
			refused.Add(no)
			if err != nil {
				fail(err)
			}
		})
	}
	group.Wait()
	result := &blasted{refused: refused.Load(), elapsed: time.Since(began)}
	for i := range answered {
		result.answered = append(result.answered, answered[i].Load())
	}
	return result, context.Cause(ctx)
}

func (b *blast) connection(
	ctx context.Context, c *client, i int, end time.Time, l *latencies, done *atomic.Int64,
) (answered, refused int64, err error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(b.base + b.path)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	req.Header.Set("Agent-Secret-Key", b.secrets[i%len(b.secrets)])
	var body []byte
	now := time.Now()
	for now.Before(end) && ctx.Err() == nil {
		body = b.body(body[:0])
		req.SetBodyRaw(body)
		if err := c.do(req, resp); err != nil {
			return answered, refused, fmt.Errorf("%s: %w", b.path, err)
		}
		last := now
		now = time.Now()
		switch status := resp.StatusCode(); status {
		case http.StatusCreated:
			l.add(now.Sub(last))
			answered++
			done.Add(1)
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			refused++
			wait := retryAfter(string(resp.Header.Peek("Retry-After")), now)
			if err := pause(ctx, min(wait, time.Until(end))); err != nil {
				return answered, refused, err
			}
			now = time.Now()
		default:
			return answered, refused, fmt.Errorf("%s: %w", b.path, statusError(resp))
		}
	}
	return answered, refused, nil
}
