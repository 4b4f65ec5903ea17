package ingest

import (
	"path/filepath"
	"sync/atomic"

	"github.com/meterhouse/meterhouse/schema"
)

// totals counts events since the start, as the metrics do: to be asked for by name.
type totals struct{ accepted, duplicates, rejected, refused atomic.Int64 }

// Status returns how the log is, and what came in since the start.
func (in *Ingest) Status() (schema.SystemLog, schema.SystemIngest) {
	return schema.SystemLog{
			PendingEvents: in.Pending(),
			PendingBytes:  in.batcher.bytes.Load(),
			LimitBytes:    in.cfg.LogBytesMax,
			Lag:           in.Lag(),
		}, schema.SystemIngest{
			Accepted:   in.totals.accepted.Load(),
			Duplicates: in.totals.duplicates.Load(),
			Rejected:   in.totals.rejected.Load(),
			Refused:    in.totals.refused.Load(),
		}
}

// Aside returns the batches that are set aside, the oldest first.
func (in *Ingest) Aside() (batches []schema.AsideBatch, err error) {
	all, err := Aside(in.cfg.Dir)
	for _, s := range all {
		b := schema.AsideBatch{
			File: filepath.Base(s.Path), First: s.First, Last: s.Last, Reason: s.Error,
			Events: int(s.Events),
		}
		switch {
		case s.Unreadable != "":
			b.Reason = s.Unreadable
		case s.Kind == KindGap: // there is nothing to store
			continue
		}
		batches = append(batches, b)
	}
	return batches, err
}
