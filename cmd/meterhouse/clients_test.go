package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The published client libraries of the APIs we serve, against the program as it runs. They are
// the contract in somebody else's code: what they send, and what they make of our answers.

// Who is in clients.yaml.
const (
	ada = "7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11" // Acme's superadmin
	ben = "9d1f0a64-7f2b-4c1d-8a55-3b7e5c2d4e22" // Acme's member
	ida = "0a5b2f60-3f43-4c11-9a0e-5f0d8c1b7a01" // Initech's admin
	jon = "1b6c3f71-4a54-4d22-8b1f-6a1e9d2c8b02" // Initech's member
	gil = "2c7d4a82-5b65-4e33-9c20-7b2fae3d9c03" // Globex's admin

	helperAgent    = "12345678-1234-4234-8234-123456789012" // Acme's, with events at the edges
	safeAgent      = "22345678-1234-4234-8234-123456789012" // Acme's, used 2^53-1 tokens
	largestAgent   = "32345678-1234-4234-8234-123456789012" // Acme's, used 2^63-1 tokens
	idleAgent      = "42345678-1234-4234-8234-123456789012" // Acme's, never used
	conciergeAgent = "52345678-1234-4234-8234-123456789012" // Initech's
	tutorAgent     = "62345678-1234-4234-8234-123456789012" // Initech's
	foreignAgent   = "72345678-1234-4234-8234-123456789012" // Globex's
	reporterAgent  = "92345678-1234-4234-8234-123456789012" // Acme's, reports in the raia samples
	nobody         = "82345678-1234-4234-8234-123456789012" // no id of anything

	adaAccess = "dop_v1_clients_ada"
	benAccess = "dop_v1_clients_ben"
	idaAccess = "dop_v1_clients_ida"
	gilAccess = "dop_v1_clients_gil"
	idaLogin  = "11111111-1111-4111-8111-111111111111"
	jonLogin  = "22222222-2222-4222-8222-222222222222"
)

// clientsDir holds one script for each client library, and the libraries once installed.
const clientsDir = "testdata/clients"

// clients is one program with known usage, and the calendar that the usage is on.
type clients struct {
	*program
	now   time.Time // when the usage was written
	month time.Time // start of the month before the last one, UTC: long over, and not too old
}

func TestClients(t *testing.T) {
	t.Parallel()
	installClients(t)
	catalog, err := os.ReadFile(filepath.Join(clientsDir, "clients.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond) // what a JavaScript Date can say
	c := clients{
		program: newProgram(t, string(catalog)),
		now:     now,
		month:   time.Date(now.Year(), now.Month()-2, 1, 0, 0, 0, 0, time.UTC),
	}
	c.start()
	c.writeAgentUsage(t)
	c.writeConsumption(t)
	c.awaitStored(t)
	for _, s := range []struct {
		name string
		test func(*testing.T, clients)
	}{
		{"gradient", testGradient},
		{"dots", testDots},
		{"godo", testGodo},
		{"memori", testMemori},
		{"memori preflight", testMemoriPreflight},
		{"raia samples", testRaiaSamples},
		{"tracker samples", testTrackerSamples},
	} {
		t.Run(s.name, func(t *testing.T) { s.test(t, c) })
	}
	c.verify()
}

// writeEvents writes events through the native API and expects every one to be accepted.
func (c clients) writeEvents(t *testing.T, token string, events ...map[string]any) {
	t.Helper()
	body, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	r := c.do("POST", "/v1/events", string(body),
		"Authorization", "Bearer "+token, "Content-Type", "application/json")
	want := `{"accepted":` + strconv.Itoa(len(events)) + `,"duplicates":0,"rejected":[]}`
	if r.status != 201 || strings.TrimSpace(string(r.body)) != want {
		t.Fatalf("events: %d %s, want %s", r.status, r.body, want)
	}
}

// awaitStored returns when everything acknowledged so far is visible. Events are stored in the
// order they were acknowledged, and a node shows whoever asks by id what it acknowledged: when the
// last record can be read, so can all the others.
func (c clients) awaitStored(t *testing.T) {
	t.Helper()
	r := c.do("POST", "/usage", `{"api_name":"last","endpoint":"/","units_used":0,"cost_usd":0,`+
		`"api_key_used":"none"}`, "Authorization", "Bearer "+gilAccess)
	var last struct {
		ID string `json:"usage_id"`
	}
	if err := json.Unmarshal(r.body, &last); err != nil || r.status != 201 {
		t.Fatalf("last record: %d %s %v", r.status, r.body, err)
	}
	r = c.do("GET", "/usage/"+last.ID, "", "Authorization", "Bearer "+gilAccess)
	if r.status != 200 {
		t.Fatalf("last record: %d %s", r.status, r.body)
	}
}

// runScript has a client library make calls, and decodes its one document of answers into out,
// numbers in their own digits.
func (c clients) runScript(t *testing.T, script string, calls, out any) {
	t.Helper()
	list, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", script, c.url(""), string(list))
	node.Dir = clientsDir
	var stderr bytes.Buffer
	node.Stderr = &stderr
	stdout, err := node.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	decodeExactly(t, stdout, out)
}

// decodeExactly decodes JSON without giving numbers in untyped places to float64.
func decodeExactly(t *testing.T, document []byte, out any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	if err := d.Decode(out); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
}

// document decodes a JSON text as decodeExactly does.
func document(t *testing.T, text string) any {
	t.Helper()
	var v any
	decodeExactly(t, []byte(text), &v)
	return v
}

// same fails the test when two documents differ, members that should not be there included.
func same(t *testing.T, name string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", name, diff)
	}
}

// installClients installs the client libraries as the lock file has them, unless they are. Test
// processes that run at once do it one after another.
func installClients(t *testing.T) {
	t.Helper()
	requireNode(t)
	dir, err := os.Open(clientsDir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close() // which unlocks
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %s: %v", clientsDir, err)
	}
	lock, err := os.ReadFile(filepath.Join(clientsDir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	version := hex.EncodeToString(sum[:])
	// npm takes the whole folder away before it installs, so the mark is there only beside what
	// was installed to the end.
	mark := filepath.Join(clientsDir, "node_modules", ".installed")
	if installed, err := os.ReadFile(mark); err == nil && string(installed) == version {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = clientsDir
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci in %s: %v; the client libraries come from npm's registry\n%s",
			clientsDir, err, out)
	}
	if err := os.WriteFile(mark, []byte(version), 0o600); err != nil {
		t.Fatal(err)
	}
}

// requireNode fails the test on a machine that cannot run the clients: without them nobody knows
// whether they still work.
func requireNode(t *testing.T) {
	t.Helper()
	const need = "the client libraries need Node 20 or later with npm: install it and run again"
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		t.Fatalf("node --version: %v; %s", err, need)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 20 {
		t.Fatalf("node is %s; %s", bytes.TrimSpace(out), need)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatalf("%v; %s", err, need)
	}
}
