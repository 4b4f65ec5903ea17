package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// The variables that doctor knows are those that the program reads and its page of settings names.
// One taken out of the list, or put into it, fails this test.
func TestDoctorKnowsEveryVariable(t *testing.T) {
	texts, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`\bMETERHOUSE_[A-Z0-9_]*[A-Z0-9]\b`)
	found := make(map[string]bool)
	for _, path := range append(texts, filepath.Join(repository, "docs", "configuration.md")) {
		if strings.HasSuffix(path, "_test.go") || path == "doctor.go" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range name.FindAllString(string(text), -1) {
			if !strings.HasPrefix(v+"_", bucketVariable) {
				found[v] = true
			}
		}
	}
	var want []string
	for v := range found {
		want = append(want, v)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, variables); diff != "" {
		t.Errorf("variables (-read by the program +known to doctor):\n%s", diff)
	}
}

func TestDoctorGuessesVariables(t *testing.T) {
	f := func(environment, level, want string) {
		t.Helper()
		p := &patient{environment: []string{"HOME=/", "METERHOUSE_DATA=/data", environment}}
		p.checkSettings()
		if len(p.findings) != 1 || string(p.findings[0].Level) != level {
			t.Fatalf("%s: %v, want one %s", environment, p.findings, level)
		}
		if got := p.findings[0]; !strings.Contains(got.Text+": "+got.Do, want) {
			t.Errorf("%s: %v, want %q", environment, got, want)
		}
	}
	f("METERHOUSE_LOGLEVEL=debug", "warning", "did you mean METERHOUSE_LOG_LEVEL?")
	f("METERHOUSE_JWT_SECRT=x", "warning", "did you mean METERHOUSE_JWT_SECRET?")
	f("METERHOUSE_COLOUR_OF_THE_SKY=blue", "warning", "see docs/configuration.md")
	f("METERHOUSE_TEST_BACKEND=docker", "ok", "all can be read")
	f(bucketVariable+"LAKE_URL=x", "ok", "all can be read")
}

const doctorSecret = canary + "-0123456789-0123456789-0123456789"

// examined is a setup that doctor is run on again and again.
type examined struct {
	*billed
	refused string // a key that Stripe refuses
	said    strings.Builder
}

// TestDoctor breaks one thing after the other of a setup that runs, and reads what doctor says of
// it and its exit status. All of it is said without a secret.
//
// Without the redaction of what Stripe says, the refused key was told. With a database opened as
// other commands do, which start an engine where none runs, the folder of a serve that had stopped
// was another one afterwards.
func TestDoctor(t *testing.T) {
	t.Parallel()
	d := newExamined(t)
	d.start()
	password := d.clickhouse().password
	t.Run("never told", d.whatIsNotBrokenYet)
	t.Run("all well", d.allWell)
	t.Run("settings", d.settings)
	t.Run("clock", d.clockOf)
	t.Run("tokens", d.tokensOfJWT)
	t.Run("stripe", d.stripeRefuses)
	t.Run("database", d.database)
	t.Run("schema", d.schemaVersions)
	t.Run("catalog", d.catalogIsWrong)
	t.Run("verify", d.verification)
	t.Run("nodes", d.nodeIsGone)
	d.stop()
	t.Run("folder", d.folderIsLeftAlone)

	said := d.said.String()
	for _, secret := range []string{canary, password, d.refused, billedToken} {
		if strings.Contains(said, secret) {
			at := strings.Index(said, secret)
			t.Errorf("doctor tells a secret: …%s", said[max(0, at-200):at+len(secret)])
		}
	}
}

func newExamined(t *testing.T) *examined {
	t.Helper()
	d := &examined{billed: newBilled(t), refused: "rk_live_" + canary + "refused"}
	d.stripe = billingtest.New(t, d.clock, billingtest.Options{
		Meters: []billingtest.Meter{
			{Name: billedMeter, Ingestion: billingtest.ByTimestamp},
			{Name: "voice_seconds", Ingestion: billingtest.ByTimestamp},
			{Name: "calls", Ingestion: billingtest.ByTimestamp, Formula: "count"},
			{Name: "adds_up", Ingestion: billingtest.AddsUp},
		},
		Customers: []string{"cus_acme"},
	})
	d.stripe.Refuse(d.refused, http.StatusUnauthorized)
	d.env = append(d.env, "STRIPE_API_BASE="+d.stripe.URL, "METERHOUSE_VERIFY_EVERY=1s",
		"METERHOUSE_REPORT_INTERVAL=0", "METERHOUSE_JWT_SECRET="+doctorSecret)
	return d
}

