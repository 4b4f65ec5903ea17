package console

import (
	"bytes"
	"crypto/rand"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

func testKey(t *testing.T) key {
	t.Helper()
	secret := make([]byte, secretSize)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	aead, err := newAEAD(secret)
	if err != nil {
		t.Fatal(err)
	}
	return key{uuid.New(), time.Now(), aead}
}

// TestCookiesAreSealed changes every byte of a cookie in every bit, and cuts it everywhere. With an
// encoding that is not strict, the last character had four spellings, and the test failed.
func TestCookiesAreSealed(t *testing.T) {
	k := testKey(t)
	const credential = "dop_v1_<secret>&"
	at := time.Now().UTC().Truncate(time.Second)
	want := session{credential, bearer, "", at, at.Add(time.Hour), "token"}
	cookie, err := seal(want, k, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	open := func(cookie string, with key) (session, bool) {
		s, ok := parseCookie(cookie)
		if !ok || s.key != with.id {
			return session{}, false
		}
		return s.open(with.aead)
	}
	if got, ok := open(cookie, k); !ok || got != want {
		t.Fatalf("opened %+v, want %+v", got, want)
	}
	raw, err := encoding.DecodeString(cookie)
	if err != nil || bytes.Contains(raw, []byte(credential)) || strings.Contains(cookie, credential) {
		t.Errorf("the credential can be read: %v", err)
	}
	for i := range cookie {
		for bit := range 8 {
			changed := []byte(cookie)
			changed[i] ^= 1 << bit
			if _, ok := open(string(changed), k); ok {
				t.Errorf("a cookie with bit %d of byte %d changed is opened", bit, i)
			}
		}
		if _, ok := open(cookie[:i], k); ok {
			t.Errorf("the first %d bytes of a cookie are opened", i)
		}
	}
	other := testKey(t)
	other.id = k.id
	if _, ok := open(cookie, other); ok {
		t.Error("a cookie is opened with another key of its name")
	}
	// The key's name is sealed in: boundTo without it let this pass.
	renamed := key{uuid.New(), k.created, k.aead}
	raw = append(append([]byte(nil), renamed.id[:]...), raw[len(k.id):]...)
	if _, ok := open(encoding.EncodeToString(raw), renamed); ok {
		t.Error("a cookie is opened under another key's name")
	}
	again, err := seal(want, k, rand.Reader)
	if err != nil || again == cookie {
		t.Errorf("a session is sealed the same way twice: %v", err)
	}
}

func FuzzParseCookie(f *testing.F) {
	secret := make([]byte, secretSize)
	aead, err := newAEAD(secret)
	if err != nil {
		f.Fatal(err)
	}
	k := key{uuid.UUID{1}, time.Time{}, aead}
	cookie, err := seal(session{Credential: "c", Kind: bearer}, k, rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(cookie)
	f.Add("")
	f.Add(strings.Repeat("A", cookieBytesMax+1))
	f.Fuzz(func(t *testing.T, value string) {
		if s, ok := parseCookie(value); ok {
			if _, ok := s.open(aead); ok && value != cookie {
				t.Errorf("%q is opened", value)
			}
		}
	})
}

func TestDecodeSignIn(t *testing.T) {
	f := func(body string, want schema.Kind) {
		t.Helper()
		_, err := decodeSignIn([]byte(body))
		if got := schema.KindOf(err); got != want {
			t.Errorf("%.60q: %v", body, err)
		}
	}
	const fine = schema.Internal // of no error
	f(`{"credential":"x"}`, fine)
	f(` {"credential":" x\n","organization_id":""} `, fine)
	f(`{"credential":"x","organization_id":"0C7C2A52-63A9-4A0E-9A3B-1D6A2A1F9E55"}`, fine)
	f(`{"credential":"x","organization_id":"acme"}`, schema.Invalid)
	f(`{"credential":"  "}`, schema.Invalid)
	f(`{}`, schema.Invalid)
	f(`null`, schema.Invalid)
	f(`{"credential":"x","remember":true}`, schema.Unreadable)
	f(`{"credential":"x"}{"credential":"x"}`, schema.Unreadable)
	f(`{"credential":["x"]}`, schema.Unreadable)
	f(`{"credential":"x"`, schema.Unreadable)
	f(`[]`, schema.Unreadable)
	f(``, schema.Unreadable)
	f(`credential=x`, schema.Unreadable)
}

// TestFailuresAreCountedByAddress: without the bound of the map, 4107 addresses were remembered.
func TestFailuresAreCountedByAddress(t *testing.T) {
	now := time.Now()
	l := newLimiter(func() time.Time { return now })
	try := func(ip string, want bool) (forgive func()) {
		t.Helper()
		forgive, err := l.try(&net.TCPAddr{IP: net.ParseIP(ip), Port: 1})
		if (err == nil) != want {
			t.Errorf("%s: %v", ip, err)
		}
		if err != nil && schema.KindOf(err) != schema.Overloaded {
			t.Errorf("%s: %v", ip, err)
		}
		return forgive
	}
	for range failuresAtOnce {
		try("192.0.2.1", true)()       // was right
		try("192.0.2.2", true)         // was wrong
		try("2001:db8::1:2:3:4", true) // likewise
	}
	try("192.0.2.1", true)
	try("192.0.2.2", false)
	try("::ffff:192.0.2.2", false)
	try("2001:db8::9:9:9:9", false) // of the same network
	try("2001:db8:1::1", true)
	now = now.Add(failuresInterval)
	try("192.0.2.2", true)
	try("192.0.2.2", false)

	address := func(i int) string { return "2001:db8:" + strconv.FormatInt(int64(i), 16) + "::1" }
	for i := 0; len(l.clients) < clientsMax; i++ {
		try(address(i), true)
	}
	l.swept = now                   // there is no place to be made
	for i := range failuresAtOnce { // who finds no place shares one count with the others
		try(address(2*clientsMax+i), true)
	}
	try(address(3*clientsMax), false)
	if len(l.clients) > clientsMax {
		t.Errorf("%d addresses are remembered", len(l.clients))
	}
	now = now.Add(time.Hour) // everybody's failures are forgiven
	try(address(3*clientsMax), true)
	if len(l.clients) > 1 {
		t.Errorf("%d addresses are remembered for nothing", len(l.clients))
	}
}
