package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/schema"
)

// runReport tells Stripe once, compares with Stripe, or explains a slot. It runs beside any number
// of serves.
func runReport(ctx context.Context, args []string, std streams) (err error) {
	var c config
	work, err := c.reportWork(args, std)
	if err != nil {
		return err
	}
	logger := c.logger(std)
	d, err := openMigrated(ctx, &c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	reporter, err := c.billing.reporter(d.queries, logger, nil, nil)
	if err != nil {
		return err
	}
	return work(ctx, reporter, std.out)
}

type reportWork func(ctx context.Context, r *billing.Reporter, out io.Writer) error

// reportWork reads the flags: exactly one of them says what is to be done.
func (c *config) reportWork(args []string, std streams) (reportWork, error) {
	var works []reportWork
	chosen := func(work reportWork) func(string) error {
		return func(value string) error {
			yes, err := strconv.ParseBool(value)
			if yes {
				works = append(works, work)
			}
			return err
		}
	}
	f := c.databaseFlags("report", std)
	f.BoolFunc("once", "tell Stripe now what serve would tell it, and say how it went",
		chosen(reportOnce))
	f.BoolFunc("reconcile", "compare what Stripe has with what it was told", chosen(reconcile))
	f.BoolFunc("after-restore", "compare what Stripe has with what a restored database says it was "+
		"told, and let reports go on", chosen(afterRestore))
	f.BoolFunc("new-account", "tell the account of STRIPE_API_KEY from now on what another account of "+
		"Stripe's was told", chosen(newAccount))
	f.Func("explain", "show all that is behind the number of a `slot`, as "+
		"organization/meter/2026-11-22T13", func(text string) error {
		slot, err := schema.ParseSlot(text)
		works = append(works, explain(slot))
		return err
	})
	if err := c.billingFlags(f); err != nil {
		return nil, err
	}
	if _, err := parse(f, args, 0, ""); err != nil {
		return nil, err
	}
	if len(works) != 1 {
		fmt.Fprintln(std.err, "meterhouse report: give one of --once, --reconcile, --after-restore, "+
			"--new-account and --explain SLOT")
		return nil, errUsage
	}
	return works[0], nil
}

// reportOnce makes a pass. It is an error when anything is left that could have been told.
func reportOnce(ctx context.Context, r *billing.Reporter, out io.Writer) error {
	run, err := r.Run(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "slots %d, sent %d, failed %d\n", run.Slots, run.Sent, run.Failed)
	switch {
	case run.End == schema.RunDone && run.Detail != "":
		fmt.Fprintln(out, run.Detail)
		return nil
	case run.End != schema.RunDone && run.Detail != "":
		return fmt.Errorf("the pass ended %s: %s", run.End, run.Detail)
	case run.End != schema.RunDone:
		return fmt.Errorf("the pass ended %s", run.End)
	case run.Failed > 0:
		return fmt.Errorf("%d slots are left: `meterhouse report --explain SLOT` says why",
			run.Failed)
	}
	return nil
}

// reconcile compares. It is an error when anything differs or could not be compared.
func reconcile(ctx context.Context, r *billing.Reporter, out io.Writer) error {
	all, err := r.Reconcile(ctx)
	if err != nil {
		return err
	}
	if err := billing.RenderComparisons(out, all); err != nil {
		return err
	}
	differ, skipped := 0, 0
	for _, c := range all {
		switch {
		case c.Skipped:
			skipped++
		case !c.Part && c.Difference() != 0:
			differ++
		}
	}
	if differ+skipped > 0 {
		return fmt.Errorf("%d differ, %d could not be compared", differ, skipped)
	}
	return nil
}

// afterRestore compares, and lets reports go on.
func afterRestore(ctx context.Context, r *billing.Reporter, out io.Writer) error {
	all, err := r.AfterRestore(ctx)
	if all != nil {
		err = errors.Join(err, billing.RenderComparisons(out, all))
	}
	if err == nil {
		fmt.Fprintln(out, "reports go on")
	}
	return err
}

// newAccount has another account of Stripe's told.
func newAccount(ctx context.Context, r *billing.Reporter, out io.Writer) error {
	n, err := r.NewAccount(ctx)
	if err == nil {
		fmt.Fprintf(out, "reports go on, %d revisions that another account has are told again\n", n)
	}
	return err
}

func explain(slot schema.Slot) reportWork {
	return func(ctx context.Context, r *billing.Reporter, out io.Writer) error {
		x, err := r.Explain(ctx, slot)
		if err != nil {
			return err
		}
		return billing.RenderExplanation(out, x)
	}
}

// reports is the reporter with a schedule that a notice of Stripe's wakes, to deal with it at once.
type reports struct {
	*billing.Reporter
	schedule *billing.Schedule
}

// Notify implements dialect.Reports.
func (r *reports) Notify(ctx context.Context, body []byte, signature string) error {
	err := r.Reporter.Notify(ctx, body, signature)
	if err == nil {
		r.schedule.Wake()
	}
	return err
}

// startReports tells Stripe, every so often, what is billable.
func (n *node) startReports(metrics prometheus.Registerer) error {
	b := n.config.billing
	reporter, err := b.reporter(n.database.queries, n.logger, metrics, n.tracing.Tracer())
	if err != nil {
		return err
	}
	b.log(n.logger)
	n.reports = &reports{reporter, billing.NewSchedule(billing.ScheduleConfig{
		Run:       reporter.Run,
		Reconcile: reporter.Reconcile,
		Lease:     n.database.queries.TakeLease,
		Interval:  b.interval,
		Writer:    n.ingest.Node(),
		Now:       time.Now,
		Jitter:    func(below time.Duration) time.Duration { return rand.N(below) },
		Logger:    n.logger,
	})}
	n.reports.schedule.Start()
	return nil
}
