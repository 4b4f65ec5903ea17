package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DB is the engine of this process, open on one data directory. It outlives its Close: see Open.
type DB struct {
	lib      *library
	dir      string
	lock     *os.File
	settings map[string]string
	logger   *slog.Logger

	// root is never closed. The engine is torn down with its last connection, and coming back
	// from that is nothing it promises.
	root *uintptr

	control struct { // the connection that kills queries of others
		sync.Mutex
		conn *uintptr
	}
	pool     pool
	serial   atomic.Uint64 // numbers connections and pipes
	slots    chan struct{} // one per query in flight
	waiting  atomic.Int64
	queue    int64
	patience time.Duration

	version  string
	timezone string
}

// process holds the one engine that the library can run: its storage is global to the process,
// so a value of ours could not own it.
var process struct {
	sync.Mutex
	db    *DB
	inUse bool
}

// Open starts the engine on c.DataDir, creating it, or takes it up again after Close. A process
// can open one directory in its life. Errors are one line each and say what to do about it.
func Open(ctx context.Context, c Config) (*DB, error) {
	c = c.withDefaults()
	path, err := FindLibrary(c.LibraryPath)
	if err != nil {
		return nil, err
	}
	dir, err := prepareDir(c.DataDir)
	if err != nil {
		return nil, err
	}
	process.Lock()
	defer process.Unlock()
	if db := process.db; db != nil {
		if process.inUse || db.dir != dir {
			return nil, fmt.Errorf("engine: this process already runs an engine on %s", db.dir)
		}
		process.inUse = true
		return db, nil
	}
	lock, err := lockDir(ctx, dir, c.LockWait, c.Logger)
	if err != nil {
		return nil, err
	}
	db, err := start(path, dir, c)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	db.lock = lock
	process.db, process.inUse = db, true
	return db, nil
}

// start loads the library and makes the first connections.
func start(path, dir string, c Config) (*DB, error) {
	lib, err := loadLibrary(path)
	if err != nil {
		return nil, err
	}
	db := &DB{
		lib:      lib,
		dir:      dir,
		settings: c.Settings,
		logger:   c.Logger,
		pool:     pool{size: idleConnsMax},
		slots:    make(chan struct{}, c.QueriesMax),
		queue:    int64(c.QueueMax),
		patience: c.QueueWait,
	}
	if err := prepareFiles(dir, c.BackupsDir); err != nil {
		return nil, err
	}
	if db.root = lib.open(db.args("root")); db.root == nil {
		return nil, fmt.Errorf("engine: the engine did not start on %s (its reason is above)", dir)
	}
	db.control.conn = lib.open(db.args("control"))
	if db.control.conn == nil {
		return nil, errors.New("engine: the engine takes no second connection")
	}
	row, err := db.ask("SELECT version(), timezone()")
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	version, timezone, _ := strings.Cut(strings.TrimSpace(row), "\t")
	db.version, db.timezone = version, timezone
	return db, nil
}

// Version is the ClickHouse version of the engine, like "26.7.2.1".
func (db *DB) Version() string { return db.version }

// Close lets a later Open in this process have the engine. The engine itself runs until the
// process ends: what it has acknowledged is on disk, so there is nothing to save.
func (db *DB) Close() {
	db.pool.drain()
	process.Lock()
	defer process.Unlock()
	process.inUse = false
}

// args is the argument vector of a connection. Settings given here are the connection's own.
func (db *DB) args(tag string) []string {
	settings := map[string]string{
		// A batch is one part, visible when its insert returns.
		"async_insert": "0",
		// The library adds conveniences of a local tool; a server has none of them.
		"implicit_select":               "0",
		"allow_introspection_functions": "0",
		"log_comment":                   tag,
	}
	maps.Copy(settings, db.settings)
	args := []string{
		"clickhouse",
		"--path=" + db.dir,
		// Without a file named here the engine would read any config.xml of the working
		// directory or of the user's home.
		"--config-file=" + filepath.Join(db.dir, configFile),
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--"+name+"="+settings[name])
	}
	return args
}

// ask runs a statement of our own on the control connection and returns its result as text.
func (db *DB) ask(sql string) (string, error) {
	db.control.Lock()
	defer db.control.Unlock()
	result := call(db.lib.query, *db.control.conn, sql, "TabSeparated", nil)
	defer db.lib.resultDestroy(result)
	if err := db.lib.failure(result); err != nil {
		return "", err
	}
	return string(db.lib.bytes(result)), nil
}

// kill asks the engine to stop whatever runs on the connection with this tag. It returns before
// the query has stopped.
func (db *DB) kill(tag string) {
	sql := "KILL QUERY WHERE startsWith(Settings['log_comment'], " + quote(tag) + ") ASYNC"
	if _, err := db.ask(sql); err != nil {
		db.logger.Error("engine query not killed", "error", err)
	}
}

// cancelOn kills what runs on a connection once ctx ends, again and again: the first order may
// come before the query has begun. The caller must call stop, and stop returns only when no more
// orders can be given, so that none hits the connection's next user.
func (db *DB) cancelOn(ctx context.Context, c *conn) (stop func()) {
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		for wait := killPauseMin; ; wait = min(2*wait, killPauseMax) {
			db.kill(c.tag)
			select {
			case <-done:
				return
			case <-time.After(wait):
			}
		}
	}()
	return func() {
		close(done)
		<-finished
	}
}

const (
	killPauseMin = 10 * time.Millisecond
	killPauseMax = time.Second
)

// enter waits for one of the slots for queries in flight; leave gives it back.
func (db *DB) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-db.slots }
	select {
	case db.slots <- struct{}{}:
		return leave, nil
	default:
	}
	defer db.waiting.Add(-1)
	if db.waiting.Add(1) > db.queue {
		return nil, tooManyQueries(cap(db.slots))
	}
	timer := time.NewTimer(db.patience)
	defer timer.Stop()
	select {
	case db.slots <- struct{}{}:
		return leave, nil
	case <-timer.C:
		return nil, tooManyQueries(cap(db.slots))
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func tooManyQueries(limit int) error {
	return &Exception{
		Code: codeTooManyQueries,
		Message: fmt.Sprintf("Too many simultaneous queries. Maximum: %d. "+
			"(TOO_MANY_SIMULTANEOUS_QUERIES)", limit),
	}
}
