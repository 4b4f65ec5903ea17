package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// demoServer takes events and remembers them, as a Meterhouse with the demo catalog does.
type demoServer struct {
	*httptest.Server
	mu     sync.Mutex
	events map[string]demoEvent
	status int // of the next answers, if not 0
}

func newDemoServer(t *testing.T) *demoServer {
	s := &demoServer{events: map[string]demoEvent{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.status != 0 || r.Header.Get("Authorization") != "Bearer "+demoToken {
			problem(w, max(s.status, http.StatusUnauthorized), "no")
			return
		}
		var events []demoEvent
		if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
			problem(w, http.StatusBadRequest, err.Error())
			return
		}
		before := len(s.events)
		for _, e := range events {
			s.events[e.ID] = e
		}
		fresh := len(s.events) - before
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"accepted":%d,"duplicates":%d,"rejected":[]}`, fresh, len(events)-fresh)
	}))
	t.Cleanup(s.Close)
	return s
}

// demoAt runs the demo of so many days at a moment.
func demoAt(t *testing.T, s *demoServer, days int, now time.Time) (accepted, known int64) {
	t.Helper()
	c := &demoConfig{
		token: demoToken, days: days, seed: 1, batch: 100, connections: 2, retryFor: time.Second,
		now: func() time.Time { return now },
	}
	d := &demo{config: c, client: newClient(s.URL, c.connections, 10*time.Second)}
	defer d.client.close()
	if err := d.fill(context.Background()); err != nil {
		t.Fatal(err)
	}
	return d.accepted.Load(), d.known.Load()
}

// An event follows from the seed and its hour: what is sent again is known, and a later run adds
// what has happened since. With random numbers that follow from the start of the run instead of the
// hour, the later run sent other events under known ids: the test failed.
func TestDemoOfLaterAddsWhatHappened(t *testing.T) {
	s := newDemoServer(t)
	now := time.Date(2026, 3, 10, 14, 40, 0, 0, time.UTC) // a Tuesday
	first, known := demoAt(t, s, 3, now)
	if first < 1000 || first > 20_000 || known != 0 {
		t.Fatalf("%d events are new and %d known", first, known)
	}
	was := maps.Clone(s.events)
	if again, known := demoAt(t, s, 3, now); again != 0 || known != first {
		t.Errorf("sent again, %d are new and %d known", again, known)
	}
	more, known := demoAt(t, s, 3, now.Add(2*time.Hour))
	if known != first || more < 100 || more > 2000 {
		t.Errorf("two hours later %d are new and %d known", more, known)
	}
	for id, e := range was {
		if !reflect.DeepEqual(s.events[id], e) {
			t.Fatalf("%s has become another event: %v, was %v", id, s.events[id], e)
		}
	}
	for id, e := range s.events {
		if e.Time.After(now.Add(2*time.Hour)) || e.Time.Before(now.AddDate(0, 0, -4)) {
			t.Fatalf("%s is of %v", id, e.Time)
		}
	}
}

// The demo's agents, users and models are those of the demo catalog; one model has no rate there.
func TestDemoIsOfTheDemoCatalog(t *testing.T) {
	text, err := os.ReadFile("../cmd/meterhouse/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	catalog := string(text)
	var unpriced []string
	for _, kind := range demoKinds {
		if !strings.Contains(catalog, "{id: "+kind.agent.id+",") {
			t.Errorf("agent %s is not in the catalog", kind.agent.id)
		}
		for _, u := range kind.usage {
			rate := fmt.Sprintf("{model: %s, usage_type: %s,", kind.model, u.usageType)
			if !strings.Contains(catalog, rate) {
				unpriced = append(unpriced, kind.model+" "+u.usageType)
			}
		}
	}
	want := []string{"llama-3.3-70b INPUT", "llama-3.3-70b OUTPUT"}
	if !reflect.DeepEqual(unpriced, want) {
		t.Errorf("without a rate: %v, want %v", unpriced, want)
	}
	for _, user := range demoUsers {
		if !strings.Contains(catalog, "{id: "+user+",") {
			t.Errorf("user %s is not in the catalog", user)
		}
	}
	if !strings.Contains(catalog, "secret: "+demoToken+"}") {
		t.Error("the token is not in the catalog")
	}
}

// --live goes on after the past, and an interrupt is no failure.
func TestDemoGoesOnUntilInterrupted(t *testing.T) {
	s := newDemoServer(t)
	ctx, cancel := context.WithCancel(context.Background())
	var out strings.Builder
	con := console{out: &out, errs: io.Discard, getenv: func(string) string { return "" }}
	ended := make(chan int)
	go func() {
		ended <- run(ctx, con, []string{"demo", "--url", s.URL, "--days", "0", "--live", "--rate", "500"})
	}()
	live := func() (n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for id := range s.events {
			if strings.HasPrefix(id, "lt-") {
				n++
			}
		}
		return n
	}
	for deadline := time.Now().Add(20 * time.Second); live() < 5; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no live events came")
		}
	}
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d: %s", code, out.String())
	}
}

func TestDemoRefuses(t *testing.T) {
	s := newDemoServer(t)
	f := func(code int, says string, args ...string) {
		t.Helper()
		var errs strings.Builder
		con := console{out: io.Discard, errs: &errs, getenv: func(string) string { return "" }}
		got := run(t.Context(), con, append([]string{"demo", "--url", s.URL}, args...))
		if got != code || !strings.Contains(errs.String(), says) {
			t.Errorf("%v: exit %d, %s", args, got, errs.String())
		}
	}
	f(exitUsage, "--days", "--days", "-1")
	f(exitUsage, "--rate", "--rate", "NaN")
	f(exitUsage, "--batch", "--batch", "10001")
	f(exitUsage, "--connections", "--connections", "0")
	f(exitUsage, "loopback", "--url", "http://meter.example")
	f(exitFailed, "401", "--days", "1", "--token", "other")
	s.status = http.StatusForbidden
	f(exitFailed, "403", "--days", "1")
}
