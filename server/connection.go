package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// listener hands out connections that know whether their client has ended its side.
type listener struct {
	net.Listener
	tls *tls.Config // nil: what comes is not encrypted
}

func newListener(l net.Listener, config *tls.Config) listener { return listener{l, config} }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.tls == nil {
		return &connection{Conn: c, raw: c}, nil
	}
	// The handshake comes with the first read, in the connection's own goroutine and time.
	return &connection{Conn: tls.Server(c, l.tls), raw: c}, nil
}

// connection is read by one goroutine at a time, which is also who asks Ended.
type connection struct {
	net.Conn
	raw   net.Conn // below TLS, or the same
	ended bool
	held  atomic.Pointer[func()]
}

// Hold calls give when the answer that is being made has been written: when the next request is
// read, or the connection is closed. See dialect.Client.
func (c *connection) Hold(give func()) {
	if before := c.held.Swap(&give); before != nil {
		(*before)()
	}
}

func (c *connection) letGo() {
	if give := c.held.Swap(nil); give != nil {
		(*give)()
	}
}

// Close implements net.Conn.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.letGo()
	return err
}

func (c *connection) Read(p []byte) (int, error) {
	c.letGo()
	n, err := c.Conn.Read(p)
	c.ended = errors.Is(err, io.EOF)
	if err != nil && !c.ended && c.raw != c.Conn {
		sayTLS(err)
	}
	return n, err
}

// sayTLS answers who speaks HTTP where TLS is spoken, as far as its first bytes tell.
func sayTLS(err error) {
	var e tls.RecordHeaderError
	if !errors.As(err, &e) || e.Conn == nil {
		return
	}
	switch string(e.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO":
		_, _ = io.WriteString(e.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"+
			"Content-Type: text/plain\r\nContent-Length: 36\r\n\r\n"+
			"this port speaks TLS: use https://.\n") // to one who will not come back on it
	}
}

// Ended reports whether more was asked of the client than it sent. See dialect.Stream.
func (c *connection) Ended() bool { return c.ended }

// Gone reports whether the client has closed its side and sent nothing more. See dialect.Waiting.
// It takes nothing off the connection, and does not wait.
func (c *connection) Gone() bool {
	conn, ok := c.raw.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return errors.Is(err, net.ErrClosed)
	}
	gone := false
	_ = raw.Read(func(fd uintptr) bool { // its error is a deadline's, which says nothing of the client
		var next [tlsHeader]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && err == nil || errors.Is(err, syscall.ECONNRESET) ||
			c.raw != c.Conn && isAlert(next[:max(n, 0)])
		return true
	})
	return gone
}

// Of a TLS record: its header, and the types and lengths that matter here.
const (
	tlsHeader      = 5
	typeAlert      = 21 // before TLS 1.3
	typeEncrypted  = 23 // the type of everything in TLS 1.3
	encryptedAlert = 19 // bytes: level, description, type, and the 16 of the seal
)

// isAlert reports whether what comes next on a TLS connection is an alert: the client closes it, and
// the end of the connection is behind that. No request is a record of two bytes.
func isAlert(next []byte) bool {
	if len(next) < tlsHeader {
		return false
	}
	return next[0] == typeAlert ||
		next[0] == typeEncrypted && int(next[3])<<8|int(next[4]) == encryptedAlert
}
