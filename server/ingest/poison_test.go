package ingest

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// refuse makes a table refuse what a condition says until allow is called.
func (l *ledger) refuse(table, unless string) (allow func()) {
	l.t.Helper()
	l.Exec("ALTER TABLE " + table + " ADD CONSTRAINT refuse CHECK " + unless)
	return func() { l.Exec("ALTER TABLE " + table + " DROP CONSTRAINT refuse") }
}

// aside returns what a data folder has set aside, and fails the test unless there are so many.
func aside(t testing.TB, dir string, want int) []SetAside {
	t.Helper()
	all, err := Aside(dir)
	if err != nil || len(all) != want {
		t.Fatalf("set aside: %+v, %v, want %d", all, err, want)
	}
	return all
}

// replayAll stores what is set aside.
func (l *ledger) replayAll(dir string, wantFound int) {
	l.t.Helper()
	all, err := Aside(dir)
	if err != nil {
		l.t.Fatal(err)
	}
	found := 0
	for _, s := range all {
		f, err := Replay(l.t.Context(), l, s)
		if err != nil {
			l.t.Fatal(err)
		}
		found += f.Events
	}
	if found != wantFound {
		l.t.Errorf("%d events were in the ledger before the replay, want %d", found, wantFound)
	}
	aside(l.t, dir, 0)
}

// logText is a logger's output, which a test can look at while it grows.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *logText) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *logText) has(s string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Contains(t.text.String(), s)
}

// poisoned starts a node to whose database the model "bad" is poison, and has it accept a batch of
// that and two others.
func (l *ledger) poisoned(dir, table string) (in *Ingest, allow func()) {
	l.t.Helper()
	allow = l.refuse(table, "model != 'bad'")
	in = mustOpen(l.t, l.config(dir, &tap{}))
	in.Start()
	l.record(in, "bad", 2)
	waitFor(l.t, func() bool {
		in.batcher.mu.Lock()
		defer in.batcher.mu.Unlock()
		return in.batcher.planned > 0
	})
	l.record(in, "good", 3)
	return in, allow
}

// TestPoisonBlocksNobody: a batch that the ledger refuses is set aside, what follows is stored, and
// a replay brings it back: once, twice, when its file is there again after a crash, and when its
// token is forgotten. Without the look at the ledger the forgotten one is there twice.
func TestPoisonBlocksNobody(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	dir := t.TempDir()
	in, allow := l.poisoned(dir, "usage_events")
	flush(t, in)
	s := aside(t, dir, 1)[0]
	if s.Kind != KindBatch || s.Node != in.Node() || s.First != 1 || s.Last != 2 || s.Events != 2 ||
		!strings.Contains(s.Error, "refuse") || !strings.HasPrefix(s.Token, s.Node.String()+":1-2:") {
		t.Errorf("set aside: %+v", s)
	}
	if got := l.sum("usage_events"); got != "3 12" {
		t.Errorf("the ledger has %s, want 3 good events, 12", got)
	}
	if _, err := Replay(t.Context(), l, s); err == nil {
		t.Error("stored although it is refused")
	}
	aside(t, dir, 1)
	file, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	allow()
	l.replayAll(dir, 0) // beside the node
	l.wantOnce()
	l.replayAll(dir, 0)
	for range 2 {
		if err := os.WriteFile(s.Path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		l.replayAll(dir, 2)
		l.wantOnce()
		l.forgetTokens()
	}
	l.record(in, "good", 1)
	flush(t, in)
	stop(t, in)
	l.wantOnce()
}

// TestPoisonOfARollup: the ledger took the batch and a rollup did not. It is set aside all the same,
// and a replay says that the ledger had it.
func TestPoisonOfARollup(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	dir := t.TempDir()
	in, allow := l.poisoned(dir, "agent_usage_15m")
	flush(t, in)
	aside(t, dir, 1)
	if got := l.sum("usage_events"); got != "5 15" {
		t.Errorf("the ledger has %s, want all 5 events, 15", got)
	}
	allow()
	l.replayAll(dir, 2)
	stop(t, in)
	if got := l.sum("usage_events"); got != "5 15" {
		t.Errorf("the ledger has %s after the replay", got)
	}
}

// TestSystemicFaultIsNoPoison: a table that refuses everything is nobody's poison. Nothing is set
// aside, it is said, and all is stored once the table is mended. Without the evidence of something
// else that is accepted, every batch is set aside and nothing is said.
func TestSystemicFaultIsNoPoison(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"usage_events", "consumption_daily"} {
		l := newLedger(t)
		dir := t.TempDir()
		allow := l.refuse(table, "0")
		text := new(logText)
		c := l.config(dir, &tap{})
		c.BatchRowsMax, c.Logger = 2, slog.New(slog.NewTextHandler(text, nil))
		in := mustOpen(t, c)
		in.Start()
		for range 3 {
			l.record(in, "", 2)
		}
		waitFor(t, func() bool { return text.has("refuses every batch") })
		time.Sleep(500 * time.Millisecond)
		aside(t, dir, 0)
		allow()
		flush(t, in)
		stop(t, in)
		aside(t, dir, 0)
		l.wantOnce()
	}
}

