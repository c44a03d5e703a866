package main

import (
	"cmp"
	"context"
	"errors"

	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/providers"
	"jauge.dev/jauge/collectors/rest"
	"jauge.dev/jauge/collectors/schedule"
	"jauge.dev/jauge/configs"
	"jauge.dev/jauge/storage/natskv"
	"jauge.dev/jauge/storage/state"
)

// allProviders is the list of what can be connected, without the operator's settings.
func allProviders() []oauth.Provider { return providers.All() }

func providerNames() []string {
	var names []string
	for _, p := range allProviders() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

func providerNamed(name string) *oauth.Provider {
	for _, p := range allProviders() {
		if p.Name == name {
			return &p
		}
	}
	return nil
}

// newGrants makes the vault with everything around it; it does no I/O.
func (a *App) newGrants(cfg *configs.Config, metrics *rest.Metrics) error {
	a.providers = cfg.Providers(allProviders())
	clients := map[string]*http.Client{}
	for _, p := range a.providers {
		set := cfg.Apps[p.App]
		if p.Name == string(jauge.Bluesky) {
			p.Endpoints.Directory = cfg.BlueskyPLC
		}
		exempt := []string{set.AuthURL, set.TokenURL, set.RevokeURL, p.Endpoints.Directory}
		for _, base := range cfg.BaseURL { // the operator named them
			exempt = append(exempt, base)
		}
		hc, err := rest.NewPlain(p.Name, cfg.HTTP, rest.Deps{
			Version: readBuild().Version, Metrics: metrics, Log: a.log, Exempt: exempt,
		})
		if err != nil {
			return fmt.Errorf("make HTTP client of %s: %w", p.Name, err)
		}
		clients[p.Name] = hc
	}
	keyFile := cfg.Path(keyFileName)
	if cfg.Journal.URL != "" {
		keyFile = "" // replicas must share the key: nobody makes one alone
	}
	store, err := a.newSealed(cfg)
	if err != nil {
		return err
	}
	a.vault, err = oauth.New(cfg.Vault, oauth.Deps{
		Store: store, Providers: a.providers, Apps: cfg.OAuthApps(allProviders()),
		Clients: func(p *oauth.Provider) *http.Client { return clients[p.Name] },
		API:     func(p jauge.Platform) *http.Client { return a.clients[p] },
		Base:    func(p jauge.Platform) string { return cfg.BaseURL[p] },
		Public:  strings.TrimSuffix(cfg.PublicURL, "/"), KeyFile: keyFile, OnChange: a.alert, Log: a.log, Metrics: a.reg,
	})
	if err != nil {
		return fmt.Errorf("make the vault: %w", err)
	}
	return nil
}

// keyFileName is where the vault's key is made in the data directory.
const keyFileName = "vault.key"

// alert tells of a grant's change of state; the vault calls it once for each. An account that can be read again is read
// at once.
func (a *App) alert(c oauth.Change) {
	var keys []jauge.Key
	for _, f := range c.Grant.Follows {
		keys = append(keys, jauge.Key{Platform: f.Platform, Account: f.ID})
	}
	was, is := c.Was, c.Grant.State
	if c.Follow != nil {
		keys = []jauge.Key{{Platform: c.Follow.Platform, Account: c.Follow.ID}}
		is = cmp.Or(c.Follow.State, is)
	}
	if was.Parked() && !is.Parked() {
		a.wake(keys...)
	}
}

// access hands out the clients by which accounts are read. Accounts of one grant may have tokens of their own (pages of
// Facebook), and the client signs with the account's: so no two are read together.
func (a *App) access(acc jauge.Account) (*http.Client, string, error) {
	hc, grant, err := a.vault.Client(acc)
	if grant != "" {
		grant += " " + subjectKey(acc.Platform, cmp.Or(acc.ID, acc.Handle))
	}
	return hc, grant, err
}

// wake has accounts read at once that may be read again. Workers that are being replaced ask anew by themselves.
func (a *App) wake(keys ...jauge.Key) {
	if a.mu.TryRLock() {
		defer a.mu.RUnlock()
		a.workers.schedule.Wake(keys...)
	}
}

// newSealed makes what the vault keeps its records in.
func (a *App) newSealed(cfg *configs.Config) (oauth.Store, error) {
	if cfg.Journal.URL == "" {
		return a.state, nil
	}
	kv, err := natskv.New(natskv.Config{
		URL: cfg.Journal.URL, Credentials: cfg.Journal.Credentials, Replicas: cfg.Journal.Replicas, Timeout: cfg.Journal.Timeout,
	}, a.log)
	a.shared = kv
	return kv, err
}

// What the vault's records may lie in.
var (
	_ oauth.Store = (*state.DB)(nil)
	_ oauth.Store = (*natskv.Store)(nil)
)

// openVault opens the vault and what it lies in.
//
// Replicas share a key that somebody has to set: without it nothing can be connected, and what is public is read all the
// same.
func (a *App) openVault(ctx context.Context) error {
	if !a.cfg.Vaulted() {
		return nil
	}
	if a.shared != nil {
		if err := a.shared.Open(ctx); err != nil {
			return fmt.Errorf("open the shared vault: %w", err)
		}
		a.undo.push("shared vault", func(context.Context) error { return a.shared.Close() })
	}
	if err := a.vault.Open(ctx); err != nil {
		return fmt.Errorf("open the vault: %w", err)
	}
	a.undo.push("vault", func(context.Context) error { a.vault.Close(); return nil })
	return nil
}

// grants lists the grants; none where there is no vault.
func (a *App) grants(ctx context.Context) ([]oauth.Grant, error) {
	if !a.cfg.Vaulted() {
		return nil, nil
	}
	return a.vault.Grants(ctx)
}

// needVault says why nothing can be connected, nil where it can.
func (a *App) needVault() error {
	if a.cfg.Vaulted() {
		return nil
	}
	return &oauth.FlowError{Kind: oauth.FlowNotConfigured, Err: errors.New(
		"with an external NATS the key of the vault has to be set: make one by `jauge vault key` and set JAUGE_VAULT_KEY on each replica")}
}

// renewGrants keeps grants renewed until ctx ends.
func (a *App) renewGrants(ctx context.Context) error {
	if !a.cfg.Vaulted() {
		return nil
	}
	return a.vault.Run(ctx)
}

// followGrants brings the scheduler's list up to date when accounts are connected or ended by another replica.
func (a *App) followGrants(ctx context.Context) error {
	tick := time.NewTicker(grantsEvery)
	defer tick.Stop()
	was := ""
	for {
		if now, err := a.followedByGrants(ctx); err != nil {
			a.log.Warn("connected accounts could not be listed", "error", err.Error())
		} else if now != was {
			if err := a.follow(ctx, nil); err != nil {
				a.log.Warn("connected accounts could not be followed", "error", err.Error())
			} else {
				was = now
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// grantsEvery is how often the list of connected accounts is compared.
const grantsEvery = 10 * time.Second

// followedByGrants is a text that changes when what is connected does.
func (a *App) followedByGrants(ctx context.Context) (string, error) {
	grants, err := a.grants(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, g := range grants {
		for _, f := range g.Follows {
			fmt.Fprintf(&b, "%s %s %s %t\n", subjectKey(f.Platform, f.ID), f.Handle, f.Brand, f.Paused)
		}
	}
	return b.String(), nil
}

// granted brings the scheduler's list up to date after something was connected, followed or ended here.
func (a *App) granted(ctx context.Context) error {
	if !a.whole.Load() {
		return nil // a command beside no daemon: the next start reads the list
	}
	return a.follow(ctx, nil)
}

// connected lists the followed accounts of all grants that a collector of this version can read and that the file does
// not list.
func (a *App) connected(ctx context.Context, file *configs.File) ([]schedule.Configured, error) {
	grants, err := a.grants(ctx)
	if err != nil {
		return nil, fmt.Errorf("list connected accounts: %w", err)
	}
	listed, err := a.listed(ctx, file)
	if err != nil {
		return nil, err
	}
	var out []schedule.Configured
	for _, g := range grants {
		for _, f := range g.Follows {
			if a.clients[f.Platform] == nil || listed.has(f.Platform, f.ID, f.Handle) {
				continue
			}
			listed.add(f.Platform, f.ID, f.Handle) // two grants may open one account
			out = append(out, schedule.Configured{Platform: f.Platform, ID: f.ID, Handle: cmp.Or(f.Handle, f.ID), Brand: f.Brand})
		}
	}
	return out, nil
}

// names are accounts by id and by handle.
type names map[string]bool

func (n names) add(p jauge.Platform, id, handle string) {
	if id != "" {
		n["i "+subjectKey(p, id)] = true
	}
	if handle != "" {
		n["h "+subjectKey(p, bareHandle(handle))] = true
	}
}

func (n names) has(p jauge.Platform, id, handle string) bool {
	return n["i "+subjectKey(p, id)] || (handle != "" && n["h "+subjectKey(p, bareHandle(handle))])
}

// listed are the accounts of the file, with the ids that their handles led to.
func (a *App) listed(ctx context.Context, file *configs.File) (names, error) {
	n := names{}
	for _, acc := range file.Accounts() {
		n.add(acc.Platform, "", acc.Handle)
	}
	for f, err := range a.state.Roster(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list accounts: %w", err)
		}
		if n.has(f.Account.Platform, "", f.Configured) {
			n.add(f.Account.Platform, f.Account.ID, f.Account.Handle)
		}
	}
	return n, nil
}

// grantOf finds the grant and the follow of an account; nil where it has none.
func grantOf(grants []oauth.Grant, p jauge.Platform, id, handle string) (*oauth.Grant, *oauth.Follow) {
	for i := range grants {
		for k := range grants[i].Follows {
			f := &grants[i].Follows[k]
			if f.Platform == p && (f.ID == id || (id == "" && handle != "" && bareHandle(f.Handle) == bareHandle(handle))) {
				return &grants[i], f
			}
		}
	}
	return nil, nil
}

// standing is how an account's grant is.
type standing struct {
	State     oauth.State
	Cause     oauth.Cause
	Since     time.Time
	ExpiresAt time.Time
}

func standingOf(g *oauth.Grant, f *oauth.Follow) standing {
	if g == nil {
		return standing{State: oauth.StateOK}
	}
	s := standing{State: g.State, Cause: g.Cause, Since: g.Since, ExpiresAt: g.ExpiresAt}
	if f != nil && f.State != "" && !g.State.Parked() {
		s.State, s.Cause = f.State, f.Cause
	}
	return s
}
