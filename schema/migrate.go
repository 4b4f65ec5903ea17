package schema

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	chmigrate "github.com/golang-migrate/migrate/v4/database/clickhouse"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Versions of the database are kept here. Its engine is stated because the library's default,
// TinyLog, can be torn by a crash.
const (
	migrationsTable  = "schema_migrations"
	migrationsEngine = "MergeTree"
)

// Another node may be migrating the same database: a version that is dirty now is looked at again
// until it is clean or dirtyWait has passed. Who waits too short repeats a statement that may be
// repeated.
const (
	dirtyWait  = 3 * time.Second
	dirtyPause = 100 * time.Millisecond
)

// Migrate brings the database that options name to the newest schema and returns how many
// migrations it applied; a second call applies none. It gives up between two statements when ctx
// ends.
//
// Several nodes may call it at once: ClickHouse has no lock to take, so every migration is one
// statement that may run twice (IF NOT EXISTS, IF EXISTS), and a node that meets another's
// half-done migration waits for it. A version that stays half done, because a program died between
// a statement and its record or because the statement failed, is applied again.
func Migrate(ctx context.Context, options *clickhouse.Options, logger *slog.Logger) (int, error) {
	return migrateTo(ctx, options, Cluster{}, logger)
}

// MigrateCluster is Migrate for a database that is spread over the servers of a cluster: each
// migration in its ClusterForm. A statement that fails half-way through the servers is run again.
func MigrateCluster(
	ctx context.Context, options *clickhouse.Options, cluster string, logger *slog.Logger,
) (int, error) {
	c := Cluster{Name: cluster, Database: options.Auth.Database}
	if c.Database == "" {
		c.Database = "default"
	}
	if err := c.Check(); err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return migrateTo(ctx, options, c, logger)
}

func migrateTo(
	ctx context.Context, options *clickhouse.Options, cluster Cluster, logger *slog.Logger,
) (int, error) {
	m, err := openMigrator(options, cluster, logger)
	if err != nil {
		return 0, err
	}
	defer m.close()
	before, err := m.cleanVersion(ctx)
	if err != nil {
		return 0, err
	}
	if newest := m.newest(); before > newest {
		return 0, fmt.Errorf("migrate: the database has version %d, this program knows %d: "+
			"run the program that made it, or a newer one", before, newest)
	}
	for {
		err = m.up(ctx)
		// Another node's record came between ours: its statement is as harmless to repeat as ours.
		if dirty := (migrate.ErrDirty{}); !errors.As(err, &dirty) {
			break
		}
		if _, err = m.cleanVersion(ctx); err != nil {
			return 0, err
		}
	}
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	after, err := m.cleanVersion(ctx)
	if err != nil {
		return 0, err
	}
	applied := m.between(before, after)
	logger.Info("schema migrated", "applied", applied, "version", after)
	return applied, nil
}

// Newest returns the version that Migrate brings a database to.
func Newest() int64 {
	src, err := iofs.New(migrations, "migrations")
	if err != nil {
		panic(err) // they are embedded, and tests read them
	}
	versions, err := sourceVersions(src)
	if err != nil {
		panic(err)
	}
	return int64(versions[len(versions)-1])
}

// migrator is golang-migrate over this package's migrations and one database.
type migrator struct {
	driver   database.Driver
	migrate  *migrate.Migrate
	versions []int // all known, ascending
	logger   *slog.Logger
}

func openMigrator(
	options *clickhouse.Options, cluster Cluster, logger *slog.Logger,
) (*migrator, error) {
	src, err := iofs.New(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	versions, err := sourceVersions(src)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	driver, err := openVersionTable(options, cluster)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	m, err := migrate.NewWithInstance("iofs", src, "clickhouse", driver)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("migrate: %w", err), driver.Close())
	}
	return &migrator{driver: driver, migrate: m, versions: versions, logger: logger}, nil
}

