package server

import (
	"math"
	"net"
	"sync/atomic"
	"time"
)

// punctual is a listener whose connections take note of their deadlines and set one only before
// they may wait. fasthttp moves three of them a request, which took a twentieth of the request's
// time; of a connection that is busy hardly any is ever needed.
type punctual struct {
	net.Listener
	since time.Time // what deadlines are counted from
}

func newPunctual(l net.Listener) punctual { return punctual{l, time.Now()} }

func (l punctual) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c, nil
	}
	p := &punctualConn{TCPConn: tcp, since: l.since}
	p.read.init()
	p.write.init()
	return p, nil
}

// punctualConn is read by one goroutine at a time, and written by one. A deadline counts from the
// next Read or Write on, not for one that is under way.
type punctualConn struct {
	*net.TCPConn
	since       time.Time
	read, write deadline
}

func (c *punctualConn) Read(p []byte) (int, error) {
	if at, due := c.read.due(); due {
		if err := c.TCPConn.SetReadDeadline(c.at(at)); err != nil {
			return 0, err
		}
	}
	return c.TCPConn.Read(p)
}

func (c *punctualConn) Write(p []byte) (int, error) {
	if at, due := c.write.due(); due {
		if err := c.TCPConn.SetWriteDeadline(c.at(at)); err != nil {
			return 0, err
		}
	}
	return c.TCPConn.Write(p)
}

func (c *punctualConn) SetReadDeadline(t time.Time) error {
	c.read.asked.Store(int64(t.Sub(c.since)))
	return nil
}

func (c *punctualConn) SetWriteDeadline(t time.Time) error {
	c.write.asked.Store(int64(t.Sub(c.since)))
	return nil
}

func (c *punctualConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// noDeadline is what the zero time is, as far before any other as there can be.
const noDeadline = math.MinInt64

func (c *punctualConn) at(asked int64) time.Time {
	if asked == noDeadline {
		return time.Time{}
	}
	return c.since.Add(time.Duration(asked))
}

// deadlineStep is how much earlier than asked a deadline may come.
const deadlineStep = int64(time.Second)

// deadline is one that was asked for, in nanoseconds, and the one that is set.
type deadline struct {
	asked atomic.Int64 // TLS asks for one when it is closed, by whoever closes it
	set   int64
}

func (d *deadline) init() {
	d.asked.Store(noDeadline)
	d.set = noDeadline
}

// due returns the deadline that was asked for, and whether it must be set before something waits:
// one that is set too late, or too early by more than deadlineStep.
func (d *deadline) due() (int64, bool) {
	asked := d.asked.Load()
	switch {
	case asked == d.set:
		return asked, false
	case d.set != noDeadline && asked >= d.set && asked < d.set+deadlineStep:
		return asked, false
	}
	d.set = asked
	return asked, true
}
