package console

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
)

const (
	// sessionMax is how long a session lasts at most.
	sessionMax = 12 * time.Hour
	// cookieBytesMax is what browsers keep of a cookie's value, its name taken off 4096.
	cookieBytesMax = 4000
	csrfBytes      = 24
)

// A session is what the cookie holds, sealed.
type session struct {
	Credential   string    `json:"c"` // itself: it is authenticated anew with every request
	Kind         kind      `json:"k"`
	Organization string    `json:"o,omitempty"` // that a JWT's user of several chose
	Issued       time.Time `json:"i"`
	Ends         time.Time `json:"e"`
	CSRF         string    `json:"t"`
}

// kind is as what a session's credential counts.
type kind string

// The kinds, in the order in which a sign-in tries them.
const (
	bearer      kind = "bearer" // an access token, an app password or a JWT
	agentSecret kind = "agent"
	loginToken  kind = "login"
)

// purpose keeps what is sealed here from being taken for what the keys may seal elsewhere.
const purpose = "meterhouse console session 1"

// encoding is strict, so that a cookie has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// seal writes a cookie's value: the key's id, a nonce, and the session sealed with both.
func seal(s session, with key, random io.Reader) (string, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return "", fmt.Errorf("console: session: %w", err)
	}
	sealed := make([]byte, len(with.id)+with.aead.NonceSize(), text.Len()+64)
	copy(sealed, with.id[:])
	nonce := sealed[len(with.id):]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return "", fmt.Errorf("console: nonce: %w", err)
	}
	sealed = with.aead.Seal(sealed, nonce, text.Bytes(), boundTo(with.id))
	return encoding.EncodeToString(sealed), nil
}

// A sealedSession is a cookie's value taken apart.
type sealedSession struct {
	key uuid.UUID
	box []byte // the nonce and what is sealed
}

// parseCookie is total: any text gives a sealedSession or false.
func parseCookie(value string) (sealedSession, bool) {
	if len(value) > cookieBytesMax {
		return sealedSession{}, false
	}
	raw, err := encoding.DecodeString(value)
	var s sealedSession
	if err != nil || len(raw) < len(s.key) {
		return sealedSession{}, false
	}
	copy(s.key[:], raw)
	s.box = raw[len(s.key):]
	return s, true
}

// open returns the session; false for what was not sealed with the key, as it is.
func (s sealedSession) open(aead cipher.AEAD) (session, bool) {
	if len(s.box) < aead.NonceSize() {
		return session{}, false
	}
	nonce, sealed := s.box[:aead.NonceSize()], s.box[aead.NonceSize():]
	text, err := aead.Open(nil, nonce, sealed, boundTo(s.key))
	if err != nil {
		return session{}, false
	}
	var opened session
	err = json.Unmarshal(text, &opened)
	return opened, err == nil
}

// boundTo ties what is sealed to its purpose and to the key it names.
func boundTo(key uuid.UUID) []byte { return append([]byte(purpose), key[:]...) }

// newToken returns a text nobody can guess.
func newToken(random io.Reader) (string, error) {
	raw := make([]byte, csrfBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("console: token: %w", err)
	}
	return encoding.EncodeToString(raw), nil
}
