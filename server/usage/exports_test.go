package usage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// exported is what an export answers, as far as the tests look.
type exported struct {
	ID       string
	State    string
	Detail   string
	Progress struct{ Parts, Rows, Bytes int }
	Files    []struct {
		Name, URL, SHA256 string
		Rows, Bytes       int
	}
	Query json.RawMessage
}

// saver asks a harness for exports as one user.
type saver struct {
	t     *testing.T
	h     *dialecttest.Harness
	token string
}

func (s saver) do(method, path, body string, header ...string) dialecttest.Response {
	s.t.Helper()
	return s.h.Do(s.t, dialecttest.Request{
		Method: method, Path: path, Body: body, Header: header,
	}.With("Authorization", "Bearer "+s.token))
}

func (s saver) read(r dialecttest.Response) (x exported) {
	s.t.Helper()
	if err := json.Unmarshal(r.Body, &x); err != nil {
		s.t.Fatalf("%v: %v", r, err)
	}
	return x
}

// ask asks for an export and returns where it is.
func (s saver) ask(body string, header ...string) string {
	s.t.Helper()
	r := s.do("POST", "/v1/exports", body, header...)
	if r.Status != http.StatusAccepted {
		s.t.Fatalf("%s: %v", body, r)
	}
	return r.Header.Get("Location")
}

