package main

import (
	"net/http"
	"syscall"
	"testing"
)

// TestStopUnderLoadLosesNothing stops serve while it is written to: with a healthy engine, and
// with one that has stopped to answer, to a reader as well.
func TestStopUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.address = stableAddress(t)
	p.start()
	l := newLoad(p)
	l.start(newRand(t))
	for range 2 {
		l.wantProgress(10)
		p.stop()
		p.start()
	}
	l.wantProgress(10)
	process, err := p.engineProcess()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		// Its answer is whatever serve has to say when it stops.
		answer, err := http.Get(p.url("/api/v2/MemoriConsumptionLogs/" + adaLogin + "/" +
			demoAgents[0] + "/Daily"))
		if err == nil {
			answer.Body.Close()
		}
	}()
	l.wantProgress(10)
	p.stop()
	<-read
	p.start()
	l.wantProgress(3)
	l.stop()
	l.check(p, p.clickhouse())
	p.stop()
}