// TestPoisonAloneIsProbed: two batches are poison and there is no third: a probe shows that the
// fault is theirs. What it leaves in the ledger is of no organization and adds up to nothing. Where
// nothing is ever doubted, the two stay in the way for ever.
func TestPoisonAloneIsProbed(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	dir := t.TempDir()
	allow := l.refuse("usage_events", "model != 'bad'")
	c := l.config(dir, &tap{})
	c.BatchRowsMax = 2
	in := mustOpen(t, c)
	in.Start()
	l.record(in, "bad", 2)
	l.record(in, "bad", 2)
	flush(t, in)
	aside(t, dir, 2)
	probes := l.Strings(`SELECT DISTINCT formatRow('TSV', organization_id, quantity, billed_cost)
		FROM usage_events`)
	if len(probes) != 1 || strings.TrimSpace(probes[0]) !=
		"00000000-0000-0000-0000-000000000000\t0\t0" {
		t.Errorf("the ledger has %q, want probes and nothing else", probes)
	}
	allow()
	l.replayAll(dir, 0)
	stop(t, in)
	l.wantOnce()
}

// TestCrashBeforeAsideIsNoted: a batch is set aside and the node dies before it notes so. It is
// tried again: refused, it is the same file; accepted, the file is a copy that a replay takes away.
func TestCrashBeforeAsideIsNoted(t *testing.T) {
	t.Parallel()
	for _, mended := range []bool{false, true} {
		l := newLedger(t)
		dir := t.TempDir()
		allow := l.refuse("usage_events", "model != 'bad'")
		c := l.config(dir, &tap{})
		c.poisonAge = time.Hour
		in := mustOpen(t, c)
		in.Start()
		l.record(in, "bad", 2)
		waitFor(t, func() bool {
			p, err := in.log.progress()
			return err == nil && len(p.Fixed) == 1
		})
		abandon(in)
		before := copyDir(t, dir) // fixed, tried, and not set aside
		c = l.config(dir, &tap{})
		if mended { // the next day, when its token is not trusted
			c.Now = func() time.Time { return time.Now().Add(24 * time.Hour) }
		}
		in = mustOpen(t, c)
		in.Start()
		flush(t, in)
		stop(t, in)
		name := filepath.Base(aside(t, dir, 1)[0].Path)
		if err := os.CopyFS(AsideDir(before), os.DirFS(AsideDir(dir))); err != nil {
			t.Fatal(err)
		}
		if mended {
			allow()
		}
		in = mustOpen(t, l.config(before, &tap{}))
		in.Start()
		flush(t, in)
		if got := filepath.Base(aside(t, before, 1)[0].Path); got != name {
			t.Errorf("set aside as %s and then as %s", name, got)
		}
		if mended {
			l.replayAll(before, 2)
		} else {
			allow()
			l.replayAll(before, 0)
		}
		stop(t, in)
		l.wantOnce()
	}
}

// TestAsideSaysWhatIsDamaged: a file that lost or changed any byte is listed as unreadable or is not
// stored; a file of another kind is passed over.
func TestAsideSaysWhatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	path, err := setAside(dir, SetAside{Kind: KindBatch, First: 1, Last: 2, Token: "t"},
		[][]byte{[]byte("one"), []byte("two")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(AsideDir(dir), "new-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	aside(t, dir, 1)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 0x10
		for _, damaged := range [][]byte{whole[:i], flipped} {
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := readAside(path); err == nil {
				t.Fatalf("byte %d is damaged and nobody noticed", i)
			}
			aside(t, dir, 1)
		}
	}
}

// TestPoisonWaitsForRoom: there is no room for the file of a batch that is poison. It stays in the
// log, writers are served, and when there is room it is set aside and the others are stored.
// With the failure taken for success the batch is gone.
func TestPoisonWaitsForRoom(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	dir := t.TempDir()
	if err := os.WriteFile(AsideDir(dir), nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	text := new(logText)
	allow := l.refuse("usage_events", "model != 'bad'")
	c := l.config(dir, &tap{})
	c.Logger = slog.New(slog.NewTextHandler(text, nil))
	in := mustOpen(t, c)
	in.Start()
	l.record(in, "bad", 2)
	waitFor(t, func() bool { return text.has(`step="set a batch aside"`) })
	l.record(in, "good", 3)
	if err := in.Ready(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(AsideDir(dir)); err != nil {
		t.Fatal(err)
	}
	flush(t, in)
	aside(t, dir, 1)
	allow()
	l.replayAll(dir, 0)
	stop(t, in)
	l.wantOnce()
}