// look runs doctor with more of the environment, and returns what it finds.
func (d *examined) look(want int, env []string, args ...string) []finding {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := d.command(ctx, "doctor", append([]string{"--json", "--listen", d.address}, args...)...)
	// This serve tells Stripe nothing by itself, so that it is known when it was told.
	cmd.Env = append(append(cmd.Env, "METERHOUSE_REPORT_INTERVAL=24h"), env...)
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	err := cmd.Run()
	fmt.Fprintln(&d.said, out.String(), wrong.String())
	if got := exitCode(err); got != want {
		d.t.Errorf("doctor %v: exit %d, want %d:\n%s%s", args, got, want, &out, &wrong)
	}
	if want == exitUsage {
		return nil
	}
	var found []finding
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		d.t.Fatalf("doctor %v: %v:\n%s", args, err, &out)
	}
	return found
}

// wantFinding wants one of a level that says a text, with a remedy unless all is well.
func (d *examined) wantFinding(t *testing.T, found []finding, l level, check, text string) {
	t.Helper()
	for _, f := range found {
		if f.Level == l && f.Check == check && strings.Contains(f.Text+": "+f.Do, text) &&
			(l == fine || f.Do != "") {
			return
		}
	}
	t.Errorf("no %s of %s says %q:\n%v", l, check, text, found)
}

// whatIsNotBrokenYet is right after the start: nobody has told Stripe.
func (d *examined) whatIsNotBrokenYet(t *testing.T) {
	d.use(`"usage":{"INPUT":1000000},"model":"gpt-4o-mini"`)
	d.wantFinding(t, d.look(exitOK, nil), warning, "reports", "never told")
	d.run(exitOK, "--once")
}

// allWell has nothing but ok, beside the serve that runs.
func (d *examined) allWell(t *testing.T) {
	eventually(t, "a verification was made", func() bool {
		return d.metric("meterhouse_verify_last_success_timestamp_seconds") != "0"
	})
	found := d.look(exitOK, nil)
	checks := make(map[string]bool)
	for _, f := range found {
		checks[f.Check] = true
		// A disk of this machine may be slow or full.
		if f.Level != fine && f.Check != "data" && f.Check != "disk" && f.Check != "limits" {
			t.Errorf("of a setup that is well: %v", f)
		}
	}
	for _, check := range []string{
		"settings", "data", "disk", "limits", "log", "clickhouse", "clock", "schema", "nodes",
		"catalog", "reports", "verify", "stripe", "tokens",
	} {
		if !checks[check] {
			t.Errorf("%s was not looked at: %v", check, found)
		}
	}
	d.wantFinding(t, found, fine, "verify", "no difference at")
	d.wantFinding(t, found, fine, "log", "a serve runs on it")
	cmd := d.command(t.Context(), "doctor", "--listen", d.address)
	text, err := cmd.Output()
	if err != nil || !regexp.MustCompile(`(?m)^ok       schema     version \d+$`).Match(text) {
		t.Errorf("doctor: %v:\n%s", err, text)
	}
	d.said.Write(text)
}

func (d *examined) settings(t *testing.T) {
	found := d.look(exitOK, []string{"METERHOUSE_JWT_SECRT=" + canary})
	d.wantFinding(t, found, warning, "settings",
		"METERHOUSE_JWT_SECRT is read by nobody: did you mean METERHOUSE_JWT_SECRET?")
	d.look(exitUsage, []string{"STRIPE_API_KEY=pk_test_" + canary})
	d.look(exitUsage, nil, "--verify-every", "often")
	file := filepath.Join(t.TempDir(), "file") // root may write to any folder
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	found = d.look(exitFailed, nil, "--data", file)
	d.wantFinding(t, found, problem, "data", "give it back to the user that runs serve")
}

// clockOf is how ClickHouse's clock is seen by a machine whose own is wrong.
func (d *examined) clockOf(t *testing.T) {
	config := &config{data: d.data}
	for ahead, want := range map[time.Duration]level{
		0: fine, time.Hour: problem, -time.Hour: problem,
	} {
		p := &patient{config: config, now: func() time.Time { return time.Now().Add(ahead) }}
		database, err := p.open(t.Context(), streams{})
		if err != nil {
			t.Fatal(err)
		}
		p.queries = database.queries
		if err := p.checkServer(t.Context()); err != nil {
			t.Error(err)
		}
		d.wantFinding(t, p.findings, want, "clock", "ClickHouse's")
		if err := database.close(); err != nil {
			t.Error(err)
		}
	}
}

