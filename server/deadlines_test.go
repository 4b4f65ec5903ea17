package server

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// TestDeadlineIsSetWhenDue: with any later one taken for set, what is asked later than a step is
// never set, and with an earlier one taken too, a slow sender's time does not end.
func TestDeadlineIsSetWhenDue(t *testing.T) {
	var d deadline
	d.init()
	step := deadlineStep
	f := func(asked int64, want bool) {
		t.Helper()
		d.asked.Store(asked)
		if at, due := d.due(); due != want || at != asked {
			t.Errorf("%d: %d, %v", asked, at, due)
		}
	}
	f(noDeadline, false)
	f(120*step, true)
	f(121*step-1, false) // of the next request
	f(121*step, true)
	f(121*step, false)
	f(121*step-1, true) // earlier
	f(60*step, true)
	f(noDeadline, true)
	f(noDeadline, false)
}

// TestWhoeverWaitsIsEnded waits on a connection that had a later deadline, and one that had passed:
// with the calls in Read and Write left out, both wait for ever.
func TestWhoeverWaitsIsEnded(t *testing.T) {
	l := newPunctual(listen(t))
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := client.Write([]byte("asks")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	_ = c.SetDeadline(time.Now().Add(time.Hour))
	if n, err := c.Read(buf); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	_ = c.SetWriteDeadline(time.Now().Add(-time.Millisecond))
	if _, err := c.Write(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
	_ = c.SetDeadline(time.Time{})
	if _, err := c.Write(buf); err != nil {
		t.Errorf("write without a deadline: %v", err)
	}
}
