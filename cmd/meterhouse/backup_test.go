package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// command returns what a subcommand says, and fails the test unless it ends with want.
func (p *program) says(want int, subcommand string, args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := p.command(ctx, subcommand, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		p.t.Fatalf("%s %v: exit %d, want %d:\n%s", subcommand, args, got, want, out)
	}
	return string(out)
}

// tokens posts an event of an hour and key, and returns how many were accepted.
func (b *billed) tokens(key int, query string) int {
	b.t.Helper()
	var receipt struct{ Accepted int }
	body := b.ask("POST", "/v1/events"+query, fmt.Sprintf(
		`[{"id":"key-%d","time":%q,"usage":{"INPUT":1000000},"model":"gpt-4o-mini"}]`,
		key, b.hour.Add(5*time.Minute).Format(time.RFC3339)), http.StatusCreated)
	if err := json.Unmarshal(body, &receipt); err != nil {
		b.t.Fatal(err)
	}
	return receipt.Accepted
}

// there returns which of the keys [1, n] have an event.
func (b *billed) there(n int) map[int]bool {
	b.t.Helper()
	found := make(map[int]bool)
	organization := uuid.MustParse(billedOrganization)
	for key := 1; key <= n; key++ {
		id := schema.EventID(organization, fmt.Sprintf("key-%d", key))
		r := b.do("GET", "/v1/events/"+id.String(), "", "Authorization", "Bearer "+billedToken)
		found[key] = r.status == http.StatusOK
	}
	return found
}

// TestRestore loses a database and brings it back from a backup that was taken under load, with what
// the log still has. What is lost in between is told and can be sent again; nothing is there twice,
// and Stripe ends with what the ledger has.
//
// With the ledger's id not known (it was looked for where the embedded engine has none) nothing was
// stored again, and retries of lost events were taken for duplicates.
func TestRestore(t *testing.T) {
	t.Parallel()
	b := newBilled(t)
	b.env = append(b.env, "METERHOUSE_REPORT_INTERVAL=0")
	b.start()
	const before, after, last = 30, 40, 45
	for key := 1; key < before; key++ {
		b.tokens(key, "")
	}
	b.tokens(before, "?wait=stored")
	b.run(0, "--once")
	first := schema.EventID(uuid.MustParse(billedOrganization), "key-1").String()
	b.ask("DELETE", "/v1/events/"+first, "", http.StatusNoContent)

	loaded, during := make(chan struct{}), last
	go func() {
		defer close(loaded)
		for range 40 {
			time.Sleep(25 * time.Millisecond)
			during++
			if b.tokens(during, "") != 1 {
				t.Errorf("key %d was not accepted while a backup is taken", during)
			}
		}
	}()
	told := b.says(0, "backup", "--to", "file:one")
	<-loaded
	t.Log(told)
	if !strings.Contains(told, "stored to sequence") {
		t.Errorf("backup: %s", told)
	}
	if out := b.says(1, "backup", "--to", "file:one"); !strings.Contains(out, "another name") {
		t.Errorf("a second backup of one name: %s", out)
	}
	for key := before + 1; key < after; key++ {
		b.tokens(key, "")
	}
	b.tokens(after, "?wait=stored")
	b.run(0, "--once") // revisions that the backup knows nothing of
	b.stop()           // writes known keys, for which the log is kept no longer then
	b.start()
	b.tokens(after+1, "?wait=stored")
	for key := after + 2; key <= last; key++ {
		b.tokens(key, "")
	}
	b.kill() // the newest are in the log only
	b.lose()

	if out := b.says(0, "restore", "--from", "file:one"); !strings.Contains(out, "is lost, unless") {
		t.Errorf("restore: %s", out)
	}
	if out := b.says(1, "restore", "--from", "file:one"); !strings.Contains(out, "not empty") {
		t.Errorf("a restore into a database that is not empty: %s", out)
	}
	b.start()
	lost := b.afterRestore(before, last, during)
	for key := 1; key <= during; key++ {
		if accepted := b.tokens(key, ""); accepted == 1 != lost[key] {
			t.Errorf("key %d: lost %v, accepted when it is sent again: %d", key, lost[key], accepted)
		}
	}
	b.tokens(1, "?wait=stored")
	b.verify()

	if out := b.run(1, "--once"); !strings.Contains(out, "report --after-restore") {
		t.Errorf("report --once after a restore: %s", out)
	}
	b.run(0, "--after-restore")
	b.run(0, "--once")
	b.holds(billedMeter, int64(during-1)*195_000, 1000)
	b.verify()
	b.stop()
	if got := b.stripe.Breaches(); len(got) > 0 {
		t.Errorf("stripe noticed: %v", got)
	}
}

