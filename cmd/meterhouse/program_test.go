package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/engine"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// binary is the program under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "meterhouse-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "meterhouse")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Stderr = os.Stderr
	code := 1
	if build.Run() == nil {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// repository is the folder of go.mod.
const repository = "../.."

// program is one data directory and the serve that runs on it, as an operator would run it.
type program struct {
	t       testing.TB
	data    string
	catalog string
	address string
	args    []string // more flags of serve
	env     []string
	binary  string // another program than the one under test

	cmd    *exec.Cmd
	exited chan error
	mu     sync.Mutex
	stderr bytes.Buffer // of every start
	stdout bytes.Buffer
}

// newProgram prepares a data directory and a catalog; start starts it. What still runs at the
// test's end is killed.
func newProgram(t testing.TB, catalog string) *program {
	t.Helper()
	p := &program{t: t, data: t.TempDir(), address: "127.0.0.1:0"}
	p.catalog = filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(p.catalog, []byte(catalog), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill()
		}
		if t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Logf("stderr of serve:\n%s", p.stderr.String())
		}
	})
	return p
}

// command returns a call of the program on this data directory.
func (p *program) command(ctx context.Context, subcommand string, args ...string) *exec.Cmd {
	args = append(append(strings.Fields(subcommand), "--data", p.data), args...)
	cmd := exec.CommandContext(ctx, cmp.Or(p.binary, binary), args...)
	cmd.Env = append(os.Environ(), p.env...)
	if os.Getenv("LIBCHDB_PATH") == "" {
		library, err := filepath.Glob(filepath.Join(repository,
			"engine/node_modules/@chdb/lib-*/libchdb.so"))
		if err != nil || len(library) == 0 {
			p.t.Fatal("the engine library is not installed: run `make engine`")
		}
		path, err := filepath.Abs(library[0])
		if err != nil {
			p.t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "LIBCHDB_PATH="+path)
	}
	return cmd
}

// start starts serve and returns when it accepts requests. Later starts use the same address.
func (p *program) start() {
	p.t.Helper()
	if err := p.tryStart(); err != nil {
		p.t.Fatalf("serve did not start: %v", err)
	}
}

func (p *program) tryStart() error {
	args := append([]string{"--listen", p.address, "--catalog", p.catalog}, p.args...)
	cmd := p.command(context.Background(), "serve", args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = &lockedWriter{&p.mu, &p.stderr}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.exited = cmd, make(chan error, 1)
	ready := make(chan string, 1)
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		defer close(ready)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if _, address, ok := strings.Cut(lines.Text(), "accepts requests on http://"); ok {
				ready <- address
			}
			p.mu.Lock()
			fmt.Fprintln(&p.stdout, lines.Text())
			p.mu.Unlock()
		}
	}()
	exited := p.exited
	go func() { <-copied; exited <- cmd.Wait() }()
	select {
	case address, ok := <-ready:
		if !ok {
			p.cmd = nil
			return errors.Join(errors.New("it exited"), <-exited)
		}
		p.address = address
		return nil
	case <-time.After(60 * time.Second):
		p.kill()
		return errors.New("it was not ready within a minute")
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// kill is kill -9 of serve; the engine notices by itself.
func (p *program) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
	p.cmd = nil
}

// stop is SIGTERM; serve has ten seconds and must exit 0.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.exited:
		p.cmd = nil
		if err != nil {
			p.t.Fatalf("serve ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		p.kill()
		p.t.Fatal("serve did not stop within ten seconds")
	}
}

// engineProcess returns the embedded engine that runs on the data directory.
func (p *program) engineProcess() (*os.Process, error) {
	e, err := engine.ReadEndpoint(filepath.Join(p.data, "engine"))
	if err != nil {
		return nil, err
	}
	return os.FindProcess(e.PID)
}

func (p *program) url(path string) string { return "http://" + p.address + path }

// stderrText returns what serve has logged so far.
func (p *program) stderrText() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// verify runs `meterhouse verify` and fails the test when it finds anything.
func (p *program) verify() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := p.command(ctx, "verify").CombinedOutput()
	if err != nil {
		p.t.Fatalf("verify: %v\n%s", err, out)
	}
}

// response is an answer whose body was read.
type response struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; headers come in pairs. An answer that is not as the OpenAPI document says
// fails the test.
func (p *program) do(method, path, body string, headers ...string) response {
	p.t.Helper()
	request, err := http.NewRequest(method, p.url(path), strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := dialecttest.Conforms(method, path, dialecttest.Response{
		Status: answer.StatusCode, Header: answer.Header, Body: content,
	}); err != nil {
		p.t.Errorf("%v: %.300s", err, content)
	}
	return response{answer.StatusCode, answer.Header, content}
}

func TestServeStartsAndStops(t *testing.T) {
	p := newProgram(t, demoCatalog)
	p.start()
	if r := p.do("GET", "/readyz", ""); r.status != http.StatusOK {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
	if r := p.do("POST", "/external/resource-usage", `{"type":"OPENAI_TOKENS","amount":4567}`,
		"Agent-Secret-Key", "demo-agent-secret-1"); r.status != http.StatusCreated {
		t.Errorf("write: %d %s", r.status, r.body)
	}
	p.verify()
	p.stop()
	p.start()
	p.verify()
	p.stop()
}