func (d *examined) tokensOfJWT(t *testing.T) {
	found := d.look(exitFailed, []string{"METERHOUSE_JWT_SECRET=" + canary})
	d.wantFinding(t, found, problem, "tokens", "at least 32 bytes")
	found = d.look(exitFailed, nil, "--jwks-url", "http://ada:"+canary+"@127.0.0.1:1/keys")
	d.wantFinding(t, found, problem, "tokens", "connection refused")
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[{"kty":"oct","k":"`+canary+`"}]}`)
	}))
	defer issuer.Close()
	found = d.look(exitFailed, nil, "--jwks-url", issuer.URL)
	d.wantFinding(t, found, problem, "tokens", "no key that a token may be signed with")
}

func (d *examined) stripeRefuses(t *testing.T) {
	found := d.look(exitFailed, []string{"STRIPE_API_KEY=" + d.refused, "STRIPE_WEBHOOK_SECRET="})
	d.wantFinding(t, found, problem, "stripe", "the key is refused: 401")
	d.wantFinding(t, found, warning, "stripe", "STRIPE_WEBHOOK_SECRET")
	d.wantFinding(t, found, fine, "stripe", "live mode")
	found = d.look(exitFailed, []string{"STRIPE_API_BASE=http://127.0.0.1:1"})
	d.wantFinding(t, found, problem, "stripe", "cannot be reached")
	c := d.clickhouse()
	c.lines(t, "INSERT INTO stripe_accounts VALUES (99, true, 'acct_live', now(), generateUUIDv4())")
	d.wantFinding(t, d.look(exitFailed, nil), problem, "stripe",
		"reported to a live account (acct_live), and the key is of a test account (acct_test)")
	c.lines(t, "DELETE FROM stripe_accounts WHERE number = 99")
}

// database has ClickHouse away, and an error of it that somebody should see.
func (d *examined) database(t *testing.T) {
	found := d.look(exitFailed, nil, "--clickhouse", "http://default:"+canary+"@127.0.0.1:1/default")
	d.wantFinding(t, found, problem, "clickhouse", "connection refused")
	c := d.clickhouse()
	wrong, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.address,
		strings.NewReader("SELECT count() FROM (SELECT DISTINCT number FROM numbers(10000000)) "+
			"SETTINGS max_memory_usage = 1000000"))
	if err != nil {
		t.Fatal(err)
	}
	wrong.Header.Set("X-ClickHouse-Key", c.password)
	wrong.Header.Set("X-ClickHouse-User", "default")
	answer, err := http.DefaultClient.Do(wrong)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	d.wantFinding(t, d.look(exitOK, nil), warning, "errors", "MEMORY_LIMIT_EXCEEDED")
	c.lines(t, "ALTER TABLE report_intents MODIFY SETTING non_replicated_deduplication_window = 0")
	d.wantFinding(t, d.look(exitFailed, nil), problem, "tables", "report_intents does not know")
	c.lines(t, "ALTER TABLE report_intents MODIFY SETTING non_replicated_deduplication_window = 10000")
}

func (d *examined) schemaVersions(t *testing.T) {
	c := d.clickhouse()
	newest := int(schema.Newest())
	for version, want := range map[int]finding{
		newest - 1: {"schema", problem, fmt.Sprintf("version %d", newest-1), "meterhouse migrate"},
		newest + 1: {"schema", warning, "newer program", "end the upgrade"},
	} {
		c.lines(t, fmt.Sprintf("INSERT INTO schema_migrations (version, dirty, sequence) "+
			"SELECT %d, 0, max(sequence) + 1 FROM schema_migrations", version))
		exit := exitOK
		if want.Level == problem {
			exit = exitFailed
		}
		found := d.look(exit, nil)
		d.wantFinding(t, found, want.Level, want.Check, want.Text)
		d.wantFinding(t, found, want.Level, want.Check, want.Do)
	}
	c.lines(t, fmt.Sprintf("INSERT INTO schema_migrations (version, dirty, sequence) "+
		"SELECT %d, 0, max(sequence) + 1 FROM schema_migrations", newest))
}

// catalogIsWrong has organizations whose mappings are not as Stripe is, a credential that ends
// tomorrow, and a model without a rate.
func (d *examined) catalogIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wrong.yaml")
	const wrong = `
organizations:
  - {id: 1c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55, name: Bare}
  - id: 2c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55
    name: Counted
    stripe: {customer: cus_nobody, meter: calls}
  - id: 3c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55
    name: Raw
    stripe: {customer: cus_acme, meter: adds_up}
  - id: 4c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55
    name: Lost
    stripe: {customer: cus_acme, meter: not_there}
    users:
      - {id: 8b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, name: Eve, role: admin}
    credentials:
      - kind: access_token
        user: 8b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11
        secret: dop_v1_CANARY
        name: eve
        expires: TOMORROW