// lose takes the database away, and leaves its backups and the node's own files.
func (p *program) lose() {
	p.t.Helper()
	eventually(p.t, "the engine has ended", func() bool {
		return os.RemoveAll(filepath.Join(p.data, "engine")) == nil
	})
}

// afterRestore checks what there is when the node has started again, and returns the keys whose
// events are lost: none from before the backup, none that was in the log.
func (b *billed) afterRestore(before, last, during int) map[int]bool {
	b.t.Helper()
	eventually(b.t, "what the log had is stored", func() bool { return b.there(last)[last] })
	found, lost := b.there(during), make(map[int]bool)
	for key, ok := range found {
		switch {
		case ok, key == 1: // which was deleted
		case key <= before:
			b.t.Errorf("key %d was acknowledged before the backup and is not there", key)
		default:
			lost[key] = true
		}
	}
	if len(lost) == 0 {
		b.t.Error("nothing is lost: this test loses what was stored between backup and loss")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := b.command(ctx, "verify").CombinedOutput()
	said := fmt.Sprintf("%d events: stored after the backup", len(lost))
	if err != nil || !strings.Contains(string(out), said) {
		b.t.Errorf("verify says of %d lost events: %v\n%s", len(lost), err, out)
	}
	if !strings.Contains(b.stderrText(), fmt.Sprintf("are lost: neither the database nor the log has "+
		"them; have the clients send them again\" events=%d", len(lost))) {
		b.t.Errorf("serve does not say that %d events are lost", len(lost))
	}
	return lost
}

// TestRestoreRefuses what would leave half a database, and leaves it empty.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	engine := startEngine(t)
	p := engine.program
	p.env = []string{"METERHOUSE_CLICKHOUSE=" + engine.dsn(engine.address)}
	p.says(0, "migrate")
	p.says(0, "backup", "--to", "file:good")
	whole := filepath.Join(p.data, "backups")

	if err := os.WriteFile(filepath.Join(whole, "full"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := p.says(1, "backup", "--to", "file:full"); !strings.Contains(out, "backup_failed") {
		t.Errorf("a backup that cannot be written: %s", out)
	}
	ctx := t.Context()
	q, err := queries.Open(ctx, queries.Config{DSN: engine.dsn(engine.address)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	engine.do(t, "INSERT INTO schema_migrations VALUES (999999, 0, 18446744073709551615)")
	p.says(0, "backup", "--to", "file:newer")
	if err := q.DropAll(ctx); err != nil {
		t.Fatal(err)
	}
	if err := damage(filepath.Join(whole, "good"), filepath.Join(whole, "damaged")); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"file:newer":   "newer one",
		"file:damaged": "damaged",
		"file:none":    "no backup of this name",
	} {
		if out := p.says(1, "restore", "--from", from); !strings.Contains(out, want) {
			t.Errorf("restore of %s: %s", from, out)
		}
		left, err := q.Tables(ctx)
		if err != nil || len(left) > 0 {
			t.Errorf("restore of %s leaves %v, %v", from, left, err)
		}
	}
	for _, wrong := range [][]string{
		{}, {"--from", "good"}, {"--from", "s3:bucket/x"}, {"--from", "disk:d"}, {"--from", "file:"},
	} {
		p.says(2, "restore", wrong...)
	}
	if out := p.says(0, "restore", "--from", "file:good"); !strings.Contains(out, "0 migrations") {
		t.Errorf("restore: %s", out)
	}
	p.verify()
}

// do runs a statement.
func (c clickhouse) do(t *testing.T, statement string) {
	t.Helper()
	address := "http://default:" + c.password + "@" + c.address + "/?database=default"
	answer, err := http.Post(address, "text/plain", strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s: %s", statement, said)
	}
}

// damage copies a backup without the last byte of what it says of itself.
func damage(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	const about = ".backup"
	stat, err := os.Stat(filepath.Join(to, about))
	if err != nil {
		return err
	}
	return os.Truncate(filepath.Join(to, about), stat.Size()/2)
}
