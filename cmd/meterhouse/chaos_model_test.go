package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// tenant is an organization of the chaos.
type tenant struct {
	id      uuid.UUID
	token   string // of an admin
	agents  []string
	secrets []string
}

// globexCatalog is a second organization beside the demo catalog's.
const globexCatalog = `
  - id: 1d7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e66
    name: Globex
    tenant: www.globex.example
    users:
      - {id: 8b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d22,
         name: Hank, role: admin}
    agents:
      - {id: 52345678-1234-4234-8234-123456789012, name: Doom,
         owner: 8b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d22}
      - {id: 62345678-1234-4234-8234-123456789012, name: Ray,
         owner: 8b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d22}
    credentials:
      - {kind: agent_secret, agent: 52345678-1234-4234-8234-123456789012,
         secret: globex-agent-secret-1}
      - {kind: agent_secret, agent: 62345678-1234-4234-8234-123456789012,
         secret: globex-agent-secret-2}
      - {kind: access_token, user: 8b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d22,
         secret: dop_v1_globex_hank}
`

var (
	chaosCatalog = strings.Replace(demoCatalog, "services:\n", globexCatalog[1:]+"services:\n", 1)
	tenants      = []tenant{
		{demoOrganization, adaToken, demoAgents, demoSecrets},
		{
			uuid.MustParse("1d7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e66"), "dop_v1_globex_hank",
			[]string{"52345678-1234-4234-8234-123456789012", "62345678-1234-4234-8234-123456789012"},
			[]string{"globex-agent-secret-1", "globex-agent-secret-2"},
		},
	}
)

// absent is what an event is that is not in the ledger, or whose sums are zero.
const absent = ""

// amounts is what an event counts, by usage type.
type amounts map[string]int64

// state is how an event counts in the ledger: what it is summed up to, by agent and usage type.
func (u amounts) state(agent string) string {
	var b strings.Builder
	b.WriteString(agent)
	for _, name := range slices.Sorted(maps.Keys(u)) {
		fmt.Fprintf(&b, " %s=%d", name, u[name])
	}
	return b.String()
}

// fact is one event and all that its client knows of it.
type fact struct {
	tenant int
	agent  string
	key    string // none: an event that may be sent once
	id     string // of the event; empty while unknown
	mark   string // that finds an event without an id: its endpoint, or its amount
	now    amounts

	may   map[string]bool // the states in which the ledger may have it in the end
	late  []string        // states that a correction may make at any time
	acked bool
	node  int // that acknowledged it
}

// begin says that it is being sent.
func (f *fact) begin() { f.may = map[string]bool{absent: true, f.now.state(f.agent): true} }

// done says that it was acknowledged.
func (f *fact) done(node int) {
	if f.acked {
		return
	}
	f.acked, f.node = true, node
	f.may = map[string]bool{f.now.state(f.agent): true}
}

// becomes says that a correction to a state was acknowledged.
func (f *fact) becomes(state string) {
	f.may = map[string]bool{state: true}
	for _, s := range f.late {
		f.may[s] = true
	}
}

// write is a request of the chaos and the events it holds.
type write struct {
	kind    string
	tenant  int
	path    string
	headers []string // in pairs
	body    string
	facts   []*fact
	twice   int // events that are in it a second time
	wrong   int // events that must be rejected
	tried   bool
}

// keyed writes may be sent again.
func (w *write) keyed() bool { return w.facts[0].key != "" }

// The forms of the native API, beside the kinds of load_test.go.
const (
	arrayWrite      = "array"
	cloudWrite      = "cloudevents"
	bareWrite       = "native without keys"
	bareRaiaWrite   = "raia without a key"
	bareTrackerKind = "tracker without a key"
)

var chaosKinds = []string{
	raiaWrite, singleWrite, batchWrite, trackerWrite, arrayWrite, cloudWrite, bareWrite,
	bareRaiaWrite, bareTrackerKind,
}

// author makes the writes of one client; what it makes is a function of its random numbers.
type author struct {
	*rand.Rand
	number int
	made   int
}