// done returns an export once it is made.
func (s saver) done(path string) exported {
	s.t.Helper()
	for {
		r := s.do("GET", path, "")
		x := s.read(r)
		switch {
		case r.Status == http.StatusOK && x.State == "done":
			return x
		case r.Status != http.StatusOK || x.State != "queued" && x.State != "running":
			s.t.Fatalf("%s: %v", path, r)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// file downloads the first file of an export, whose hash is what is told.
func (s saver) file(x exported) []byte {
	s.t.Helper()
	r := s.do("GET", x.Files[0].URL, "")
	sum := sha256.Sum256(r.Body)
	if r.Status != http.StatusOK || len(r.Body) != x.Files[0].Bytes ||
		hex.EncodeToString(sum[:]) != x.Files[0].SHA256 {
		s.t.Errorf("%s: %v", x.Files[0].URL, r)
	}
	return r.Body
}

// around is a range that has the harness's usage in it, whatever the zone of its dates.
func around() string {
	now := time.Now().UTC()
	return fmt.Sprintf(`{"from": %q, "to": %q}`,
		now.AddDate(0, 0, -1).Format(time.DateOnly), now.AddDate(0, 0, 2).Format(time.DateOnly))
}

// TestExports asks for exports over HTTP: as everybody who may, and everybody who may not.
func TestExports(t *testing.T) {
	t.Parallel()
	h := dialecttest.New(t)
	as := func(u dialecttest.User) saver { return saver{t, h, u.Secret(schema.AccessToken).Text} }
	admin, member, root := as(h.Acme.Admin), as(h.Acme.Member), as(h.Acme.Superadmin)
	events := `{"events": ` + around() + `, "format": "ndjson"}`
	of := admin.ask(events)
	x := admin.done(of)
	content := admin.file(x)
	if x.Progress.Rows != 5 || bytes.Count(content, []byte("\n")) != 5 ||
		strings.Contains(string(content), "globexonly") ||
		strings.Contains(string(content), "-key-0123456789") {
		t.Errorf("%+v:\n%s", x, content)
	}
	t.Run("ranges", func(t *testing.T) { admin.ranges(t, x.Files[0].URL, content) })
	own := member.ask(events)
	if y := member.done(own); y.Progress.Rows != 3 {
		t.Errorf("a member exports %+v", y)
	}
	t.Run("query", func(t *testing.T) { member.queryExports(t) })

	f := func(who saver, method, path string, want int) {
		t.Helper()
		if r := who.do(method, path, ""); r.Status != want {
			t.Errorf("%s %s: %v, want %d", method, path, r, want)
		}
	}
	foreign := as(h.Globex.Admin)
	for _, path := range []string{of, x.Files[0].URL} {
		f(member, "GET", path, 404) // the organization's
		f(foreign, "GET", path, 404)
		f(foreign, "GET", path+"?organization_id="+h.Acme.ID.String(), 404)
		f(root, "GET", path, 200)
		f(as(h.Globex.Superadmin), "GET", path+"?organization_id="+h.Acme.ID.String(), 200)
		f(admin, "GET", path+"?filter.model=x", 400)
	}
	f(member, "DELETE", of, 404)
	f(foreign, "DELETE", of, 404)
	f(admin, "GET", own, 200)
	f(admin, "GET", of+"/files/part-00002.ndjson", 404)
	f(admin, "GET", of+"/files/..%2f..%2fpasswd", 404)
	f(admin, "GET", "/v1/exports/none", 404)
	for who, want := range map[saver]int{admin: 3, member: 2, foreign: 0} {
		r := who.do("GET", "/v1/exports", "")
		var all struct{ Exports []exported }
		if err := json.Unmarshal(r.Body, &all); err != nil || len(all.Exports) != want {
			t.Errorf("%d are listed, want %d: %v", len(all.Exports), want, r)
		}
	}
	r := h.Do(t, dialecttest.Request{Method: "GET", Path: of, Header: []string{
		"Agent-Secret-Key", h.Acme.MembersAgent.Secret().Text,
	}})
	if r.Status != http.StatusForbidden {
		t.Errorf("an agent: %v", r)
	}
	for range 2 {
		f(admin, "DELETE", of, 204)
	}
	f(admin, "GET", x.Files[0].URL, 404)
	if y := admin.read(admin.do("GET", of, "")); y.State != "canceled" || len(y.Files) > 0 {
		t.Errorf("after DELETE: %+v", y)
	}
	key := []string{"Idempotency-Key", "again"}
	one, two := admin.ask(events, key...), admin.ask(events, key...)
	if one != two {
		t.Errorf("the same key: %s and %s", one, two)
	}
	admin.done(one)
	if r := admin.do("POST", "/v1/exports", strings.Replace(events, "ndjson", "csv", 1),
		key...); r.Status != http.StatusConflict {
		t.Errorf("the same key for another export: %v", r)
	}
	t.Run("docs", func(t *testing.T) { admin.documented(t) })
	t.Run("bad", func(t *testing.T) { admin.bad(t) })
	if r := member.do("POST", "/v1/exports", strings.Replace(events, "{", `{"destination": "x", `,
		1)); r.Status != http.StatusForbidden {
		t.Errorf("a member to a bucket: %v", r)
	}
}

// ranges downloads a file in pieces.
func (s saver) ranges(t *testing.T, url string, content []byte) {
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:]) + `"`
	f := func(want int, body []byte, header ...string) {
		t.Helper()
		r := s.do("GET", url, "", header...)
		if r.Status != want || want < 300 && !bytes.Equal(r.Body, body) {
			t.Errorf("%v: %v, want %d %q", header, r, want, body)
		}
	}
	n := len(content)
	f(206, content[:10], "Range", "bytes=0-9")
	f(206, content[10:], "Range", "bytes=10-")
	f(206, content[n-7:], "Range", "bytes=-7")
	f(206, content[5:], "Range", fmt.Sprintf("bytes=5-%d", 2*n))
	f(206, content[10:], "Range", "bytes=10-", "If-Range", tag)
	f(200, content, "Range", "bytes=10-", "If-Range", `"of-another"`)
	f(200, content, "Range", "bytes=0-1,3-4")
	f(200, content, "Range", "lines=0-1")
	f(200, content, "Range", "bytes=9-3")
	f(416, nil, "Range", fmt.Sprintf("bytes=%d-", n))
	f(416, nil, "Range", "bytes=-0")
	f(304, nil, "If-None-Match", tag)
	f(200, content, "If-None-Match", `"of-another"`)
}

// queryExports compares a saved answer with the answer itself.
func (s saver) queryExports(t *testing.T) {
	question := strings.TrimSuffix(around(), "}") +
		`, "granularity": "hour", "tz": "Asia/Kathmandu", "group_by": ["usage_type", "agent_id"]`
	x := s.done(s.ask(`{"query": ` + question + `}, "format": "csv"}`))
	answer := s.do("POST", "/v1/usage/query", question+`, "format": "csv"}`)
	if got := s.file(x); answer.Status != 200 || !bytes.Equal(got, answer.Body) ||
		x.Progress.Rows != 3 {
		t.Errorf("saved:\n%sanswered:\n%s", got, answer.Body)
	}
}

// documented sends the requests of docs/exports.md.
func (s saver) documented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "exports.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```json\n")[1:]
	for _, block := range blocks {
		body, _, _ := strings.Cut(block, "```")
		s.done(s.ask(body))
	}
	if len(blocks) != 2 {
		t.Errorf("%d examples", len(blocks))
	}
}

