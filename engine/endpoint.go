package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// Endpoint is how to reach a running engine. It holds a secret.
type Endpoint struct {
	Addr     string `json:"addr"`
	Password string `json:"password"`
	PID      int    `json:"pid"`
}

// String leaves the password out, for logs and errors.
func (e Endpoint) String() string { return fmt.Sprintf("%s (pid %d)", e.Addr, e.PID) }

// LogValue does the same for handlers that render fields.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.String()) }

// ErrNoEngine means that no engine is running on a data directory.
var ErrNoEngine = errors.New("no engine is running")

// ReadEndpoint returns the way to the engine that a Supervisor runs on a data directory, or an
// error that wraps ErrNoEngine.
func ReadEndpoint(dataDir string) (Endpoint, error) {
	var e Endpoint
	text, err := os.ReadFile(filepath.Join(dataDir, endpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("engine: %w on %s", ErrNoEngine, dataDir)
	}
	if err != nil {
		return e, fmt.Errorf("engine: endpoint: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return Endpoint{}, fmt.Errorf("engine: endpoint: %w", err)
	}
	// A supervisor that was killed leaves its file behind.
	if !dirLocked(dataDir) {
		return Endpoint{}, fmt.Errorf("engine: %w on %s", ErrNoEngine, dataDir)
	}
	return e, nil
}

// writeEndpoint replaces the file at once: a reader sees the old way or the new one.
func writeEndpoint(dataDir string, e Endpoint) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dataDir, endpointFile+".*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dataDir, endpointFile))
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// removeEndpoint takes the file away if it still speaks of this process.
func removeEndpoint(dataDir string, pid int) {
	path := filepath.Join(dataDir, endpointFile)
	var e Endpoint
	text, err := os.ReadFile(path)
	if err == nil && json.Unmarshal(text, &e) == nil && e.PID == pid {
		_ = os.Remove(path)
	}
}
