package exports

import (
	"context"

	"github.com/google/uuid"
)

// File is what a part is written to.
type File = file

// CreateFile creates one as production does.
var CreateFile = createFile

// CutEvents and CutQuery are pure.
var (
	CutEvents = cutEvents
	CutQuery  = cutQuery
)

// EventColumns are those of the ledger's exports.
var EventColumns = eventColumns

// SetCreate replaces what creates the files of parts, before any is made.
func (e *Exporter) SetCreate(create func(name string) (File, error)) { e.create = create }

// Turn looks after every export once, and returns what waits for the jobs that are under way.
func (e *Exporter) Turn(ctx context.Context) (wait func()) {
	e.turn(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	var ended []chan struct{}
	for _, j := range e.jobs {
		ended = append(ended, j.ended)
	}
	return func() {
		for _, c := range ended {
			<-c
		}
	}
}

// Running returns the exports that are being made here.
func (e *Exporter) Running() (all []uuid.UUID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.jobs {
		all = append(all, id)
	}
	return all
}

// Stopping reports whether Stop has begun.
func (e *Exporter) Stopping() bool { return e.ctx.Err() != nil }
