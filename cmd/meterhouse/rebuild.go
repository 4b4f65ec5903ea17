package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/verify"
)

// rebuild recomputes rollups from the ledger, beside any number of serves, which go on accepting.
func rebuild(ctx context.Context, args []string, std streams) (err error) {
	var c config
	var p verify.RebuildParams
	f := c.databaseFlags("rebuild", std)
	f.Func("from", "first `day` to rebuild, yyyy-mm-dd", dayInto(&p.From))
	f.Func("to", "`day` to stop before", dayInto(&p.To))
	f.Func("table", "only this `table`, may be repeated: "+strings.Join(verify.Tables(), ", "),
		func(s string) error {
			if !slices.Contains(verify.Tables(), s) {
				return errors.New("is none of " + strings.Join(verify.Tables(), ", "))
			}
			p.Tables = append(p.Tables, s)
			return nil
		})
	f.BoolVar(&p.DryRun, "dry-run", false, "say what would change and change nothing")
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	if p.From.IsZero() || !p.From.Before(p.To) {
		fmt.Fprintln(std.err, "meterhouse rebuild: give a --from and a later --to")
		return errUsage
	}
	d, err := openMigrated(ctx, &c, c.logger(std))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	changed := uint64(0)
	p.Each = func(c queries.Change) {
		changed += c.Keys
		fmt.Fprintf(std.out, "%s %s: organization %s, %s: %d rows, %s\n", c.Table,
			c.From.Format(time.DateOnly), c.Organization, c.UsageType, c.Keys,
			verify.TextOfSums(c.Sums))
	}
	err = verify.New(verify.Config{Queries: d.queries, Data: c.data}).Rebuild(ctx, p)
	if err != nil {
		return fmt.Errorf("%w; what is printed is done, run it again to go on", err)
	}
	if p.DryRun {
		fmt.Fprintf(std.out, "%d rows would change; nothing was written\n", changed)
		return nil
	}
	fmt.Fprintf(std.out, "%d rows changed\n", changed)
	return nil
}
