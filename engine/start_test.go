package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wantLine checks that an error is one line with a text in it.
func wantLine(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) ||
		strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "engine: ") {
		t.Errorf("%v, want one line with %q", err, want)
	}
}

func TestFindLibrary(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, libraryFile)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := FindLibrary(file); err != nil || path != file {
		t.Error(path, err)
	}
	_, err := FindLibrary(file + "x")
	wantLine(t, err, "libchdb.sox: no such file: run `make engine`")
	_, err = FindLibrary(dir)
	wantLine(t, err, ": not a file: run `make engine`")
	t.Chdir(dir)
	_, err = FindLibrary("")
	wantLine(t, err, "libchdb.so not found (looked in [")

	installed := filepath.Join("engine", "node_modules", "@chdb", libraryPackage(), libraryFile)
	if err := os.MkdirAll(filepath.Dir(installed), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(installed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := FindLibrary(""); err != nil || path != installed {
		t.Error(path, err)
	}
	want := []string{
		"/opt/m/bin/libchdb.so",
		"/opt/m/" + installed,
		installed,
	}
	if diff := cmp.Diff(want, libraryCandidates("/opt/m/bin/meterhouse")); diff != "" {
		t.Error(diff)
	}
}

// cLibrary is a library that every machine has and that is not libchdb.
var cLibrary = map[string]string{
	"linux": "libc.so.6", "darwin": "/usr/lib/libSystem.B.dylib",
}[runtime.GOOS]

func TestWrongLibraryIsRefused(t *testing.T) {
	text := filepath.Join(t.TempDir(), libraryFile)
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	// loadLibrary remembers the library of the process, which is another one.
	_, err := openLibrary(text)
	wantLine(t, err, "cannot be loaded")
	_, err = openLibrary(cLibrary)
	wantLine(t, err, cLibrary+" is not the libchdb this program needs (no chdb_")
	wantLine(t, checkVersion("/x/libchdb.so", "26.5.3"),
		`library /x/libchdb.so is libchdb "26.5.3", this program needs 26.7.x: run`)
	if err := checkVersion("", "26.7.9"); err != nil {
		t.Error(err)
	}
	_, err = loadLibrary(text)
	wantLine(t, err, "is already loaded, cannot also load")
}

func TestUnusableDirectories(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(file, "data"), file, "/proc/engine-data"} {
		c := childConfig(dir)
		c.DataDir = t.TempDir()
		wantLine(t, NewSupervisor(c).Start(t.Context()),
			"engine: data directory "+dir+" cannot be written (")
	}
	_, err := Open(t.Context(), Config{LibraryPath: libraryForTests()})
	wantLine(t, err, "no data directory given")
	_, err = Open(t.Context(), Config{LibraryPath: libraryForTests(), DataDir: t.TempDir()})
	wantLine(t, err, "this process already runs an engine on "+shared.db.dir)
}

func TestTakenPort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().String()
	_, err = Start(t.Context(), Config{DataDir: t.TempDir(), Listen: taken})
	wantLine(t, err, "address "+taken+" is taken: stop what listens there or choose another")
	_, err = Start(t.Context(), Config{DataDir: t.TempDir(), Listen: "no such address"})
	wantLine(t, err, "cannot listen on no such address")
}

func TestRunNeedsAPassword(t *testing.T) {
	wantLine(t, Run(t.Context(), Config{DataDir: t.TempDir()}), "set METERHOUSE_ENGINE_PASSWORD")
}

// again serves the process's engine once more, as Run does, next to the shared server.
func again(t *testing.T) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Password: "secret"}
	return serve(t.Context(), shared.db, listener, c.withDefaults())
}

func TestCloseWaitsThenCancels(t *testing.T) {
	ask := func(s *Server, sql string) chan string {
		got := make(chan string, 1)
		go func() {
			resp, err := plainClient.Post("http://"+s.Addr()+"/?password=secret", "", text(sql))
			if err != nil {
				got <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			got <- string(body)
		}()
		return got
	}
	s := again(t)
	mark := randomLetters(12)
	got := ask(s, "SELECT sleep(0.5) AS "+mark)
	eventually(t, "the query runs", func() bool { return running(t, mark) == 1 })
	if err := closeHTTP(s, 10*time.Second); err != nil {
		t.Error(err)
	}
	if body := <-got; body != "0\n" {
		t.Errorf("a query in flight got %q", body)
	}

	s = again(t)
	mark = randomLetters(12)
	got = ask(s, "SELECT count() AS "+mark+" FROM numbers(1000000000000)")
	eventually(t, "the query runs", func() bool { return running(t, mark) == 1 })
	if err := closeHTTP(s, 50*time.Millisecond); err == nil {
		t.Error("no word of the queries that were cancelled")
	}
	<-got
	eventually(t, "the query is gone", func() bool { return running(t, mark) == 0 })
}

func closeHTTP(s *Server, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return s.closeHTTP(ctx)
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	e := Endpoint{Addr: "a", Password: "hidden", PID: 1}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "endpoint", e)
	if s := fmt.Sprintf("%v %+v %s", e, e, e) + log.String(); strings.Contains(s, "hidden") {
		t.Errorf("an endpoint shows its password: %s", s)
	}
}
