package mastodon

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/rest"
)

type collector struct {
	base string // stands in for every server; empty where each is its own
}

func newCollector(base string) collector { return collector{strings.TrimRight(base, "/")} }

func (c collector) server(hc *http.Client, name string) *server {
	root := c.base
	if root == "" {
		root = "https://" + name
	}
	return &server{hc: hc, name: name, root: root}
}

// Resolve implements collectors.Collector. The account's id is the one that its own server gives it, with that
// server's name; the handle is the canonical one of WebFinger with the user's name as the server spells it.
func (c collector) Resolve(ctx context.Context, hc *http.Client, asked string) (jauge.Account, error) {
	h, err := parseHandle(asked)
	if err != nil {
		return jauge.Account{}, &jauge.Error{Op: "resolve handle", Reason: jauge.ReasonBadRequest, Err: err}
	}
	h, name, err := c.discover(ctx, hc, h)
	if err != nil {
		return jauge.Account{}, err
	}
	a, err := c.server(hc, name).lookup(ctx, h.user)
	if err != nil {
		return jauge.Account{}, unknown(err, name)
	}
	if _, home, remote := strings.Cut(a.Acct, "@"); remote && !strings.EqualFold(home, name) && !strings.EqualFold(home, h.domain) {
		return jauge.Account{}, &jauge.Error{
			Op: "look up account", Reason: jauge.ReasonNotFound,
			Err:  errors.New(name + " knows the account as one of another server"),
			Hint: "follow it under its handle there",
		}
	}
	if userName.MatchString(a.Username) {
		h.user = a.Username
	}
	return jauge.Account{Platform: jauge.Mastodon, ID: string(a.ID) + "@" + name, Handle: h.String()}, nil
}

// discover asks the handle's domain which server serves the account and under which handle (WebFinger, RFC 7033): it
// may be on another host (WEB_DOMAIN beside LOCAL_DOMAIN), or the handle a mere alias. Where the domain cannot say,
// it is taken to serve the account itself. A base tells no servers apart: there only the user's name counts.
func (c collector) discover(ctx context.Context, hc *http.Client, h handle) (canonical handle, name string, err error) {
	address := c.server(hc, h.domain).root + "/.well-known/webfinger?resource=" +
		url.QueryEscape("acct:"+h.user+"@"+h.domain)
	a, _, err := rest.Get[answer[webFinger]](ctx, hc, "find account's server", address)
	if err != nil {
		if r := jauge.ReasonOf(err); ctx.Err() != nil || r.Temporary() && r != jauge.ReasonDecode {
			return h, "", err
		}
		return h, h.domain, nil
	}
	name = h.domain
	subject, err := parseHandle(strings.TrimPrefix(a.v.Subject, "acct:"))
	if err != nil {
		subject = h
	}
	if c.base != "" {
		subject.domain = h.domain
		return subject, name, nil
	}
	if home := a.v.home(); home != "" {
		name = home
	}
	return subject, name, nil
}

// home is the host of the account's own address, empty where there is none that may be called.
func (w *webFinger) home() string {
	for _, l := range w.Links {
		if l.Rel != "self" || !strings.Contains(l.Type, "activity+json") && !strings.Contains(l.Type, "ld+json") {
			continue
		}
		u, err := url.Parse(l.Href)
		if host := strings.ToLower(hostOf(u)); err == nil && publicHost(host) {
			return host
		}
	}
	return ""
}

func hostOf(u *url.URL) string {
	if u == nil || u.Scheme != "https" {
		return ""
	}
	return u.Host
}

// unknown tells the operator what a lookup that found nothing means.
func unknown(err error, name string) error {
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || e.Reason != jauge.ReasonNotFound {
		return err
	}
	c := *e
	c.Hint = "no such account on " + name + ": check the handle's spelling, such as " + example
	return &c
}
