package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// recordVersion is raised when the meaning of a field changes. A record of a newer version, or with a field that this
// program does not know, is refused: written back it would lose what the newer program needs.
const recordVersion = 1

// Store keys.
const (
	grantPrefix = "grant/"
	statePrefix = "state/"
	appPrefix   = "app/"
	vaultPrefix = "vault/"
	canaryKey   = vaultPrefix + "check"
	signerKey   = vaultPrefix + "client-key"
)

// prefixes are all places where the vault keeps something.
func prefixes() []string {
	return []string{vaultPrefix, grantPrefix, statePrefix, appPrefix, holderPrefix, secretPrefix}
}

// record is a grant as it is sealed. It is JSON with plain strings: jauge.Secret would mask itself.
type record struct {
	Version   int       `json:"v"`
	Stamp     string    `json:"stamp"` // of the last write, unique: tells the writer whether it was done
	ID        string    `json:"id"`
	Provider  string    `json:"provider"`
	Holder    Holder    `json:"holder"`
	Pending   bool      `json:"pending,omitempty"` // who consented is not known yet
	Static    bool      `json:"static,omitempty"`  // the token was typed in: it is not ours to revoke
	Scopes    []string  `json:"scopes,omitempty"`
	Missing   []string  `json:"missing,omitempty"` // scopes that were asked for and not given
	State     State     `json:"state"`
	Cause     Cause     `json:"cause,omitempty"`
	Since     time.Time `json:"since"`
	Connected time.Time `json:"connected"`
	Made      time.Time `json:"made"`
	Absorbed  string    `json:"absorbed,omitempty"` // the newest pending grant whose token was put here

	Token    tokenRecord  `json:"token"`
	Absolute bool         `json:"absolute,omitempty"` // renewing does not move the refresh token's end
	Server   serverRecord `json:"server"`

	Intent   *intent   `json:"intent,omitempty"`   // somebody is renewing it
	Doubt    *doubt    `json:"doubt,omitempty"`    // a renewal was sent and its answer lost
	Doomed   Cause     `json:"doomed,omitempty"`   // nothing will renew it any more; its access token may live on
	Ended    Cause     `json:"ended,omitempty"`    // it is over
	Failures int       `json:"failures,omitempty"` // renewals in a row that failed and may be repeated
	Why      Cause     `json:"why,omitempty"`      // of the last of them
	NextTry  time.Time `json:"next_try,omitzero"`

	Chosen   bool            `json:"chosen,omitempty"`
	Follows  []followRecord  `json:"follows,omitempty"`
	Subjects []subjectRecord `json:"subjects,omitempty"` // as listed last
	Listed   time.Time       `json:"listed,omitzero"`
	ListTry  time.Time       `json:"list_try,omitzero"` // when listing was begun last
}

// intent is written before a renewal is sent. The record's revision that bears it is the fence: who holds it may send.
type intent struct {
	ID    string    `json:"id"`
	Who   string    `json:"who"` // vault that took it
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // when others may take it for dead
	Spent string    `json:"spent"` // fingerprint of what is about to be spent
	First time.Time `json:"first"` // when this was sent first
}

// doubt remembers that something may have been spent.
type doubt struct {
	Spent string    `json:"spent"`
	First time.Time `json:"first"`
}

type tokenRecord struct {
	Access        string            `json:"access"`
	Refresh       string            `json:"refresh,omitempty"`
	Type          string            `json:"type,omitempty"`
	Issued        time.Time         `json:"issued"`
	Expiry        time.Time         `json:"expiry,omitzero"`
	RefreshExpiry time.Time         `json:"refresh_expiry,omitzero"`
	Scopes        []string          `json:"scopes,omitempty"`
	Subject       string            `json:"subject,omitempty"`
	Extra         map[string]string `json:"extra,omitempty"`
}

type serverRecord struct {
	Issuer       string            `json:"issuer,omitempty"`
	Resource     string            `json:"resource,omitempty"`
	Endpoints    Endpoints         `json:"endpoints,omitzero"`
	PAR          string            `json:"par,omitempty"`
	ClientID     string            `json:"client_id,omitempty"`
	ClientSecret string            `json:"client_secret,omitempty"`
	Key          []byte            `json:"key,omitempty"`
	Nonces       map[string]string `json:"nonces,omitempty"`
}

type subjectRecord struct {
	Platform jauge.Platform `json:"platform"`
	ID       string         `json:"id"`
	Handle   string         `json:"handle,omitempty"`
	Name     string         `json:"name,omitempty"`
	Avatar   string         `json:"avatar,omitempty"`
	Token    string         `json:"token,omitempty"`
}

type followRecord struct {
	subjectRecord
	Brand  string    `json:"brand,omitempty"`
	Paused bool      `json:"paused,omitempty"`
	Added  time.Time `json:"added"`
	State  State     `json:"state,omitempty"`
	Cause  Cause     `json:"cause,omitempty"`
}

// encode writes any record.
func encode(r any) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode vault record: %w", err)
	}
	return b, nil
}

// decode reads a record into one of the types of this package, and refuses what this program would lose.
func decode(b []byte, version func() int, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New("record is not of a form that this version knows: was it written by a newer one?")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("record has something behind its end")
	}
	if v := version(); v != recordVersion {
		return fmt.Errorf("record has version %d and this program knows %d: use the newer one", v, recordVersion)
	}
	return nil
}

func decodeGrant(b []byte) (*record, error) {
	r := &record{}
	if err := decode(b, func() int { return r.Version }, r); err != nil {
		return nil, err
	}
	return r, nil
}

// clone makes a copy that shares nothing that is ever changed.
func (r *record) clone() *record {
	c := *r
	c.Follows = slices.Clone(r.Follows)
	c.Subjects = slices.Clone(r.Subjects)
	c.Server.Nonces = maps.Clone(r.Server.Nonces)
	c.Token.Extra = maps.Clone(r.Token.Extra)
	if r.Intent != nil {
		i := *r.Intent
		c.Intent = &i
	}
	if r.Doubt != nil {
		d := *r.Doubt
		c.Doubt = &d
	}
	return &c
}

// credential is what a renewal spends: the refresh token, or where there is none the access token.
func (t *tokenRecord) credential() string {
	if t.Refresh != "" {
		return t.Refresh
	}
	return t.Access
}

// fingerprint tells secrets apart without telling them.
func fingerprint(secret string) string {
	sum := sha256.Sum256([]byte("jauge token\x00" + secret))
	return hex.EncodeToString(sum[:16])
}
