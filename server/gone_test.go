package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"testing"
	"time"
)

// TestGoneIsSeenThroughTLS closes a client's side, which over TLS is an alert before it is an end:
// with isAlert answering no, it was never seen.
func TestGoneIsSeenThroughTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		l := newListener(listen(t), config)
		asked := make(chan *tls.Conn, 1)
		go func() {
			defer close(asked)
			c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{
				InsecureSkipVerify: true, MaxVersion: version,
			})
			if err == nil {
				_, _ = io.WriteString(c, "asks")
				asked <- c
			}
		}()
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(accepted, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		client := <-asked
		served := accepted.(*connection)
		if served.Gone() {
			t.Errorf("%s: a client that waits is gone", tls.VersionName(version))
		}
		client.Close()
		for end := time.Now().Add(20 * time.Second); !served.Gone(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: a client that went is not seen to", tls.VersionName(version))
			}
		}
		_ = accepted.Close()
		_ = l.Close()
	}
}
