package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

func catalog(ctx context.Context, args []string, std streams) (err error) {
	if len(args) == 0 || args[0] != "apply" {
		fmt.Fprintln(std.err, "usage: meterhouse catalog apply [flags] FILE")
		return errUsage
	}
	var c config
	f := c.databaseFlags("catalog apply", std)
	files, err := parse(f, args[1:], 1, "FILE")
	if err != nil {
		return err
	}
	logger := c.logger(std)
	d, err := openDatabase(ctx, &c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if d.embedded {
		if _, err := d.migrate(ctx, logger); err != nil {
			return err
		}
	}
	return applyFile(ctx, files[0], d.queries, access.NewDirectory(d.queries, logger), logger)
}

// applyFile brings the catalog to what a file says and refreshes the directory.
func applyFile(
	ctx context.Context, path string, q *queries.Queries, d *access.Directory, logger *slog.Logger,
) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	defer file.Close()
	return apply(ctx, file, path, q, d, logger)
}

func applyDemo(
	ctx context.Context, q *queries.Queries, d *access.Directory, logger *slog.Logger,
) error {
	return apply(ctx, strings.NewReader(demoCatalog), "demo catalog", q, d, logger)
}

func apply(
	ctx context.Context, r io.Reader, name string,
	q *queries.Queries, d *access.Directory, logger *slog.Logger,
) error {
	want, err := access.ParseFile(r)
	if err != nil {
		return err
	}
	if err := d.Refresh(ctx); err != nil {
		return err
	}
	have := d.Snapshot()
	change := access.Diff(have, want)
	summary := access.Summary(change)
	if summary == "" {
		logger.Info("catalog is as the file says", "file", name)
		return nil
	}
	if err := access.Conflict(have, change); err != nil {
		return err
	}
	now := time.Now()
	if err := q.SaveCatalog(ctx, schema.CatalogChange{
		Upsert:  change,
		Version: nextVersion(have.Version(), now),
		At:      now,
		Actor:   "file",
		Summary: summary,
	}); err != nil {
		return err
	}
	logger.Info("catalog changed", "file", name, "change", summary)
	return d.Refresh(ctx)
}

// nextVersion is the time in microseconds, or one more than the newest version where the clock
// is behind it.
func nextVersion(newest uint64, now time.Time) uint64 {
	return max(newest+1, uint64(now.UnixMicro()))
}
