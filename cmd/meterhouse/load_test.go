package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var seedFlag = flag.Uint64("seed", 0,
	"repeat a test that uses random numbers; 0: another each time")

// newRand returns random numbers whose seed a failure prints.
func newRand(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("repeat with -seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Who is in the demo catalog.
const (
	adaToken = "dop_v1_demo_ada"
	adaLogin = "11111111-1111-4111-8111-111111111111"
)

var (
	demoOrganization = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	demoAgents       = []string{
		"12345678-1234-4234-8234-123456789012", "22345678-1234-4234-8234-123456789012",
		"32345678-1234-4234-8234-123456789012", "42345678-1234-4234-8234-123456789012",
	}
	demoSecrets = []string{
		"demo-agent-secret-1", "demo-agent-secret-2", "demo-agent-secret-3", "demo-agent-secret-4",
	}
)

// ledgerRow is what a measurement must look like in the ledger.
type ledgerRow struct {
	agent, usageType, quantity string
}

// loadRequest is a write and what it must put into the ledger.
type loadRequest struct {
	kind    string
	path    string
	headers []string // in pairs
	body    string
	events  map[string][]ledgerRow // by event id
}

// The kinds of writes.
const (
	raiaWrite    = "raia"
	singleWrite  = "single"
	batchWrite   = "batch"
	trackerWrite = "tracker"
)

var writeKinds = []string{raiaWrite, singleWrite, batchWrite, trackerWrite}

func eventID(key string) string { return schema.EventID(demoOrganization, key).String() }

func newLoadRequest(r *rand.Rand, kind string) loadRequest {
	agent := r.IntN(len(demoAgents))
	id, secret := demoAgents[agent], demoSecrets[agent]
	key := fmt.Sprintf("%s-%016x", kind, r.Uint64())
	amount := strconv.Itoa(1 + r.IntN(5000))
	switch kind {
	case raiaWrite:
		return loadRequest{
			kind: kind, path: "/external/resource-usage",
			headers: []string{"Agent-Secret-Key", secret, "Idempotency-Key", key},
			body:    `{"type":"OPENAI_TOKENS","amount":` + amount + `}`,
			events:  map[string][]ledgerRow{eventID(key): {{id, "OPENAI_TOKENS", amount}}},
		}
	case trackerWrite:
		return loadRequest{
			kind: kind, path: "/usage",
			headers: []string{"Authorization", "Bearer " + adaToken, "Idempotency-Key", key},
			body: `{"api_name":"search","endpoint":"/find","cost_usd":0.0043,` +
				`"api_key_used":"sk-live-abcdefgh","units_used":` + amount + `}`,
			events: map[string][]ledgerRow{eventID(key): {{uuid.Nil.String(), "UNITS", amount}}},
		}
	}
	request := loadRequest{
		kind: kind, path: "/v1/events", headers: []string{"Agent-Secret-Key", secret},
		events: make(map[string][]ledgerRow),
	}
	if kind == singleWrite {
		request.body = request.nativeEvent(r, id, key)
		return request
	}
	lines := make([]string, 100+r.IntN(901))
	for i := range lines {
		lines[i] = request.nativeEvent(r, id, fmt.Sprintf("%s-%d", key, i))
	}
	request.headers = append(request.headers, "Content-Type", "application/x-ndjson")
	request.body = strings.Join(lines, "\n")
	return request
}

// nativeEvent returns an event of the native API, at any time of the last hundred days: a batch of
// them is a part in each of several partitions.
func (l *loadRequest) nativeEvent(r *rand.Rand, agent, key string) string {
	at := time.Now().Add(-time.Duration(r.Int64N(int64(100 * 24 * time.Hour)))).UTC()
	input, output := strconv.Itoa(1+r.IntN(5000)), strconv.Itoa(1+r.IntN(500))
	l.events[eventID(key)] = []ledgerRow{
		{agent, "COMPLETIONS", "1"}, {agent, "INPUT", input}, {agent, "OUTPUT", output},
	}
	return `{"id":"` + key + `","time":"` + at.Format(time.RFC3339) + `","model":"gpt-4o-mini",` +
		`"usage":{"INPUT":` + input + `,"OUTPUT":` + output + `,"COMPLETIONS":1}}`
}

// load writes until it is stopped and keeps account of the answers.
type load struct {
	t        testing.TB
	base     string
	client   *http.Client
	sendsTwo bool // some acknowledged writes are sent again

	mu           sync.Mutex
	acknowledged []loadRequest
	unknown      []loadRequest // the answer never came
	resent       int

	answered chan struct{} // somebody may wait for the next acknowledgement
	writers  sync.WaitGroup
	cancel   context.CancelFunc
}

func newLoad(p *program) *load {
	return &load{
		t:    p.t,
		base: "http://" + p.address,
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: 16},
			Timeout:   30 * time.Second,
		},
		answered: make(chan struct{}),
	}
}

