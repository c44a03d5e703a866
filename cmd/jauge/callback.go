package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/internal/web"
)

// listen waits for the browser on a loopback address.
func (s *connecting) listen(input string) (completed, error) {
	ctx, cancel := context.WithTimeoutCause(s.cmd.Context(), connectTimeout, errors.New("nobody came back from the browser in time: begin again"))
	defer cancel()
	l, redirect, err := s.bind(ctx)
	if err != nil {
		return completed{}, err
	}
	browser := rand.Text()
	if err := s.begin(input, redirect, browser); err != nil {
		_ = l.Close()
		return completed{}, err
	}
	s.say("Waiting for the browser at %s (end with Ctrl-C; --paste where the browser is on another machine) …", redirect)
	w := &waiting{s: s, browser: browser, done: make(chan outcome, 1)}
	answer, quiet := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error { return web.Serve(answer, l, w, s.c.logger(s.cfg, true)) })
	var got outcome
	select {
	case got = <-w.done:
	case <-ctx.Done():
		got.err = context.Cause(ctx)
	}
	quiet()
	return got.completed, errors.Join(got.err, g.Wait())
}

// bind takes the address that the platform will send the browser to: the one that is registered where it is free, as it
// is while no daemon runs, else any.
func (s *connecting) bind(ctx context.Context) (net.Listener, string, error) {
	var lc net.ListenConfig
	if s.f.redirect != "" {
		u, err := url.Parse(s.f.redirect)
		if err != nil || u.Scheme != "http" || u.Path == "" || loopback(u.Host) != u.Host {
			return nil, "", usagef("--redirect must be http://127.0.0.1:PORT/PATH to listen there: with another address use --paste")
		}
		l, err := lc.Listen(ctx, "tcp", u.Host)
		if err != nil {
			return nil, "", fmt.Errorf("listen for the browser: %w", err)
		}
		return l, s.f.redirect, nil
	}
	l, err := lc.Listen(ctx, "tcp", loopback(s.cfg.Listen))
	if err != nil {
		l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, "", fmt.Errorf("listen for the browser: %w", err)
	}
	path := callbackPath
	if providerNamed(s.provider).Slash {
		path += "/"
	}
	return l, "http://" + l.Addr().String() + path, nil
}

// loopback gives 127.0.0.1 with the port of an address, or the address itself where it is a loopback IP already:
// platforms take http redirects to these alone.
func loopback(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "127.0.0.1:8080"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return addr
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// outcome is how an authorization ended.
type outcome struct {
	completed
	err error
}

// waiting answers the browser that comes back.
type waiting struct {
	s       *connecting
	browser string
	done    chan outcome
}

var backPage = template.Must(template.New("back").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>jauge</title></head>
<body><h1>{{.Title}}</h1><p>{{.Text}}</p></body></html>
`))

// ServeHTTP takes the callback; an answer to something else than was begun here changes nothing.
func (w *waiting) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/callback") || r.URL.Query().Get("state") == "" {
		w.answer(rw, http.StatusNotFound, "Nothing here", "Open the address that the command printed.")
		return
	}
	done, err := w.s.complete(r.URL.Query(), w.browser)
	if p, ok := errors.AsType[*flowProblem](err); ok && p.Kind == oauth.FlowUnknownState {
		w.answer(rw, http.StatusBadRequest, "This was not begun here", "Open the address that the command printed; it is still waiting.")
		return
	}
	if err != nil {
		w.answer(rw, flowStatus(err), "That did not work", err.Error())
	} else {
		w.answer(rw, http.StatusOK, "Connected", "Go back to the terminal; this window can be closed. Connected as "+cmp.Or(done.Holder, "an unnamed account")+".")
	}
	select {
	case w.done <- outcome{done, err}:
	default: // a browser that asks twice
	}
}

// flowStatus tells what went wrong at the provider from what somebody did.
func flowStatus(err error) int {
	p, ok := errors.AsType[*flowProblem](err)
	if !ok {
		return http.StatusInternalServerError
	}
	switch p.Kind {
	case oauth.FlowDenied, oauth.FlowScope, oauth.FlowWrongAccount:
		return http.StatusForbidden
	case oauth.FlowProvider, oauth.FlowNetwork:
		return http.StatusBadGateway
	case oauth.FlowUnknownState, oauth.FlowExpiredState, oauth.FlowOtherBrowser, oauth.FlowBadCode, oauth.FlowBadRedirect,
		oauth.FlowWrongIssuer, oauth.FlowNotConfigured, oauth.FlowBadInput:
	}
	return http.StatusBadRequest
}

func (w *waiting) answer(rw http.ResponseWriter, status int, title, text string) {
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	rw.WriteHeader(status)
	_ = backPage.Execute(rw, struct{ Title, Text string }{title, text}) // the browser went away: nothing to do
}
