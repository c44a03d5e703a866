package oauth

import (
	"time"

	"jauge.dev/jauge"
)

// What the tests of this package see beside its exported names.

// Ring is a keyring.
type Ring = keyring

// The vault's internals under test.
var (
	ParseKeys   = parseKeys
	DecodeGrant = decodeGrant
	DecodeState = decodeState
	Encode      = encode
)

// Times of the vault.
const (
	LeaseSlack  = leaseSlack
	CloseWithin = closeWithin
)

// Seal seals.
func (r keyring) Seal(key string, plain []byte) []byte { return r.seal(key, plain) }

// Open opens.
func (r keyring) Open(key string, sealed []byte) ([]byte, error) { return r.open(key, sealed) }

// ID is the first key's.
func (r keyring) ID() string { return r[0].id.String() }

// IDs are those of all keys.
func (r keyring) IDs() string { return r.ids() }

// SealedBy tells the key of a record.
func SealedBy(b []byte) string {
	id, err := sealedBy(b)
	if err != nil {
		return err.Error()
	}
	return id.String()
}

// Peek shows what no user of the package may see of a grant.
type Peek struct {
	Access, Refresh       string
	Expiry, RefreshExpiry time.Time
	Intent, Doubt         bool
	NextTry               time.Time
	Absolute              bool
	Doomed, Ended         Cause
}

// Peek reads a grant from memory.
func (v *Vault) Peek(id string) Peek {
	e, ok := v.view.get(id)
	if !ok {
		return Peek{}
	}
	r := e.rec
	return Peek{
		Access: r.Token.Access, Refresh: r.Token.Refresh, Expiry: r.Token.Expiry, RefreshExpiry: r.Token.RefreshExpiry,
		Intent: r.Intent != nil, Doubt: r.Doubt != nil, NextTry: r.NextTry, Absolute: r.Absolute, Doomed: r.Doomed, Ended: r.Ended,
	}
}

// Propose writes another vault's intent, taken by its own clock.
func (v *Vault) Propose(id, who string, its time.Time, lease time.Duration) error {
	_, err := v.change(v.life, id, func(r *record) error {
		r.propose(who, who, lease, its)
		return nil
	})
	return err
}

// Keys is the ring in use.
func (v *Vault) Keys() Ring { return v.keys() }

// Believe checks an expiry.
func (r Renewal) Believe(issued, expiry time.Time) time.Time { return r.believe(issued, expiry) }

// Adopt completes a renewed token.
func Adopt(p *Provider, old, fresh *Token, now time.Time) *Token {
	o := tokenOf(old)
	n := adopt(p, &o, fresh, now)
	return n.token()
}

// Classify judges a failed renewal.
func Classify(p *Provider, err error) (outcome string, c Cause) {
	f := classify(p, err)
	return f.outcome, f.cause
}

// SaveRaw seals and writes anything.
func (v *Vault) SaveRaw(key string, plain []byte, rev uint64) error {
	_, err := v.deps.Store.SaveSealed(v.life, key, v.keys().seal(key, plain), rev)
	return err
}

// OpenRaw opens anything.
func (v *Vault) OpenRaw(s jauge.Sealed) ([]byte, error) { return v.keys().open(s.Key, s.Value) }
