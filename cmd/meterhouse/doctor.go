package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/engine"
	"github.com/meterhouse/meterhouse/queries"
)

// level says how bad a finding is.
type level string

const (
	fine    level = "ok"
	warning level = "warning"
	problem level = "problem"
)

// finding is what a check says: one line.
type finding struct {
	Check string `json:"check"`
	Level level  `json:"level"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // the remedy
}

// patient is what is looked at.
type patient struct {
	config      *config
	environment []string
	now         func() time.Time
	queries     *queries.Queries // nil: it cannot be reached
	health      queries.Health
	findings    []finding
}

func (p *patient) say(check string, l level, do, format string, args ...any) {
	p.findings = append(p.findings, finding{check, l, fmt.Sprintf(format, args...), do})
}

// checkTimeout bounds one check: a setup that hangs is a finding too.
const checkTimeout = 20 * time.Second

// doctor looks at a setup, changes nothing in it, and says what to do. It takes what serve takes,
// and runs beside it.
func doctor(ctx context.Context, args []string, std streams) error {
	var c config
	var asJSON bool
	f, err := c.serveFlags("doctor", std)
	if err != nil {
		return err
	}
	f.BoolVar(&asJSON, "json", false, "print an array of findings")
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	p := newPatient(&c)
	p.examine(ctx, std)
	if err := p.print(std.out, asJSON); err != nil {
		return err
	}
	if n := p.count(problem); n > 0 {
		return fmt.Errorf("problems: %d", n)
	}
	return nil
}

// examine makes every check. The database is looked at when it answers.
func (p *patient) examine(ctx context.Context, std streams) {
	p.checkSettings()
	p.checkData()
	p.checkLimits()
	p.checkLog()
	d, err := p.open(ctx, std)
	if err != nil {
		p.say("clickhouse", problem, "start ClickHouse, or correct --clickhouse", "cannot be reached: %v",
			err)
	}
	if d != nil {
		defer d.close()
		p.queries = d.queries
		for _, check := range []func(context.Context) error{
			p.checkServer, p.checkSchemaVersion, p.checkNodes, p.checkCatalog, p.checkWork,
		} {
			p.guarded(ctx, "clickhouse", check)
		}
	}
	p.guarded(ctx, "verify", p.checkVerify)
	p.guarded(ctx, "stripe", p.checkStripe)
	p.guarded(ctx, "tokens", p.checkTokens)
}

// open connects to what there is. An embedded engine that does not run is not started: its folder
// would be another one afterwards.
func (p *patient) open(ctx context.Context, std streams) (*database, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if p.config.clickhouse != "" {
		return openDatabase(ctx, p.config, p.config.logger(std))
	}
	if err := p.config.oneServer(); err != nil {
		return nil, err
	}
	e, err := engine.ReadEndpoint(p.config.engineDir())
	if errors.Is(err, engine.ErrNoEngine) {
		return nil, errors.New("the embedded engine does not run: start serve, and look again")
	}
	if err != nil {
		return nil, err
	}
	return connect(ctx, &database{
		config:   queries.Config{Address: e.Addr, Password: e.Password},
		embedded: true,
	})
}

func (p *patient) guarded(ctx context.Context, check string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		p.say(check, problem, "see what the log of it says", "could not be looked at: %v", err)
	}
}

func (p *patient) count(l level) (n int) {
	for _, f := range p.findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

func (p *patient) print(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(p.findings)
	}
	for _, f := range p.findings {
		line := fmt.Sprintf("%-8s %-10s %s", f.Level, f.Check, f.Text)
		if f.Do != "" {
			line += ": " + f.Do
		}
		if _, err := fmt.Fprintln(out, strings.ReplaceAll(line, "\n", " ")); err != nil {
			return err
		}
	}
	return nil
}

// variables are the environment variables of ours; those of buckets begin with bucketVariable.
var variables = []string{
	"METERHOUSE_ACCESS_LOG", "METERHOUSE_ADMIN_LISTEN", "METERHOUSE_CATALOG", "METERHOUSE_CLICKHOUSE",
	"METERHOUSE_CLICKHOUSE_CA", "METERHOUSE_CLUSTER", "METERHOUSE_CREDIT_LIMIT", "METERHOUSE_DATA",
	"METERHOUSE_ENGINE_LISTEN", "METERHOUSE_ENGINE_PASSWORD", "METERHOUSE_EXPORTS_LIMIT",
	"METERHOUSE_IDEMPOTENCY_DAYS", "METERHOUSE_JWKS_URL", "METERHOUSE_JWT_AUDIENCE",
	"METERHOUSE_JWT_ISSUER", "METERHOUSE_JWT_SECRET", "METERHOUSE_LISTEN", "METERHOUSE_LOG_FORMAT",
	"METERHOUSE_LOG_LEVEL", "METERHOUSE_LOG_LIMIT", "METERHOUSE_ORGANIZATION_RATE_LIMIT",
	"METERHOUSE_PUBLIC_URL", "METERHOUSE_RATE_LIMIT", "METERHOUSE_REPORT_INTERVAL",
	"METERHOUSE_RETENTION_EVERY", "METERHOUSE_STRIPE_MODE", "METERHOUSE_TLS_CERT",
	"METERHOUSE_TLS_KEY", "METERHOUSE_VERIFY_EVERY",
}

// checkSettings finds variables that nobody reads. That the others can be read was seen when the
// flags were: doctor ends with 2 as serve does.
func (p *patient) checkSettings() {
	unknown := 0
	for _, variable := range p.environment {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "METERHOUSE_") || slices.Contains(variables, name) ||
			strings.HasPrefix(name, bucketVariable) || strings.HasPrefix(name, "METERHOUSE_TEST_") {
			continue
		}
		unknown++
		p.say("settings", warning, likeliest(name), "%s is read by nobody", name)
	}
	if unknown == 0 {
		p.say("settings", fine, "", "all can be read")
	}
}

// likeliest names the variable that takes the fewest changes to get to, if they are few.
func likeliest(name string) string {
	best, least := "", 4
	for _, v := range variables {
		if d := distance(name, v); d < least {
			best, least = v, d
		}
	}
	if best == "" {
		return "see docs/configuration.md"
	}
	return "did you mean " + best + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
