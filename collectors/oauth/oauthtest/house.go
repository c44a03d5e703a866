package oauthtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/storage/storagetest"
)

const (
	browser = "the-browser-of-the-suite"
	brand   = "suite"
	// every is how often the vault looks around; what is due is done within twice as long.
	every = 15 * time.Second
	soon  = 2 * every
	warn  = 14 * 24 * time.Hour
)

// house is a vault with a provider, a store and ears.
type house struct {
	*testing.T
	p     *oauth.Provider
	s     *Server
	v     *oauth.Vault
	store *storagetest.MemSealed
	log   *ears
	key   string
	stop  func() // ends the vault's Run

	mu      sync.Mutex
	changes []oauth.Change
}

// ears keep everything that is said.
type ears struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (e *ears) Write(p []byte) (int, error) { e.mu.Lock(); defer e.mu.Unlock(); return e.text.Write(p) }

func (e *ears) String() string { e.mu.Lock(); defer e.mu.Unlock(); return e.text.String() }

// newHouse makes a house with a vault that runs. At its end nothing secret has been said, nor lies open in the store.
func newHouse(t *testing.T, p oauth.Provider, f Fake) *house {
	p = Filled(p)
	h := &house{T: t, p: &p, store: storagetest.NewMemSealed(), log: &ears{}, key: base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))}
	h.s = NewServer(&p, f, redirect)
	h.s.Keep(h.key)
	h.open(true)
	t.Cleanup(h.silent)
	t.Cleanup(func() { h.stop() })
	return h
}

// open opens a vault on the house's store; run has it look around by itself.
func (h *house) open(run bool) {
	h.Helper()
	v, err := oauth.New(oauth.Config{
		Key: jauge.Secret(h.key), StateLife: 10 * time.Minute, Timeout: 30 * time.Second, Every: every, Warn: warn,
	}, oauth.Deps{
		Store: h.store, Providers: []*oauth.Provider{h.p}, Apps: map[string]oauth.App{h.p.Name: h.s.Fake.App},
		Clients:  func(*oauth.Provider) *http.Client { return h.s.HTTP() },
		API:      func(jauge.Platform) *http.Client { return h.s.HTTP() },
		OnChange: func(c oauth.Change) { h.mu.Lock(); defer h.mu.Unlock(); h.changes = append(h.changes, c) },
		Log:      slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		h.Fatalf("make vault: %v", err)
	}
	if err := v.Open(h.Context()); err != nil {
		h.Fatalf("open vault: %v", err)
	}
	h.v = v
	if !run {
		h.stop = v.Close
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.Context()))
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.Errorf("run vault: %v", err)
		}
	})
}

// restart ends the vault and opens another one on the same store.
func (h *house) restart() {
	h.Helper()
	h.stop()
	h.open(true)
}

// pass lets time go by. The vault looks around at both ends of a long time; in between it is down, since it would look
// thousands of times for nothing.
func (h *house) pass(d time.Duration) {
	h.Helper()
	const awake = 20 * time.Minute
	if d > 3*awake {
		time.Sleep(awake)
		h.stop()
		time.Sleep(d - 2*awake)
		h.open(true)
		d = awake
	}
	time.Sleep(max(d, 0))
}

// silent looks for everything secret in what was said, told and stored.
func (h *house) silent() {
	h.mu.Lock()
	told := fmt.Sprintf("%+v", h.changes)
	h.mu.Unlock()
	var kept strings.Builder
	for r, err := range h.store.Sealed(context.WithoutCancel(h.Context()), "") {
		if err != nil {
			h.Errorf("read store: %v", err)
		}
		fmt.Fprintf(&kept, "%s %s\n", r.Key, r.Value)
	}
	noSecret(h.T, h.s, "log lines", h.log.String())
	noSecret(h.T, h.s, "changes", told)
	noSecret(h.T, h.s, "stored records", kept.String())
}

// heard puts an error among what was said.
func (h *house) heard(err error) error {
	if err != nil {
		fmt.Fprintf(h.log, "%+v\n", err)
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(h.log, "%v %#v\n", e, e.Error())
		}
	}
	return err
}

// complete begins, lets the user decide, and hands the callback in after a wait.
func (h *house) complete(wait time.Duration) (oauth.Grant, []oauth.Subject, error) {
	h.Helper()
	address, err := h.v.Begin(h.Context(), oauth.BeginRequest{Provider: h.p.Name, Input: h.s.Fake.Input, Redirect: redirect, Browser: browser})
	if err != nil {
		h.Fatalf("begin: %v", h.heard(err))
	}
	noSecret(h.T, h.s, "authorization address", address)
	back, err := h.s.Browse(address)
	if err != nil {
		h.Fatalf("browse: %v", err)
	}
	time.Sleep(wait)
	g, found, err := h.v.Complete(h.Context(), back, browser)
	return g, found, h.heard(err)
}

