package main

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"
)

// TestAdminListenerIsForThisMachine: neither an address that others reach nor a web page's own name
// for this machine. Without localOnly the page got 200.
func TestAdminListenerIsForThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "10.0.0.1:0", "example.com:0", "x"} {
		if a, err := newAdminListener(address, slog.New(slog.DiscardHandler)); err == nil {
			_ = a.listener.Close()
			t.Errorf("%s is taken", address)
		}
	}
	a, err := newAdminListener("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a.start()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := a.stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	f := func(host, path string, want int) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			"http://"+a.listener.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s %s: %d, want %d", host, path, answer.StatusCode, want)
		}
	}
	f("", "/debug/pprof/", 200)
	f("localhost:1", "/debug/pprof/heap", 200)
	f("", "/debug/pprof/cmdline", 404)
	f("", "/metrics", 503) // there is no node yet
	f("evil.example", "/debug/pprof/", 403)
}

func TestLogSettingsAreChecked(t *testing.T) {
	t.Parallel()
	f := func(set func(string) error, v string, ok bool) {
		t.Helper()
		if err := set(v); (err == nil) != ok {
			t.Errorf("%q: %v", v, err)
		}
	}
	var format logFormat
	var level logLevel
	f(format.Set, "json", true)
	f(format.Set, "text", true)
	f(format.Set, "", false)
	f(format.Set, "JSON", false)
	f(level.Set, "debug", true)
	f(level.Set, "error", true)
	f(level.Set, "trace", false)
}
