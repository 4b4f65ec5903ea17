package server

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// SystemConfig is what a node knows of itself besides what the server has. All of it may be left
// out.
type SystemConfig struct {
	Version   string // of the program
	StartedAt time.Time
	Embedded  bool // the database is this node's own engine
	Verify    func() schema.SystemVerify
	Reports   func(ctx context.Context) (schema.SystemReports, error)
}

// partTimeout is how long a part of the status may take. One that does not end then is left behind:
// a database that hangs must not keep the others from being told.
const partTimeout = 2 * time.Second

// noAnswer is told of a part that did not end in time.
const noAnswer = "there was no answer within 2 s"

// systemStatus implements dialect.System.
type systemStatus struct {
	cfg     SystemConfig
	queries *queries.Queries
	ingest  *ingest.Ingest
	reads   *reads
}

// Status is asked once for all who ask at a time.
func (s *systemStatus) Status(ctx context.Context) (schema.SystemStatus, error) {
	return read(ctx, s.reads, systemReads, uuid.Nil, nil,
		func(ctx context.Context) (schema.SystemStatus, int, error) {
			status := s.status(ctx)
			return status, rowBytes * (8 + len(status.Aside.Batches) + len(status.Peers.Nodes)), nil
		})
}

func (s *systemStatus) status(ctx context.Context) schema.SystemStatus {
	status := schema.SystemStatus{
		Node: s.ingest.Node(), Version: s.cfg.Version, StartedAt: s.cfg.StartedAt.UTC(),
		Time: s.reads.now().UTC(),
	}
	status.Log, status.Ingest = s.ingest.Status()
	if s.cfg.Verify != nil {
		status.Verify = s.cfg.Verify()
	}
	var parts sync.WaitGroup
	parts.Go(func() { status.ClickHouse = s.clickhouse(ctx) })
	parts.Go(func() {
		var err error
		status.Aside.Batches, err = part(ctx,
			func(context.Context) ([]schema.AsideBatch, error) { return s.ingest.Aside() })
		status.Aside.Problem = problemOf(err)
	})
	parts.Go(func() {
		var err error
		status.Peers.Nodes, err = part(ctx, s.peers)
		status.Peers.Problem = problemOf(err)
	})
	parts.Go(func() {
		var err error
		status.Exports, err = part(ctx, s.exports)
		status.Exports.Problem = problemOf(err)
	})
	parts.Go(func() {
		if s.cfg.Reports == nil {
			return
		}
		var err error
		status.Reports, err = part(ctx, s.cfg.Reports)
		status.Reports.Problem = problemOf(err)
	})
	parts.Wait()
	return status
}

// part returns what ask returns, or after partTimeout that there was no answer.
func part[V any](ctx context.Context, ask func(context.Context) (V, error)) (V, error) {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	type answer struct {
		value V
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		value, err := ask(ctx)
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// problemOf says what an error means for whoever reads the status. What a driver says may have an
// address or a path in it: that is for the log of the part it is about.
func problemOf(err error) string {
	switch {
	case err == nil:
		return ""
	case queries.Answered(err):
		return "ClickHouse answered with an error"
	case context.DeadlineExceeded == err:
		return noAnswer
	}
	return "it could not be asked"
}

func (s *systemStatus) clickhouse(ctx context.Context) schema.SystemClickHouse {
	began := s.reads.now()
	version, err := part(ctx, s.queries.ServerVersion)
	return schema.SystemClickHouse{
		Reachable: err == nil, Embedded: s.cfg.Embedded, Version: version,
		Ping: s.reads.now().Sub(began), Problem: problemOf(err),
	}
}

func (s *systemStatus) peers(ctx context.Context) ([]schema.PeerNode, error) {
	standing, err := s.queries.Standing(ctx)
	var all []schema.PeerNode
	for _, n := range standing.Nodes {
		all = append(all, schema.PeerNode{
			ID: n.ID, SeenAt: n.SaidAt.UTC(), Live: n.Live(standing.Now), Stopped: n.Stopped,
			Pending: int64(n.Pending),
		})
	}
	return all, err
}

func (s *systemStatus) exports(ctx context.Context) (found schema.SystemExports, err error) {
	all, err := s.queries.OpenExports(ctx)
	for _, e := range all {
		switch e.State {
		case schema.ExportQueued:
			found.Pending++
		case schema.ExportRunning:
			found.Running++
		}
	}
	return found, err
}