func (a *author) write() *write {
	kind := chaosKinds[a.IntN(len(chaosKinds))]
	w := &write{kind: kind, tenant: a.IntN(len(tenants))}
	who := tenants[w.tenant]
	agent := a.IntN(len(who.agents))
	w.headers = []string{"Agent-Secret-Key", who.secrets[agent], "Content-Type", "application/json"}
	switch kind {
	case raiaWrite, bareRaiaWrite:
		w.path = "/external/resource-usage"
		f := a.fact(w, who.agents[agent], kind == raiaWrite)
		amount := int64(a.number*1_000_000 + a.made)
		f.now, f.mark = amounts{"OPENAI_TOKENS": amount}, fmt.Sprint("OPENAI_TOKENS=", amount)
		w.body = `{"type":"OPENAI_TOKENS","amount":` + strconv.FormatInt(amount, 10) + `}`
		w.idempotent(f)
	case trackerWrite, bareTrackerKind:
		w.path = "/usage"
		w.headers = []string{"Authorization", "Bearer " + who.token, "Content-Type", "application/json"}
		f := a.fact(w, uuid.Nil.String(), kind == trackerWrite)
		f.now = amounts{"UNITS": 1 + a.Int64N(5000)}
		w.body = fmt.Sprintf(`{"api_name":"search","endpoint":%q,"cost_usd":0.0043,`+
			`"api_key_used":"sk-live-abcdefgh","units_used":%d}`, f.mark, f.now["UNITS"])
		w.idempotent(f)
	default:
		a.native(w, who.agents[agent])
	}
	return w
}

func (w *write) idempotent(f *fact) {
	if f.key != "" {
		w.headers = append(w.headers, "Idempotency-Key", f.key)
	}
}

// fact returns a new event of a write.
func (a *author) fact(w *write, agent string, keyed bool) *fact {
	a.made++
	f := &fact{tenant: w.tenant, agent: agent, mark: fmt.Sprintf("/c%d-%d", a.number, a.made)}
	if keyed {
		f.key = fmt.Sprintf("%d-%d-%08x", a.number, a.made, a.Uint32())
		f.id = schema.EventID(tenants[w.tenant].id, f.key).String()
	}
	w.facts = append(w.facts, f)
	return f
}

// native fills a write of the native API, in one of its forms. Of a batch, some events are there
// twice, the second time with another usage, which counts nothing; and some are wrong.
func (a *author) native(w *write, agent string) {
	w.path = "/v1/events"
	n := 1
	switch w.kind {
	case batchWrite:
		n = 50 + a.IntN(400)
	case arrayWrite, cloudWrite, bareWrite:
		n = 2 + a.IntN(8)
	}
	var events []string
	for range n {
		f := a.fact(w, agent, w.kind != bareWrite)
		f.now = amounts{
			"COMPLETIONS": 1, "INPUT": 1 + a.Int64N(5000), "OUTPUT": 1 + a.Int64N(500),
		}
		at := time.Now().Add(-time.Duration(a.Int64N(int64(45 * 24 * time.Hour))))
		if n == 1 {
			at = time.Now()
		}
		events = append(events, f.event(w, at, f.now))
		if n > 1 && f.key != "" && a.IntN(20) == 0 {
			w.twice++
			other := maps.Clone(f.now)
			other["INPUT"]++
			events = append(events, f.event(w, at, other))
		}
	}
	if n > 1 && a.IntN(4) == 0 {
		w.wrong++
		wrong := &fact{key: "wrong", mark: "/wrong"}
		events = append(events, wrong.event(w, time.Now(), amounts{"INPUT": -1}))
	}
	switch w.kind {
	case singleWrite:
		w.body = events[0]
	case batchWrite:
		w.body = strings.Join(events, "\n")
		w.headers[3] = "application/x-ndjson"
	case cloudWrite:
		w.headers[3] = "application/cloudevents-batch+json"
		fallthrough
	default:
		w.body = "[" + strings.Join(events, ",") + "]"
	}
}

// event is the event in the form of its write.
func (f *fact) event(w *write, at time.Time, u amounts) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(u)) {
		fmt.Fprintf(&b, `,%q:%d`, name, u[name])
	}
	data := fmt.Sprintf(`"model":"gpt-4o-mini","endpoint":%q,"usage":{%s}`, f.mark, b.String()[1:])
	when := at.UTC().Format(time.RFC3339)
	if w.kind == cloudWrite {
		source, id, _ := strings.Cut(f.cloudKey(), " ")
		return fmt.Sprintf(`{"specversion":"1.0","type":"meterhouse.usage","source":%q,"id":%q,`+
			`"time":%q,"data":{%s}}`, source, id, when, data)
	}
	if f.key != "" {
		data = fmt.Sprintf(`"id":%q,`, f.key) + data
	}
	return fmt.Sprintf(`{"time":%q,%s}`, when, data)
}

// cloudKey gives an event of a CloudEvent its key: its source and its id.
func (f *fact) cloudKey() string {
	if !strings.HasPrefix(f.key, "/chaos ") {
		f.key = "/chaos " + f.key
		f.id = schema.EventID(tenants[f.tenant].id, f.key).String()
	}
	return f.key
}

// history is all the facts of all clients.
type history struct {
	mu    sync.Mutex
	facts []*fact
}

func (h *history) add(facts []*fact) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.facts = append(h.facts, facts...)
}