// bad sends what is no request for an export: the field at fault is named, and nothing is made.
func (s saver) bad(t *testing.T) {
	before := s.do("GET", "/v1/exports", "")
	f := func(body, field string) {
		t.Helper()
		r := s.do("POST", "/v1/exports", body)
		var p struct{ Errors []struct{ Field string } }
		_ = json.Unmarshal(r.Body, &p)
		named := ""
		if len(p.Errors) > 0 {
			named = p.Errors[0].Field
		}
		if r.Status != 400 || named != field {
			t.Errorf("%s: %v, want 400 of %q", body, r, field)
		}
	}
	rest := `, "format": "csv"}`
	f(``, "")
	f(`null`, "")
	f(`[]`, "")
	f(`{"events": `+around()+rest+`{}`, "")
	f(`{"format": "csv"}`, "query")
	f(`{"events": `+around()+`}`, "format")
	f(`{"events": `+around()+`, "format": "json"}`, "format")
	f(`{"events": `+around()+`, "format": null}`, "format")
	f(`{"events": `+around()+`, "format": "csv' OR 1=1 --"}`, "format")
	f(`{"events": `+around()+`, "format": "csv", "format": "csv"}`, "format")
	f(`{"events": `+around()+`, "query": {}`+rest, "events")
	f(`{"events": `+around()+`, "limit": 5`+rest, "limit")
	f(`{"events": {}`+rest, "events.from")
	f(`{"events": []`+rest, "events")
	f(`{"events": {"from": "2026-01-01"}`+rest, "events.to")
	f(`{"events": {"from": "2026-01-02", "to": "2026-01-01"}`+rest, "events.to")
	f(`{"events": {"from": "2001-01-02", "to": "2026-01-01"}`+rest, "events.from")
	f(`{"events": {"from": "2026-01-01'", "to": "2026-01-02"}`+rest, "events.from")
	f(`{"events": {"from": "2026-01-01", "to": "2026-01-02", "filter.model": "x"}`+rest,
		"events.filter.model")
	f(`{"query": {"from": "2026-01-01", "to": "2026-01-02", "tz": "Mars/Base"}`+rest, "query.tz")
	f(`{"query": {"from": "2026-01-01", "to": "2026-01-02", "format": "csv"}`+rest, "query.format")
	f(`{"query": {"from": "2026-01-01", "to": "2026-01-02", "top": 5}`+rest, "query.top")
	f(`{"query": {"from": "2026-01-01", "to": "2026-01-02", "group_by": "1; DROP TABLE x"}`+rest,
		"query.group_by")
	f(`{"events": `+around()+`, "destination": "x'); DROP TABLE exports --"`+rest, "destination")
	f(`{"events": `+around()+`, "destination": ""`+rest, "destination")
	f(`{"events": `+around()+`, "organization_id": "x"`+rest, "organization_id")
	if after := s.do("GET", "/v1/exports", ""); !bytes.Equal(before.Body, after.Body) {
		t.Errorf("bad requests made exports: %v", after)
	}
}
