package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/corrections"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// reprice gives what was measured the costs that today's rates make of it, by corrections. It runs
// beside a serve, and again after it was interrupted.
func reprice(ctx context.Context, args []string, std streams) (err error) {
	var c config
	var p corrections.RepriceParams
	f := c.databaseFlags("reprice", std)
	f.Func("from", "first `moment` to price again, by the events' own time: a UTC day or an instant",
		momentInto(&p.From))
	f.Func("to", "`moment` to stop before", momentInto(&p.To))
	f.StringVar(&p.Model, "model", "", "only this `model`")
	f.Func("organization", "only this organization, by its `id`", func(s string) (err error) {
		p.Organization, err = uuid.Parse(s)
		return err
	})
	f.BoolVar(&p.DryRun, "dry-run", false, "say what would change and change nothing")
	if err := c.keysFlag(f); err != nil {
		return err
	}
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	if p.From.IsZero() || p.To.IsZero() || !p.From.Before(p.To) {
		fmt.Fprintln(std.err, "meterhouse reprice: give a --from and a later --to")
		return errUsage
	}
	p.Actor, p.Reason = "reprice by "+operator(), repriceReason(p)
	logger := c.logger(std)
	d, err := openMigrated(ctx, &c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	directory := access.NewDirectory(d.queries, logger)
	if err := directory.Refresh(ctx); err != nil {
		return err
	}
	rows, err := corrections.New(corrections.Config{
		Queries:  d.queries,
		Snapshot: directory.Snapshot,
		Gate:     &ingest.Guest{Reach: d.queries},
		Window:   c.window,
		Now:      time.Now,
		Logger:   logger,
	}).Reprice(ctx, p)
	printRepriced(std.out, rows, p.DryRun)
	if err != nil {
		return fmt.Errorf("%w; what is printed is done, run it again to go on", err)
	}
	return nil
}

// momentInto reads a day, which starts at midnight UTC, or an instant.
func momentInto(t *time.Time) func(string) error {
	return func(s string) (err error) {
		if *t, err = time.Parse(time.DateOnly, s); err != nil {
			*t, err = time.Parse(time.RFC3339Nano, s)
		}
		if err != nil {
			return errors.New("must be yyyy-mm-dd or yyyy-mm-ddThh:mm:ssZ")
		}
		return nil
	}
}

// repriceReason says what was asked for, as it was asked for.
func repriceReason(p corrections.RepriceParams) string {
	words := []string{
		"reprice", "--from", p.From.UTC().Format(time.RFC3339Nano),
		"--to", p.To.UTC().Format(time.RFC3339Nano),
	}
	if p.Model != "" {
		words = append(words, "--model", p.Model)
	}
	if p.Organization != uuid.Nil {
		words = append(words, "--organization", p.Organization.String())
	}
	return strings.Join(words, " ")
}

func printRepriced(w io.Writer, rows []corrections.Repriced, dryRun bool) {
	total := uint64(0)
	for _, r := range rows {
		fmt.Fprintf(w, "organization %s, %s: %d events, provider %s → %s, billed %s → %s USD\n",
			r.Organization, r.Model, r.Events, r.ProviderOld, r.ProviderNew, r.BilledOld, r.BilledNew)
		total += r.Events
	}
	if dryRun {
		fmt.Fprintf(w, "%d events would be corrected; nothing was written\n", total)
		return
	}
	fmt.Fprintf(w, "%d events corrected\n", total)
}
