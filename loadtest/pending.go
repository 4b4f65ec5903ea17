package main

import "time"

// pending holds, for each agent, the events that wait to be sent in one request.
type pending struct {
	events [][]int
	since  []time.Time // when the first of an agent's events came
	count  int         // agents with events
	first  time.Time   // no event came before it; only meaningful if count > 0
}

func newPending(agents int) *pending {
	return &pending{events: make([][]int, agents), since: make([]time.Time, agents)}
}

// add adds an event and returns all that wait for the same agent. Calls come in the order of
// now.
func (p *pending) add(agent, event int, now time.Time) []int {
	if len(p.events[agent]) == 0 {
		p.since[agent] = now
		if p.count == 0 {
			p.first = now
		}
		p.count++
	}
	p.events[agent] = append(p.events[agent], event)
	return p.events[agent]
}

// take removes an agent's events, which then belong to the caller.
func (p *pending) take(agent int) job {
	j := job{agent: agent, events: p.events[agent]}
	p.events[agent] = nil
	p.count--
	return j
}

// takeBefore removes the events of the agents whose first came at that time or before.
func (p *pending) takeBefore(at time.Time) []job {
	// The bound spares a walk over all agents for every event.
	if p.count == 0 || p.first.After(at) {
		return nil
	}
	var jobs []job
	var first time.Time
	for agent, events := range p.events {
		switch {
		case len(events) == 0:
		case !p.since[agent].After(at):
			jobs = append(jobs, p.take(agent))
		case first.IsZero() || p.since[agent].Before(first):
			first = p.since[agent]
		}
	}
	p.first = first
	return jobs
}
