package dialecttest

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// headers sends too many, too long and contradictory ones.
func (r *runner) headers(t *testing.T) {
	r.unchanged(t, func() {
		for _, route := range r.Routes {
			own := r.own(route)
			tooLong := []Request{
				own.With("X-Long", strings.Repeat("a", 16<<10)),
				own.With("Cookie", strings.Repeat("a=b; ", 8<<10)),
				own.With(slices.Repeat([]string{"X-Many", "many"}, 2000)...),
				own.With(strings.Repeat("X", 17<<10), "long name"),
				{Method: own.Method, Path: own.Path + "/" + strings.Repeat("a", 20<<10)},
			}
			for i, request := range tooLong {
				got := r.h.Raw(t, request.Method, request.Bytes())
				if len(got) != 1 || got[0].Status != http.StatusRequestHeaderFieldsTooLarge &&
					got[0].Status != http.StatusOK {
					t.Errorf("%s, long header %d: %v", route.Name, i, got)
				}
			}
			for _, line := range []string{
				"Content-Length: -1", "Content-Length: +5", "Content-Length: 5x", "Content-Length: ",
				"Content-Length: 99999999999999999999", "Content-Length: 0x10", "Content-Length: 1 2",
				"No-Colon", "Space : before",
			} {
				sent := bytes.Replace(own.Bytes(), []byte("Host: localhost"), []byte(line), 1)
				for _, got := range r.h.Raw(t, own.Method, sent, lastRequest) {
					if !isLast(got) && (ok(r.Outcome(got)) || got.Status >= 500) {
						t.Errorf("%s, %q: %v", route.Name, line, got)
					}
				}
			}
		}
	})
	for _, route := range r.Routes {
		for _, line := range []string{
			" Leading: space", ": empty", "X-Nul: a\x00b", "\x00: x", "X-Line: a\rb", "X: \xff",
		} {
			sent := bytes.Replace(r.own(route).Bytes(), []byte("Host: localhost"), []byte(line), 1)
			for _, got := range r.h.Raw(t, r.own(route).Method, sent, lastRequest) {
				if got.Status >= 500 {
					t.Errorf("%s, %q: %v", route.Name, line, got)
				}
			}
		}
	}
	for _, route := range r.Routes { // the first of two credentials counts, or none does
		own := r.own(route)
		for _, name := range []string{"Authorization", "Agent-Secret-Key"} {
			for _, value := range []string{"", "Bearer", "Bearer  ", "Bearer x", "Basic eDp5", "bearer\tx"} {
				got := r.h.Do(t, own.With(name, value))
				r.expect(t, route.Name+" with two credentials", got, route.Want, r.Unauthenticated)
			}
		}
	}
}

// smuggled is a good request of 512 bytes, so that wherever a server stops reading a body that is
// full of them, the next one starts at a power of two.
func (h *Harness) smuggled(t *testing.T) string {
	t.Helper()
	const size = 512
	for pad := 0; ; pad++ {
		b := Request{
			Method: "POST", Path: "/v1/events",
			Header: []string{
				"Authorization", "Bearer " + h.Acme.Admin.AccessToken, "X", strings.Repeat("p", pad),
			},
			Body: `{"usage":{"SMUGGLED":1}}`,
		}.Bytes()
		if len(b) == size {
			return string(b)
		}
		if len(b) > size {
			t.Fatal("the smuggled request is too long")
		}
	}
}

// smuggling refuses requests early, for every reason there is, with bodies that are requests
// themselves: none of them may ever be read as one.
func (r *runner) smuggling(t *testing.T) {
	inner := r.h.smuggled(t)
	r.unchanged(t, func() {
		for i, route := range r.Routes {
			for what, early := range r.refused(route, i == 0) {
				for _, size := range []int{512, 16 << 10} {
					body := strings.Repeat(inner, size/len(inner))
					for framing, sent := range framings(early, body) {
						r.outOfSync(t, fmt.Sprintf("%s, %s, %d bytes, %s",
							route.Name, what, size, framing), early.Method, sent)
					}
				}
			}
			early := r.own(route)
			early.Body = strings.Repeat(inner, (schema.RequestBytesMax+1<<20)/len(inner))
			r.outOfSync(t, route.Name+", too large", early.Method, early.Bytes())
		}
	})
}

