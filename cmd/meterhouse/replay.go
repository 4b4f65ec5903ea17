package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// replay tries again to store the batches that were set aside because ClickHouse refused them, and
// exits 1 when it refuses some still. It runs beside a serve.
func replay(ctx context.Context, args []string, std streams) (err error) {
	var c config
	var list bool
	f := c.databaseFlags("replay", std)
	f.BoolVar(&list, "list", false, "say what is set aside and store nothing")
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	all, err := ingest.Aside(c.data)
	if err != nil {
		return err
	}
	if list || len(all) == 0 {
		for _, s := range all {
			printAside(std.out, s)
		}
		fmt.Fprintf(std.out, "%d files are set aside\n", len(all))
		return nil
	}
	d, err := openMigrated(ctx, &c, c.logger(std))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	left := 0
	gate := &ingest.Guest{Reach: d.queries}
	for _, s := range all {
		if err := gate.Enter(ctx); err != nil {
			return fmt.Errorf("wait for a hold: %w", err)
		}
		stored := replayOne(ctx, std.out, d.queries, s)
		gate.Leave()
		if !stored {
			left++
		}
	}
	if left > 0 {
		return fmt.Errorf("%d of %d files are left in %s", left, len(all), ingest.AsideDir(c.data))
	}
	return nil
}

// replayOne reports whether the file is gone, or is of a kind that nothing can store.
func replayOne(ctx context.Context, w io.Writer, q *queries.Queries, s ingest.SetAside) bool {
	if s.Unreadable != "" || s.Kind != ingest.KindBatch {
		printAside(w, s)
		return s.Unreadable == ""
	}
	found, err := ingest.Replay(ctx, q, s)
	if err != nil {
		fmt.Fprintf(w, "%s: not stored: %v\n", s.Path, err)
		return false
	}
	fmt.Fprintf(w, "%s: stored, %d events\n", s.Path, s.Events)
	if found.Events > 0 {
		from, to := found.Days()
		fmt.Fprintf(w, "  %d of them were in the ledger before; whether the rollups have them says\n"+
			"  meterhouse verify --from %s --to %s, and meterhouse rebuild mends them\n",
			found.Events, from.Format(time.DateOnly), to.Format(time.DateOnly))
	}
	return true
}

func printAside(w io.Writer, s ingest.SetAside) {
	if s.Unreadable != "" {
		fmt.Fprintf(w, "%s: cannot be read: %s\n", s.Path, s.Unreadable)
		return
	}
	fmt.Fprintf(w, "%s: %s of %s, node %s, sequences %d-%d, %d events\n  %s\n",
		s.Path, s.Kind, s.At.UTC().Format(time.RFC3339), s.Node, s.First, s.Last, s.Events, s.Error)
}
