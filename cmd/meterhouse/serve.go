package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/server"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/console"
	"github.com/meterhouse/meterhouse/server/corrections"
	"github.com/meterhouse/meterhouse/server/exports"
	"github.com/meterhouse/meterhouse/server/ingest"
	"github.com/meterhouse/meterhouse/server/retention"
	"github.com/meterhouse/meterhouse/server/tracing"
	"github.com/meterhouse/meterhouse/server/verify"
)

// Stopping takes at most ten seconds: requests end, the log drains, the engine goes last.
const (
	requestsGrace = 2 * time.Second
	drainGrace    = 3 * time.Second
	tracesGrace   = time.Second
	adminGrace    = 200 * time.Millisecond
)

// memoryGoal is what the collector aims to stay below: it works harder near it. The bounds on what
// is held at once, in server and ingest, are made for it.
const memoryGoal = 272 << 20

// startTimeout bounds what serve waits for its database when it starts.
const startTimeout = 2 * time.Minute

// serveFlags adds all that serve takes.
func (c *config) serveFlags(name string, std streams) (*flag.FlagSet, error) {
	f := c.databaseFlags(name, std)
	f.StringVar(&c.listen, "listen", env("METERHOUSE_LISTEN", "127.0.0.1:8080"),
		"`address` to accept requests on (METERHOUSE_LISTEN)")
	f.StringVar(&c.catalog, "catalog", os.Getenv("METERHOUSE_CATALOG"),
		"catalog `file` to apply at the start (METERHOUSE_CATALOG)")
	f.StringVar(&c.admin, "admin-listen", os.Getenv("METERHOUSE_ADMIN_LISTEN"),
		"loopback `address` to serve profiles, metrics and health on; empty: nowhere "+
			"(METERHOUSE_ADMIN_LISTEN)")
	c.log.accessLogFlag(f)
	f.BoolVar(&c.demo, "demo", false, "apply the built-in demo catalog and print requests to paste")
	return f, errors.Join(c.verifyFlag(f), c.retentionFlag(f), c.accessFlags(f), c.logFlag(f), c.keysFlag(f),
		c.billingFlags(f), c.intervalFlag(f), c.exportsFlags(f), c.tlsFlags(f))
}

func serve(ctx context.Context, args []string, std streams) error {
	var c config
	f, err := c.serveFlags("serve", std)
	if err != nil {
		return err
	}
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	if err := c.access.tokens().Check(); err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	n := newNode(&c, c.logger(std))
	err = n.start(ctx)
	if err == nil {
		fmt.Fprintf(std.out, "meterhouse %s accepts requests on %s://%s\n",
			versionText(), c.tls.scheme(), n.listener.Addr())
		if c.demo {
			printDemo(std.out, c.tls.scheme()+"://"+n.listener.Addr().String())
		}
		err = n.wait(ctx)
	}
	return errors.Join(err, n.stop())
}

// node is everything one serve runs, in the order it starts; stop goes backwards.
type node struct {
	config *config
	logger *slog.Logger

	lock      *os.File
	listener  net.Listener
	tls       *tls.Config // of the listener; nil: none
	database  *database
	directory *access.Directory
	ingest    *ingest.Ingest
	corrector *corrections.Corrector
	schedule  *verify.Schedule
	reports   *reports
	eraser    *retention.Eraser
	keeper    *retention.Keeper
	exports   *exports.Exporter
	server    *server.Server
	failed    chan error
	admin     *adminListener
	metrics   *prometheus.Registry
	pulse     *pulse
	tracing   *tracing.Tracing
}

func newNode(c *config, logger *slog.Logger) *node {
	return &node{config: c, logger: logger, metrics: newMetrics()}
}

func (n *node) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var err error
	if n.config.admin != "" {
		if n.admin, err = newAdminListener(n.config.admin, n.logger); err != nil {
			return err
		}
		n.admin.start()
	}
	if n.tls, err = n.config.tls.listener(n.logger); err != nil {
		return err
	}
	if n.lock, err = lockData(n.config.data); err != nil {
		return err
	}
	if n.listener, err = net.Listen("tcp", n.config.listen); err != nil {
		return err
	}
	if err := n.startDatabase(ctx); err != nil {
		return err
	}
	if err := n.startDirectory(ctx); err != nil {
		return err
	}
	n.startMetrics()
	metrics := n.metrics
	if err := n.startTracing(ctx, metrics); err != nil {
		return err
	}
	if err := n.startIngest(ctx, metrics); err != nil {
		return err
	}
	n.corrector = corrections.New(corrections.Config{
		Queries:  n.database.queries,
		Snapshot: n.directory.Snapshot,
		Flush:    n.ingest.Flush,
		Gate:     n.ingest.Gate(),
		Doubled:  n.ingest,
		Window:   n.config.window,
		Now:      time.Now,
		Logger:   n.logger,
		Metrics:  metrics,
	})
	n.corrector.Start()
	n.startVerify(metrics)
	if err := n.startReports(metrics); err != nil {
		return err
	}
	n.exports = n.newExports(metrics)
	n.exports.Start()
	n.startRetention(metrics)
	if n.server, err = n.newServer(); err != nil {
		return err
	}
	if n.admin != nil {
		operations := n.server.Operations()
		n.admin.operations.Store(&operations)
	}
	n.failed = make(chan error, 1)
	go func() { n.failed <- n.server.Serve(n.listener) }()
	return nil
}

