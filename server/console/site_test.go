package console

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// app serves a built page.
func app(t *testing.T, c Config) *fiber.App {
	t.Helper()
	c.Now = time.Now
	page, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	a := fiber.New(fiber.Config{ErrorHandler: dialect.WriteProblem})
	page.Mount(a)
	return a
}

func ask(t *testing.T, a *fiber.App, method, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := a.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

var (
	script = []byte(strings.Repeat("export const a = 'meterhouse'\n", 200))
	built  = fstest.MapFS{
		".keep":                  {},
		"index.html":             {Data: []byte("<!doctype html><script src=/assets/a-1.js></script>")},
		"favicon.svg":            {Data: []byte("<svg/>")},
		"assets/a-1.js":          {Data: script},
		"assets/a-1.unheard-of":  {Data: []byte("x")},
		"assets/deeper/b-2.css":  {Data: []byte("a{}")},
		"assets/.hidden/c-3.css": {Data: []byte("a{}")},
	}
)

func TestFilesAreServed(t *testing.T) {
	a := app(t, Config{Files: built})
	const immutable = "public, max-age=31536000, immutable"
	f := func(path, media, cache string) {
		t.Helper()
		for _, method := range []string{"GET", "HEAD"} {
			got, body := ask(t, a, method, path)
			if got.StatusCode != 200 || got.Header.Get("Content-Type") != media ||
				got.Header.Get("Cache-Control") != cache || (method == "GET") != (len(body) > 0) {
				t.Errorf("%s %s: %d %v", method, path, got.StatusCode, got.Header)
			}
			tag := got.Header.Get("ETag")
			again, body := ask(t, a, method, path, "If-None-Match", `W/"x", `+tag)
			if again.StatusCode != 304 || len(body) > 0 || again.Header.Get("ETag") != tag {
				t.Errorf("%s %s again: %d %v", method, path, again.StatusCode, again.Header)
			}
		}
	}
	f("/", "text/html; charset=utf-8", "no-cache")
	f("/favicon.svg", "image/svg+xml", "public, max-age=86400")
	f("/assets/a-1.js", "text/javascript; charset=utf-8", immutable)
	f("/assets/deeper/b-2.css", "text/css; charset=utf-8", immutable)
	f("/assets/a-1.unheard-of", "application/octet-stream", immutable)
	for _, path := range []string{
		"/assets/", "/assets/a-2.js", "/assets/../index.html", "/assets/%2e%2e/index.html",
		"/assets/.keep", "/assets/a-1.js/", "/ASSETS/a-1.js", "/index.html", "/.keep",
	} {
		got, body := ask(t, a, "GET", path)
		if got.StatusCode != 404 || strings.Contains(string(body), "doctype") {
			t.Errorf("%s: %d %s", path, got.StatusCode, body)
		}
	}
}

// TestFilesAreSentShort asks with every form of Accept-Encoding.
func TestFilesAreSentShort(t *testing.T) {
	a := app(t, Config{Files: built})
	tags := make(map[string]string)
	f := func(accept, want string) {
		t.Helper()
		got, body := ask(t, a, "GET", "/assets/a-1.js", "Accept-Encoding", accept)
		encoding := got.Header.Get("Content-Encoding")
		if encoding != want || got.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: %v", accept, got.Header)
		}
		var r io.Reader = bytes.NewReader(body)
		switch encoding {
		case "br":
			r = brotli.NewReader(r)
		case "gzip":
			var err error
			if r, err = gzip.NewReader(r); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(text, script) || encoding != "" && len(body) >= len(script) {
			t.Errorf("%s: %d bytes of %d, %v", encoding, len(body), len(script), err)
		}
		if other, ok := tags[got.Header.Get("ETag")]; ok && other != encoding {
			t.Errorf("%q and %q have one ETag", other, encoding)
		}
		tags[got.Header.Get("ETag")] = encoding
	}
	f("", "")
	f("identity", "")
	f("gzip", "gzip")
	f("gzip, deflate, br, zstd", "br")
	f("br;q=0.5, gzip;q=1", "br")
	f("BR", "br")
	f("br;q=0, gzip", "gzip")
	f("br; q=0.000, gzip ; q=0.1", "gzip")
	f("brotli, x-gzip", "")
	got, _ := ask(t, a, "GET", "/favicon.svg", "Accept-Encoding", "gzip")
	if len(got.Header["Content-Encoding"]) > 0 {
		t.Error("a file of six bytes is sent as more")
	}
}

// TestEveryAnswerIsGuarded asks every route, also for what fails.
func TestEveryAnswerIsGuarded(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "meter.example"}
	for _, secure := range []bool{false, true} {
		c := Config{Files: built}
		if secure {
			c.PublicURL = public
		}
		a := app(t, c)
		for _, r := range []struct {
			method, path string
			status       int
		}{
			{"GET", "/", 200}, {"GET", "/assets/a-1.js", 200}, {"GET", "/assets/none", 404},
			{"GET", "/favicon.svg", 200}, {"GET", "/console/session", 401},
			{"POST", "/console/session", 415}, {"DELETE", "/console/session", 204},
		} {
			got, _ := ask(t, a, r.method, r.path)
			if got.StatusCode != r.status {
				t.Errorf("%s %s: %d", r.method, r.path, got.StatusCode)
			}
			csp := got.Header.Get("Content-Security-Policy")
			if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") ||
				strings.Contains(csp, "*") || !strings.Contains(csp, "frame-ancestors 'none'") {
				t.Errorf("%s %s: %s", r.method, r.path, csp)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got.Header.Get(name) != want {
					t.Errorf("%s %s: %s %q", r.method, r.path, name, got.Header.Get(name))
				}
			}
			if (got.Header.Get("Strict-Transport-Security") != "") != secure ||
				got.Header.Get("Permissions-Policy") == "" {
				t.Errorf("%s %s: %v", r.method, r.path, got.Header)
			}
		}
	}
}

func TestWithoutABuildThePageSaysSo(t *testing.T) {
	a := app(t, Config{Files: fstest.MapFS{".keep": {}}})
	got, body := ask(t, a, "GET", "/")
	if got.StatusCode != 200 || !strings.Contains(string(body), "make web") ||
		got.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %v %s", got.StatusCode, got.Header, body)
	}
	if got, _ := ask(t, a, "GET", "/favicon.svg"); got.StatusCode != 404 {
		t.Errorf("the icon: %d", got.StatusCode)
	}
}

// TestPageNeedsNoInlineScript holds what was built, where it was, against the policy.
func TestPageNeedsNoInlineScript(t *testing.T) {
	s, err := embedded()
	if err != nil {
		t.Fatal(err)
	}
	if s.index == nil {
		return // go test without make web: there is no page to look at
	}
	page := string(s.index.plain.body)
	for _, inline := range []string{"<script>", "<style", " style=", " onload=", " onclick=", "javascript:"} {
		if strings.Contains(page, inline) {
			t.Errorf("the page has %s, which its policy forbids", inline)
		}
	}
	total := 0
	for _, f := range s.files {
		least := len(f.plain.body)
		for _, c := range f.coded {
			least = min(least, len(c.body))
		}
		total += least
	}
	const bytesMax = 400 << 10
	if total > bytesMax {
		t.Errorf("the page's files come to %d bytes, more than %d", total, bytesMax)
	}
}
