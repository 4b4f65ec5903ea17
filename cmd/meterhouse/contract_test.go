package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// noted notes the errors of a test instead of failing it.
type noted struct {
	testing.TB
	errors []string
}

func (n *noted) Helper() {}

func (n *noted) Errorf(format string, args ...any) {
	n.errors = append(n.errors, fmt.Sprintf(format, args...))
}

// TestAnswersAreChecked asks a program whose answer has a member that the document does not know.
func TestAnswersAreChecked(t *testing.T) {
	planted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"accepted":1,"duplicates":0,"rejected":[],"planted":true}`))
	}))
	defer planted.Close()
	as := &noted{TB: t}
	p := &program{t: as, address: planted.Listener.Addr().String()}
	p.do("POST", "/v1/events", `{"usage":{"INPUT":1}}`)
	if len(as.errors) != 1 || !strings.Contains(as.errors[0], "planted") {
		t.Errorf("got %q", as.errors)
	}
}
