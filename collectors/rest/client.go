package rest

import (
	"errors"
	"fmt"
	"net/http"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

const maxRedirects = 5

// NewClient makes the client that a platform's collectors are given. It is safe for use by several goroutines, and
// one client serves all accounts of its platform: budgets and circuits live in it. A token is put on top of it, by a
// RoundTripper whose base is the client's Transport; each token then has a budget of its own.
func NewClient(p collectors.Platform, cfg Config, deps Deps) (*http.Client, error) {
	if p.Name == "" {
		return nil, errors.New("make http client: platform has no name")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make http client: %w", err)
	}
	if err := deps.fill(cfg); err != nil {
		return nil, err
	}
	t := &transport{
		cfg: cfg, base: deps.Base, agent: UserAgent(deps.Version, cfg.Contact), platform: p,
		inFlight: make(chan struct{}, cfg.MaxInFlight),
		series:   deps.Metrics.platform(string(p.Name)),
		notices:  &deps.Metrics.notices,
		log:      deps.Log.With("platform", string(p.Name)),
	}
	t.circuits = newIdleMap(maxHosts, t.newCircuit)
	t.budgets = newIdleMap(maxHosts, t.newBudget)
	deps.Metrics.watch(t)
	return &http.Client{Transport: t, CheckRedirect: checkRedirect, Timeout: cfg.TotalTimeout}, nil
}

// checkRedirect follows few redirects, and none that leaves encryption.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return &jauge.Error{Reason: jauge.ReasonServer, Err: fmt.Errorf("more than %d redirects", maxRedirects)}
	}
	if was := via[len(via)-1].URL.Scheme; req.URL.Scheme != "https" && req.URL.Scheme != was {
		return &jauge.Error{Reason: jauge.ReasonServer, Err: fmt.Errorf("redirect from %s to another scheme", was)}
	}
	return nil
}

// sameOrigin tells whether a request still goes where its caller sent it: redirects may have led it elsewhere.
func sameOrigin(req *http.Request) bool {
	first := req
	for range maxRedirects + 1 {
		if first.Response == nil || first.Response.Request == nil {
			break
		}
		first = first.Response.Request
	}
	return first.URL.Host == req.URL.Host
}