`
	text := strings.NewReplacer("CANARY", canary, "TOMORROW",
		time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339)).Replace(wrong)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.says(exitOK, "catalog apply", file)
	d.use(`"usage":{"OUTPUT":5},"model":"odd"`)
	found := d.look(exitFailed, nil)
	d.wantFinding(t, found, warning, "catalog", "Bare is billed by nobody")
	d.wantFinding(t, found, warning, "catalog", "(eve) ends at")
	d.wantFinding(t, found, problem, "stripe", "customer cus_nobody of Counted is not there")
	d.wantFinding(t, found, problem, "stripe", "meter calls: it aggregates by count")
	d.wantFinding(t, found, problem, "stripe", "meter adds_up: its event_time_window is not hour")
	d.wantFinding(t, found, problem, "stripe", "meter not_there is not there")
	d.wantFinding(t, found, fine, "stripe", "meter "+billedMeter+" is there")
	d.wantFinding(t, found, warning, "rates", `OUTPUT of "odd" was used without a rate`)
}

// verification is late by a clock that is far ahead, and finds a rollup that lost its rows.
func (d *examined) verification(t *testing.T) {
	late := func(ahead time.Duration) []finding {
		p := &patient{config: &config{
			data: d.data, listen: d.address, verifyEvery: time.Second,
		}, now: func() time.Time { return time.Now().Add(ahead) }}
		if err := p.checkVerify(t.Context()); err != nil {
			t.Error(err)
		}
		return p.findings
	}
	d.wantFinding(t, late(0), fine, "verify", "no difference at")
	d.wantFinding(t, late(time.Hour), warning, "verify", "the last one without a difference ended at")
	d.wantFinding(t, d.look(exitFailed, nil, "--listen", "127.0.0.1:1"), warning, "verify",
		"give doctor the --listen")
	d.clickhouse().lines(t, "TRUNCATE TABLE consumption_daily")
	d.use(`"usage":{"OUTPUT":5},"model":"odd"`) // its day is looked at
	eventually(t, "a verification found a difference", func() bool {
		return d.metric(`meterhouse_verify_runs_total{result="differences"}`) != "0"
	})
	d.wantFinding(t, d.look(exitFailed, nil), problem, "verify", "differences")
}

func (d *examined) nodeIsGone(t *testing.T) {
	d.clickhouse().lines(t, "INSERT INTO nodes (node, said_at, stopped) "+
		"VALUES ('11111111-2222-4333-8444-555555555555', now64(6) - INTERVAL 2 HOUR, 0)")
	d.wantFinding(t, d.look(exitFailed, nil), warning, "nodes",
		"node 11111111-2222-4333-8444-555555555555 went at")
}

// folderIsLeftAlone looks at what a serve left that has stopped: a batch aside, and a damaged copy
// of the checkpoint. Not a byte of the folder is another one afterwards.
func (d *examined) folderIsLeftAlone(t *testing.T) {
	writeAside(t, d.data, 3)
	asideFile(t, d.data, "damage-node-7-9.aside", map[string]any{
		"kind": "damage", "first": 7, "last": 9, "events": 3, "error": "the disk changed them",
	})
	checkpoints, err := filepath.Glob(filepath.Join(d.data, "checkpoint*"))
	if err != nil || len(checkpoints) != 1 {
		t.Fatalf("copies of the checkpoint: %v %v", checkpoints, err)
	}
	content, err := os.ReadFile(checkpoints[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range content {
		content[i] ^= 0xff
	}
	if err := os.WriteFile(checkpoints[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	before := bytesOf(t, d.data)
	found := d.look(exitFailed, nil)
	d.wantFinding(t, found, problem, "aside", "3 events of node")
	d.wantFinding(t, found, warning, "aside", "events 7-9 of node")
	d.wantFinding(t, found, warning, "log", "one copy of its checkpoint cannot be read")
	d.wantFinding(t, found, fine, "log", "no serve runs on it")
	d.wantFinding(t, found, problem, "clickhouse", "the embedded engine does not run")
	if diff := cmp.Diff(before, bytesOf(t, d.data)); diff != "" {
		t.Errorf("doctor changed the folder:\n%s", diff)
	}
}

// bytesOf returns a sum of every file below a folder.
func bytesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		sums[path] = fmt.Sprintf("%x", sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}
