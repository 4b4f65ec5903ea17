package main

import (
	"strconv"
	"time"
)

// The API's limits of an event's time.
const (
	eventAgeMax   = 400 * 24 * time.Hour
	eventAheadMax = 5 * time.Minute
)

// A plan says which events a replay sends: each line of the trace once a copy, shifted in time
// and dealt to the agents in turn. It is a function of its fields, so that an event sent twice
// is the same twice.
type plan struct {
	run    string // prefix of every event's id
	lines  []traceLine
	copies int
	agents int
	end    time.Time // when the last event happened; whole milliseconds
}

// A planned is one event of a plan.
type planned struct {
	line   traceLine
	copy   int
	agent  int
	offset time.Duration // since the first event of the plan
	at     time.Time     // whole milliseconds
}

func (p *plan) count() int { return len(p.lines) * p.copies }

// span is the time from the first to the last line of one copy.
func (p *plan) span() time.Duration {
	return time.Duration(p.lines[len(p.lines)-1].atNanos - p.lines[0].atNanos)
}

// period is the time from one copy's first event to the next copy's: the mean gap of the lines
// lies between them, so that copies follow each other in the rhythm of the trace.
func (p *plan) period() time.Duration {
	gap := p.span() / time.Duration(max(len(p.lines)-1, 1))
	return p.span() + max(gap, time.Millisecond)
}

// duration is the time from the plan's first event to its last.
func (p *plan) duration() time.Duration {
	return time.Duration(p.copies-1)*p.period() + p.span()
}

// event returns the i-th event, in the order of time.
func (p *plan) event(i int) planned {
	copies, at := i/len(p.lines), i%len(p.lines)
	line := p.lines[at]
	offset := time.Duration(copies)*p.period() +
		time.Duration(line.atNanos-p.lines[0].atNanos)
	return planned{
		line: line, copy: copies, agent: i % p.agents, offset: offset,
		// Rounded down to what the reads' bounds can say.
		at: p.end.Add(offset - p.duration()).Truncate(time.Millisecond).UTC(),
	}
}

// interval returns the times of the first and the last event, both inclusive.
func (p *plan) interval() (first, last time.Time) {
	return p.event(0).at, p.event(p.count() - 1).at
}

// sums returns what the plan's events add up to, by agent.
func (p *plan) sums() ([]usage, error) {
	sums := make([]usage, p.agents)
	for i := range sums {
		sums[i] = usage{}
	}
	for i := range p.count() {
		// Not event(i): this loop needs no times.
		line, to := p.lines[i%len(p.lines)], sums[i%p.agents]
		if err := to.add("INPUT", line.input); err != nil {
			return nil, err
		}
		if err := to.add("OUTPUT", line.output); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// check refuses what the API would refuse for its time.
func (p *plan) check(now time.Time) error {
	first, last := p.interval()
	if now.Sub(first) > eventAgeMax-time.Hour {
		return usagef("the first event would be of %s: more than 400 days ago",
			first.Format(time.RFC3339))
	}
	if last.Sub(now) > eventAheadMax-time.Minute {
		return usagef("the last event would be of %s: more than 4 minutes ahead",
			last.Format(time.RFC3339))
	}
	return nil
}

// appendID appends an event's idempotency key: run id, copy, file and line.
func (p *plan) appendID(dst []byte, e planned) []byte {
	dst = append(dst, p.run...)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, int64(e.copy), 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, int64(e.line.file), 10)
	dst = append(dst, '-')
	return strconv.AppendInt(dst, int64(e.line.line), 10)
}

// shiftEnd reads --shift: a duration is how long before the run's start the trace's last line
// happened, an RFC 3339 time is when it happened.
func shiftEnd(value string, start time.Time) (time.Time, error) {
	if before, err := time.ParseDuration(value); err == nil {
		return start.Add(-before).Truncate(time.Millisecond).UTC(), nil
	}
	at, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		return time.Time{}, usagef("--shift %q: want a duration or an RFC 3339 time", value)
	}
	return at.Truncate(time.Millisecond).UTC(), nil
}
