package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/oauth2"

	"jauge.dev/jauge"
)

// BeginRequest is what begins an authorization.
type BeginRequest struct {
	Provider string // Provider.Name
	Input    string // what was typed where the provider asks for something
	Redirect string // our address, to which the browser comes back
	Browser  string // unguessable, names the browser: the callback must come from the same one
}

// stateRecord is an authorization under way, as it is sealed under the hash of its state.
type stateRecord struct {
	Version  int          `json:"v"`
	Stamp    string       `json:"stamp"`
	Provider string       `json:"provider"`
	Input    string       `json:"input,omitempty"`
	Redirect string       `json:"redirect"`
	Browser  string       `json:"browser"` // its hash
	Verifier string       `json:"verifier"`
	Expect   string       `json:"expect,omitempty"`
	Server   serverRecord `json:"server"`
	Until    time.Time    `json:"until"`
	Used     bool         `json:"used,omitempty"`
}

func decodeState(b []byte) (*stateRecord, error) {
	r := &stateRecord{}
	if err := decode(b, func() int { return r.Version }, r); err != nil {
		return nil, err
	}
	return r, nil
}

// stateKeyOf is where the authorization with this state lies: who reads the store cannot finish it.
func stateKeyOf(state string) string {
	sum := sha256.Sum256([]byte(state))
	return statePrefix + hex.EncodeToString(sum[:])
}

// browserHash hides what a browser's cookie holds.
func browserHash(browser string) string {
	sum := sha256.Sum256([]byte("jauge browser\x00" + browser))
	return hex.EncodeToString(sum[:])
}

func newState() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// Begin starts an authorization and returns where to send the browser. Its errors are *FlowError.
func (v *Vault) Begin(ctx context.Context, b BeginRequest) (address string, err error) {
	if !v.enter() {
		return "", errClosed
	}
	defer v.work.Done()
	p, err := v.provider(b.Provider)
	if err != nil {
		return "", &FlowError{FlowBadInput, err}
	}
	input := strings.TrimSpace(b.Input)
	if p.Ask != AskNothing && input == "" {
		return "", &FlowError{FlowBadInput, fmt.Errorf("%s needs the %s to begin with", p.Title, p.Ask)}
	}
	if p.NeedsApp && v.deps.Apps[p.Name].ClientID == "" {
		return "", &FlowError{FlowNotConfigured, fmt.Errorf(
			"%s has no client id: set JAUGE_%s_CLIENT_ID and JAUGE_%s_CLIENT_SECRET", p.Title, p.App, p.App)}
	}
	s := &Start{State: newState(), Verifier: jauge.Secret(oauth2.GenerateVerifier()), Hint: input}
	state := s.State
	c := v.call(p, "", nil, b.Redirect)
	dctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	err = p.dialect().Begin(dctx, c, s, input)
	cancel()
	if err != nil {
		return "", beginError(clean(err, c, s.Verifier))
	}
	if s.State != state || s.URL == "" {
		return "", &FlowError{FlowProvider, errors.New("the provider's dialect made no address for this state")}
	}
	r := &stateRecord{
		Version: recordVersion, Stamp: ulid.Make().String(), Provider: p.Name, Input: input, Redirect: b.Redirect,
		Browser: browserHash(b.Browser), Verifier: s.Verifier.Reveal(), Expect: s.Expect, Server: serverOf(c.Server),
		Until: time.Now().Add(v.cfg.StateLife).UTC(),
	}
	plain, err := encode(r)
	if err != nil {
		return "", err
	}
	if _, err := v.save(ctx, stateKeyOf(state), plain, 0); err != nil {
		return "", fmt.Errorf("begin authorization: %w", err)
	}
	return s.URL, nil
}

