package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// client writes, reads and corrects, and knows what it was told.
type client struct {
	t       testing.TB
	author  author
	bases   [2]string // of the two nodes
	http    *http.Client
	history *history
	counts  *chaosCounts

	sent  []*write // acknowledged, the newest few
	facts []*fact  // acknowledged, the newest few
}

// chaosCounts is for the summary, and tells that nothing ran in vain.
type chaosCounts struct {
	writes, events, unknown, refused, resent, corrected, read, doubled atomic.Int64
}

// What a client waits for an answer. After that the outcome of a write or a correction is unknown.
const (
	clientTimeout     = 10 * time.Second
	correctionTimeout = 5 * time.Second
	readTimeout       = 3 * time.Second
)

func newClient(c *chaos, number int) *client {
	return &client{
		t:       c.t,
		author:  author{Rand: rand.New(rand.NewPCG(c.seed, uint64(100+number))), number: number},
		bases:   [2]string{c.nodes[0].url(""), c.nodes[1].url("")},
		http:    &http.Client{Transport: &http.Transport{}},
		history: &c.history,
		counts:  &c.counts,
	}
}

// run acts until more ends, and finishes what it began until ctx ends.
func (c *client) run(ctx, more context.Context) {
	for more.Err() == nil {
		switch n := c.author.IntN(20); {
		case n < 3 && len(c.facts) > 0:
			c.correct(ctx, c.facts[c.author.IntN(len(c.facts))])
		case n < 5 && len(c.facts) > 0:
			c.read(ctx, c.facts[c.author.IntN(len(c.facts))])
		case n < 7 && len(c.sent) > 0:
			c.resend(ctx, c.sent[c.author.IntN(len(c.sent))])
		default:
			c.deliver(ctx, c.author.write())
		}
		pause(more, time.Duration(5+c.author.IntN(30))*time.Millisecond)
	}
}

// answer is what came of a request. Where err is not nil nobody knows, unless it was never sent.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
	unsent bool
}

func (a answer) refused() bool {
	return a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
}

func (c *client) call(ctx context.Context, method string, node int, path, body string,
	headers ...string,
) answer {
	timeout := correctionTimeout
	switch method {
	case http.MethodPost:
		timeout = clientTimeout
	case http.MethodGet:
		timeout = readTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.bases[node]+path,
		strings.NewReader(body))
	if err != nil {
		return answer{err: err, unsent: true}
	}
	request.GetBody = nil // nothing is sent a second time behind our back
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		dial := (*net.OpError)(nil)
		return answer{err: err, unsent: errors.As(err, &dial) && dial.Op == "dial"}
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: content, err: err}
}

// deliver sends a write until its answer is known, or can not be any more.
func (c *client) deliver(ctx context.Context, w *write) {
	for _, f := range w.facts {
		f.begin()
	}
	c.history.add(w.facts)
	if w.keyed() && c.author.IntN(8) == 0 {
		c.toBoth(ctx, w)
	}
	for ctx.Err() == nil {
		node := c.author.IntN(2)
		a := c.call(ctx, http.MethodPost, node, w.path, w.body, w.headers...)
		if c.settled(w, node, a) {
			return
		}
		pause(ctx, time.Duration(50+c.author.IntN(200))*time.Millisecond)
	}
	c.t.Errorf("%s write is not answered although everything works again", w.kind)
}

// toBoth sends a write to both nodes at once.
func (c *client) toBoth(ctx context.Context, w *write) {
	var both sync.WaitGroup
	var answers [2]answer
	for node := range answers {
		both.Go(func() {
			answers[node] = c.call(ctx, http.MethodPost, node, w.path, w.body, w.headers...)
		})
	}
	both.Wait()
	c.counts.doubled.Add(1)
	w.tried = true
	for node, a := range answers {
		c.settled(w, node, a)
	}
}

// settled takes the answer to a write into account, and reports whether the write is over.
func (c *client) settled(w *write, node int, a answer) bool {
	switch {
	case a.unsent:
		return false
	case a.err != nil:
		w.tried = true
		c.counts.unknown.Add(1)
		return !w.keyed()
	case a.refused(): // and nothing of it was accepted
		c.counts.refused.Add(1)
		return false
	case a.status != http.StatusCreated:
		c.t.Errorf("%s write: %d %s", w.kind, a.status, a.body)
		return true
	}
	c.checkReceipt(w, a.body, w.tried)
	c.learnID(w, a.body)
	w.tried = true
	for _, f := range w.facts {
		f.done(node)
	}
	c.counts.writes.Add(1)
	c.counts.events.Add(int64(len(w.facts)))
	c.remember(w)
	return true
}

func (c *client) remember(w *write) {
	const newest = 40
	if w.keyed() {
		c.sent = append(c.sent[max(0, len(c.sent)-newest):], w)
	}
	if f := w.facts[0]; f.id != "" && w.path != "/external/resource-usage" {
		c.facts = append(c.facts[max(0, len(c.facts)-newest):], f)
	}
}

