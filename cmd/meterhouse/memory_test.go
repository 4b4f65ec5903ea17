package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// residentMax is what serve may take beside the engine, in MiB.
const residentMax = 512

// residentPeak returns the most memory that a process has had, in MiB.
func residentPeak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.Fields(kib)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n >> 10
		}
	}
	t.Fatal("the system does not tell a process's memory")
	return 0
}

// idle opens connections that send the beginning of a request and nothing more.
func idle(t *testing.T, p *program, n int, beginning string) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write([]byte(beginning)); err != nil {
			t.Fatal(err)
		}
	}
}

// keyed returns a batch of as many events as a request may have, each with a key.
func keyed(batch int) string {
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, `{"id":"%08x-%04x","model":"gpt-4o-mini","channel":"a channel of the web",`+
			`"usage":{"INPUT":1234,"OUTPUT":321}}`+"\n", batch, i)
	}
	return b.String()
}

// TestMemoryIsBounded has two organizations write large batches on 64 connections, and a thousand
// more that say nothing, stop in the middle of a body, or send what inflates to the limit.
func TestMemoryIsBounded(t *testing.T) {
	p := newProgram(t, twoCatalog)
	p.start()
	idle(t, p, 1000, "")
	const head = "POST /v1/events HTTP/1.1\r\nHost: m\r\nAgent-Secret-Key: greedy-secret\r\n"
	idle(t, p, 100, head+"Content-Length: 8000000\r\n\r\n"+strings.Repeat(" ", 60_000))
	idle(t, p, 100, head+"Transfer-Encoding: chunked\r\n\r\nffff\r\n"+strings.Repeat(" ", 60_000))
	greedy := greedySender(p)
	modest := newSender(p, "modest-secret", keyed(0))
	bombs := newSender(p, "modest-secret", bomb(t))
	bombs.encoding = "gzip"
	stops := []func(){greedy.start(48), modest.start(16), bombs.start(8)}
	for batch, end := 1, time.Now().Add(6*time.Second); time.Now().Before(end); batch++ {
		more := newSender(p, "modest-secret", keyed(batch))
		more.send(t.Context())
		more.client.CloseIdleConnections()
	}
	for _, stop := range stops {
		stop()
	}
	peak := residentPeak(t, p.cmd.Process.Pid)
	t.Logf("%d MiB at most; %d and %d batches were accepted, %d and %d refused", peak,
		greedy.accepted.Load(), modest.accepted.Load(), greedy.refused.Load(), modest.refused.Load())
	if peak >= residentMax {
		t.Errorf("serve took %d MiB, and %d is the bound", peak, residentMax)
	}
	p.stop()
}

// bomb returns a small body that inflates to the limit, a batch of events of which none is good.
func bomb(t *testing.T) string {
	t.Helper()
	return gzipped(strings.Repeat(`{"usage":{"INPUT":1},"x":"`+strings.Repeat("y", 800)+"\"}\n", 9900))
}
