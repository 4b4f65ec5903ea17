package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secretOfTest is in the environment or the arguments of every failing start, and in no message.
const secretOfTest = "a-secret-nobody-may-see"

// failing is a start that must fail.
type failing struct {
	name string
	args string // DATA and TAKEN stand for a fresh folder and an address in use
	env  []string
	want string
}

func startFailures(dir string) []failing {
	text := filepath.Join(dir, "text")
	broken := filepath.Join(dir, "broken.yaml")
	unknown := filepath.Join(dir, "unknown.yaml")
	dsn := "http://default:" + secretOfTest + "@"
	var all []failing
	for _, command := range []string{"serve", "engine"} {
		all = append(all, []failing{
			{command + ": taken address", command + " --data DATA --listen TAKEN", nil, "in use|taken"},
			{command + ": address", command + " --data DATA --listen here", nil, "missing port"},
			{command + ": folder below a file", command + " --data " + text + "/data", nil,
				"not a directory"},
			{command + ": no library", command + " --data DATA",
				[]string{"LIBCHDB_PATH=" + dir + "/none.so"}, "none.so: no such file: run `make engine`"},
			{command + ": wrong library", command + " --data DATA",
				[]string{"LIBCHDB_PATH=" + text}, "/text cannot be loaded"},
		}...)
	}
	return append(all, []failing{
		{"engine: no password", "engine --data DATA", []string{"METERHOUSE_ENGINE_PASSWORD="},
			"set METERHOUSE_ENGINE_PASSWORD"},
		{"serve: no catalog", "serve --data DATA --catalog " + dir + "/none.yaml", nil, "none.yaml"},
		{"serve: broken catalog", "serve --data DATA --catalog " + broken, nil,
			"catalog: yaml: line 2"},
		{"serve: unknown in catalog", "serve --data DATA --catalog " + unknown, nil,
			"catalog: line 2: colour is unknown"},
		{"serve: no ClickHouse", "serve --data DATA --clickhouse " + dsn + "127.0.0.1:1/default", nil,
			"connection refused"},
		{"serve: no DSN", "serve --data DATA --clickhouse no!" + dsn + "x", nil, "not a DSN"},
	}...)
}

// TestStartFailures wants one line that says what is wrong, and exit 1.
func TestStartFailures(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"text":         "not a library, not a folder",
		"broken.yaml":  "organizations:\n  - [\n",
		"unknown.yaml": "organizations:\n  - {colour: red}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	for _, f := range startFailures(dir) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			args := strings.NewReplacer("DATA", filepath.Join(t.TempDir(), "data"),
				"TAKEN", taken.Addr().String()).Replace(f.args)
			p := &program{t: t, env: append([]string{"METERHOUSE_LISTEN=127.0.0.1:0",
				"METERHOUSE_ENGINE_PASSWORD=" + secretOfTest}, f.env...)}
			wantFailure(t, p.bare(args), f.want)
		})
	}
}

// bare is a call of the program with these arguments only.
func (p *program) bare(args string) *exec.Cmd {
	cmd := p.command(context.Background(), "version")
	cmd.Args = append(cmd.Args[:1], strings.Fields(args)...)
	cmd.Env = append(cmd.Env, p.env...) // once more: the last one of a name counts
	return cmd
}

// wantFailure runs a command that must say, in one last line, one of the texts in want, and exit 1.
func wantFailure(t testing.TB, cmd *exec.Cmd, want string) {
	t.Helper()
	var out, stdout strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &out
	if err := cmd.Run(); exitCode(err) != exitFailed {
		t.Errorf("it ended with %v, want exit status 1", err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last, found := lines[len(lines)-1], false
	for _, text := range strings.Split(want, "|") {
		found = found || strings.Contains(last, text)
	}
	said := 0
	for _, line := range lines {
		if !strings.HasPrefix(line, "time=") {
			said++
		}
	}
	if !found || said != 1 || !strings.HasPrefix(last, "meterhouse "+cmd.Args[1]+": ") ||
		len(last) > 400 {
		t.Errorf("it says\n%s\nwant one line with %q", out.String(), want)
	}
	if strings.Contains(out.String()+stdout.String(), secretOfTest) {
		t.Errorf("it tells the secret:\n%s", out.String())
	}
}

func exitCode(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return exitOK
}

// TestDataFolderIsTaken starts a second program on the folder of one that runs.
func TestDataFolderIsTaken(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.start()
	t.Run("second", func(t *testing.T) {
		for _, command := range []string{"serve", "engine"} {
			t.Run(command, func(t *testing.T) {
				t.Parallel()
				second := &program{t: t, env: []string{"METERHOUSE_ENGINE_PASSWORD=" + secretOfTest}}
				wantFailure(t, second.bare(command+" --listen 127.0.0.1:0 --data "+p.data),
					"is in use by another process")
			})
		}
	})
	if r := p.do("GET", "/readyz", ""); r.status != 200 {
		t.Errorf("readyz of the first: %d %s", r.status, r.body)
	}
	p.verify()
	p.stop()
}

// TestWrongUsageExits2 wants what is wrong in the first line, and the usage below it.
func TestWrongUsageExits2(t *testing.T) {
	f := func(args, want string) {
		t.Helper()
		cmd := exec.Command(binary, strings.Fields(args)...)
		out, err := cmd.CombinedOutput()
		first, _, _ := strings.Cut(string(out), "\n")
		if exitCode(err) != exitUsage || !strings.Contains(first, want) {
			t.Errorf("%q: %v\n%s\nwant exit status 2 and %q", args, err, out, want)
		}
	}
	f("", "usage: meterhouse COMMAND")
	f("sevre", `unknown command "sevre"`)
	f("serve --colour red", "flag provided but not defined: -colour")
	f("serve now", "usage: meterhouse serve")
	f("engine --colour red", "flag provided but not defined: -colour")
	f("engine now", "usage: meterhouse engine")
	f("migrate now", "usage: meterhouse migrate")
	f("verify --from yesterday", `invalid value "yesterday"`)
	f("catalog", "usage: meterhouse catalog apply")
	f("catalog burn", "usage: meterhouse catalog apply")
	f("catalog apply", "usage: meterhouse catalog apply")
}

// TestFirstStartSurvivesKills kills the very first start of a data folder again and again: at any
// time, and in the half second in which the schema is made. Each start must go on where the one
// before was killed; none may end by itself. Where a migration that was begun and not finished
// waits for an operator, every second run of this test fails.
func TestFirstStartSurvivesKills(t *testing.T) {
	t.Parallel()
	const kills = 10
	r := newRand(t)
	p := newProgram(t, demoCatalog)
	for i := range kills {
		cmd := p.command(t.Context(), "serve", "--listen", "127.0.0.1:0", "--catalog", p.catalog)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			moment(r, 0, 2*time.Second)
		} else {
			// It says so when the engine is ready, and goes on to the schema.
			one := make([]byte, 1)
			if _, err := io.ReadFull(stderr, one); err != nil {
				t.Errorf("start %d: %v", i, err)
			}
			moment(r, 0, 500*time.Millisecond)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Errorf("start %d ended by itself: %v", i, err)
		}
		text, _ := io.ReadAll(stderr)
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Errorf("start %d: %v\n%s", i, err, text)
		}
	}
	p.start()
	l := newLoad(p)
	l.start(r)
	l.wantProgress(2)
	l.stop()
	l.check(p, p.clickhouse())
	p.stop()
}
