package pages

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"

	"github.com/gorilla/securecookie"

	"jauge.dev/jauge"
)

// keys are what the session key gives: one for each use, so that no value made for one use passes for another.
type keys struct {
	cookies     *securecookie.SecureCookie
	forms       []byte
	fingerprint string // of the admin's password: a session of an older one is no session
}

const (
	hashBytes  = 64
	blockBytes = 32
	macBytes   = 32
	idBytes    = 16
	longest    = 8192 // bytes of a sealed value
)

func newKeys(master []byte, hash jauge.Secret) (*keys, error) {
	all, err := hkdf.Key(sha256.New, master, nil, "jauge pages v1", hashBytes+blockBytes+macBytes)
	if err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	k := &keys{
		cookies: securecookie.New(all[:hashBytes], all[hashBytes:hashBytes+blockBytes]),
		forms:   all[hashBytes+blockBytes:],
	}
	// Ages are ours to judge: a session has two, and each kind of cookie its own.
	k.cookies.SetSerializer(securecookie.JSONEncoder{}).MaxAge(0).MaxLength(longest)
	k.fingerprint = k.mac("password", hash.Reveal())[:idBytes]
	return k, nil
}

// mac is a keyed digest of several texts; a zero byte parts them, which none of them holds.
func (k *keys) mac(texts ...string) string {
	m := hmac.New(sha256.New, k.forms)
	for _, t := range texts {
		_, _ = m.Write(append([]byte(t), 0)) // never fails
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// same compares without telling where the difference is.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// newID gives an unguessable name.
func newID() string {
	b := make([]byte, idBytes)
	_, _ = rand.Read(b) // never fails: the program ends where the system gives no randomness
	return base64.RawURLEncoding.EncodeToString(b)
}
