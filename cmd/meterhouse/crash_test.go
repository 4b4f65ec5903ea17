package main

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"
)

// stableAddress returns a free address whose port the kernel hands to nobody: not to another
// listener while serve is down, nor to a client that dials serve's own port and meets itself.
func stableAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := "127.0.0.1:" + strconv.Itoa(12_000+rand.IntN(18_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// moment waits a random time, so that what comes next happens at any moment.
func moment(r *rand.Rand, from, to time.Duration) {
	time.Sleep(from + time.Duration(r.Int64N(int64(to-from))))
}

// TestCrashLosesNothing kills serve and its engine under load, again and again.
func TestCrashLosesNothing(t *testing.T) {
	const kills = 10
	r := newRand(t)
	p := newProgram(t, demoCatalog)
	p.address = stableAddress(t)
	p.start()
	l := newLoad(p)
	l.start(r)
	for i := range kills {
		moment(r, 50*time.Millisecond, time.Second)
		if i%2 == 0 {
			p.kill()
			p.start()
			continue
		}
		process, err := p.engineProcess()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	l.wantProgress(3)
	l.stop()
	p.waitStored()
	l.check(p, p.clickhouse())
	p.stop()
}
