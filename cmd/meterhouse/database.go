package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/meterhouse/meterhouse/engine"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// database is the ClickHouse a command works on: one that is there, or one it started.
type database struct {
	config   queries.Config
	queries  *queries.Queries
	engine   *engine.Supervisor // nil: not ours to stop
	embedded bool
}

// openDatabase connects to the DSN, else to the engine that is running on the data directory,
// else starts that engine.
func openDatabase(ctx context.Context, c *config, logger *slog.Logger) (*database, error) {
	if c.clickhouse != "" {
		authorities, err := c.tls.authorities()
		if err != nil {
			return nil, err
		}
		return connect(ctx, &database{config: queries.Config{
			DSN: string(c.clickhouse), Authorities: authorities, Cluster: c.cluster,
		}})
	}
	if err := c.oneServer(); err != nil {
		return nil, err
	}
	if e, err := engine.ReadEndpoint(c.engineDir()); err == nil {
		d := &database{
			config:   queries.Config{Address: e.Addr, Password: e.Password},
			embedded: true,
		}
		if d, err := connect(ctx, d); err == nil {
			return d, nil
		}
	}
	return startDatabase(ctx, c, logger)
}

// oneServer returns an error when a cluster is named and the engine is the embedded one.
func (c *config) oneServer() error {
	if c.cluster == "" {
		return nil
	}
	return fmt.Errorf("METERHOUSE_CLUSTER is %q and METERHOUSE_CLICKHOUSE is empty: "+
		"the embedded engine is no cluster", c.cluster)
}

// startDatabase starts the embedded engine as a child process and connects to it.
func startDatabase(ctx context.Context, c *config, logger *slog.Logger) (*database, error) {
	if err := c.oneServer(); err != nil {
		return nil, err
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	s := engine.NewSupervisor(engine.SupervisorConfig{
		Executable:  executable,
		Args:        []string{"engine", "--data", c.data, "--follow-stdin"},
		DataDir:     c.engineDir(),
		LibraryPath: c.library,
		Logger:      logger,
	})
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return connect(ctx, &database{
		config: queries.Config{
			Address:     s.Addr(),
			Password:    s.Password(),
			DialContext: s.DialContext,
		},
		engine:   s,
		embedded: true,
	})
}

func connect(ctx context.Context, d *database) (*database, error) {
	q, err := queries.Open(ctx, d.config)
	if err != nil {
		return nil, errors.Join(err, d.stopEngine())
	}
	d.queries = q
	return d, nil
}

// migrate brings the database to the newest schema.
func (d *database) migrate(ctx context.Context, logger *slog.Logger) (int, error) {
	options, err := d.config.ClickHouse()
	if err != nil {
		return 0, err
	}
	if d.config.Cluster != "" {
		return schema.MigrateCluster(ctx, options, d.config.Cluster, logger)
	}
	return schema.Migrate(ctx, options, logger)
}

// errOldSchema is a database that is to be migrated first.
var errOldSchema = errors.New("run `meterhouse migrate` with this program first: nodes of the " +
	"version before go on meanwhile")

// checkSchema returns an errOldSchema where the schema is older than this program. A newer one is
// as good: migrations only add, so that a program goes on while those after it come.
func (d *database) checkSchema(ctx context.Context, logger *slog.Logger) error {
	version, half, err := d.queries.SchemaVersion(ctx)
	newest := schema.Newest()
	switch {
	case queries.Missing(err):
		return fmt.Errorf("the database has no schema: %w", errOldSchema)
	case err != nil:
		return err
	case version < newest:
		return fmt.Errorf("the database has schema version %d, this program needs %d: %w",
			version, newest, errOldSchema)
	case version == newest && half:
		return fmt.Errorf("the migration to schema version %d is not finished: %w",
			version, errOldSchema)
	case version > newest:
		logger.Warn("a newer meterhouse has migrated the database: this one goes on; end the "+
			"upgrade by starting the newer one here too", "schema", version, "known", newest)
	}
	return nil
}

// prepare is checkSchema, and migrates the embedded engine; another ClickHouse is migrated when its
// operator says so.
func (d *database) prepare(ctx context.Context, logger *slog.Logger) error {
	err := d.checkSchema(ctx, logger)
	if d.embedded && errors.Is(err, errOldSchema) {
		_, err = d.migrate(ctx, logger)
	}
	return err
}

// openMigrated is openDatabase for what asks about more than the schema.
func openMigrated(ctx context.Context, c *config, logger *slog.Logger) (*database, error) {
	d, err := openDatabase(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	if err := d.checkSchema(ctx, logger); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// close closes the connections, and stops the engine if this process started it.
func (d *database) close() error {
	return errors.Join(d.queries.Close(), d.stopEngine())
}

// engineGrace is what a stopping engine gets before it is killed; its tables survive either.
const engineGrace = 3 * time.Second

func (d *database) stopEngine() error {
	if d.engine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineGrace)
	defer cancel()
	err := d.engine.Stop(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // it was killed
	}
	return err
}
