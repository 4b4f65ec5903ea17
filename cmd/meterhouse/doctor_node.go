package main

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/meterhouse/meterhouse/server/ingest"
)

func newPatient(c *config) *patient {
	return &patient{config: c, environment: os.Environ(), now: time.Now}
}

const (
	fsyncs   = 50
	slowSync = 20 * time.Millisecond // at the 99th percentile: what a write waits for, about twice
)

// checkData looks at the folder of the log: who waits for an acknowledgement waits for its disk.
func (p *patient) checkData() {
	dir := p.config.data
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		p.say("data", warning, "it is made when serve starts", "%s is not there", dir)
		return
	}
	took, err := syncTimes(dir)
	if err != nil {
		p.say("data", problem, "give it back to the user that runs serve, or make room", "%v", err)
		return
	}
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	if p99 > slowSync {
		p.say("data", warning, "put --data on a faster disk", "an fsync takes %s, %s at worst",
			p50.Round(time.Microsecond), p99.Round(time.Microsecond))
	} else {
		p.say("data", fine, "", "can be written; an fsync takes %s, %s at worst",
			p50.Round(time.Microsecond), p99.Round(time.Microsecond))
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		p.say("disk", problem, "look at the disk", "%v", err)
		return
	}
	blocks := min(s.Bavail, math.MaxInt64/uint64(s.Bsize))
	free := int64(blocks) * int64(s.Bsize) //nolint:gosec // bounded
	level, do := fine, ""
	if free < p.config.logLimit {
		level, do = warning, "make room, or lower --log-limit"
	}
	p.say("disk", level, do, "%d MiB free for a log of %d MiB at most", free>>20,
		p.config.logLimit>>20)
	if p.config.clickhouse == "" && level == fine {
		p.say("disk", fine, "", "the embedded engine is on the same disk: its merges and the log "+
			"share it")
	}
}

// syncTimes writes and fsyncs a small file of its own, and returns how long each time took, sorted.
func syncTimes(dir string) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	for i := range fsyncs {
		began := time.Now()
		if _, err := f.WriteAt(block, int64(i%8)*4096); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took, nil
}

// filesWanted is what connections, segments of the log and files of keys need.
const filesWanted = 8192 + 1024

func (p *patient) checkLimits() {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		if files.Max < filesWanted {
			p.say("limits", warning, "raise it (LimitNOFILE= of systemd)",
				"%d files may be open, %d connections need %d", files.Max, filesWanted-1024, filesWanted)
		} else {
			p.say("limits", fine, "", "%d files may be open", files.Max)
		}
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		return
	}
	if limit := debug.SetMemoryLimit(-1); limit < memoryGoal {
		p.say("limits", warning, "leave GOMEMLIMIT alone, or set 272MiB at least",
			"GOMEMLIMIT is %d MiB: the collector will take the processor", limit>>20)
	}
}

// checkLog reads the log beside a serve that may be running on it.
func (p *patient) checkLog() {
	runs, err := p.serveRuns()
	if err != nil {
		p.say("log", problem, "run doctor as the user that runs serve", "%v", err)
		return
	}
	state, err := ingest.Inspect(p.config.data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.say("log", fine, "", "there is none yet")
		return
	case err != nil:
		p.say("log", problem, "see docs/operations.md, what the log survives", "%v", err)
		return
	}
	with := "no serve runs on it"
	if runs {
		with = "a serve runs on it"
	}
	p.say("log", fine, "", "node %s, %s: %d entries wait, %d MiB", state.Node, with, state.Entries,
		state.Bytes>>20)
	if state.Whole < 2 {
		p.say("log", warning, "check the disk; serve writes it again", "one copy of its checkpoint "+
			"cannot be read")
	}
	if state.Bytes > p.config.logLimit/2 {
		p.say("log", warning, "see why ClickHouse takes nothing", "it is more than half full")
	}
	if _, err := os.Stat(filepath.Join(p.config.data, "keys", "manifest")); err != nil {
		p.say("keys", warning, "they are learned from the database when serve starts",
			"known keys are not there")
	}
	aside, err := ingest.Aside(p.config.data)
	if err != nil {
		p.say("aside", problem, "look at its folder", "%v", err)
	}
	for _, s := range aside {
		if s.Kind == ingest.KindBatch {
			p.say("aside", problem, "mend what the reason names, then `meterhouse replay`",
				"%d events of node %s wait: %s", s.Events, s.Node, s.Error)
		}
		if s.Kind == ingest.KindDamage {
			p.say("aside", warning, "check the disk; remove the file when the clients sent them again",
				"events %d-%d of node %s were lost: %s", s.First, s.Last, s.Node, s.Error)
		}
	}
}

// serveRuns reports whether a serve has the data folder. It makes no file.
func (p *patient) serveRuns() (bool, error) {
	f, err := os.Open(filepath.Join(p.config.data, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK), nil
}
