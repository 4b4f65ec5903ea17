package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/server/retention"
	"github.com/meterhouse/meterhouse/server/verify"
)

// retentionFlag adds how often serve removes what organizations keep no longer.
func (c *config) retentionFlag(f *flag.FlagSet) error {
	var err error
	if c.retainEvery, err = retainEvery(env("METERHOUSE_RETENTION_EVERY", "24h")); err != nil {
		fmt.Fprintf(f.Output(), "METERHOUSE_RETENTION_EVERY: %v\n", err)
		return errUsage
	}
	f.Func("retention-every", "how `often` months are removed that their organizations keep no "+
		"longer, as 24h; 0 for never (METERHOUSE_RETENTION_EVERY; default 24h)",
		func(v string) (err error) {
			c.retainEvery, err = retainEvery(v)
			return err
		})
	return nil
}

func retainEvery(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > 0 && d < time.Minute {
		return 0, errors.New("must be a time of a minute or more, or 0")
	}
	return d, nil
}

// startRetention goes on with erasures, and removes what is kept no longer.
func (n *node) startRetention(metrics prometheus.Registerer) {
	n.eraser = retention.NewEraser(retention.EraserConfig{
		Queries:   n.database.queries,
		Directory: n.directory,
		Flush:     n.ingest.Flush,
		Exports:   n.exports,
		Mine:      n.ingest.Eldest,
		Now:       time.Now,
		Logger:    n.logger,
		Metrics:   metrics,
	})
	n.eraser.Start()
	n.keeper = retention.NewKeeper(retention.KeeperConfig{
		Queries:  n.database.queries,
		Verifier: verify.New(verify.Config{Queries: n.database.queries}),
		Mode:     n.config.billing.mode,
		Mine:     n.ingest.Eldest,
		Every:    n.config.retainEvery,
		Now:      time.Now,
		Logger:   n.logger,
		Metrics:  metrics,
	})
	n.keeper.Start()
}

// runRetention removes the months that their organizations keep no longer, once. It may run beside
// any number of serves, and again after it was interrupted.
func runRetention(ctx context.Context, args []string, std streams) (err error) {
	var c config
	var once, dry bool
	f := c.databaseFlags("retention", std)
	f.BoolVar(&once, "once", false, "make one pass and exit; serve makes one a day by itself")
	f.BoolVar(&dry, "dry-run", false, "say what would go and remove nothing")
	if err := c.billingFlags(f); err != nil {
		return err
	}
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	if !once {
		fmt.Fprintln(std.err, "meterhouse retention: give --once; serve does it by itself")
		return errUsage
	}
	logger := c.logger(std)
	d, err := openMigrated(ctx, &c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	removed, err := retention.NewKeeper(retention.KeeperConfig{
		Queries:  d.queries,
		Verifier: verify.New(verify.Config{Queries: d.queries}),
		Mode:     c.billing.mode,
		Now:      time.Now,
		Logger:   logger,
	}).Run(ctx, dry)
	events := uint64(0)
	for _, r := range removed {
		month := r.Month.Format("2006-01")
		if r.Waits != "" {
			fmt.Fprintf(std.out, "%s: organization %s: stays, %s\n", month, r.Organization, r.Waits)
			continue
		}
		events += r.Events
		fmt.Fprintf(std.out, "%s: organization %s: %d events\n", month, r.Organization, r.Events)
	}
	if err != nil {
		return fmt.Errorf("%w; what is printed is done, run it again to go on", err)
	}
	if dry {
		fmt.Fprintf(std.out, "%d events would be removed; nothing was\n", events)
		return nil
	}
	fmt.Fprintf(std.out, "%d events removed\n", events)
	return nil
}
