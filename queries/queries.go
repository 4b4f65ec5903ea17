package queries

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/schema"
)

// connectionsMax bounds the connections to one ClickHouse when a DSN does not say otherwise.
const connectionsMax = 32

// Queries asks one ClickHouse. It is safe for use by many goroutines.
type Queries struct {
	conn    driver.Conn
	cluster schema.Cluster // zero: one server
	tracer  trace.Tracer   // of statements in nobody's trace; nil: they are not traced
}

// New returns Queries over a connection whose settings are the caller's business; Open sets them.
func New(conn driver.Conn) *Queries { return &Queries{conn: conn} }

// Config says where ClickHouse is: Options, or a DSN, or the address of an embedded engine.
type Config struct {
	// Options are used as they are, but for the settings every connection has.
	Options *clickhouse.Options
	// DSN is clickhouse-go's: clickhouse://user:password@host:9000/database, http://…:8123/….
	DSN string

	// Authorities are whom the certificate of the DSN's ClickHouse must be from; nil: one whom the
	// system trusts. With them the DSN has to ask for TLS.
	Authorities *x509.CertPool

	// Address is host:port of an engine that speaks ClickHouse's HTTP interface.
	Address  string
	Password string // of the user "default" there
	// DialContext opens connections to Address when it is not nil.
	DialContext func(ctx context.Context, address string) (net.Conn, error)

	// Cluster is the name of the cluster that the database is spread over; empty: one server.
	Cluster string
}

// spread returns the cluster of the config with its database, zero for one server.
func (c Config) spread(options *clickhouse.Options) (schema.Cluster, error) {
	if c.Cluster == "" {
		return schema.Cluster{}, nil
	}
	spread := schema.Cluster{Name: c.Cluster, Database: options.Auth.Database}
	if spread.Database == "" {
		spread.Database = "default"
	}
	return spread, spread.Check()
}

// ClickHouse returns the options of a connection, with the settings every connection has: what
// schema.Migrate wants.
func (c Config) ClickHouse() (*clickhouse.Options, error) {
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	options.Settings = connectionSettings(options.Settings, c.Cluster != "")
	checkAnswers(options)
	if options.MaxOpenConns == 0 {
		options.MaxOpenConns = connectionsMax
	}
	if options.MaxIdleConns == 0 {
		options.MaxIdleConns = options.MaxOpenConns
	}
	if options.DialTimeout == 0 {
		options.DialTimeout = 5 * time.Second
	}
	traceHTTP(options)
	return options, nil
}

// secure sets how a DSN's ClickHouse proves who it is, which it does wherever there is TLS.
func (c Config) secure(options *clickhouse.Options) error {
	switch {
	case options.TLS == nil && c.Authorities != nil:
		return errors.New("clickhouse: there are authorities for a certificate, and the DSN asks " +
			"for no TLS: add secure=true to it")
	case options.TLS == nil:
		return nil
	case options.TLS.InsecureSkipVerify:
		return errors.New("clickhouse: the DSN says skip_verify: name who signed the certificate " +
			"instead (--clickhouse-ca)")
	}
	options.TLS.MinVersion = tls.VersionTLS12
	options.TLS.RootCAs = c.Authorities
	return nil
}

func (c Config) options() (*clickhouse.Options, error) {
	switch {
	case c.Options != nil:
		options := *c.Options
		return &options, nil
	case c.DSN != "":
		options, err := clickhouse.ParseDSN(c.DSN)
		if err != nil {
			// The parser's error may quote the DSN, which holds a password.
			return nil, errors.New("clickhouse: not a DSN (clickhouse://user@host:9000/database)")
		}
		return options, c.secure(options)
	case c.Address != "":
		return &clickhouse.Options{
			Protocol:    clickhouse.HTTP,
			Addr:        []string{c.Address},
			Auth:        clickhouse.Auth{Username: "default", Password: c.Password},
			DialContext: c.DialContext,
		}, nil
	}
	return nil, errors.New("clickhouse: neither a DSN nor an address")
}

// Open connects to the ClickHouse of the config and asks it for a sign of life. A database that was
// migrated for a cluster is refused without one, and the other way round.
func Open(ctx context.Context, config Config) (*Queries, error) {
	options, err := config.ClickHouse()
	if err != nil {
		return nil, err
	}
	spread, err := config.spread(options)
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	q := New(conn)
	q.cluster = spread
	if err := q.Ping(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := q.checkForm(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return q, nil
}

// Close closes the connections. Questions under way fail.
func (q *Queries) Close() error { return q.conn.Close() }

// Ping returns nil when ClickHouse answers.
func (q *Queries) Ping(ctx context.Context) error {
	if err := q.conn.Ping(ctx); err != nil {
		return fmt.Errorf("clickhouse: %w", brief(err))
	}
	return nil
}

// Version returns what ClickHouse says it is, as 26.7.2.
func (q *Queries) Version() (string, error) {
	v, err := q.conn.ServerVersion()
	if err != nil {
		return "", fmt.Errorf("clickhouse: %w", err)
	}
	return v.Version.String(), nil
}
