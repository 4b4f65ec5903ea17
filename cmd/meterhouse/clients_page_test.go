package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pageProgram returns the program in a language on docs/clients.md.
func pageProgram(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(repository, "docs/clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n```"+language+"\n")
	program, _, ok := strings.Cut(rest, "\n```\n")
	if !ok {
		t.Fatalf("docs/clients.md has no program in %s", language)
	}
	return program + "\n"
}

// TestClientsOfThePage runs each program of docs/clients.md twice: the second run's events are known,
// so that what is read back is what was sent once.
func TestClientsOfThePage(t *testing.T) {
	t.Parallel()
	typescript, err := filepath.Abs(filepath.Join(repository, "web/node_modules/typescript/bin/tsc"))
	if err != nil {
		t.Fatal(err)
	}
	p := newProgram(t, demoCatalog)
	p.start()
	for _, one := range []struct {
		language, file, needs string
		command               []string
	}{
		{"go", "main.go", "go", []string{"go", "run", "main.go"}},
		{"python", "main.py", "python3", []string{"python3", "main.py"}},
		{"ts", "main.mts", typescript,
			[]string{"node", "main.mjs"}},
	} {
		t.Run(one.language, func(t *testing.T) {
			if !available(one.needs) {
				if os.Getenv("METERHOUSE_TEST_ALL") != "" {
					t.Fatalf("%s is not here, and METERHOUSE_TEST_ALL is set", one.needs)
				}
				t.Logf("not run: %s is not here", one.needs)
				return
			}
			dir := t.TempDir()
			err := os.WriteFile(filepath.Join(dir, one.file), []byte(pageProgram(t, one.language)), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if one.language == "ts" {
				p.runClient(t, dir, "node", typescript, "--noCheck", "--target", "es2022",
					"--module", "esnext", "main.mts") // Node of itself knows no types
			}
			for _, counted := range []string{"accepted 2 duplicates 0\n", "accepted 0 duplicates 2\n"} {
				want := counted + "refused 2 usage.INPUT must not be negative\n" +
					"refused 0 usage is required\nINPUT 2000\nOUTPUT 350\n"
				if got := p.runClient(t, dir, one.command...); got != want {
					t.Errorf("it prints\n%s\nwant\n%s", got, want)
				}
			}
		})
	}
	p.stop()
}

// available reports whether there is a program of a name, or a file of a path.
func available(what string) bool {
	if filepath.IsAbs(what) {
		_, err := os.Stat(what)
		return err == nil
	}
	_, err := exec.LookPath(what)
	return err == nil
}

// runClient runs a command in a folder, with this serve as its server, and returns what it prints.
func (p *program) runClient(t *testing.T, dir string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "METERHOUSE_URL="+p.url(""), "METERHOUSE_TOKEN=dop_v1_demo_ada",
		"GOFLAGS=-mod=mod", "GOWORK=off")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", command, err, out, errs.String())
	}
	return string(out)
}