func (n *node) newServer() (*server.Server, error) {
	return server.New(server.Config{
		Directory:   n.directory,
		Ingest:      n.ingest,
		Corrections: n.corrector,
		Queries:     n.database.queries,
		Reports:     n.reports,
		Exports:     n.exports,
		Erasures:    n.eraser,
		System: server.SystemConfig{
			Version: versionText(), StartedAt: time.Now(), Embedded: n.database.embedded,
			Verify: n.schedule.Status, Reports: n.reports.Status,
		},
		Logger:    n.logger,
		Metrics:   n.metrics,
		Now:       time.Now,
		Tracer:    n.tracing.Tracer(),
		AccessLog: n.config.log.access,
		TLS:       n.tls,
		Console: console.Config{
			PublicURL: n.config.tls.publicURL,
			Version:   versionText(),
			Billing:   n.config.billing.key != "",
		},
	})
}

func (n *node) startIngest(ctx context.Context, metrics prometheus.Registerer) error {
	ledger, err := n.database.queries.Ledger(ctx)
	if err != nil {
		return err
	}
	if n.ingest, err = ingest.Open(ingest.Config{
		Dir:      n.config.data,
		Store:    n.database.queries,
		Ledger:   n.database.queries,
		Peers:    n.database.queries,
		Snapshot: n.directory.Snapshot,
		Now:      time.Now,
		Logger:   n.logger,
		Metrics:  metrics,
		Tracer:   n.tracing.Tracer(),
		Window:   n.config.window,
		LedgerID: ledger,
		Restored: func(node uuid.UUID, next uint64) error { return n.restored(ledger, node, next) },
		Limit:    n.config.access.events,

		LogBytesMax: n.config.logLimit,
	}); err != nil {
		return err
	}
	n.ingest.Start()
	return nil
}

// startVerify proves, every so often, that what is derived equals the ledger.
func (n *node) startVerify(metrics prometheus.Registerer) {
	n.schedule = verify.NewSchedule(verify.ScheduleConfig{
		Verifier: verify.New(verify.Config{
			Queries: n.database.queries, Data: n.config.data, Window: n.config.window,
		}),
		Node:    n.ingest.Node(),
		Every:   n.config.verifyEvery,
		Now:     time.Now,
		Logger:  n.logger,
		Metrics: metrics,
	})
	n.schedule.Start()
}

// startDatabase connects to a database of this program's schema, or a newer one.
func (n *node) startDatabase(ctx context.Context) error {
	var err error
	if n.config.clickhouse == "" {
		n.database, err = startDatabase(ctx, n.config, n.logger)
	} else {
		n.database, err = openDatabase(ctx, n.config, n.logger)
	}
	if err != nil {
		return err
	}
	return n.database.prepare(ctx, n.logger)
}

func (n *node) startDirectory(ctx context.Context) error {
	if err := n.newDirectory(); err != nil {
		return err
	}
	if err := n.directory.Refresh(ctx); err != nil {
		return err
	}
	if err := n.applyCatalog(ctx); err != nil {
		return err
	}
	n.directory.Start()
	return nil
}

func (n *node) newDirectory() error {
	var err error
	n.directory, err = access.New(access.Config{
		Catalog:           n.database.queries,
		Logger:            n.logger,
		RequestsPerMinute: n.config.access.rateLimit,
		Tokens:            n.config.access.tokens(),
	})
	return err
}

func (n *node) applyCatalog(ctx context.Context) error {
	if n.config.demo {
		if err := applyDemo(ctx, n.directory, n.logger); err != nil {
			return err
		}
	}
	if n.config.catalog == "" {
		return nil
	}
	return applyFile(ctx, n.config.catalog, n.directory, n.logger)
}

// wait returns when the process is told to stop or the listener fails.
func (n *node) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.failed:
		return err
	}
}

func (n *node) stop() error {
	var errs []error
	if n.server != nil {
		n.logger.Info("stopping", "events_to_store", n.ingest.Pending())
		ctx, cancel := context.WithTimeout(context.Background(), requestsGrace)
		if err := n.server.Stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, err)
		}
		cancel()
	} else if n.listener != nil {
		errs = append(errs, n.listener.Close())
	}
	if n.exports != nil {
		n.exports.Stop()
	}
	if n.reports != nil {
		n.reports.schedule.Stop()
	}
	if n.keeper != nil {
		n.keeper.Stop()
		n.eraser.Stop()
	}
	if n.schedule != nil {
		n.schedule.Stop()
	}
	if n.corrector != nil {
		n.corrector.Stop()
	}
	if n.ingest != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainGrace)
		errs = append(errs, n.ingest.Stop(ctx))
		cancel()
	}
	if n.pulse != nil {
		n.pulse.Stop()
	}
	if n.directory != nil {
		n.directory.Stop()
	}
	if n.database != nil {
		errs = append(errs, n.database.close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	if n.tracing != nil {
		ctx, cancel := context.WithTimeout(context.Background(), tracesGrace)
		errs = append(errs, n.tracing.Stop(ctx))
		cancel()
	}
	if n.admin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
		errs = append(errs, n.admin.stop(ctx))
		cancel()
	}
	return errors.Join(errs...)
}
