package server

import (
	"errors"
	"io"
	"net"
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
