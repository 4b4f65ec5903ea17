package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	memoryMax   = 512 << 20 // of the server's own process, as the design asks
	memoryEvery = time.Second
)

// A memoryWatch notes the most resident memory that the server says it has, in bytes.
type memoryWatch struct {
	most atomic.Int64 // 0: it did not say
	stop context.CancelFunc
	done chan struct{}
}

// watchMemory asks the server's metrics until stopped. A server that has none is not asked for
// them: the line is then left out.
func watchMemory(ctx context.Context, c *client) *memoryWatch {
	ctx, cancel := context.WithCancel(ctx)
	w := &memoryWatch{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for {
			if now, ok := residentMemory(c); ok && now > w.most.Load() {
				w.most.Store(now)
			}
			if pause(ctx, memoryEvery) != nil {
				return
			}
		}
	}()
	return w
}

// end stops watching and returns the most there was, in bytes; 0 if the server did not say.
func (w *memoryWatch) end() int64 {
	w.stop()
	<-w.done
	return w.most.Load()
}

// residentMemory returns process_resident_memory_bytes of the server's metrics.
func residentMemory(c *client) (int64, bool) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(c.base + "/metrics")
	if c.do(req, resp) != nil || resp.StatusCode() != fasthttp.StatusOK {
		return 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(resp.Body()))
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "process_resident_memory_bytes ")
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		return int64(n), err == nil && n > 0
	}
	return 0, false
}

// memoryLine is the table's last line; empty if the server did not say.
func memoryLine(most int64) string {
	if most == 0 {
		return ""
	}
	return fmt.Sprintf("| memory of `serve` during all of it, at most | %d MB | — | — | < %d MB "+
		"| — | — | — | — |\n", most>>20, memoryMax>>20)
}

// memoryMissed says that the server took more than it may; empty if not.
func memoryMissed(most int64) string {
	if most < memoryMax {
		return ""
	}
	return fmt.Sprintf("memory: %d MB is not below %d MB", most>>20, memoryMax>>20)
}