// openVersionTable opens a connection of its own, because golang-migrate closes what it is given.
// It makes the version table; when another node made it in between, the second try finds it.
func openVersionTable(options *clickhouse.Options, cluster Cluster) (database.Driver, error) {
	config := chmigrate.Config{
		MigrationsTable:       migrationsTable,
		MigrationsTableEngine: migrationsEngine,
	}
	if cluster.Name != "" {
		config.ClusterName = "'" + cluster.Name + "'"
		config.MigrationsTableEngine = fmt.Sprintf(
			"Replicated%s('%s%s', '%s') ORDER BY sequence",
			migrationsEngine, wholePath, migrationsTable, wholeReplica)
	}
	own := *options
	own.Settings = maps.Clone(options.Settings)
	if own.Settings == nil {
		own.Settings = clickhouse.Settings{}
	}
	own.Settings["async_insert"] = 0 // a version counts when it is stored, not when it is queued
	var err error
	for range 2 {
		db := clickhouse.OpenDB(&own)
		var driver database.Driver
		used := config // it is completed
		driver, err = chmigrate.WithInstance(db, &used)
		switch {
		case err == nil && cluster.Name != "":
			return clusterDriver{driver, cluster}, nil
		case err == nil:
			return driver, nil
		}
		err = errors.Join(err, db.Close())
	}
	return nil, err
}

// clusterDriver runs the ClusterForm of each migration, a statement at a time.
type clusterDriver struct {
	database.Driver
	cluster Cluster
}

func (d clusterDriver) Run(migration io.Reader) error {
	statement, err := io.ReadAll(migration)
	if err != nil {
		return err
	}
	forms, err := ClusterForm(string(statement), d.cluster)
	if err != nil {
		return err
	}
	for _, form := range forms {
		if err := d.Driver.Run(strings.NewReader(form)); err != nil {
			return err
		}
	}
	return nil
}

func sourceVersions(src source.Driver) ([]int, error) {
	v, err := src.First()
	var versions []int
	for err == nil {
		versions = append(versions, int(v))
		v, err = src.Next(v)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return versions, nil
}

func (m *migrator) newest() int { return m.versions[len(m.versions)-1] }

// between counts the known versions in (from, to].
func (m *migrator) between(from, to int) int {
	n := 0
	for _, v := range m.versions {
		if v > from && v <= to {
			n++
		}
	}
	return n
}

// cleanVersion returns the database's version, -1 for an empty database. One that stays dirty is
// taken back to the version before it.
func (m *migrator) cleanVersion(ctx context.Context) (int, error) {
	deadline := time.Now().Add(dirtyWait)
	for {
		version, dirty, err := m.driver.Version()
		if err != nil {
			return 0, fmt.Errorf("migrate: version: %w", err)
		}
		if !dirty {
			return version, nil
		}
		if time.Now().After(deadline) {
			return m.takeBack(version)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("migrate: version %d is being applied elsewhere: %w",
				version, ctx.Err())
		case <-time.After(dirtyPause):
		}
	}
}

// takeBack records that a dirty version was not applied and returns the version before it.
func (m *migrator) takeBack(version int) (int, error) {
	i, known := slices.BinarySearch(m.versions, version)
	if !known {
		return 0, fmt.Errorf("migrate: version %d was begun and not finished by another program: "+
			"migrate with that one", version)
	}
	before := database.NilVersion
	if i > 0 {
		before = m.versions[i-1]
	}
	m.logger.Warn("schema version was begun and not finished, applying it again",
		"version", version)
	if err := m.driver.SetVersion(before, false); err != nil {
		return 0, fmt.Errorf("migrate: take back version %d: %w", version, err)
	}
	return before, nil
}

func (m *migrator) up(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		select {
		case m.migrate.GracefulStop <- true:
		default:
		}
	})
	defer stop()
	err := m.migrate.Up()
	if errors.Is(err, migrate.ErrNoChange) {
		err = nil
	}
	return errors.Join(err, ctx.Err())
}

func (m *migrator) close() {
	_, _ = m.migrate.Close() // sources are embedded, and the database's work is done
}
