package access

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// keyName is how a token names the key it is signed with. The algorithm is part of the name: it is
// the key's own, so a token cannot have its key used for another.
type keyName struct{ algorithm, id string }

// rsaBitsMax bounds what verifying with a key costs. Below 2,048 bits the library reads none.
const rsaBitsMax = 8192

var errNotAKeySet = errors.New("the JWKS has no keys member")

// parseKeys returns the keys of a JWKS that tokens may be signed with, and how many others it
// left out. A sole key of its algorithm has the empty id too: of tokens that name none.
func parseKeys(document []byte) (keys map[keyName]any, left int, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, 0, err
	}
	if set.Keys == nil {
		return nil, 0, errNotAKeySet
	}
	keys = make(map[keyName]any)
	ofAlgorithm := make(map[string][]any)
	for _, text := range set.Keys {
		name, key, ok := parseKey(text)
		if _, twice := keys[name]; !ok || twice {
			left++
			continue
		}
		ofAlgorithm[name.algorithm] = append(ofAlgorithm[name.algorithm], key)
		if name.id != "" {
			keys[name] = key
		}
	}
	for algorithm, all := range ofAlgorithm {
		if len(all) == 1 {
			keys[keyName{algorithm, ""}] = all[0]
		}
	}
	return keys, left, nil
}

// parseKey returns a public key, and its name with the one algorithm it is for. False for what no
// token may be signed with: a private or symmetric key, one for another use, and weak ones.
func parseKey(text []byte) (keyName, any, bool) {
	key, err := jwk.ParseKey(text)
	if err != nil {
		return keyName{}, nil, false
	}
	if use, ok := key.KeyUsage(); ok && use != jwk.ForSignature.String() {
		return keyName{}, nil, false
	}
	if ops, ok := key.KeyOps(); ok && !slices.Contains(ops, jwk.KeyOpVerify) {
		return keyName{}, nil, false
	}
	var raw any
	if err := jwk.Export(key, &raw); err != nil {
		return keyName{}, nil, false
	}
	var algorithm jwa.SignatureAlgorithm
	switch k := raw.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() > rsaBitsMax {
			return keyName{}, nil, false
		}
		algorithm = jwa.RS256()
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return keyName{}, nil, false
		}
		algorithm = jwa.ES256()
	case ed25519.PublicKey:
		algorithm = jwa.EdDSA()
	default:
		return keyName{}, nil, false
	}
	if stated, ok := key.Algorithm(); ok && stated.String() != algorithm.String() {
		return keyName{}, nil, false
	}
	id, _ := key.KeyID()
	return keyName{algorithm.String(), id}, raw, true
}
