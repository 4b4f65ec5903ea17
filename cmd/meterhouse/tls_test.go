package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveTLS serves what needs no database, as serve would, and returns where.
func serveTLS(t *testing.T, c tlsConfig, logger *slog.Logger) string {
	t.Helper()
	config, err := c.listener(logger)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{
		Directory: access.NewDirectory(nil, logger), Logger: logger,
		Metrics: prometheus.NewRegistry(), Now: time.Now, TLS: config,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(s.Stop(ctx), <-served); err != nil && !errors.Is(err, ctx.Err()) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestCertificateIsReadAgain changes the files under a server: connections go on, new ones get the
// new certificate, and files that are no good change nothing but the log.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	authority := dialecttest.NewAuthority(t)
	dir := t.TempDir()
	c := tlsConfig{
		certificate: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"),
	}
	issue := func(name string) {
		certificate, key := authority.Issue(t, name)
		writeFile(t, c.certificate, certificate)
		writeFile(t, c.key, key)
	}
	issue("first")
	log := &dialecttest.Log{}
	address := serveTLS(t, c, slog.New(slog.NewTextHandler(log, nil)))
	dial := func(config *tls.Config) (*tls.Conn, error) {
		config.RootCAs = authority.Pool()
		return tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, config)
	}
	named := func(conn *tls.Conn) string {
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	old, err := dial(&tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	asksHealth(t, old)
	becomes := func(name string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(lookInterval / 4) {
			conn, err := dial(&tls.Config{})
			if err != nil {
				t.Fatal(err)
			}
			got := named(conn)
			conn.Close()
			if got == name {
				return
			}
		}
		t.Fatalf("the certificate is not the %s", name)
	}
	becomes("first")
	issue("the second")
	becomes("the second")
	writeFile(t, c.key, []byte("no key"))
	for end := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "the last one stays"); {
		becomes("the second")
		if time.Now().After(end) {
			t.Fatalf("bad files are not logged:\n%s", log.String())
		}
		time.Sleep(lookInterval / 4)
	}
	becomes("the second")
	issue("the third, at last")
	becomes("the third, at last")
	if strings.Contains(log.String(), "PRIVATE KEY") {
		t.Error("the key is in the log")
	}
	asksHealth(t, old)
	if named(old) != "first" {
		t.Error("a connection changed its certificate")
	}
	if _, err := dial(&tls.Config{MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// asksHealth asks on a connection that stays open.
func asksHealth(t *testing.T, conn *tls.Conn) {
	t.Helper()
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", answer.StatusCode, err)
	}
}

// TestHTTPWhereTLSIsSpoken is told so, in words.
func TestHTTPWhereTLSIsSpoken(t *testing.T) {
	t.Parallel()
	authority := dialecttest.NewAuthority(t)
	dir := t.TempDir()
	c := tlsConfig{
		certificate: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"),
	}
	certificate, key := authority.Issue(t, "a node")
	writeFile(t, c.certificate, certificate)
	writeFile(t, c.key, key)
	address := serveTLS(t, c, slog.New(slog.DiscardHandler))
	answer, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 400 || !strings.Contains(string(body), "https://") {
		t.Errorf("%d %s, %v", answer.StatusCode, body, err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte("\x00\x01\x02\x03\x04\x05\x06\x07")); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(conn); err == nil && bytes.Contains(said, []byte("HTTP/")) {
		t.Errorf("who speaks no HTTP is told %q", said)
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	f := func(text string, ok bool) {
		t.Helper()
		if _, err := publicURL(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	f("", true)
	f("https://meter.example", true)
	f("http://127.0.0.1:8080/", true)
	f("meter.example", false)
	f("ftp://meter.example", false)
	f("https://", false)
	f("https://u:p@meter.example", false)
	f("https://meter.example/console", false)
	f("https://meter.example?x", false)
	for _, c := range []tlsConfig{{certificate: "x"}, {key: "x"}} {
		if _, err := c.listener(nil); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// TestClickHouseProvesWhoItIs puts TLS in front of the engine: it is reached when its certificate is
// from whom the configuration names, and not otherwise.
func TestClickHouseProvesWhoItIs(t *testing.T) {
	t.Parallel()
	options := schematest.NewEmpty(t).Options
	authority, other := dialecttest.NewAuthority(t), dialecttest.NewAuthority(t)
	certificate, key := authority.Issue(t, "clickhouse")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	behind := &url.URL{Scheme: "http", Host: options.Addr[0]}
	proxy := &http.Server{
		Handler: httputil.NewSingleHostReverseProxy(behind), ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // of handshakes
	}
	go func() { _ = proxy.Serve(l) }()
	t.Cleanup(func() { _ = proxy.Close() })

	dir := t.TempDir()
	f := func(dsn string, ca []byte, want string) {
		t.Helper()
		var c tlsConfig
		if ca != nil {
			c.clickhouseCA = filepath.Join(dir, "ca.pem")
			writeFile(t, c.clickhouseCA, ca)
		}
		var q *queries.Queries
		pool, err := c.authorities()
		if err == nil {
			q, err = queries.Open(t.Context(), queries.Config{DSN: dsn, Authorities: pool})
		}
		if err == nil {
			defer q.Close()
			_, err = q.Version()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), options.Auth.Password) {
			t.Errorf("the password is in %v", err)
		}
	}
	user := url.UserPassword(options.Auth.Username, options.Auth.Password)
	dsn := func(scheme, query string) string {
		return fmt.Sprintf("%s://%s@%s/default%s", scheme, user, l.Addr(), query)
	}
	const stranger = "certificate signed by unknown authority"
	f(dsn("https", "?secure=true"), authority.Certificate, "")
	f(dsn("https", "?secure=true"), other.Certificate, stranger)
	f(dsn("https", "?secure=true"), nil, stranger)
	f(dsn("https", "?secure=true&skip_verify=true"), authority.Certificate, "skip_verify")
	f(dsn("https", "?secure=true&skip_verify=true"), nil, "skip_verify")
	f(dsn("http", ""), authority.Certificate, "secure=true")
	f(dsn("https", "?secure=true"), []byte("no PEM"), "holds no certificate")
	if _, err := (&tlsConfig{clickhouseCA: filepath.Join(dir, "none")}).authorities(); err == nil {
		t.Error("a file that is not there is taken")
	}
}
