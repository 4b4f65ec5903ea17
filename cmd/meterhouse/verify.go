package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

// verify proves that every rollup equals the ledger and that nothing is there twice, and exits 1
// with the differences when that is not so.
func verify(ctx context.Context, args []string, std streams) (err error) {
	var c config
	var p queries.VerifyParams
	f := c.databaseFlags("verify", std)
	f.Func("from", "first `day` to verify, yyyy-mm-dd; default: all", dayInto(&p.From))
	f.Func("to", "`day` to stop before; default: all", dayInto(&p.To))
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	d, err := openDatabase(ctx, &c, c.logger(std))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	findings, err := findings(ctx, d.queries, p)
	if err != nil {
		return err
	}
	for _, text := range findings {
		fmt.Fprintln(std.out, text)
	}
	if err := printSequences(ctx, std.out, d.queries); err != nil {
		return err
	}
	if len(findings) > 0 {
		return fmt.Errorf("%d differences", len(findings))
	}
	fmt.Fprintln(std.out, "every rollup equals the ledger, nothing is there twice")
	return nil
}

func dayInto(t *time.Time) func(string) error {
	return func(s string) (err error) {
		*t, err = time.Parse(time.DateOnly, s)
		return err
	}
}

// settle is how long a difference may last before it is one: an insert that is under way has
// reached some tables and not others.
const settle = 2 * time.Second

// findings returns the differences that are still there when asked again, a line each.
func findings(ctx context.Context, q *queries.Queries, p queries.VerifyParams) ([]string, error) {
	found, err := ask(ctx, q, p)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	again, err := ask(ctx, q, p)
	if err != nil {
		return nil, err
	}
	before := make(map[string]bool, len(found))
	for _, text := range found {
		before[text] = true
	}
	var lasting []string
	for _, text := range again {
		if before[text] {
			lasting = append(lasting, text)
		}
	}
	return lasting, nil
}

func ask(ctx context.Context, q *queries.Queries, p queries.VerifyParams) ([]string, error) {
	var lines []string
	rollups, err := q.VerifyRollups(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, d := range rollups {
		lines = append(lines, fmt.Sprintf("%s: organization %s, %s, %s: ledger %+v, rollup %+v",
			d.Table, d.Organization, d.Period.Format(time.DateOnly), d.UsageType,
			d.Ledger, d.Rollup))
	}
	duplicates, err := q.VerifyDuplicates(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, d := range duplicates {
		lines = append(lines, fmt.Sprintf(
			"usage_events: organization %s, event %s, revision %d, measurement %d: %d times",
			d.Organization, d.Event, d.Revision, d.Ordinal, d.Copies))
	}
	corrections, err := askCorrections(ctx, q, p)
	if err != nil {
		return nil, err
	}
	lines = append(lines, corrections...)
	dimensions, err := q.VerifyDimensions(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, d := range dimensions {
		lines = append(lines, fmt.Sprintf(
			"dimensions: organization %s, dimension %d, in use since %s: described %d times",
			d.Organization, d.ID, d.FirstDay.Format(time.DateOnly), d.Descriptions))
	}
	return lines, nil
}

func askCorrections(
	ctx context.Context, q *queries.Queries, p queries.VerifyParams,
) ([]string, error) {
	defects, err := q.VerifyCorrections(ctx, p)
	var lines []string
	for _, d := range defects {
		what := fmt.Sprintf("event %s, revision %d", d.Event, d.Revision)
		if d.Event == uuid.Nil {
			what = fmt.Sprintf("number %d", d.Number)
		}
		lines = append(lines, fmt.Sprintf("corrections: organization %s, %s %s (%d)",
			d.Organization, what, d.Problem, d.Times))
	}
	return lines, err
}

func printSequences(ctx context.Context, w io.Writer, q *queries.Queries) error {
	nodes, err := q.VerifySequences(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		fmt.Fprintln(w, "node", n)
	}
	return nil
}
