package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
)

// tlsConfig is what is encrypted, and where browsers come.
type tlsConfig struct {
	publicURL    *url.URL // nil: wherever browsers say it is
	certificate  string   // file; empty: clients are spoken to in the clear
	key          string   // file; with a certificate
	clickhouseCA string   // file; empty: the system's
}

// tlsFlags adds how clients and browsers reach serve.
func (c *config) tlsFlags(f *flag.FlagSet) error {
	f.StringVar(&c.tls.certificate, "tls-cert", os.Getenv("METERHOUSE_TLS_CERT"),
		"PEM `file` of the certificate to serve TLS with, its chain behind it; read again when it "+
			"changes (METERHOUSE_TLS_CERT)")
	f.StringVar(&c.tls.key, "tls-key", os.Getenv("METERHOUSE_TLS_KEY"),
		"PEM `file` of the certificate's key (METERHOUSE_TLS_KEY)")
	set := func(v string) (err error) {
		c.tls.publicURL, err = publicURL(v)
		return err
	}
	if err := set(os.Getenv("METERHOUSE_PUBLIC_URL")); err != nil {
		fmt.Fprintf(f.Output(), "METERHOUSE_PUBLIC_URL: %v\n", err)
		return errUsage
	}
	f.Func("public-url", "`URL` by which browsers reach the console, as https://meter.example; with "+
		"https they are told to come back over TLS only (METERHOUSE_PUBLIC_URL)", set)
	return nil
}

// publicURL reads an origin; nil of an empty text.
func publicURL(v string) (*url.URL, error) {
	if v == "" {
		return nil, nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("must be http or https with a host, and nothing more")
	}
	return u, nil
}

// check returns what is wrong with the flags together.
func (t *tlsConfig) check() error {
	if (t.certificate == "") != (t.key == "") {
		return errors.New("tls: give --tls-cert and --tls-key, or neither")
	}
	return nil
}

// listener returns what a listener speaks; nil: no TLS. The certificate is read.
func (t *tlsConfig) listener(logger *slog.Logger) (*tls.Config, error) {
	if err := t.check(); err != nil || t.certificate == "" {
		return nil, err
	}
	kept, err := newCertificate(t.certificate, t.key, logger)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: kept.get,
	}, nil
}

// scheme is how URLs of this node begin.
func (t *tlsConfig) scheme() string {
	if t.certificate != "" {
		return "https"
	}
	return "http"
}

// authorities returns whom ClickHouse's certificate must be from; nil: one whom the system trusts.
func (t *tlsConfig) authorities() (*x509.CertPool, error) {
	if t.clickhouseCA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(t.clickhouseCA)
	if err != nil {
		return nil, fmt.Errorf("--clickhouse-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--clickhouse-ca: %s holds no certificate in PEM", t.clickhouseCA)
	}
	return pool, nil
}
