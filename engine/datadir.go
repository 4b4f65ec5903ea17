package engine

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Our own files beside the engine's in the data directory.
const (
	lockFile     = "engine.lock"
	configFile   = "engine.xml"
	pipesDir     = "pipes"
	endpointFile = "endpoint"
)

// prepareDir creates the data directory and returns its absolute path, links resolved: two names
// of one directory must compare equal.
func prepareDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("engine: no data directory given")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", dirError(dir, err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", dirError(dir, err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", dirError(dir, err)
	}
	return real, nil
}

// engineConfig is what the engine reads. Without a path for backups it makes none to files.
const engineConfig = "<clickhouse><backups><allowed_path>%s</allowed_path></backups></clickhouse>\n"

// prepareFiles writes what the engine is told to read and clears what a killed one left. The
// caller holds the lock.
func prepareFiles(dir, backups string) error {
	backups, err := filepath.Abs(backups)
	if err != nil {
		return dirError(dir, err)
	}
	var path strings.Builder
	if err := xml.EscapeText(&path, []byte(backups)); err != nil {
		return dirError(dir, err)
	}
	config := filepath.Join(dir, configFile)
	text := fmt.Appendf(nil, engineConfig, path.String())
	if err := os.WriteFile(config, text, 0o640); err != nil {
		return dirError(dir, err)
	}
	pipes := filepath.Join(dir, pipesDir)
	if err := os.RemoveAll(pipes); err != nil {
		return dirError(dir, err)
	}
	if err := os.Mkdir(pipes, 0o700); err != nil {
		return dirError(dir, err)
	}
	return nil
}

// dirError says once what is wrong with the directory; the path inside err may be another one.
func dirError(dir string, err error) error {
	var cause error = err
	var path *os.PathError
	if errors.As(err, &path) {
		cause = path.Err
	}
	return fmt.Errorf("engine: data directory %s cannot be written (%w): choose another or fix it",
		dir, cause)
}

// lockDir takes the directory for this process, waiting up to wait for another to let go of it.
// The kernel frees the lock with the process, however it ends.
func lockDir(
	ctx context.Context, dir string, wait time.Duration, logger *slog.Logger,
) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, dirError(dir, err)
	}
	deadline := time.Now().Add(wait)
	for said := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, dirError(dir, err)
		}
		if ctx.Err() != nil || !time.Now().Before(deadline) {
			owner := lockOwner(file)
			_ = file.Close()
			return nil, fmt.Errorf("engine: data directory %s is in use by another process%s: "+
				"stop it or choose another directory", dir, owner)
		}
		if !said {
			said = true
			logger.Info("engine waits for its data directory", "dir", dir, "wait", wait)
		}
		time.Sleep(lockPause)
	}
	// The number helps whoever finds the directory taken; the lock does not depend on it.
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return file, nil
}

const lockPause = 50 * time.Millisecond

// lockOwner is the process that wrote itself into the lock, for a message.
func lockOwner(file *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return " (pid " + pid + ")"
	}
	return ""
}

// dirLocked tells whether a process has the directory. Unlike a process number in a file, the
// lock cannot be left behind. An engine that starts at this very moment sees the directory taken
// and tries again.
func dirLocked(dir string) bool {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}
