package exports

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// Shorter names for what jobs write often.
const (
	stateQueued   = schema.ExportQueued
	stateRunning  = schema.ExportRunning
	stateDone     = schema.ExportDone
	stateFailed   = schema.ExportFailed
	stateCanceled = schema.ExportCanceled
	stateExpired  = schema.ExportExpired
)

// errLost is an export that went on without its job.
var errLost = errors.New("it was cancelled, or another node has it")

// errRoom is a node whose files of exports take all they may.
var errRoom = errors.New("the files of exports take all the room they may")

// job makes one export on this node.
type job struct {
	exporter *Exporter
	request  schema.ExportRequest
	cancel   context.CancelFunc
	ended    chan struct{} // closed

	mu  sync.Mutex
	row queries.Export // the newest version that is the job's
}

func (j *job) newest() queries.Export {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.row
}

// save writes the next version of the export. errLost when somebody else wrote it.
func (j *job) save(ctx context.Context, change func(next *queries.Export)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := j.row
	next.Version, next.Writer = next.Version+1, uuid.New()
	change(&next)
	newest, err := j.exporter.cfg.Queries.SaveExport(ctx, next)
	switch {
	case err != nil:
		return err
	case newest.Version != next.Version || newest.Writer != next.Writer:
		if j.cancel != nil {
			j.cancel()
		}
		return errLost
	}
	j.row = next
	return nil
}

// run makes the parts that are not noted yet, in order.
func (j *job) run(ctx context.Context) error {
	e, row := j.exporter, j.newest()
	noted, err := e.cfg.Queries.ExportParts(ctx, queries.ExportPartsParams{
		Organization: row.Organization, Exports: []uuid.UUID{row.ID},
	})
	if err != nil {
		return err
	}
	whole := make(map[uint32]queries.ExportPart)
	for _, p := range noted {
		if p.Attempt == row.Attempt {
			whole[p.Part] = p
		}
	}
	if err := e.prepare(row.ID, j.request.Destination, whole); err != nil {
		return err
	}
	for i := range len(row.Bounds) - 1 {
		if _, ok := whole[uint32(i)]; ok {
			continue
		}
		part, err := j.part(ctx, row, i)
		if err != nil {
			return err
		}
		part.NotedAt = e.cfg.Now()
		if err := e.cfg.Queries.InsertExportPart(ctx, part); err != nil {
			return err
		}
		e.metrics.wrote(part.Bytes)
	}
	return nil
}

// part makes one part: [Bounds[i], Bounds[i+1]).
func (j *job) part(ctx context.Context, row queries.Export, i int) (queries.ExportPart, error) {
	p := queries.ExportPart{
		Organization: row.Organization, Export: row.ID, Attempt: row.Attempt, Part: uint32(i),
		Name: partName(i, j.request.Format),
	}
	from, to := row.Bounds[i], row.Bounds[i+1]
	var err error
	switch {
	case j.request.Destination == "":
		err = j.writeFile(ctx, &p, from, to)
	case j.request.Events != nil:
		asked := queries.ExportEventsParams{
			Organization: row.Organization, User: row.User, From: from, To: to,
		}
		p.Rows, p.Bytes, err = j.exporter.cfg.Queries.ExportEventsTo(ctx, asked, j.object(row, p))
	default:
		err = j.upload(ctx, row, &p, from, to)
	}
	if err != nil {
		return p, fmt.Errorf("part %d: %w", i+1, err)
	}
	return p, nil
}

func partName(i int, format schema.ExportFormat) string {
	return fmt.Sprintf("part-%05d.%s", i+1, format)
}

// object is where a part goes in a bucket. A part that is made again replaces itself.
func (j *job) object(row queries.Export, p queries.ExportPart) queries.Object {
	b := j.exporter.cfg.Buckets[j.request.Destination]
	return queries.Object{
		URL:   b.URL + row.Organization.String() + "/" + row.ID.String() + "/" + p.Name,
		KeyID: b.KeyID, SecretKey: b.SecretKey, Format: j.request.Format,
	}
}

// retry is when an export that could not be made is tried again.
type retry struct {
	failures int
	until    time.Time
}

// failuresMax is how often an export is tried that fails for no reason we know, and retryMax how
// long the last wait is.
const (
	failuresMax = 8
	retryMax    = time.Minute
)

// end notes what became of a job.
func (j *job) end(ctx context.Context, err error) {
	e, row := j.exporter, j.newest()
	now := e.cfg.Now()
	if ctx.Err() != nil || errors.Is(err, errLost) {
		return // whoever ended it says why, or it goes on at the next start
	}
	detail := reason(err)
	if err != nil && detail == "" {
		if detail = e.again(ctx, row.ID, now); detail == "" {
			e.log("export was cut off, it goes on", row, err)
			return
		}
	}
	saved := j.save(ctx, func(next *queries.Export) {
		next.State, next.EndedAt, next.Detail = stateDone, now, detail
		switch {
		case err != nil:
			next.State = stateFailed
		case j.request.Destination == "":
			next.ExpiresAt = now.Add(lifetime)
		}
	})
	switch {
	case errors.Is(saved, errLost):
		return
	case saved != nil:
		e.log("export could not be noted as ended, it goes on", row, saved)
		return
	case err != nil:
		e.log("export failed", row, err)
		e.remove(row.ID.String())
		e.metrics.ended.WithLabelValues(string(stateFailed)).Inc()
	default:
		e.cfg.Logger.Info("export is done", "export", row.ID, "organization", row.Organization,
			"parts", len(row.Bounds)-1)
		e.metrics.ended.WithLabelValues(string(stateDone)).Inc()
	}
	e.mu.Lock()
	delete(e.waiting, row.ID)
	e.mu.Unlock()
}

// again says when a job that failed for a reason that may pass is tried again, or, when it failed
// too often, what is told of it. While the database cannot be asked nothing is counted.
func (e *Exporter) again(ctx context.Context, id uuid.UUID, now time.Time) (detail string) {
	reached := e.cfg.Queries.Ping(ctx) == nil
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.waiting[id]
	if reached {
		r.failures++
	}
	if r.failures >= failuresMax {
		return "it could not be made: ask for it again, and for help if that fails too"
	}
	r.until = now.Add(min(retryMax, time.Second<<r.failures))
	e.waiting[id] = r
	return ""
}

// reason returns what is told of a failure that trying again does not mend; empty of any other.
func reason(err error) string {
	known := (*schema.Error)(nil)
	switch {
	case errors.Is(err, errRoom):
		return "the files of exports take all the room they may: delete some, ask for a shorter " +
			"range, or for parquet"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full: delete exports, or ask again later"
	case errors.Is(err, os.ErrPermission):
		return "files cannot be written here"
	case errors.As(err, &known) && known.Kind != schema.Overloaded &&
		known.Kind != schema.Unavailable && known.Kind != schema.Internal:
		return known.Error()
	}
	return ""
}
