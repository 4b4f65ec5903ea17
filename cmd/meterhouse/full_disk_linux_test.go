package main

import (
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// mayWrite lets a running process write to files up to a size only, any size again when negative:
// a disk that is full for it and nobody else, and for whoever the test runs as.
func mayWrite(t *testing.T, pid int, bytes int64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: uint64(bytes), Max: ^uint64(0)}
	_, _, errno := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatalf("prlimit: %v", errno)
	}
}

// TestFullDisk: while serve can write nothing, writers are told to come back, nothing is taken of
// what they sent, and reads go on; when it can, it goes on by itself, and everything is there once.
func TestFullDisk(t *testing.T) {
	p := newProgram(t, demoCatalog)
	p.start()
	const agent = "42345678-1234-4234-8234-123456789012"
	const event = `{"agent_id":"` + agent + `","usage":{"INPUT":1}}`
	asJSON := []string{"Content-Type", "application/json"}
	write := func(query string) {
		t.Helper()
		p.native("POST", query, event, http.StatusCreated, nil, asJSON...)
	}
	write("?wait=stored")

	mayWrite(t, p.cmd.Process.Pid, 0)
	for range 5 {
		r := p.native("POST", "", event, http.StatusServiceUnavailable, nil, asJSON...)
		if after, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || after < 1 {
			t.Errorf("Retry-After %q on a full disk", r.header.Get("Retry-After"))
		}
	}
	if r := p.do("GET", "/readyz", ""); r.status != http.StatusServiceUnavailable {
		t.Errorf("readyz on a full disk: %d", r.status)
	}
	if got := p.inputOf(agent); got != 1 {
		t.Errorf("%d tokens are read on a full disk, want 1", got)
	}
	if !strings.Contains(p.stderrText(), "log cannot be written") {
		t.Error("the operator is not told")
	}
	mayWrite(t, p.cmd.Process.Pid, -1)
	eventually(t, "writes are taken again", func() bool {
		return p.do("GET", "/readyz", "").status == http.StatusOK
	})
	write("?wait=stored")

	if got := p.inputOf(agent); got != 2 {
		t.Errorf("%d tokens in the end, want 2", got)
	}
	p.verify()
	p.stop()
}
