package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/verify"
)

// runVerify proves that every rollup equals the ledger, that the ledger has everything once, and
// that what Stripe is told was fixed once, and exits 1 with the differences when that is not so. What
// Stripe was not told yet is only noted. It may run beside any number of serves.
func runVerify(ctx context.Context, args []string, std streams) (err error) {
	var c config
	var p queries.VerifyParams
	f := c.databaseFlags("verify", std)
	f.Func("from", "first `day` to verify, yyyy-mm-dd; default: all", dayInto(&p.From))
	f.Func("to", "`day` to stop before; default: all", dayInto(&p.To))
	if err := c.keysFlag(f); err != nil {
		return err
	}
	if err := c.billingFlags(f); err != nil {
		return err
	}
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	if !p.From.IsZero() && !p.To.IsZero() && !p.From.Before(p.To) {
		fmt.Fprintln(std.err, "meterhouse verify: --from must be before --to")
		return errUsage
	}
	d, err := openMigrated(ctx, &c, c.logger(std))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	report, err := verify.New(verify.Config{
		Queries: d.queries, Data: c.data, Window: c.window, Mode: c.billing.mode,
	}).Run(ctx, p)
	if err != nil {
		return err
	}
	for _, finding := range report.Findings {
		fmt.Fprintln(std.out, finding.Text)
	}
	for _, note := range report.Notes {
		fmt.Fprintln(std.out, note)
	}
	if n := len(report.Findings); n > 0 {
		return fmt.Errorf("%d differences", n)
	}
	fmt.Fprintln(std.out, "every rollup equals the ledger, nothing is lost, nothing is there twice")
	return nil
}

func dayInto(t *time.Time) func(string) error {
	return func(s string) (err error) {
		*t, err = time.Parse(time.DateOnly, s)
		return err
	}
}