// checkReceipt wants every event of a request accounted for.
func (c *client) checkReceipt(w *write, body []byte, tried bool) (accepted int) {
	if w.path != "/v1/events" {
		return 0
	}
	var got struct {
		Accepted, Duplicates int
		Rejected             []json.RawMessage
	}
	err := json.Unmarshal(body, &got)
	if err != nil || len(got.Rejected) != w.wrong ||
		got.Accepted+got.Duplicates != len(w.facts)+w.twice ||
		got.Duplicates < w.twice || !tried && got.Accepted != len(w.facts) {
		c.t.Errorf("%s write of %d events, %d of them twice, %d wrong; sent before: %v; answer: %.300s",
			w.kind, len(w.facts), w.twice, w.wrong, tried, body)
	}
	return got.Accepted
}

// learnID takes the id of an event without a key from the tracker's answer.
func (c *client) learnID(w *write, body []byte) {
	if w.path != "/usage" || w.keyed() {
		return
	}
	var record trackerRecord
	if err := json.Unmarshal(body, &record); err != nil || record.ID == "" {
		c.t.Errorf("tracker write: %s", body)
	}
	w.facts[0].id = record.ID
}

// resend sends what was acknowledged once more. The node that acknowledged it knows it for good.
func (c *client) resend(ctx context.Context, w *write) {
	node := c.author.IntN(2)
	a := c.call(ctx, http.MethodPost, node, w.path, w.body, w.headers...)
	switch {
	case a.err != nil || a.refused():
	case a.status == http.StatusNotFound && w.path == "/usage": // it was deleted
	case a.status != http.StatusCreated:
		c.t.Errorf("%s write, sent again: %d %s", w.kind, a.status, a.body)
	default:
		c.counts.resent.Add(1)
		if n := c.checkReceipt(w, a.body, true); n > 0 && node == w.facts[0].node {
			c.t.Errorf("%s write of %d events, sent again to the node that acknowledged it: %s",
				w.kind, len(w.facts), a.body)
		}
	}
}

// seen is an event as a node shows it.
type seen struct {
	Usage    map[string]json.Number // native
	Units    json.Number            `json:"units_used"` // tracker
	revision string
}

func (s seen) state(f *fact) string {
	u := amounts{}
	if s.Units != "" {
		u["UNITS"], _ = s.Units.Int64()
	}
	for name, n := range s.Usage {
		u[name], _ = n.Int64()
	}
	return u.state(f.agent)
}

func (f *fact) tracker() bool { return f.now["UNITS"] > 0 }

func (f *fact) path() string {
	if f.tracker() {
		return "/usage/" + f.id
	}
	return "/v1/events/" + f.id
}

// read asks the node that acknowledged an event for it: what it says must be a state the event may
// have.
func (c *client) read(ctx context.Context, f *fact) (s seen, ok bool) {
	a := c.call(ctx, http.MethodGet, f.node, f.path(), "",
		"Authorization", "Bearer "+tenants[f.tenant].token)
	if a.err != nil || a.refused() {
		return s, false
	}
	c.counts.read.Add(1)
	state := absent
	if a.status == http.StatusOK {
		if err := json.Unmarshal(a.body, &s); err != nil {
			c.t.Errorf("GET %s: %s: %v", f.path(), a.body, err)
		}
		state, s.revision = s.state(f), a.header.Get("Etag")
	} else if a.status != http.StatusNotFound {
		c.t.Errorf("GET %s: %d %s", f.path(), a.status, a.body)
		return s, false
	}
	if !f.may[state] {
		c.t.Errorf("GET %s of node %d: %d %s; it may be %v", f.path(), f.node, a.status, a.body, f.may)
	}
	return s, a.status == http.StatusOK
}

// correct changes or deletes an event. A native event's correction names the revision it is of, so
// that one whose outcome is unknown cannot come after a later one.
func (c *client) correct(ctx context.Context, f *fact) {
	s, ok := c.read(ctx, f)
	if !ok {
		return
	}
	headers := []string{
		"Authorization", "Bearer " + tenants[f.tenant].token, "Content-Type", "application/json",
	}
	if !f.tracker() {
		headers = append(headers, "If-Match", s.revision)
	}
	node, method, body, state := c.author.IntN(2), http.MethodDelete, "", absent
	if c.author.IntN(3) > 0 {
		u := amounts{}
		for name := range f.now {
			u[name] = 1
		}
		n := 1 + c.author.Int64N(5000)
		if f.tracker() {
			u["UNITS"], method, body = n, http.MethodPut, fmt.Sprintf(`{"units_used":%d}`, n)
		} else {
			u["INPUT"], u["OUTPUT"] = n, n+1
			method = http.MethodPatch
			body = fmt.Sprintf(`{"usage":{"INPUT":%d,"OUTPUT":%d}}`, n, n+1)
		}
		state = u.state(f.agent)
	}
	a := c.call(ctx, method, node, f.path(), body, headers...)
	switch {
	case a.unsent:
	case a.err != nil || a.status == http.StatusServiceUnavailable:
		f.may[state] = true
		if f.tracker() {
			f.late = append(f.late, state)
		}
	case a.status == http.StatusOK || a.status == http.StatusNoContent:
		c.counts.corrected.Add(1)
		f.becomes(state)
	case a.status == http.StatusPreconditionFailed, a.status == http.StatusNotFound,
		a.status == http.StatusTooManyRequests:
	default:
		c.t.Errorf("%s %s: %d %s", method, f.path(), a.status, a.body)
	}
}
