package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	bigShare      = 0.55 // of all events, of the first organization
	trackerShare  = 0.08 // of the second, most of whose events are records of the usage tracker
	sharesTotal   = 1000
	sliceMoments  = 512 // points in time between which the events of a slice are spread evenly
	weekendWeight = 0.4
	yearlyGrowth  = 1.2 // the last day has so much more than the first
)

// A fillPlan is a year of usage before it is made: who there is, and which events happen when. The
// same flags make the same plan.
type fillPlan struct {
	config        *fillConfig
	node          string
	from, to      time.Time // whole UTC days
	organizations []fillOrganization
	models        []fillModel
	hours         []float64 // weight of all hours before the i-th
}

// A fillOrganization owns runs of the numbers of agents and users.
type fillOrganization struct {
	share         int // of sharesTotal
	agents, users fillRun
}

type fillRun struct{ first, count int }

// A fillSlice is a run of events of one calendar month.
type fillSlice struct {
	first, events int
	moments       []int64 // microseconds; of evenly spaced events, the first's and past the last's
}

// newFillPlan plans the events of so many whole days up to c.until.
func newFillPlan(c *fillConfig) *fillPlan {
	p := &fillPlan{config: c, node: c.node(), to: c.until, models: fillModels(c.models)}
	p.from = c.until.AddDate(0, 0, -c.days)
	p.organizations = planOrganizations(c)
	p.hours = hourWeights(p.from, c.days*24, c.seed)
	return p
}

// node returns the id of the log that the events seem to come from: of everything that decides
// what they are but the day of the last, which the ledger tells when a fill goes on.
func (c *fillConfig) node() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "loadtest fill %d %d %d %d %d %d %d %d", c.seed, c.events,
		c.agents, c.users, c.models, c.organizations, c.days, c.batch))
	return fillUUID(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16]), 4)
}

// planOrganizations shares events, agents and users out: most to the first, a part to the second,
// and to the others by Zipf.
func planOrganizations(c *fillConfig) []fillOrganization {
	all := make([]fillOrganization, c.organizations)
	shares := make([]float64, c.organizations)
	rest := 0.0
	for i := 2; i < len(all); i++ {
		shares[i] = 1 / float64(i-1)
		rest += shares[i]
	}
	for i := 2; i < len(all); i++ {
		shares[i] *= (1 - bigShare - trackerShare) / rest
	}
	if len(all) > 1 {
		shares[1] = trackerShare
	}
	left := sharesTotal
	var agents, users int
	for i := len(all) - 1; i >= 0; i-- {
		share := max(int(shares[i]*sharesTotal), 1)
		if i == 0 {
			share = left
		}
		left -= share
		all[i].share = share
	}
	for i := range all {
		all[i].agents = fillRun{agents, max(c.agents*all[i].share/sharesTotal, 1)}
		all[i].users = fillRun{users, max(c.users*all[i].share/sharesTotal, 1)}
		agents += all[i].agents.count
		users += all[i].users.count
	}
	return all
}

// hourWeights returns how much usage falls before each hour and, last, in all: more by day than by
// night, less at weekends, a little more every week, and no two days alike.
func hourWeights(from time.Time, hours int, seed uint64) []float64 {
	sums := make([]float64, hours+1)
	for i := range hours {
		at := from.Add(time.Duration(i) * time.Hour)
		day := 0.15 + math.Pow(0.5-0.5*math.Cos(2*math.Pi*(float64(at.Hour())-2)/24), 1.5)
		if weekday := at.Weekday(); weekday == time.Saturday || weekday == time.Sunday {
			day *= weekendWeight
		}
		day *= 1 + (yearlyGrowth-1)*float64(i)/float64(hours)
		noise := float64(fillHash(seed^uint64(at.Unix()/86400))%1000) / 1000
		sums[i+1] = sums[i] + day*(0.85+0.3*noise)
	}
	return sums
}

// before returns how many of the events happen before an hour of the range.
func (p *fillPlan) before(hour int) int {
	if hour == len(p.hours)-1 {
		return p.config.events
	}
	return int(float64(p.config.events) * p.hours[hour] / p.hours[len(p.hours)-1])
}

// at returns when the n-th event happens, in microseconds since the start of the range.
func (p *fillPlan) at(n int) int64 {
	total := p.hours[len(p.hours)-1]
	want := float64(n) / float64(p.config.events) * total
	hour, _ := slices.BinarySearch(p.hours, want)
	hour = min(max(hour-1, 0), len(p.hours)-2)
	within := (want - p.hours[hour]) / (p.hours[hour+1] - p.hours[hour])
	return int64((float64(hour) + within) * float64(time.Hour/time.Microsecond))
}

// slices returns the runs of events that are inserted at once. A slice is of one calendar month, so
// that an insert makes one part of each table.
func (p *fillPlan) slices() []fillSlice {
	var all []fillSlice
	for from := p.from; from.Before(p.to); {
		to := time.Date(from.Year(), from.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		if to.After(p.to) {
			to = p.to
		}
		first := p.before(int(from.Sub(p.from) / time.Hour))
		count := p.before(int(to.Sub(p.from)/time.Hour)) - first
		parts := (count + p.config.batch - 1) / p.config.batch
		for i := range parts {
			start, end := first+count*i/parts, first+count*(i+1)/parts
			all = append(all, fillSlice{start, end - start, p.moments(start, end-start, from, to)})
		}
		from = to
	}
	return all
}

// moments returns the times of a slice, none of them outside of its month.
func (p *fillPlan) moments(first, events int, from, to time.Time) []int64 {
	all := make([]int64, sliceMoments+1)
	for i := range all {
		at := p.from.UnixMicro() + p.at(first+events*i/sliceMoments)
		all[i] = min(max(at, from.UnixMicro()), to.UnixMicro())
	}
	return all
}

// The kinds of what fillID names. fill.sql makes the same ids.
const (
	fillOrganizationKind = 1
	fillAgentKind        = 2
	fillUserKind         = 3
)

// fillID returns the id of the n-th organization, agent or user.
func (c *fillConfig) fillID(kind, n int) string {
	of := func(kind int) uint64 { return fillHash(c.seed ^ (uint64(kind)<<32 + uint64(n))) }
	return fillUUID(of(kind), of(kind+128), 4)
}

// fillUUID makes a UUID of 128 bits, six of which say its version and variant.
func fillUUID(high, low, version uint64) string {
	high = high&^0xF000 | version<<12
	low = low&(1<<62-1) | 1<<63
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x",
		high>>32, high>>16&0xFFFF, high&0xFFFF, low>>48, low&(1<<48-1))
}

// fillHash is ClickHouse's intHash64: the finalizer of MurmurHash3, of a number changed beforehand.
func fillHash(x uint64) uint64 {
	x ^= 0x4cf2d2baae6da887
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
