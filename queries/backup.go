package queries

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// BackupPlace is where a backup is: exactly one of File, Disk and Object.URL says.
type BackupPlace struct {
	File   string // a name below the server's backups.allowed_path, or a path it allows
	Disk   string // a disk of backups.allowed_disk, and Path on it
	Path   string
	Object Object // of an S3-compatible store; its Format is not looked at
}

// sql returns the place as a statement names it, its values as parameters with a prefix.
func (p BackupPlace) sql(prefix string) (place string, args []any, err error) {
	named := func(name, value string) string {
		args = append(args, text(prefix+name, value))
		return "{" + prefix + name + ":String}"
	}
	switch {
	case p.File != "" && p.Disk == "" && p.Object.URL == "":
		return "File(" + named("file", p.File) + ")", args, nil
	case p.Disk != "" && p.File == "" && p.Object.URL == "":
		return "Disk(" + named("disk", p.Disk) + ", " + named("path", p.Path) + ")", args, nil
	case p.Object.URL != "" && p.File == "" && p.Disk == "":
		return "S3(" + named("url", p.Object.URL) + ", " + named("key", p.Object.KeyID) + ", " +
			named("secret", p.Object.SecretKey) + ")", args, nil
	}
	return "", nil, errors.New("backup: one place is needed: a file, a disk or an object")
}

// backupTime bounds a backup or restore: it runs in the server, whoever waits for it.
const backupTime = 24 * time.Hour

func backupSettings() clickhouse.Settings {
	return clickhouse.Settings{
		"max_execution_time": int(backupTime / time.Second), "max_memory_usage": 0,
		"log_queries": 0, // a place holds a secret
	}
}

// BackupState is how far a backup is.
type BackupState struct {
	State   string // ClickHouse's: CREATING_BACKUP, BACKUP_CREATED, …
	Problem string
	Files   uint64 // that are chosen; 0: the tables are still being looked through
	Bytes   uint64
}

// Cut reports whether what is to be in the backup is chosen: what is inserted later is not.
func (s BackupState) Cut() bool { return s.Files > 0 || s.Over() }

// Over reports whether the backup has ended, one way or the other.
func (s BackupState) Over() bool { return s.State != "CREATING_BACKUP" && s.State != "RESTORING" }

type currentRow struct {
	name string
	now  time.Time
}

var (
	backups = ask("backups",
		func(id string) []any { return []any{text("id", id)} },
		func(s *BackupState) []any { return []any{&s.State, &s.Problem, &s.Files, &s.Bytes} })
	currentDatabase = ask("current_database", bindNone, func(r *currentRow) []any {
		return []any{&r.name, &r.now}
	})
)

// StartBackup starts a backup of all tables of this database and returns its id. The server that was
// asked makes it. It keeps the database's name: a view that is restored under another loses the
// aliases of its tables (seen with 26.7). With a base, only what the base does not have is written: restoring needs both.
func (q *Queries) StartBackup(ctx context.Context, to, base BackupPlace) (string, error) {
	place, args, err := to.sql("to_")
	if err != nil {
		return "", err
	}
	name, err := q.quotedDatabase(ctx)
	if err != nil {
		return "", err
	}
	id := uuid.NewString()
	// Names and ids of a backup cannot be parameters; the one is quoted, the other ours.
	statement := "BACKUP DATABASE " + name + " TO " + place +
		" SETTINGS id = '" + id + "'"
	if base != (BackupPlace{}) {
		on, more, err := base.sql("base_")
		if err != nil {
			return "", err
		}
		statement += ", base_backup = " + on
		args = append(args, more...)
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(backupSettings()))
	if err := q.exec(ctx, "backup", statement+" ASYNC", args...); err != nil {
		return "", fmt.Errorf("backup: %w", brief(err))
	}
	return id, nil
}

// BackupState returns how far a backup is.
func (q *Queries) BackupState(ctx context.Context, id string) (BackupState, error) {
	s, ok, err := first(ctx, q.conn, backups, id)
	if err == nil && !ok {
		err = errors.New("backup: the server does not know of it any more: it was started again, " +
			"or another server answers")
	}
	return s, err
}

// quotedDatabase returns the name of this database as an identifier.
func (q *Queries) quotedDatabase(ctx context.Context) (string, error) {
	row, _, err := first(ctx, q.conn, currentDatabase, none{})
	return quoteName(row.name), err
}

func quoteName(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

// Now returns the time by the database's clock.
func (q *Queries) Now(ctx context.Context) (time.Time, error) {
	row, _, err := first(ctx, q.conn, currentDatabase, none{})
	return row.now.UTC(), err
}

// RestoreSchemaVersion brings the version of a backup's schema into an empty database, and returns
// it. DropAll takes it away again.
func (q *Queries) RestoreSchemaVersion(ctx context.Context, from BackupPlace) (int64, error) {
	place, args, err := from.sql("from_")
	if err != nil {
		return 0, err
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(backupSettings()))
	err = q.exec(ctx, "restore", "RESTORE TABLE schema_migrations FROM "+place, args...)
	if err != nil {
		return 0, fmt.Errorf("restore: %w", brief(err))
	}
	version, half, err := q.SchemaVersion(ctx)
	if err == nil && half {
		err = fmt.Errorf("restore: the backup was taken while version %d was being migrated to",
			version)
	}
	return version, err
}

// Restore brings all tables of a backup into an empty database of the name that it had. It returns when they are there.
func (q *Queries) Restore(ctx context.Context, from BackupPlace) error {
	place, args, err := from.sql("from_")
	if err != nil {
		return err
	}
	name, err := q.quotedDatabase(ctx)
	if err != nil {
		return err
	}
	ctx = clickhouse.Context(ownTime{ctx}, clickhouse.WithSettings(backupSettings()))
	// The database itself is there, and may have been made otherwise.
	err = q.exec(ctx, "restore", "RESTORE DATABASE "+name+" FROM "+place+
		" SETTINGS allow_different_database_def = 1", args...)
	if err != nil {
		return fmt.Errorf("restore: %w", brief(err))
	}
	return nil
}

// Table is a table or view of this database.
type Table struct{ Name, Engine string }

type versionRow struct {
	version int64
	half    bool
}

var (
	databaseTables = ask("database_tables", bindNone, func(t *Table) []any {
		return []any{&t.Name, &t.Engine}
	})
	schemaVersion = ask("schema_version", bindNone, func(r *versionRow) []any {
		return []any{&r.version, &r.half}
	})
)

// Tables returns what there is in this database, ordered by name.
func (q *Queries) Tables(ctx context.Context) ([]Table, error) {
	return collect(ctx, q.conn, databaseTables, none{})
}

// SchemaVersion returns the version of the schema, and whether it is half made.
func (q *Queries) SchemaVersion(ctx context.Context) (version int64, half bool, err error) {
	row, _, err := first(ctx, q.conn, schemaVersion, none{})
	return row.version, row.half, err
}

// DropAll empties a database: what a restore that failed left in one that was empty.
func (q *Queries) DropAll(ctx context.Context) error {
	all, err := q.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		err := q.exec(ctx, "drop", "DROP TABLE IF EXISTS "+quoteName(t.Name)+" SYNC")
		if err != nil {
			return fmt.Errorf("drop %s: %w", t.Name, brief(err))
		}
	}
	return nil
}

const dropUnfixedOutcomes = "drop_unfixed_outcomes"

// DropUnfixed removes outcomes whose revision is not there: a backup may lie between the two.
func (q *Queries) DropUnfixed(ctx context.Context) error {
	return q.rewrite(ctx, dropUnfixedOutcomes, []string{"report_outcomes"})
}
