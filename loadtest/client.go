package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	responseBytesMax  = 256 << 20
	retryAfterDefault = time.Second
	retryAfterMax     = time.Minute
	backoffFirst      = 20 * time.Millisecond
	backoffMax        = 2 * time.Second
)

// A client sends requests to one origin over keep-alive connections. It never sends a request a
// second time by itself: whoever resends must know that it did.
type client struct {
	base    string
	host    *fasthttp.HostClient
	timeout time.Duration
}

// newClient makes a client of base (scheme://host[:port]) with at most so many connections.
func newClient(base string, connections int, timeout time.Duration) *client {
	u, err := url.Parse(base)
	if err != nil {
		panic("client: base was not checked: " + err.Error())
	}
	tls := u.Scheme == "https"
	return &client{
		base:    base,
		timeout: timeout,
		host: &fasthttp.HostClient{
			Addr:                      fasthttp.AddMissingPort(u.Host, tls),
			IsTLS:                     tls,
			Name:                      "meterhouse-loadtest",
			MaxConns:                  connections,
			MaxConnWaitTimeout:        timeout,
			MaxIdemponentCallAttempts: 1,
			MaxResponseBodySize:       responseBytesMax,
			DisablePathNormalizing:    true, // a tenant's %2F stays one
		},
	}
}

func (c *client) do(req *fasthttp.Request, resp *fasthttp.Response) error {
	return c.host.DoTimeout(req, resp, c.timeout)
}

// close ends the idle connections.
func (c *client) close() { c.host.CloseIdleConnections() }

// retries says how often a request was sent again, and why.
type retries struct {
	refused int // 429 or 503: nothing of the request was taken
	unknown int // the connection broke or a gateway gave up: it may have been taken
}

// send sends a request until it is answered with something else than "later", at most for the
// given time. Afterwards resp holds the last answer. Retry-After is honoured.
func (c *client) send(
	ctx context.Context, req *fasthttp.Request, resp *fasthttp.Response, giveUp time.Duration,
) (retries, error) {
	var r retries
	deadline := time.Now().Add(giveUp)
	backoff := backoffFirst
	for {
		if err := ctx.Err(); err != nil {
			return r, context.Cause(ctx)
		}
		wait := backoff/2 + rand.N(backoff)
		err := c.do(req, resp)
		reason := err
		switch {
		case err != nil:
			r.unknown++
		case resp.StatusCode() == http.StatusTooManyRequests,
			resp.StatusCode() == http.StatusServiceUnavailable:
			r.refused++
			// Even "0" leaves the server a moment.
			wait = max(retryAfter(string(resp.Header.Peek("Retry-After")), time.Now()), backoffFirst)
			reason = statusError(resp)
		case resp.StatusCode() == http.StatusBadGateway,
			resp.StatusCode() == http.StatusGatewayTimeout:
			r.unknown++
			reason = statusError(resp)
		default:
			return r, nil
		}
		if time.Now().Add(wait).After(deadline) {
			return r, fmt.Errorf("gave up after %v: %w", giveUp, reason)
		}
		if err := pause(ctx, wait); err != nil {
			return r, err
		}
		backoff = min(2*backoff, backoffMax)
	}
}

// retryAfter reads a Retry-After header, seconds or an HTTP date.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil && seconds >= 0 {
		return min(time.Duration(seconds)*time.Second, retryAfterMax)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), retryAfterMax)
	}
	return retryAfterDefault
}

// pause sleeps, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errStatus is an answer with a status that was not asked for.
type errStatus struct {
	status int
	body   string // the beginning
}

func (e *errStatus) Error() string {
	return fmt.Sprintf("%d %s: %s", e.status, http.StatusText(e.status), e.body)
}

func statusError(resp *fasthttp.Response) error {
	body := strings.TrimSpace(string(resp.Body()))
	if len(body) > 500 {
		body = body[:500] + "…"
	}
	return &errStatus{status: resp.StatusCode(), body: body}
}

// lasting tells whether an error of a read would come again: a client error will, a broken
// connection, an overload or a server error may not.
func lasting(err error) bool {
	var status *errStatus
	if errors.As(err, &status) {
		return status.status < 500 && status.status != http.StatusTooManyRequests
	}
	var refused *memoriError
	return errors.As(err, &refused)
}
