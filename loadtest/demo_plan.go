package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// What happens in an hour of the demo.
const (
	demoHourly    = 260 // events of a working day's busiest hour
	demoLiveShare = 30  // a live event is this much smaller: there are so many more of them
	demoSpikeOdds = 150 // one hour of so many, the coding agent runs wild
	demoSpike     = 6   // times as many of its events then
)

// Who is in the demo catalog; its file is compared with these by a test.
var (
	demoHelper = demoAgent{"12345678-1234-4234-8234-123456789012", "slack", "support"}
	demoCoder  = demoAgent{"22345678-1234-4234-8234-123456789012", "ide", "coding"}
	demoVoice  = demoAgent{"32345678-1234-4234-8234-123456789012", "phone", "calls"}
	demoSearch = demoAgent{"42345678-1234-4234-8234-123456789012", "web", "search"}

	demoUsers = []string{
		"7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11", "9d1f0a64-7f2b-4c1d-8a55-3b7e5c2d4e22",
		"b3a52c07-91de-4f6b-a0c8-5d2e7f1c6a33", "d5c7e128-6a40-4b9e-9f13-7e8a0b4c2d44",
	}
)

type demoAgent struct{ id, channel, purpose string }

// A demoKind is a kind of call: whose, how often, and about how much of what one call uses.
type demoKind struct {
	agent           *demoAgent
	share           int // of all kinds' sum
	provider, model string
	service         string
	usage           []demoUsage
}

// A demoUsage is a usage type of a kind: of odds in a hundred calls, around typical, at least 1.
type demoUsage struct {
	usageType string
	typical   float64
	odds      int
}

// demoKinds has every model of the demo catalog, and one that has no rate there: its usage is
// unpriced, which is to be seen.
var demoKinds = []demoKind{
	{&demoHelper, 30, "OpenAI", "gpt-4o-mini", "", []demoUsage{
		{"INPUT", 1800, 100}, {"OUTPUT", 320, 100}}},
	{&demoHelper, 12, "OpenAI", "gpt-4.1", "", []demoUsage{
		{"INPUT", 2400, 100}, {"CACHED_INPUT", 1600, 60}, {"OUTPUT", 450, 100}}},
	{&demoCoder, 16, "Anthropic", "claude-sonnet-4-5", "", []demoUsage{
		{"INPUT", 5200, 100}, {"CACHED_INPUT", 26_000, 80}, {"CACHE_WRITE", 3000, 40},
		{"OUTPUT", 1500, 100}}},
	{&demoCoder, 8, "Anthropic", "claude-haiku-4-5", "", []demoUsage{
		{"INPUT", 3000, 100}, {"CACHED_INPUT", 9000, 50}, {"OUTPUT", 600, 100}}},
	{&demoVoice, 6, "Vapi", "vapi", "transcription", []demoUsage{{"VAPI_SECONDS", 140, 100}}},
	{&demoVoice, 6, "OpenAI", "gpt-4o-mini", "", []demoUsage{
		{"INPUT", 900, 100}, {"OUTPUT", 180, 100}}},
	{&demoSearch, 18, "Google", "gemini-2.5-flash", "", []demoUsage{
		{"INPUT", 4200, 100}, {"OUTPUT", 260, 100}, {"COMPLETIONS", 0, 100}}},
	{&demoSearch, 4, "own", "llama-3.3-70b", "", []demoUsage{
		{"INPUT", 2200, 100}, {"OUTPUT", 300, 100}}},
}

// A demoEvent is an event as it is sent.
type demoEvent struct {
	ID          string           `json:"id"`
	Time        time.Time        `json:"time"`
	Agent       string           `json:"agent_id"`
	User        string           `json:"user_id"`
	Service     string           `json:"service,omitempty"`
	Channel     string           `json:"channel"`
	Provider    string           `json:"provider"`
	ProviderKey string           `json:"provider_key"`
	Model       string           `json:"model"`
	Purpose     string           `json:"purpose"`
	Usage       map[string]int64 `json:"usage"`
}

// demoHour returns the events of an hour, in the order of time, those after until left out. They
// follow from the seed and the hour alone.
func demoHour(seed uint64, hour, until time.Time) []demoEvent {
	source := rand.New(rand.NewPCG(seed, uint64(hour.Unix())))
	count := int(demoHourly * demoRhythm(hour) * (0.85 + 0.3*source.Float64()))
	spike := source.IntN(demoSpikeOdds) == 0
	events := make([]demoEvent, 0, count)
	for i := range count {
		at := hour.Add(time.Duration(source.Int64N(int64(time.Hour)))).Truncate(time.Millisecond)
		id := fmt.Sprintf("demo-%d-%s-%d", seed, hour.Format("2006010215"), i)
		e := demoEventOf(source, id, at, 1)
		events = append(events, e)
		if spike && e.Agent == demoCoder.id {
			for n := range demoSpike - 1 {
				e.ID = fmt.Sprintf("%s-%d", id, n)
				events = append(events, e)
			}
		}
	}
	events = slices.DeleteFunc(events, func(e demoEvent) bool { return e.Time.After(until) })
	slices.SortStableFunc(events, func(a, b demoEvent) int { return a.Time.Compare(b.Time) })
	return events
}

// demoRhythm is how busy an hour is, 1 at most: by day more than by night, less at weekends.
func demoRhythm(hour time.Time) float64 {
	day := 0.1 + 0.9*math.Pow(0.5-0.5*math.Cos(2*math.Pi*(float64(hour.Hour())-2)/24), 1.5)
	if weekday := hour.Weekday(); weekday == time.Saturday || weekday == time.Sunday {
		day *= weekendWeight
	}
	return day
}

// demoEventOf makes one event of what source says; of a share of its usual size.
func demoEventOf(source *rand.Rand, id string, at time.Time, share float64) demoEvent {
	kind := demoKindOf(source)
	e := demoEvent{
		ID: id, Time: at, Agent: kind.agent.id, User: demoUserOf(source, kind.agent),
		Service: kind.service, Channel: kind.agent.channel, Provider: kind.provider,
		ProviderKey: "sk-demo-" + kind.provider + "-0001", Model: kind.model,
		Purpose: kind.agent.purpose, Usage: make(map[string]int64, len(kind.usage)),
	}
	for _, u := range kind.usage {
		// Most calls are near the typical one, a few are many times as large.
		size := math.Exp(0.6 * source.NormFloat64())
		if source.IntN(100) < u.odds {
			e.Usage[u.usageType] = max(int64(u.typical*size/share), 1)
		}
	}
	return e
}

func demoKindOf(source *rand.Rand) *demoKind {
	total := 0
	for i := range demoKinds {
		total += demoKinds[i].share
	}
	at := source.IntN(total)
	for i := range demoKinds {
		if at -= demoKinds[i].share; at < 0 {
			return &demoKinds[i]
		}
	}
	panic("demo: shares do not add up")
}

// demoUserOf returns a user; each agent has one who uses it most.
func demoUserOf(source *rand.Rand, a *demoAgent) string {
	favourite := int(a.id[0]-'1') % len(demoUsers)
	if source.IntN(2) == 0 {
		return demoUsers[favourite]
	}
	return demoUsers[source.IntN(len(demoUsers))]
}
