package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthSaysWhatTheNodeSays(t *testing.T) {
	t.Parallel()
	f := func(status int, body, want string) {
		t.Helper()
		node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		defer node.Close()
		everywhere := strings.Replace(node.URL, "127.0.0.1", "0.0.0.0", 1)
		switch err := askHealth(t.Context(), everywhere); {
		case want == "" && err != nil:
			t.Errorf("%d: %v", status, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%d: %v, want %q", status, err, want)
		}
	}
	f(http.StatusOK, "ready", "")
	f(http.StatusServiceUnavailable, "the log is full", "the log is full")
	if err := askHealth(t.Context(), "http://127.0.0.1:1/readyz"); err == nil {
		t.Error("nobody listens, and all is well")
	}
}
