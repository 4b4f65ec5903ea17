package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// act is what a step of the chaos does.
type act int

const (
	killNode   act = iota // kill -9 of one serve, and a start after a while
	stopNode              // SIGTERM, which must end in order, and a start
	pauseNode             // SIGSTOP and SIGCONT
	fullDisk              // files of one serve cannot grow beyond some bytes
	faultNode             // a fault between one serve and ClickHouse
	faultBoth             // the same between both and ClickHouse
	killEngine            // kill -9 of ClickHouse
	pauseEngine
	fullEngine // files of ClickHouse cannot grow
	killAll    // both serves and ClickHouse at once
	verifyLive // `meterhouse verify` among all of it: no difference may be seen
	actsEnd
)

// acts has the name of each act and how often it is chosen.
var acts = [actsEnd]struct {
	name   string
	weight int
}{
	killNode:    {"kill -9 of serve", 6},
	stopNode:    {"SIGTERM of serve", 3},
	pauseNode:   {"pause of serve", 3},
	fullDisk:    {"full disk of serve", 4},
	faultNode:   {"fault before serve", 6},
	faultBoth:   {"fault before both", 5},
	killEngine:  {"kill -9 of ClickHouse", 3},
	pauseEngine: {"pause of ClickHouse", 2},
	fullEngine:  {"full disk of ClickHouse", 2},
	killAll:     {"kill -9 of everything", 2},
	verifyLive:  {"verify", 1},
}

// step is one act. Steps overlap where they are about different processes.
type step struct {
	after time.Duration // the step before began
	act   act
	node  int // 0 or 1
	fault fault
	limit uint64 // bytes a file may have
	lasts time.Duration
}

func (s step) String() string {
	text := fmt.Sprintf("+%-6v %s", s.after, acts[s.act].name)
	switch s.act {
	case killNode, stopNode, pauseNode, fullDisk, faultNode:
		text += " " + string(rune('A'+s.node))
	}
	switch s.act {
	case faultNode, faultBoth:
		text += ": " + s.fault.String()
	case fullDisk, fullEngine:
		text += fmt.Sprintf(": %d bytes", s.limit)
	}
	return text + fmt.Sprintf(", for %v", s.lasts)
}

// newPlan returns what is done to the system in about a time: a function of the seed alone.
func newPlan(seed uint64, about time.Duration) []step {
	r := rand.New(rand.NewPCG(seed, 1))
	var plan []step
	for at := time.Duration(0); at < about; {
		s := step{
			after: between(r, 500*time.Millisecond, 3*time.Second),
			act:   chooseAct(r),
			node:  r.IntN(2),
			fault: refuse + fault(r.IntN(int(faultsEnd-refuse))),
			limit: []uint64{0, 4 << 10, 64 << 10, 1 << 20, 20 << 20}[r.IntN(5)],
			lasts: between(r, 100*time.Millisecond, 2500*time.Millisecond),
		}
		at += s.after
		plan = append(plan, s)
	}
	return plan
}

func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return (from + time.Duration(r.Int64N(int64(to-from)))).Round(time.Millisecond)
}

func chooseAct(r *rand.Rand) act {
	sum := 0
	for _, a := range acts {
		sum += a.weight
	}
	n := r.IntN(sum)
	for i, a := range acts {
		if n -= a.weight; n < 0 {
			return act(i)
		}
	}
	return verifyLive
}

func planText(plan []step) string {
	var b strings.Builder
	at := time.Duration(0)
	for i, s := range plan {
		at += s.after
		fmt.Fprintf(&b, "%3d %7v %v\n", i+1, at, s)
	}
	return b.String()
}
