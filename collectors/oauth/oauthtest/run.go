package oauthtest

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// redirect is the callback of every case.
const redirect = "http://127.0.0.1:8080/oauth/callback"

// Run holds a provider against the suite.
func Run(t *testing.T, p oauth.Provider, f Fake) {
	t.Helper()
	t.Run("data", func(t *testing.T) { checkData(t, p) })
	for _, c := range dialectCases() {
		if c.when != nil && !c.when(&p, f.withDefaults(&p)) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(newRig(t, p, f)) })
		})
	}
	for _, c := range vaultCases() {
		if c.when != nil && !c.when(&p, f.withDefaults(&p)) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(newHouse(t, p, f)) })
		})
	}
}

// dialectCase needs no vault, vaultCase has one. A nil when is always.
type dialectCase struct {
	name string
	when func(p *oauth.Provider, f Fake) bool
	run  func(r *rig)
}

type vaultCase struct {
	name string
	when func(p *oauth.Provider, f Fake) bool
	run  func(h *house)
}

// Filled puts the version into a provider's addresses, as the daemon does.
func Filled(p oauth.Provider) oauth.Provider {
	for _, a := range []*string{&p.Endpoints.Authorize, &p.Endpoints.Token, &p.Endpoints.Revoke, &p.Base} {
		*a = strings.ReplaceAll(*a, "{version}", p.API.Version)
	}
	return p
}

func checkData(t *testing.T, p oauth.Provider) {
	t.Helper()
	want := func(ok bool, what string) {
		t.Helper()
		if !ok {
			t.Errorf("provider %q: %s", p.Name, what)
		}
	}
	want(p.Name != "" && p.Name == strings.ToLower(p.Name), "name is empty or not in lower case")
	want(p.Title != "" && p.App != "" && p.App == strings.ToUpper(p.App), "title or app is missing, or app is not in upper case")
	want(len(p.Platforms) > 0, "it opens no platform")
	want(p.List != nil, "it cannot list what can be followed")
	want(len(p.Scopes) > 0, "it asks for no scope")
	want(p.Docs != "" || !p.NeedsApp, "nobody is told where to register the client")
	for _, a := range []string{p.Endpoints.Authorize, p.Endpoints.Token, p.Endpoints.Revoke, p.Base, p.Docs} {
		u, err := url.Parse(a)
		want(a == "" || err == nil && u.Scheme == "https" && u.Host != "", "address "+a+" is no https address")
	}
	r := p.Renewal
	want(slices.Contains([]oauth.Model{oauth.Rotating, oauth.Reusable, oauth.Extend, oauth.Reissue, oauth.Static}, r.Model), "renewal has no model")
	want(r.Model == oauth.Static || r.Share > 0 && r.Share < 1, "the share of a life at which it is renewed is not between 0 and 1")
	want(r.Model == oauth.Static || r.MaxLife > 0, "an absurd expiry would be believed: set MaxLife")
	if spare := time.Duration(r.Share * float64(r.Life)); r.Model == oauth.Rotating && r.Life > 0 {
		want(r.Life > 3*time.Hour || spare <= 30*time.Minute, "it is rotated far more often than its life needs: each time is a chance to lose it")
	}
	want(r.Life < 7*24*time.Hour || r.Share*r.Life.Hours() >= 3*24, "less than three days are left to notice that renewals fail")
	want(r.Life <= r.MaxLife || r.MaxLife == 0, "Life is longer than MaxLife")
	want(r.Model == oauth.Static || len(p.Dead) > 0, "no error ends a grant: set Dead")
	for code, cause := range p.Dead {
		want(code != "" && cause != oauth.CauseNone, "Dead has an empty code or cause")
	}
	for _, s := range p.API.Sunsets {
		want(s.Name != "" && !s.Ends.IsZero() && s.From != "" && (s.Kind == "version" || s.Kind == "metric"), "sunset "+s.Name+" lacks kind, end or source")
	}
}