// connect connects and follows everything.
func (h *house) connect() oauth.Grant {
	h.Helper()
	g, found, err := h.complete(0)
	if err != nil {
		h.Fatalf("complete: %v", err)
	}
	keys := make([]string, 0, len(found))
	for i := range found {
		if found[i].Token != "" {
			h.Errorf("subject %s comes with its token", found[i].Key())
		}
		keys = append(keys, found[i].Key())
	}
	if g, err = h.v.Follow(h.Context(), g.ID, keys, brand); err != nil {
		h.Fatalf("follow: %v", h.heard(err))
	}
	return g
}

// grant is the one grant that there is.
func (h *house) grant() oauth.Grant {
	h.Helper()
	all, err := h.v.Grants(h.Context())
	if err != nil || len(all) != 1 {
		h.Fatalf("there are %d grants, want 1 (%v)", len(all), h.heard(err))
	}
	return all[0]
}

// state asserts the grant's state, and its cause where one is given.
func (h *house) state(when string, want oauth.State, causes ...oauth.Cause) {
	h.Helper()
	if g := h.grant(); g.State != want || len(causes) > 0 && !slices.Contains(causes, g.Cause) {
		h.Errorf("%s the grant is %s (%s), want %s %v", when, g.State, g.Cause, want, causes)
	}
}

// fine asserts that nothing is wrong: ok, or expiring where even a new grant ends within the time of warning.
func (h *house) fine(when string) {
	h.Helper()
	if h.p.Renewal.Model == oauth.Reusable && h.s.Fake.RefreshLife < warn {
		if g := h.grant(); g.State == oauth.StateExpiring && g.Cause == oauth.CauseEndsSoon {
			return
		}
	}
	h.state(when, oauth.StateOK)
}

// account is the first account that the fake offers.
func (h *house) account() jauge.Account {
	s := h.s.Fake.Subjects[0]
	return jauge.Account{Platform: s.Platform, ID: s.ID, Handle: s.Handle, Brand: brand}
}

// read sends a collector's request; status 0 and an error where the grant is not to be used.
func (h *house) read() (int, error) {
	h.Helper()
	hc, id, err := h.v.Client(h.account())
	if err != nil {
		return 0, h.heard(err)
	}
	if id == "" {
		h.Fatal("the account has no grant")
	}
	req, err := http.NewRequestWithContext(h.Context(), http.MethodGet, h.s.Fake.Probe, nil)
	if err != nil {
		h.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		return 0, h.heard(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Errorf("read answer: %v", err)
	}
	if h.p.Enveloped && h.p.Refused(resp.StatusCode, resp.Header, body) != oauth.CauseNone {
		return http.StatusUnauthorized, nil // as it would be without the envelope
	}
	return resp.StatusCode, nil
}

// works asserts that the account can be read.
func (h *house) works(when string) {
	h.Helper()
	if status, err := h.read(); status != http.StatusOK {
		h.Errorf("%s reading gives %d, %v", when, status, err)
	}
}

// parked asserts that the account is not read, without a request.
func (h *house) parked(when string) {
	h.Helper()
	before := h.s.Counts()
	status, err := h.read()
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || e.Hint == "" || e.Reason != jauge.ReasonAuth && e.Reason != jauge.ReasonScope {
		h.Errorf("%s reading gives %d, %v; want an error that says what to do", when, status, err)
	}
	if h.s.Counts() != before {
		h.Errorf("%s the provider was asked", when)
	}
}

// turns counts how often the grant came into a state.
func (h *house) turns(into oauth.State) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, c := range h.changes {
		if c.Follow == nil && c.Grant.State == into {
			n++
		}
	}
	return n
}

// life is how long the vault believes that a token lives.
func (h *house) life() time.Duration {
	l, m := h.s.Fake.AccessLife, h.p.Renewal
	if m.MaxLife > 0 && l > m.MaxLife {
		l = m.Life
	}
	return l
}

// toDue is how long after its issue a token is due.
func (h *house) toDue() time.Duration {
	due := h.life() - time.Duration(h.p.Renewal.Share*float64(h.life()))
	return max(due, h.p.Renewal.MinAge)
}
