package oauth

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"jauge.dev/jauge"
)

// A sealed record is
//
//	version (1 byte) · key id (8 bytes) · nonce (24 bytes) · ciphertext and tag (XChaCha20-Poly1305)
//
// where version and key id, followed by the record's store key, are the associated data: a record that is moved to
// another place, or whose header is changed, does not open.
const (
	sealVersion = 1
	keyIDSize   = 8
	headerSize  = 1 + keyIDSize
	sealedMin   = headerSize + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
)

var (
	errNotSealed = errors.New("record is not sealed by this program, or is cut off")
	errTampered  = errors.New("record was changed, or moved from another place")
)

// keyID names a key without telling anything of it.
type keyID [keyIDSize]byte

// String gives the id as it is shown: 16 hex digits.
func (k keyID) String() string { return hex.EncodeToString(k[:]) }

// unknownKeyError says that no key at hand opens a record.
type unknownKeyError struct{ id keyID }

// Error names the key that is missing.
func (e *unknownKeyError) Error() string { return "record is sealed by key " + e.id.String() }

// sealKey is one key, ready for use.
type sealKey struct {
	id   keyID
	text string // as it was given, for the key file
	aead cipher.AEAD
}

// keyring holds keys: the first one seals, all of them open. It does not change; rotation makes another one.
type keyring []sealKey

// NewKey makes a key for JAUGE_VAULT_KEY: 32 random bytes in base64.
func NewKey() string {
	b := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.StdEncoding.EncodeToString(b)
}

// parseKey reads a key in base64, padded or not, of either alphabet.
func parseKey(text string) (sealKey, error) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	b, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil || len(b) != chacha20poly1305.KeySize {
		return sealKey{}, fmt.Errorf("a vault key must be %d bytes in base64: make one by \"jauge vault key\"",
			chacha20poly1305.KeySize)
	}
	aead, err := chacha20poly1305.NewX(b)
	if err != nil {
		return sealKey{}, fmt.Errorf("use vault key: %w", err)
	}
	sum := sha256.Sum256(append([]byte("jauge vault key id\x00"), b...))
	return sealKey{id: keyID(sum[:keyIDSize]), text: text, aead: aead}, nil
}

// parseKeys reads keys: those of JAUGE_VAULT_KEY, apart by commas, and those of a key file, one a line, where # begins a
// comment. Both read the same, since a key file is what JAUGE_VAULT_KEY_FILE may name.
func parseKeys(text string) (keyring, error) {
	var parts []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		parts = append(parts, strings.Split(line, ",")...)
	}
	var ring keyring
	for _, part := range parts {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		k, err := parseKey(part)
		if err != nil {
			return nil, err
		}
		if ring.find(k.id) == nil {
			ring = append(ring, k)
		}
	}
	if len(ring) == 0 {
		return nil, errors.New("there is no vault key in it")
	}
	return ring, nil
}

func (r keyring) find(id keyID) *sealKey {
	for i := range r {
		if r[i].id == id {
			return &r[i]
		}
	}
	return nil
}

// ids names the keys for messages.
func (r keyring) ids() string {
	all := make([]string, len(r))
	for i := range r {
		all[i] = r[i].id.String()
	}
	return strings.Join(all, ", ")
}

// seal encrypts what will lie under a store key.
func (r keyring) seal(key string, plain []byte) []byte {
	k := &r[0]
	out := make([]byte, headerSize+chacha20poly1305.NonceSizeX, sealedMin+len(plain))
	out[0] = sealVersion
	copy(out[1:headerSize], k.id[:])
	nonce := out[headerSize:]
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return k.aead.Seal(out, nonce, plain, associated(out, key))
}

// open decrypts what lay under a store key. It gives an *unknownKeyError, errTampered or errNotSealed.
func (r keyring) open(key string, sealed []byte) ([]byte, error) {
	id, err := sealedBy(sealed)
	if err != nil {
		return nil, err
	}
	k := r.find(id)
	if k == nil {
		return nil, &unknownKeyError{id}
	}
	nonce, body := sealed[headerSize:headerSize+chacha20poly1305.NonceSizeX], sealed[headerSize+chacha20poly1305.NonceSizeX:]
	plain, err := k.aead.Open(nil, nonce, body, associated(sealed, key))
	if err != nil {
		return nil, errTampered
	}
	return plain, nil
}

// sealedBy reads the id of the key that sealed a record.
func sealedBy(sealed []byte) (keyID, error) {
	if len(sealed) < sealedMin || sealed[0] != sealVersion {
		return keyID{}, errNotSealed
	}
	return keyID(sealed[1:headerSize]), nil
}

// associated is what is authenticated with a record: header and place. The header has a fixed length, so that no two
// pairs give the same bytes.
func associated(header []byte, key string) []byte {
	return append(append(make([]byte, 0, headerSize+len(key)), header[:headerSize]...), key...)
}

// wrongKey is what an operator is told when records cannot be opened by the keys at hand.
func wrongKey(sealed keyID, given keyring, where string) error {
	return &jauge.Error{
		Op: "open vault", Reason: jauge.ReasonAuth,
		Err: fmt.Errorf("the grants are sealed by key %s, and %s holds %s", sealed, where, given.ids()),
		Hint: "give the key that sealed them, if need be behind the newer one; nothing was changed. " +
			"Where it is lost, move the old store away and connect the accounts again",
	}
}
