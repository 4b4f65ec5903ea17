package queries

import (
	"context"
	"time"
)

// Health is what of a server and a database somebody should look at.
type Health struct {
	Version   string
	Zone      string
	Now       time.Time
	ReadOnly  bool // the user may not write
	Disks     []Disk
	NoWindow  []string // tables that would count a batch twice that is sent twice
	Mutations []Mutation
	Parts     []Crowd
	Errors    []ServerError
}

// Disk is one of the server's.
type Disk struct {
	Name        string
	Free, Total uint64
}

// Mutation is a rewriting of a table that fails, or takes long.
type Mutation struct{ Table, ID, Problem string }

// Crowd is a partition with many parts.
type Crowd struct {
	Table, Partition string
	Parts            uint64
}

// ServerError is a kind of error that the server made of late, whoever asked.
type ServerError struct {
	Name  string // as TOO_MANY_PARTS
	Count uint64 // since the server started
	Last  time.Time
}

var (
	doctorServer = ask("doctor_server", bindNone, func(h *Health) []any {
		return []any{&h.Version, &h.Zone, &h.Now, &h.ReadOnly}
	})
	doctorDisks = ask("doctor_disks", bindNone, func(d *Disk) []any {
		return []any{&d.Name, &d.Free, &d.Total}
	})
	doctorWindows   = ask("doctor_windows", bindNone, func(name *string) []any { return []any{name} })
	doctorMutations = ask("doctor_mutations", bindNone, func(m *Mutation) []any {
		return []any{&m.Table, &m.ID, &m.Problem}
	})
	doctorParts = ask("doctor_parts", bindNone, func(c *Crowd) []any {
		return []any{&c.Table, &c.Partition, &c.Parts}
	})
	doctorErrors = ask("doctor_errors", bindNone, func(e *ServerError) []any {
		return []any{&e.Name, &e.Count, &e.Last}
	})
)

// Health looks at the server and the database.
func (q *Queries) Health(ctx context.Context) (h Health, err error) {
	if h, _, err = first(ctx, q.conn, doctorServer, none{}); err != nil {
		return h, err
	}
	if h.Disks, err = collect(ctx, q.conn, doctorDisks, none{}); err != nil {
		return h, err
	}
	if h.NoWindow, err = collect(ctx, q.conn, doctorWindows, none{}); err != nil {
		return h, err
	}
	if h.Mutations, err = collect(ctx, q.conn, doctorMutations, none{}); err != nil {
		return h, err
	}
	if h.Parts, err = collect(ctx, q.conn, doctorParts, none{}); err != nil {
		return h, err
	}
	h.Errors, err = collect(ctx, q.conn, doctorErrors, none{})
	return h, err
}
