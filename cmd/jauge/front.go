package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge/collectors/oauth/providers"
	"jauge.dev/jauge/internal/web"
	"jauge.dev/jauge/internal/web/pages"
)

// front is what the daemon answers on its addresses: health from the beginning, so that a long opening can be told from a
// dead process, and the pages once everything is open.
//
//	JAUGE_LISTEN       starting ──▶ pages, callback, health (behind the login where it is reached from elsewhere)
//	JAUGE_OPS_LISTEN   health, without login
type front struct {
	main net.Listener
	ops  net.Listener // nil where none is asked for

	health  http.Handler
	handler atomic.Pointer[http.Handler]
}

// listen takes the addresses.
func (a *App) listen(ctx context.Context) (*front, error) {
	var lc net.ListenConfig
	f := &front{health: web.Health(a.reg, a.parts())}
	var err error
	if f.main, err = lc.Listen(ctx, "tcp", a.cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w: choose another address with --listen", err)
	}
	if a.cfg.OpsListen != "" {
		if f.ops, err = lc.Listen(ctx, "tcp", a.cfg.OpsListen); err != nil {
			_ = f.main.Close()
			return nil, fmt.Errorf("listen for metrics and health: %w: choose another JAUGE_OPS_LISTEN", err)
		}
	}
	f.show(starting(f.health, a.open()))
	return f, nil
}

// open tells whether everybody who reaches the pages may enter: on loopback, without a credential.
func (a *App) open() bool { return !a.cfg.Access.Guarded() }

// starting answers while the parts are being opened. Whoever comes from elsewhere learns no details.
func starting(health http.Handler, open bool) http.Handler {
	if open {
		return health
	}
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", health)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "2")
		http.Error(w, "starting", http.StatusServiceUnavailable)
	})
	return mux
}

func (f *front) show(h http.Handler) { f.handler.Store(&h) }

// ServeHTTP answers with what is shown now.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*f.handler.Load()).ServeHTTP(w, r)
}

// serve answers until ctx ends.
func (f *front) serve(ctx context.Context, a *App) error {
	var g errgroup.Group
	g.Go(func() error { return web.Serve(ctx, f.main, f, a.log) })
	if f.ops != nil {
		g.Go(func() error { return web.Serve(ctx, f.ops, f.health, a.log) })
	}
	return g.Wait()
}

const sessionKeyBytes = 32

// pages makes the pages; the vault is open.
func (a *App) pages(ctx context.Context, listen string, health http.Handler) (http.Handler, error) {
	key := make([]byte, sessionKeyBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	var err error
	if a.cfg.Vaulted() { // replicas know each other's sessions, and a restart ends none
		if key, err = a.vault.Secret(ctx, "session"); err != nil {
			return nil, fmt.Errorf("make the key of sessions: %w", err)
		}
	}
	cfg := pages.Config{
		Listen: listen, AdminHash: a.cfg.Access.AdminPasswordHash, ForwardHeader: a.cfg.Access.ForwardAuthHeader,
		ForwardUsers: a.cfg.Access.ForwardAuthUsers, TrustedProxies: []netip.Prefix(a.cfg.Access.TrustedProxies), SessionKey: key,
		Open: a.open(),
	}
	if a.cfg.PublicURL != "" {
		if cfg.Public, err = url.Parse(a.cfg.PublicURL); err != nil {
			return nil, fmt.Errorf("read the public URL: %w", err)
		}
	}
	deps := pages.Deps{Log: a.log, Health: health, Version: readBuild().Version}
	if cfg.Public != nil && cfg.Public.Scheme == "https" && a.cfg.Vaulted() {
		deps.ClientMetadata, deps.Keys, err = a.clientDocuments()
		if err != nil {
			return nil, err
		}
	}
	return pages.New(cfg, site{a}, deps)
}

// clientDocuments are what Bluesky servers read to know this daemon as a client.
func (a *App) clientDocuments() (metadata, keys func() []byte, err error) {
	var scopes []string
	for _, p := range a.providers {
		if p.Name == "bluesky" {
			scopes = p.Scopes
		}
	}
	m, err := providers.ClientMetadata(a.cfg.PublicURL, scopes, a.vault.PublicKey())
	if err != nil {
		return nil, nil, fmt.Errorf("make the client document: %w", err)
	}
	k, err := providers.JWKS(a.vault.PublicKey())
	if err != nil {
		return nil, nil, fmt.Errorf("make the client's keys: %w", err)
	}
	return func() []byte { return m }, func() []byte { return k }, nil
}

// pagesAddress is what to open in a browser.
func (a *App) pagesAddress(listen string) string {
	if a.cfg.PublicURL != "" {
		return a.cfg.PublicURL
	}
	return "http://" + listen
}
