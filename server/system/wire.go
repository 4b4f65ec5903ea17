package system

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// answer is a SystemStatus on the wire. Times that are not known are null.
type answer struct {
	Node       uuid.UUID  `json:"node"`
	Version    string     `json:"version"`
	StartedAt  *time.Time `json:"started_at"`
	Time       time.Time  `json:"time"`
	Log        log        `json:"log"`
	Ingest     ingest     `json:"ingest"`
	ClickHouse clickhouse `json:"clickhouse"`
	Verify     verify     `json:"verify"`
	Aside      aside      `json:"aside"`
	Peers      peers      `json:"peers"`
	Reports    reports    `json:"reports"`
	Exports    exports    `json:"exports"`
}

type log struct {
	PendingEvents int64       `json:"pending_events"`
	PendingBytes  int64       `json:"pending_bytes"`
	LimitBytes    int64       `json:"limit_bytes"`
	LagSeconds    json.Number `json:"lag_seconds"`
}

type ingest struct {
	Accepted   int64 `json:"accepted"`
	Duplicates int64 `json:"duplicates"`
	Rejected   int64 `json:"rejected"`
	Refused    int64 `json:"refused"`
}

type clickhouse struct {
	Reachable bool        `json:"reachable"`
	Embedded  bool        `json:"embedded"`
	Version   string      `json:"version"`
	PingMS    json.Number `json:"ping_ms"`
	Problem   *string     `json:"problem"`
}

type verify struct {
	EverySeconds  int64      `json:"every_seconds"`
	LastRunAt     *time.Time `json:"last_run_at"`
	LastSuccessAt *time.Time `json:"last_success_at"`
	Result        string     `json:"result"`
	Differences   []string   `json:"differences"`
	More          int        `json:"more"`
}

// batch has its sequences as texts: they may be larger than what JavaScript counts.
type batch struct {
	File   string `json:"file"`
	First  string `json:"first"`
	Last   string `json:"last"`
	Reason string `json:"reason"`
	Events int    `json:"events"`
}

type aside struct {
	Batches []batch `json:"batches"`
	Problem *string `json:"problem"`
}

type peer struct {
	ID      uuid.UUID `json:"id"`
	SeenAt  time.Time `json:"seen_at"`
	Live    bool      `json:"live"`
	Stopped bool      `json:"stopped"`
	Pending int64     `json:"pending_events"`
}

type peers struct {
	Nodes   []peer  `json:"nodes"`
	Problem *string `json:"problem"`
}

type reports struct {
	Enabled    bool       `json:"enabled"`
	LastRunAt  *time.Time `json:"last_run_at"`
	OldestOpen *time.Time `json:"oldest_open"`
	OpenSlots  int64      `json:"open_slots"`
	Problem    *string    `json:"problem"`
}

type exports struct {
	Pending int     `json:"pending"`
	Running int     `json:"running"`
	Problem *string `json:"problem"`
}

func answerOf(s schema.SystemStatus) answer {
	a := answer{
		Node: s.Node, Version: s.Version, StartedAt: known(s.StartedAt), Time: s.Time,
		Log: log{
			s.Log.PendingEvents, s.Log.PendingBytes, s.Log.LimitBytes,
			thousandths(s.Log.Lag / time.Millisecond),
		},
		Ingest: ingest{
			s.Ingest.Accepted, s.Ingest.Duplicates, s.Ingest.Rejected, s.Ingest.Refused,
		},
		ClickHouse: clickhouse{
			s.ClickHouse.Reachable, s.ClickHouse.Embedded, s.ClickHouse.Version,
			thousandths(s.ClickHouse.Ping / time.Microsecond), problem(s.ClickHouse.Problem),
		},
		Verify: verify{
			int64(s.Verify.Every / time.Second), known(s.Verify.LastRunAt),
			known(s.Verify.LastSuccessAt), s.Verify.Result,
			append([]string{}, s.Verify.Differences...), s.Verify.More,
		},
		Aside: aside{[]batch{}, problem(s.Aside.Problem)},
		Peers: peers{[]peer{}, problem(s.Peers.Problem)},
		Reports: reports{
			s.Reports.Enabled, known(s.Reports.LastRunAt), known(s.Reports.OldestOpen),
			s.Reports.OpenSlots, problem(s.Reports.Problem),
		},
		Exports: exports{s.Exports.Pending, s.Exports.Running, problem(s.Exports.Problem)},
	}
	for _, b := range s.Aside.Batches {
		a.Aside.Batches = append(a.Aside.Batches, batch{
			b.File, strconv.FormatUint(b.First, 10), strconv.FormatUint(b.Last, 10), b.Reason,
			b.Events,
		})
	}
	for _, n := range s.Peers.Nodes {
		a.Peers.Nodes = append(a.Peers.Nodes, peer(n))
	}
	return a
}

// thousandths writes n thousandths of a unit, not below zero, as a number.
func thousandths(n time.Duration) json.Number {
	rest := strconv.FormatInt(1000+int64(n%1000), 10)[1:]
	return json.Number(strconv.FormatInt(int64(n/1000), 10) + "." + rest)
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func problem(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
