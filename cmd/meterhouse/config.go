package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/meterhouse/meterhouse/server/access"
)

// secret is a string that shows itself to nobody: not to logs, not to fmt, not to JSON.
type secret string

const redacted = "(redacted)"

func (secret) String() string               { return redacted }
func (secret) GoString() string             { return redacted }
func (secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Set implements flag.Value.
func (s *secret) Set(v string) error { *s = secret(v); return nil }

// config is everything the flags and the environment say.
type config struct {
	listen      string
	data        string
	catalog     string
	clickhouse  secret
	cluster     string // of that ClickHouse; empty: one server
	library     string
	admin       string
	demo        bool
	log         logConfig
	verifyEvery time.Duration // 0: never
	retainEvery time.Duration // likewise
	logLimit    int64         // bytes
	window      time.Duration // of idempotency keys
	access      accessConfig
	billing     billingConfig
	exports     exportsConfig
	tls         tlsConfig
}

// accessConfig is who is let in, and how often.
type accessConfig struct {
	rateLimit int64 // requests a minute of a credential
	events    int64 // a minute of an organization
	jwtSecret secret
	jwks      string
	audience  string
	issuer    string
}

// engineDir is the embedded engine's part of the data directory.
func (c *config) engineDir() string { return filepath.Join(c.data, "engine") }

// backupsDir is where the embedded engine may put backups.
func (c *config) backupsDir() string { return filepath.Join(c.data, "backups") }

// flags returns a flag set whose every flag falls back to its environment variable.
func (c *config) flags(name string, std streams) *flag.FlagSet {
	f := flag.NewFlagSet("meterhouse "+name, flag.ContinueOnError)
	f.SetOutput(std.err)
	f.StringVar(&c.data, "data", env("METERHOUSE_DATA", "./data"),
		"`folder` of the log and of the embedded engine (METERHOUSE_DATA)")
	f.StringVar(&c.library, "libchdb", os.Getenv("LIBCHDB_PATH"),
		"`path` of the engine library, where it is not beside the program (LIBCHDB_PATH)")
	c.log.logFlags(f)
	c.clickhouse = secret(os.Getenv("METERHOUSE_CLICKHOUSE"))
	return f
}

// databaseFlags adds what commands that talk to a database take.
func (c *config) databaseFlags(name string, std streams) *flag.FlagSet {
	f := c.flags(name, std)
	f.Var(&c.clickhouse, "clickhouse",
		"`DSN` of a ClickHouse; empty: the embedded engine (METERHOUSE_CLICKHOUSE)")
	f.StringVar(&c.cluster, "cluster", os.Getenv("METERHOUSE_CLUSTER"), "`name` of the cluster "+
		"in that ClickHouse's remote_servers; empty: one server (METERHOUSE_CLUSTER)")
	f.StringVar(&c.tls.clickhouseCA, "clickhouse-ca", os.Getenv("METERHOUSE_CLICKHOUSE_CA"),
		"PEM `file` of who may sign ClickHouse's certificate; empty: whom the system trusts "+
			"(METERHOUSE_CLICKHOUSE_CA)")
	return f
}

func (a accessConfig) tokens() access.TokenConfig {
	return access.TokenConfig{
		Secret: string(a.jwtSecret), JWKSURL: a.jwks, Audience: a.audience, Issuer: a.issuer,
	}
}

// verifyFlag adds how often serve verifies.
func (c *config) verifyFlag(f *flag.FlagSet) error {
	var err error
	c.verifyEvery, err = verifyEvery(env("METERHOUSE_VERIFY_EVERY", "1h"))
	if err != nil {
		fmt.Fprintf(f.Output(), "METERHOUSE_VERIFY_EVERY: %v\n", err)
		return errUsage
	}
	f.Func("verify-every", "how `often` the rollups are held against the ledger, as 1h or 30m; 0 "+
		"for never (METERHOUSE_VERIFY_EVERY; default 1h)", func(v string) (err error) {
		c.verifyEvery, err = verifyEvery(v)
		return err
	})
	return nil
}

func verifyEvery(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d != 0 && d < time.Second {
		return 0, errors.New("must be 0, or a time of a second or more as 30m or 1h")
	}
	return d, nil
}

// accessFlags adds what decides who is let in. The secret has no flag: others on the machine may
// see a command line.
func (c *config) accessFlags(f *flag.FlagSet) error {
	const rateLimitDefault = 6_000_000
	a := &c.access
	a.jwtSecret = secret(os.Getenv("METERHOUSE_JWT_SECRET"))
	f.StringVar(&a.jwks, "jwks-url", os.Getenv("METERHOUSE_JWKS_URL"),
		"`URL` of the keys of RS256, ES256 and EdDSA tokens (METERHOUSE_JWKS_URL)")
	f.StringVar(&a.audience, "jwt-audience", os.Getenv("METERHOUSE_JWT_AUDIENCE"),
		"`name` that a token's aud must have (METERHOUSE_JWT_AUDIENCE)")
	f.StringVar(&a.issuer, "jwt-issuer", os.Getenv("METERHOUSE_JWT_ISSUER"),
		"`name` that a token's iss must be (METERHOUSE_JWT_ISSUER)")
	return errors.Join(
		limitFlag(f, &a.rateLimit, "rate-limit", "METERHOUSE_RATE_LIMIT", rateLimitDefault,
			"`requests` a minute of each credential, 0 for no limit"),
		limitFlag(f, &a.events, "organization-rate-limit", "METERHOUSE_ORGANIZATION_RATE_LIMIT", 0,
			"`events` a minute of each organization that the catalog gives none, 0 for no limit"),
	)
}

// limitFlag adds a limit a minute. What its environment variable says is checked at once.
func limitFlag(
	f *flag.FlagSet, into *int64, name, variable string, otherwise int, usage string,
) error {
	var err error
	if *into, err = rateLimit(env(variable, strconv.Itoa(otherwise))); err != nil {
		fmt.Fprintf(f.Output(), "%s: %v\n", variable, err)
		return errUsage
	}
	usage += fmt.Sprintf(" (%s; default %d)", variable, otherwise)
	f.Func(name, usage, func(v string) (err error) {
		*into, err = rateLimit(v)
		return err
	})
	return nil
}

// logFlag adds the bound of the log.
func (c *config) logFlag(f *flag.FlagSet) error {
	const otherwise = 4096
	set := func(v string) error {
		n, err := strconv.ParseUint(v, 10, 20)
		if err != nil || n == 0 {
			return errors.New("must be a whole number of MiB from 1 to 1048575")
		}
		c.logLimit = int64(n) << 20
		return nil
	}
	if err := set(env("METERHOUSE_LOG_LIMIT", strconv.Itoa(otherwise))); err != nil {
		fmt.Fprintf(f.Output(), "METERHOUSE_LOG_LIMIT: %v\n", err)
		return errUsage
	}
	f.Func("log-limit", fmt.Sprintf("`MiB` that may wait in the log for ClickHouse "+
		"(METERHOUSE_LOG_LIMIT; default %d)", otherwise), set)
	return nil
}

func rateLimit(v string) (int64, error) {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("must be a whole number from 0 to %d", uint32(math.MaxUint32))
	}
	return int64(n), nil
}

func env(name, otherwise string) string {
	if v, ok := os.LookupEnv(name); ok && v != "" {
		return v
	}
	return otherwise
}

// parse parses flags and refuses left-over arguments unless there are exactly want of them.
func parse(f *flag.FlagSet, args []string, want int, what string) ([]string, error) {
	var wrong error
	f.VisitAll(func(of *flag.Flag) {
		if value, ok := of.Value.(checked); ok && value.fromEnvironment() != nil {
			wrong = errUsage
			fmt.Fprintln(f.Output(), value.fromEnvironment())
		}
	})
	if wrong != nil {
		return nil, wrong
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage
	}
	if f.NArg() != want {
		fmt.Fprintf(f.Output(), "usage: %s [flags] %s\n", f.Name(), what)
		f.PrintDefaults()
		return nil, errUsage
	}
	return f.Args(), nil
}