// What a writer waits between two requests: the tests want many small inserts to be killed in, not
// the fastest way to fill a ledger.
const (
	loadPause  = 10 * time.Millisecond
	batchPause = 100 * time.Millisecond
)

// start starts two writers of every kind.
func (l *load) start(random *rand.Rand) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	for i := range 2 * len(writeKinds) {
		kind, wait := writeKinds[i%len(writeKinds)], loadPause
		if kind == batchWrite {
			wait = batchPause
		}
		// A tracker write that is sent again is answered with what the ledger holds.
		again := l.sendsTwo && kind != trackerWrite
		r := rand.New(rand.NewPCG(random.Uint64(), 0))
		l.writers.Go(func() {
			for ctx.Err() == nil {
				l.deliver(ctx, newLoadRequest(r, kind), again && r.IntN(4) == 0)
				pause(ctx, wait)
			}
		})
	}
}

// stop returns when every write under way has its answer or was refused.
func (l *load) stop() {
	l.cancel()
	l.writers.Wait()
	l.client.CloseIdleConnections()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// deliver sends a write until its answer is known to have accepted it or cannot be known any more.
// A write without an answer is not sent again: this process forgets the keys of stored events when
// it is killed, so that a second one might count.
func (l *load) deliver(ctx context.Context, request loadRequest, again bool) {
	for ctx.Err() == nil {
		status, body, err := l.send(request)
		switch dial := (*net.OpError)(nil); {
		case errors.As(err, &dial) && dial.Op == "dial": // it was never sent
		case err != nil:
			l.mu.Lock()
			l.unknown = append(l.unknown, request)
			l.mu.Unlock()
			return
		case status == http.StatusCreated:
			l.mu.Lock()
			l.acknowledged = append(l.acknowledged, request)
			l.mu.Unlock()
			select {
			case l.answered <- struct{}{}:
			default:
			}
			l.checkAccepted(request, body, len(request.events), 0)
			if again {
				l.sendAgain(request)
			}
			return
		case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		default:
			l.t.Errorf("%s write: %d %s", request.kind, status, body)
			return
		}
		pause(ctx, 5*loadPause)
	}
}

func (l *load) sendAgain(request loadRequest) {
	status, body, err := l.send(request)
	if err != nil || status != http.StatusCreated {
		l.t.Errorf("%s write, sent again: %d %s %v", request.kind, status, body, err)
		return
	}
	l.checkAccepted(request, body, 0, len(request.events))
	l.mu.Lock()
	l.resent++
	l.mu.Unlock()
}

// checkAccepted reads the answer of the only dialect that counts.
func (l *load) checkAccepted(request loadRequest, body []byte, accepted, duplicates int) {
	if request.path != "/v1/events" {
		return
	}
	var got struct{ Accepted, Duplicates int }
	err := json.Unmarshal(body, &got)
	if err != nil || got.Accepted != accepted || got.Duplicates != duplicates {
		l.t.Errorf("%s write of %d events: %s, want %d accepted, %d duplicates",
			request.kind, len(request.events), body, accepted, duplicates)
	}
}

func (l *load) send(request loadRequest) (status int, body []byte, err error) {
	req, err := http.NewRequest(http.MethodPost, l.base+request.path,
		strings.NewReader(request.body))
	if err != nil {
		return 0, nil, err
	}
	// Without it the client cannot send a request with an Idempotency-Key a second time behind our
	// back when its connection breaks.
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(request.headers); i += 2 {
		req.Header.Set(request.headers[i], request.headers[i+1])
	}
	answer, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

// acknowledgedNow returns how many writes of each kind have been acknowledged.
func (l *load) acknowledgedNow() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[string]int)
	for _, request := range l.acknowledged {
		counts[request.kind]++
	}
	return counts
}

// wantProgress waits until n more writes of every kind have been acknowledged.
func (l *load) wantProgress(n int) {
	l.t.Helper()
	before := l.acknowledgedNow()
	eventually(l.t, fmt.Sprintf("%d more writes of every kind are acknowledged", n), func() bool {
		now := l.acknowledgedNow()
		for _, kind := range writeKinds {
			if now[kind] < before[kind]+n {
				return false
			}
		}
		return true
	})
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !reached(); {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 seconds it is not so that %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
