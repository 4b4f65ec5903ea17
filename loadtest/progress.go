package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	progressEveryTerminal = 200 * time.Millisecond
	progressEveryPlain    = 5 * time.Second
	progressColumns       = 79
)

// progress shows one changing line: rewritten in place on a terminal, else printed every few
// seconds. It starts with startProgress and must be stopped before anything else is printed.
type progress struct {
	w        io.Writer
	terminal bool
	line     func() string
	quit     chan struct{}
	finished sync.WaitGroup
}

// startProgress shows line() until stop. line is called by one goroutine at a time.
func startProgress(w io.Writer, terminal bool, every time.Duration, line func() string) *progress {
	p := &progress{w: w, terminal: terminal, line: line, quit: make(chan struct{})}
	p.finished.Go(func() { p.loop(every) })
	return p
}

// progressEvery is how often a line changes.
func progressEvery(terminal bool) time.Duration {
	if terminal {
		return progressEveryTerminal
	}
	return progressEveryPlain
}

func (p *progress) loop(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.show()
		case <-p.quit:
			return
		}
	}
}

func (p *progress) show() {
	if p.terminal {
		// A line that wraps could not be rewritten. Erase to the end: the last may have been longer.
		fmt.Fprintf(p.w, "\r%.*s\x1b[K", progressColumns, p.line())
		return
	}
	fmt.Fprintln(p.w, p.line())
}

// stop ends the line; on a terminal it is erased, for the results say it again.
func (p *progress) stop() {
	close(p.quit)
	p.finished.Wait()
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// A meter turns a growing count into a rate, smoothed over the last few readings.
type meter struct {
	at    time.Time
	count int64
	rate  float64 // a second
}

func (m *meter) update(now time.Time, count int64) float64 {
	elapsed := now.Sub(m.at).Seconds()
	if m.at.IsZero() || elapsed <= 0 {
		m.at, m.count = now, count
		return m.rate
	}
	latest := float64(count-m.count) / elapsed
	if m.rate == 0 {
		m.rate = latest
	} else {
		m.rate += (latest - m.rate) / 4
	}
	m.at, m.count = now, count
	return m.rate
}
