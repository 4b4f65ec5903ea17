package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"

	"github.com/meterhouse/meterhouse/server/access"
)

func catalog(ctx context.Context, args []string, std streams) (err error) {
	if len(args) == 0 || args[0] != "apply" {
		fmt.Fprintln(std.err, "usage: meterhouse catalog apply [flags] FILE")
		return errUsage
	}
	var c config
	f := c.databaseFlags("catalog apply", std)
	dryRun := f.Bool("dry-run", false, "print what would change, and change nothing")
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
	if err := d.prepare(ctx, logger); err != nil {
		return err
	}
	directory := access.NewDirectory(d.queries, logger)
	if *dryRun {
		return previewFile(ctx, files[0], directory, std.out)
	}
	return applyFile(ctx, files[0], directory, logger)
}

// previewFile prints a line for each thing that applying a file would touch.
func previewFile(
	ctx context.Context, path string, d *access.Directory, out io.Writer,
) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	defer file.Close()
	lines, err := d.Preview(ctx, file)
	if err != nil {
		return err
	}
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	return nil
}

// applyFile brings the catalog to what a file says and refreshes the directory.
func applyFile(
	ctx context.Context, path string, d *access.Directory, logger *slog.Logger,
) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	defer file.Close()
	return apply(ctx, file, path, d, logger)
}

func applyDemo(ctx context.Context, d *access.Directory, logger *slog.Logger) error {
	return apply(ctx, strings.NewReader(demoCatalog), "demo catalog", d, logger)
}

func apply(
	ctx context.Context, r io.Reader, name string, d *access.Directory, logger *slog.Logger,
) error {
	summary, err := d.Apply(ctx, r, "file:"+name+" by "+operator())
	if err != nil {
		return err
	}
	if summary == "" {
		logger.Info("catalog is as the file says", "file", name)
		return nil
	}
	logger.Info("catalog changed", "file", name, "change", summary)
	return nil
}

// operator names whoever runs this program, for the record.
func operator() string {
	who := "unknown"
	if u, err := user.Current(); err == nil && u.Username != "" {
		who = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return who + "@" + host
}
