package server

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// listener hands out connections that know whether their client has ended its side.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c}, nil
}

// connection is read by one goroutine at a time, which is also who asks Ended.
type connection struct {
	net.Conn
	ended bool
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.ended = errors.Is(err, io.EOF)
	return n, err
}

// Ended reports whether more was asked of the client than it sent. See dialect.Stream.
func (c *connection) Ended() bool { return c.ended }

// Gone reports whether the client has closed its side and sent nothing more. See dialect.Waiting.
// It takes nothing off the connection, and does not wait.
func (c *connection) Gone() bool {
	conn, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return errors.Is(err, net.ErrClosed)
	}
	gone := false
	_ = raw.Read(func(fd uintptr) bool { // its error is a deadline's, which says nothing of the client
		var next [1]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && err == nil || errors.Is(err, syscall.ECONNRESET)
		return true
	})
	return gone
}
