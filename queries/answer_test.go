package queries_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/queries"
)

// TestOnlyClickHouseCanSayStored answers an insert with a 200 that is not ClickHouse's. Without
// the check the insert counts as done, and a serve behind a proxy that answers so loses everything
// it has acknowledged.
func TestOnlyClickHouseCanSayStored(t *testing.T) {
	f := func(header, want string) {
		t.Helper()
		asked := false
		between := httptest.NewServer(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				asked = true
				if header != "" {
					w.Header().Set(header, "x")
				}
				_, _ = io.WriteString(w, "<html>sign in</html>")
			}))
		defer between.Close()
		options, err := queries.Config{DSN: "http://" + between.Listener.Addr().String()}.ClickHouse()
		if err != nil {
			t.Fatal(err)
		}
		transport, err := options.TransportFunc(http.DefaultTransport.(*http.Transport))
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: transport}
		response, err := client.Post(between.URL, "", strings.NewReader("rows"))
		if err == nil {
			err = response.Body.Close()
		}
		if !asked || (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("with %q: %v, want %q", header, err, want)
		}
		if _, err := queries.Open(t.Context(), queries.Config{Options: options}); err == nil {
			t.Error("a page of HTML opens as a ClickHouse")
		} else if header == "" && !queries.Unreachable(err) {
			t.Errorf("%v counts as an answer of ClickHouse", err)
		}
	}
	f("", "no answer of ClickHouse")
	f("X-ClickHouse-Query-Id", "")
	f("X-ClickHouse-Summary", "")
}
