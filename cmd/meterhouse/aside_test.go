package main

import (
	"bytes"
	"context"
	encoding "encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// TestReplayStoresWhatWasRefused puts a batch that a node set aside into the data folder of a serve
// that runs, and replays it: while it is refused, when it is not, and once more.
func TestReplayStoresWhatWasRefused(t *testing.T) {
	t.Parallel()
	p := newProgram(t, demoCatalog)
	p.start()
	file := writeAside(t, p.data, 3)
	damaged := filepath.Join(filepath.Dir(file), "batch-damaged.aside")
	if err := os.WriteFile(damaged, []byte("MHASIDE1 and nothing that makes sense"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(wantExit int, wants []string, args ...string) {
		t.Helper()
		out, exit := p.replay(args...)
		if exit != wantExit {
			t.Errorf("replay %q: exit %d, want %d\n%s", args, exit, wantExit, out)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("replay %q says %q, want %q", args, out, want)
			}
		}
	}
	if r := p.do("GET", "/v1/system", "", "Authorization", "Bearer dop_v1_demo_ada"); r.status != 200 ||
		!strings.Contains(string(r.body), `"file":"`+filepath.Base(file)+`","first":"1","last":"3",`+
			`"reason":"it was odd","events":3}`) || !strings.Contains(string(r.body), `"reachable":true`) {
		t.Errorf("the system page says %d %s", r.status, r.body)
	}
	c := p.clickhouse()
	count := func() string {
		return c.lines(t, "SELECT count(), sum(quantity) FROM usage_events WHERE model = 'odd'")[0]
	}
	f(0, []string{"sequences 1-3, 3 events", "it was odd", "cannot be read", "2 files"}, "--list")
	c.lines(t, "ALTER TABLE usage_events ADD CONSTRAINT odd CHECK model != 'odd'")
	f(1, []string{"not stored", "odd"})
	c.lines(t, "ALTER TABLE usage_events DROP CONSTRAINT odd")
	if got := count(); got != "0\t0" {
		t.Errorf("the ledger has %q of what was refused", got)
	}
	f(1, []string{file + ": stored, 3 events", "cannot be read"})
	if err := os.Remove(damaged); err != nil {
		t.Fatal(err)
	}
	f(0, []string{"0 files are set aside"})
	writeAside(t, p.data, 3) // as after a crash before the file was removed
	f(0, []string{"3 of them were in the ledger before", "meterhouse verify --from"})
	if got := count(); got != "3\t6" {
		t.Errorf("the ledger has %q, want 3 events, 6", got)
	}
	p.verify()
	p.stop()
}

// replay runs `meterhouse replay` and returns what it prints and its exit status.
func (p *program) replay(args ...string) (string, int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := p.command(ctx, "replay", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && !isExit(err) {
		p.t.Fatalf("replay: %v\n%s", err, stderr.String())
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

// writeAside writes the file of a batch of n events byte by byte as server/ingest/aside.go and the
// log's entries say: a file of this version must be readable for ever.
func writeAside(t testing.TB, data string, n int) string {
	t.Helper()
	now := time.Date(time.Now().Year(), time.Now().Month(), 1, 0, 0, 0, 0, time.UTC)
	var events []byte
	for i := range n {
		events = ingest.AppendEvent(events, &schema.Event{
			ID: schema.EventID(demoOrganization, fmt.Sprint("odd ", i)), Organization: demoOrganization,
			Key: "k", Entry: schema.Record, Time: now, IngestTime: now, Model: "odd",
			Measurements: []schema.Measurement{{
				UsageType: schema.Input, Quantity: schema.WholeQuantity(int64(i + 1)),
			}},
		})
	}
	sum := func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
	le := encoding.LittleEndian
	put := le.AppendUint32
	body := append(put(le.AppendUint64(nil, 1), uint32(n)), events...)
	entry := append(put([]byte{1}, sum(body)), body...)
	node := uuid.MustParse("5d0a7a51-6f3e-4f0b-9d55-0e5f3c7a1b20")
	return asideFile(t, data, fmt.Sprintf("batch-%s-1-%d.aside", node, n), map[string]any{
		"kind": "batch", "node": node, "first": 1, "last": n, "events": n, "parts": 1,
		"token": fmt.Sprintf("%s:1-%d:00000000000000aa", node, n), "error": "it was odd", "at": now,
	}, entry)
}

// asideFile writes a file of the folder aside.
func asideFile(
	t testing.TB, data, name string, description map[string]any, parts ...[]byte,
) string {
	t.Helper()
	put := encoding.LittleEndian.AppendUint32
	said, err := json.Marshal(description)
	if err != nil {
		t.Fatal(err)
	}
	file := []byte("MHASIDE1")
	for _, part := range append([][]byte{said}, parts...) {
		sum := crc32.Checksum(part, crc32.MakeTable(crc32.Castagnoli))
		file = append(put(put(file, uint32(len(part))), sum), part...)
	}
	path := filepath.Join(data, "aside", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
