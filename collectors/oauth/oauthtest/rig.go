package oauthtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// rig is what a case works with: one server and one way to it.
type rig struct {
	*testing.T
	p    *oauth.Provider
	s    *Server
	d    oauth.Dialect
	call *oauth.Call
	said strings.Builder // every error that was seen: secrets are looked for in it
}

func newRig(t *testing.T, p oauth.Provider, f Fake) *rig {
	p = Filled(p)
	r := &rig{T: t, p: &p, d: p.Dialect}
	if r.d == nil {
		r.d = oauth.Standard{}
	}
	r.s = NewServer(&p, f, redirect)
	kept := map[string][]byte{}
	r.call = &oauth.Call{
		Provider: &p, App: r.s.Fake.App, Server: &oauth.Server{}, HTTP: r.s.HTTP(), Redirect: redirect,
		Base: func(jauge.Platform) string { return "" }, Now: time.Now,
		Recall:   func(_ context.Context, name string) ([]byte, error) { return kept[name], nil },
		Remember: func(_ context.Context, name string, v []byte) error { kept[name] = v; return nil },
	}
	t.Cleanup(func() { noSecret(t, r.s, "errors", r.said.String()) })
	return r
}

// noSecret looks for everything secret in a text.
func noSecret(t *testing.T, srv *Server, where, text string) {
	t.Helper()
	for _, s := range srv.Secrets() {
		if len(s) < 8 {
			continue // a client without a secret
		}
		for _, form := range []string{s, url.QueryEscape(s)} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%s show a secret (%s…): …%s…", where, form[:6], text[max(0, i-200):min(len(text), i+100)])
				return
			}
		}
	}
}

// heard keeps an error's text in every form, and gives it back.
func (r *rig) heard(err error) error {
	if err != nil {
		fmt.Fprintf(&r.said, "%v\n%+v\n%#v\n", err, err, err.Error())
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(&r.said, "%v\n", e)
		}
	}
	return err
}

// begin begins an authorization as the vault does.
func (r *rig) begin() (*oauth.Start, error) {
	r.Helper()
	s := &oauth.Start{State: rand.Text(), Verifier: jauge.Secret(rand.Text() + rand.Text())}
	r.s.Keep(s.Verifier.Reveal())
	return s, r.heard(r.d.Begin(r.Context(), r.call, s, r.s.Fake.Input))
}

// consent begins, lets the user agree, and gives what the callback gets.
func (r *rig) consent() (*oauth.Start, url.Values) {
	r.Helper()
	start, err := r.begin()
	if err != nil {
		r.Fatalf("begin: %v", err)
	}
	noSecret(r.T, r.s, "authorization address", start.URL)
	back, err := r.s.Browse(start.URL)
	if err != nil {
		r.Fatalf("browse %s: %v", start.URL, err)
	}
	if back.Get("state") != start.State {
		r.Fatalf("callback has state %q, begun with %q", back.Get("state"), start.State)
	}
	return start, back
}

// connect goes the whole way to a token.
func (r *rig) connect() *oauth.Token {
	r.Helper()
	start, back := r.consent()
	t, err := r.d.Exchange(r.Context(), r.call, start, back)
	if err != nil {
		r.Fatalf("exchange: %v", r.heard(err))
	}
	return t
}

// authorised is the call with a client that signs.
func (r *rig) authorised(t *oauth.Token) *oauth.Call {
	c := *r.call
	c.HTTP = &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		if err := r.d.Sign(r.call, req, t); err != nil {
			return nil, err
		}
		return r.s.roundTrip(req)
	})}
	return &c
}

// probe sends a collector's request and gives status, header and body.
func (r *rig) probe(t *oauth.Token) oauth.Answer {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.s.Fake.Probe, nil)
	if err != nil {
		r.Fatal(err)
	}
	a, err := oauth.Fetch(r.Context(), r.authorised(t), req)
	if err != nil {
		r.Fatalf("probe: %v", r.heard(err))
	}
	return a
}

// works tells whether an answer is a success; an envelope of status 200 may hold an error.
func (r *rig) works(a oauth.Answer) bool {
	return a.Status == http.StatusOK && (!r.p.Enveloped || r.p.Refused(a.Status, a.Header, a.Body) == oauth.CauseNone)
}

// kind asserts the kind of a flow's failure.
func (r *rig) kind(err error, want ...oauth.FlowKind) {
	r.Helper()
	r.heard(err)
	e, ok := errors.AsType[*oauth.FlowError](err)
	if !ok {
		r.Fatalf("error is no FlowError: %v", err)
	}
	for _, w := range want {
		if e.Kind == w {
			return
		}
	}
	r.Errorf("flow fails as %s, want %v: %v", e.Kind, want, err)
}
