package dialecttest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Conn is a client that writes bytes, whatever they mean.
type Conn struct {
	*net.TCPConn
	t      testing.TB
	reader *bufio.Reader
}

// Dial opens a connection. It is closed when the test ends, at the latest.
func (n *Node) Dial(t testing.TB) *Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", n.Address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &Conn{c.(*net.TCPConn), t, bufio.NewReader(c)}
}

// Next returns the next answer, to a request with this method; false when there is none because
// the server has closed the connection.
func (c *Conn) Next(method string) (Response, bool) {
	c.t.Helper()
	answer, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	for err == nil && answer.StatusCode == http.StatusContinue {
		answer, err = http.ReadResponse(c.reader, &http.Request{Method: method})
	}
	if err != nil {
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			c.t.Fatalf("no answer, and the connection stays open")
		}
		return Response{}, false
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatalf("half an answer: %v", err)
	}
	return Response{answer.StatusCode, answer.Header, body}, true
}

// Raw sends bytes on a connection of their own and returns every answer until the server closes
// it. The first answer is to a request with this method, the others to GETs. What is sent has to
// make the server close in the end: lastRequest does.
func (n *Node) Raw(t testing.TB, method string, sent ...[]byte) []Response {
	t.Helper()
	c := n.Dial(t)
	defer c.Close()
	written := make(chan struct{})
	go func() {
		defer close(written)
		for _, b := range sent {
			if _, err := c.Write(b); err != nil {
				return // the server has closed: its answers tell why
			}
		}
	}()
	var all []Response
	for {
		r, ok := c.Next(method)
		if !ok {
			break
		}
		all = append(all, r)
		method = http.MethodGet
	}
	_ = c.Close()
	<-written
	if len(all) > 0 {
		conforms(t, bytes.Join(sent, nil), all[0])
	}
	return all
}

// conforms checks the answer to a request that was sent as bytes, where those are a request: what
// is none has no path that could tell the answer's form. A 400 may say just that.
func conforms(t testing.TB, sent []byte, got Response) {
	t.Helper()
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
	if err != nil || got.Status == http.StatusBadRequest {
		return
	}
	if err := Conforms(request.Method, request.RequestURI, got); err != nil {
		t.Errorf("%v: %v", err, got)
	}
}

// lastRequest is answered with "ok", and then the server closes the connection.
var lastRequest = Request{
	Method: http.MethodGet, Path: "/healthz", Header: []string{"Connection", "close"},
}.Bytes()

func isLast(r Response) bool { return r.Status == http.StatusOK && string(r.Body) == "ok\n" }