// beginError says what it means that an authorization could not be begun.
func beginError(err error) error {
	if _, ok := errors.AsType[*FlowError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*TokenError](err); ok {
		return ExchangeError(err)
	}
	switch jauge.ReasonOf(err) {
	case jauge.ReasonNotFound, jauge.ReasonBadRequest:
		return &FlowError{FlowBadInput, err}
	case jauge.ReasonServer, jauge.ReasonDecode, jauge.ReasonAuth, jauge.ReasonScope, jauge.ReasonRateLimited, jauge.ReasonQuota:
		return &FlowError{FlowProvider, err}
	case jauge.ReasonNetwork, jauge.ReasonCanceled, jauge.ReasonDeadline, jauge.ReasonOther:
	}
	return &FlowError{FlowNetwork, err}
}

var errState = errors.New("this answer belongs to no authorization that is under way")

// claim finds the authorization of a state and takes it, exactly once over all replicas: before its code is used.
func (v *Vault) claim(ctx context.Context, state, browser string) (*stateRecord, error) {
	if state == "" {
		return nil, &FlowError{FlowUnknownState, errState}
	}
	key := stateKeyOf(state)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		r, rev, err := v.loadState(ctx, key)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare([]byte(r.Browser), []byte(browserHash(browser))) != 1 {
			return nil, &FlowError{FlowOtherBrowser, errors.New("the authorization was begun in another browser")}
		}
		if !time.Now().Before(r.Until) {
			v.forgetState(ctx, key, rev)
			return nil, &FlowError{FlowExpiredState, errors.New("the authorization was begun too long ago")}
		}
		won, err := v.mark(ctx, key, r, rev)
		switch {
		case won:
			return r, nil
		case err == nil:
			return nil, &FlowError{FlowUnknownState, errState}
		}
		if serr := sleep(ctx, jitter(wait)); serr != nil {
			return nil, fmt.Errorf("take authorization: %w", err)
		}
	}
}

// loadState reads an authorization that has not been used.
func (v *Vault) loadState(ctx context.Context, key string) (*stateRecord, uint64, error) {
	plain, rev, err := v.load(ctx, key)
	if errors.Is(err, errNotThere) {
		return nil, 0, &FlowError{FlowUnknownState, errState}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("take authorization: %w", err)
	}
	r, err := decodeState(plain)
	if err != nil || r.Used {
		return nil, 0, &FlowError{FlowUnknownState, errors.Join(errState, err)}
	}
	return r, rev, nil
}

// mark writes that an authorization is used. won: it was this call that did. An error says that nobody knows.
func (v *Vault) mark(ctx context.Context, key string, r *stateRecord, rev uint64) (won bool, err error) {
	r.Used, r.Stamp = true, ulid.Make().String()
	plain, err := encode(r)
	if err != nil {
		return false, err
	}
	now, err := v.save(ctx, key, plain, rev)
	switch {
	case err == nil:
		v.forgetState(ctx, key, now)
		return true, nil
	case errors.Is(err, jauge.ErrStale):
		return false, nil
	}
	unknown := err
	got, now, err := v.load(ctx, key)
	switch {
	case errors.Is(err, errNotThere):
		return false, nil
	case err != nil:
		return false, unknown
	}
	have, err := decodeState(got)
	switch {
	case err != nil:
		return false, nil
	case have.Stamp == r.Stamp:
		v.forgetState(ctx, key, now)
		return true, nil
	case have.Used:
		return false, nil
	}
	return false, unknown // not there, yet: try again at the same revision
}

// forgetState drops an authorization; Run prunes what stays.
func (v *Vault) forgetState(ctx context.Context, key string, rev uint64) {
	if err := v.dropAt(ctx, key, rev); err != nil && !errors.Is(err, jauge.ErrStale) {
		v.log.DebugContext(ctx, "authorization could not be dropped", "error", err)
	}
}

// enter counts work that Close waits for; it is refused when the vault is not open.
func (v *Vault) enter() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.opened || v.closing {
		return false
	}
	v.work.Add(1)
	return true
}
