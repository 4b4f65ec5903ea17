package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

func supervise(t *testing.T, c SupervisorConfig) *Supervisor {
	t.Helper()
	s := NewSupervisor(c)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func connect(t *testing.T, s *Supervisor) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{"engine:0"},
		DialContext: s.DialContext,
		Auth:        clickhouse.Auth{Username: "default", Password: s.Password()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestSupervisorRestartsAKilledEngine(t *testing.T) {
	dir := t.TempDir()
	s := supervise(t, childConfig(dir))
	conn := connect(t, s)
	execSQL(t, conn, "CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a")
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO kept")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := batch.Append(uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	before, err := ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, endpointFile)); err != nil ||
		info.Mode().Perm() != 0o600 {
		t.Errorf("endpoint file: %v, %v", info, err)
	}
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rows are back", func() bool {
		var n uint64
		err := conn.QueryRow(t.Context(), "SELECT count() FROM kept").Scan(&n)
		return err == nil && n == 1000
	})
	after, err := ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	if after.PID == before.PID || after.Password != before.Password || after.Addr != s.Addr() {
		t.Errorf("endpoint before %v, after %v", before.PID, after.PID)
	}
	if s.Restarts() != 1 || !s.Healthy() {
		t.Errorf("restarts %d, healthy %v", s.Restarts(), s.Healthy())
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := ReadEndpoint(dir); !errors.Is(err, ErrNoEngine) {
		t.Errorf("endpoint after stop: %v", err)
	}
	if _, err := s.DialContext(t.Context(), ""); err == nil {
		t.Error("a stopped engine was reached")
	}
}

// The engine would obey any config.xml that lies about; settings of ours reach it.
func TestEngineIsConfiguredByUsOnly(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("config.xml", []byte("<clickhouse><path>/elsewhere"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, supervise(t, childConfig(t.TempDir())))
	got := scalar[string](t, conn,
		"SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'")
	if got != "800000000" {
		t.Errorf("max_server_memory_usage is %s", got)
	}
	wantCode(t, conn.Exec(t.Context(),
		"SELECT groupArray(number) FROM numbers(1000000000)"), 241)
	if got := scalar[bool](t, conn, "SELECT getSetting('async_insert')"); got {
		t.Error("async_insert is on")
	}
}

// TestEngineIsToldNoSecrets: with the whole environment handed on, the engine read it out.
func TestEngineIsToldNoSecrets(t *testing.T) {
	t.Setenv("STRIPE_API_KEY", "sk_test_never")
	t.Setenv("METERHOUSE_JWT_SECRET", "never either")
	t.Setenv("METERHOUSE_LOG_LEVEL", "debug")
	conn := connect(t, supervise(t, childConfig(t.TempDir())))
	got := scalar[string](t, conn, "SELECT * FROM file('/proc/self/environ', RawBLOB)")
	if strings.Contains(got, "never") {
		t.Error("the engine knows secrets of its parent")
	}
	for _, kept := range []string{"PATH=", "METERHOUSE_LOG_LEVEL=debug"} {
		if !strings.Contains(got, kept) {
			t.Errorf("the engine lacks %s", kept)
		}
	}
}

func TestEngineEndsWithItsParent(t *testing.T) {
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], dir)
	parent.Env = append(os.Environ(), childEnv+"="+partParent)
	parent.Stderr = os.Stderr
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Wait() }()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var e Endpoint
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The next one starts at once: it waits for the first to let go of the directory, which a
	// process does by ending.
	s := supervise(t, childConfig(dir))
	if n := scalar[uint8](t, connect(t, s), "SELECT 1"); n != 1 {
		t.Error(n)
	}
	if conn, err := net.Dial("tcp", e.Addr); err == nil {
		_ = conn.Close()
		t.Error("the first engine still listens")
	}
}

func TestFirstStartFailsWithTheChildsError(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*SupervisorConfig)
		want   string
	}{
		"library": {
			func(c *SupervisorConfig) { c.LibraryPath = "/no/such/libchdb.so" },
			"engine: library /no/such/libchdb.so: no such file: run `make engine`",
		},
		"executable": {
			func(c *SupervisorConfig) { c.Executable = "/no/such/program" },
			"no such file",
		},
		"mute": {
			func(c *SupervisorConfig) { c.Executable, c.Args = "/bin/false", []string{"x"} },
			"engine: the child ended before it was ready (exit status 1)",
		},
		"never ready": {
			func(c *SupervisorConfig) {
				c.Executable, c.Args = "/bin/sleep", []string{"60"}
				c.StartTimeout = 100 * time.Millisecond
			},
			"engine: the child was not ready in time",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := childConfig(t.TempDir())
			test.change(&c)
			s := NewSupervisor(c)
			err := s.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line with %q", err, test.want)
			}
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSecondEngineOnADirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	holder := exec.Command(os.Args[0], dir)
	holder.Env = append(os.Environ(), childEnv+"="+partHold)
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Process.Kill(); _ = holder.Wait() }()
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	c := childConfig(dir)
	c.Env = append(c.Env, lockWaitEnv+"=200ms")
	err = NewSupervisor(c).Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is in use by another process (pid ") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line that says the directory is in use", err)
	}
}