// refused returns requests of a route that are answered before their body is read, or after; with
// strays, those of no route as well.
func (r *runner) refused(route Route, strays bool) map[string]Request {
	own := r.own(route)
	stranger := route.Request(Secret{route.Kinds[0], uuid.NewString()}, r.h.Acme)
	refused := map[string]Request{
		"an unknown credential": stranger,
		"a body of requests":    own,
		"a form":                stranger.With("Content-Type", "multipart/form-data; boundary=x"),
	}
	if route.Body != nil {
		refused["an encoding"] = own.With("Content-Encoding", "br")
		refused["no gzip"] = own.With("Content-Encoding", "gzip")
		refused["a media type"] = own.With("Content-Type", "text/plain")
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "FOO", "PRI"} {
		if method != own.Method {
			other := stranger
			other.Method = method
			refused[method] = other
		}
	}
	if strays {
		refused["no route"] = Request{Method: own.Method, Path: r.Unknown}
		refused["nobody's path"] = Request{Method: "POST", Path: "/nobody"}
		refused["healthz"] = Request{Method: "GET", Path: "/healthz"}
	}
	return refused
}

// framings returns a request with a body in each way a body can travel.
func framings(r Request, body string) map[string][]byte {
	r.Body = body
	chunk := func(size int) string {
		var b strings.Builder
		for rest := body; rest != ""; {
			n := min(size, len(rest))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		return b.String() + "0\r\n\r\n"
	}
	one, many := r.With("Transfer-Encoding", "chunked"), r.With("Transfer-Encoding", "chunked")
	one.Body, many.Body = chunk(len(body)), chunk(512)
	return map[string][]byte{
		"length":         r.Bytes(),
		"expecting":      r.With("Expect", "100-continue").Bytes(),
		"one chunk":      one.Bytes(),
		"chunks":         many.Bytes(),
		"expect, chunks": many.With("Expect", "100-continue").Bytes(),
	}
}

// outOfSync sends a request and then the last one, and fails when the server saw anything else.
func (r *runner) outOfSync(t *testing.T, what, method string, sent []byte) {
	t.Helper()
	got := r.h.Raw(t, method, sent, lastRequest)
	switch {
	case len(got) == 0:
		t.Errorf("%s: no answer", what)
	case len(got) > 2 || len(got) == 2 && !isLast(got[1]):
		t.Errorf("%s: a part of the body was read as a request: %d answers, %v",
			what, len(got), got[:2])
	case got[0].Status >= http.StatusInternalServerError:
		t.Errorf("%s: %v", what, got[0])
	}
}

// framing sends requests whose end is a matter of opinion: a proxy in front may have another.
func (r *runner) framing(t *testing.T) {
	inner := r.h.smuggled(t)
	r.unchanged(t, func() {
		for _, route := range r.Routes {
			own := r.own(route)
			own.Body = ""
			for _, lines := range [][]string{
				{"Content-Length: 0", "Content-Length: 512"},
				{"Content-Length: 512", "Content-Length: 0"},
				{"Content-Length: 0", "Transfer-Encoding: chunked"},
				{"Transfer-Encoding: chunked", "Content-Length: 0"},
				{"Content-Length: 0", "Transfer-Encoding: identity"},
				{"Transfer-Encoding: xchunked"}, {"Transfer-Encoding: identity"},
				{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"},
				{"Transfer-Encoding: identity, chunked"}, {"Transfer-Encoding: chunked, identity"},
				{"Transfer-Encoding: gzip, chunked"}, {"Transfer-Encoding:\r\n chunked"},
				{"Content-Length: 0", "Transfer-Encoding:\r\n chunked"},
				{"Content-Length: 0", "transfer-encoding: CHUNKED"},
				{"Content-Length: 0, 512"}, {"Content-Length: 512, 512"},
			} {
				head := string(own.With("X-Last", "x").Bytes())
				head = strings.Replace(head, "X-Last: x", strings.Join(lines, "\r\n"), 1)
				// The chunked reading of it is one empty body, the other ones differ.
				got := r.h.Raw(t, own.Method, []byte(head+"0\r\n\r\n"+inner), lastRequest)
				if len(got) != 1 || ok(r.Outcome(got[0])) || got[0].Status >= 500 {
					t.Errorf("%s, %q: %d answers, want a refusal and the end: %v",
						route.Name, lines, len(got), got)
				}
			}
			own = own.With("Transfer-Encoding", "chunked")
			for _, chunks := range []string{
				"-1\r\n", "0x5\r\n", "ffffffffffffffffff\r\n", "5\n12345\n0\n\n", "zz\r\n", "\r\n",
				"5\r\n123456\r\n", "7fffffffffffffff\r\n", "+5\r\n12345\r\n", " 5\r\n12345\r\n",
			} {
				own.Body = chunks + inner
				for i, got := range r.h.Raw(t, own.Method, own.Bytes(), lastRequest) {
					if ok(r.Outcome(got)) && route.Body != nil || i > 0 || got.Status >= 500 {
						t.Errorf("%s, chunks %q: answer %d is %v", route.Name, chunks, i, got)
					}
				}
			}
		}
	})
}

// disconnects ends connections before the request's end, though what came is a good body already.
func (r *runner) disconnects(t *testing.T) {
	for _, route := range r.writing() {
		r.unchanged(t, func() {
			own := r.own(route)
			own.Body += strings.Repeat("\n", 40_000)
			zipped := own.With("Content-Encoding", "gzip")
			zipped.Body = gzipped(r.own(route).Body)
			zipped.Body += gzipped(strings.Repeat("\n", 20_000) + uuid.NewString())
			for framing, whole := range framings(own, own.Body) {
				last := 1
				if strings.Contains(framing, "chunk") {
					last = len("0\r\n\r\n") // what it ends is whole: no more of it may be missing
				}
				r.cutOff(t, route.Name+", "+framing, whole, len(whole)-last, len(whole)-20_000,
					len(whole)-39_000, 200)
			}
			for framing, whole := range framings(zipped, zipped.Body) {
				r.cutOff(t, route.Name+", gzip, "+framing, whole, len(whole)-5, len(whole)-20)
			}
			whole := r.own(route).Bytes()
			r.cutOff(t, route.Name, whole, len(whole)-1, len(whole)/2, 20, 1)
			lines := own.With("Content-Type", "application/x-ndjson")
			lines.Body = strings.Repeat(r.own(route).Body+"\n", 1000)
			at := len(lines.Bytes()) - len(lines.Body)/2
			r.cutOff(t, route.Name+", lines", lines.Bytes(), at)
		})
		r.halfClosed(t, route)
	}
}

// halfClosed sends whole requests and ends the sending half of the connection, as netcat does.
func (r *runner) halfClosed(t *testing.T, route Route) {
	own := r.own(route)
	own.Body += strings.Repeat("\n", 40_000)
	for framing, whole := range framings(own, own.Body) {
		c := r.h.Dial(t)
		if _, err := c.Write(whole); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, _ := c.Next(http.MethodPost)
		r.expect(t, route.Name+", "+framing+", half closed", got, route.Want)
		_ = c.Close()
	}
}

// cutOff sends the first bytes of a request, for each number of them, and ends the sending half of
// the connection, then all of it.
func (r *runner) cutOff(t *testing.T, what string, whole []byte, lengths ...int) {
	t.Helper()
	for _, n := range lengths {
		half := r.h.Dial(t)
		if _, err := half.Write(whole[:n]); err != nil {
			t.Fatal(err)
		}
		if err := half.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, answered := half.Next(http.MethodPost); answered &&
			(ok(r.Outcome(got)) || got.Status >= 500) {
			t.Errorf("%s, %d of %d bytes: %v", what, n, len(whole), got)
		}
		_ = half.Close()
		gone := r.h.Dial(t)
		if _, err := gone.Write(whole[:n]); err != nil {
			t.Fatal(err)
		}
		_ = gone.SetLinger(0) // a reset
		_ = gone.Close()
	}
}

// slowSender holds a request back while others are served, and ends it then.
func (r *runner) slowSender(t *testing.T) {
	for _, route := range r.Routes {
		const slow = 8
		var senders []*Conn
		var rests [][]byte
		for i := range slow {
			whole := r.own(route).With("Connection", "close").Bytes()
			c := r.h.Dial(t)
			senders, rests = append(senders, c), append(rests, whole[len(whole)*(i+1)/(slow+1):])
			if _, err := c.Write(whole[:len(whole)*(i+1)/(slow+1)]); err != nil {
				t.Fatal(err)
			}
		}
		r.expect(t, route.Name, r.h.Do(t, r.own(route)), route.Want)
		before := r.h.Accepted(t)
		for i, c := range senders {
			if _, err := c.Write(rests[i]); err != nil {
				t.Fatal(err)
			}
			got, answered := c.Next(http.MethodPost)
			if !answered {
				t.Fatalf("%s: no answer to sender %d", route.Name, i)
			}
			r.expect(t, route.Name, got, route.Want)
			_ = c.Close()
		}
		if added := r.h.Accepted(t) - before; route.Body != nil && added != slow {
			t.Errorf("%s: %d events of %d slow senders", route.Name, added, slow)
		}
	}
}
