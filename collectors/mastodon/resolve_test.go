package mastodon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/collectortest"
	"jauge.dev/jauge/collectors/mastodon"
	"jauge.dev/jauge/collectors/mastodon/mastofake"
)

// network is a plain server, one whose API is on another host than its handles, and a domain that is a mere alias of
// an account on the first.
func network(tb testing.TB) http.Handler {
	tb.Helper()
	plain := mastofake.New(mastofake.Config{Domain: "one.example"})
	plain.AddAccount("Brand", 10, 1)
	split := mastofake.New(mastofake.Config{Domain: "two.example", WebDomain: "social.two.example"})
	split.AddAccount("brand", 20, 2)
	split.AddAccount("rival", 20, 2)
	old := mastofake.New(mastofake.Config{Domain: "three.example", NoWebFinger: true})
	old.AddAccount("brand", 30, 3)
	servers := mastofake.Network{
		"one.example": plain, "two.example": split, "social.two.example": split, "three.example": old,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Host {
		case "alias.example":
			self := "https://one.example/users/Brand"
			if strings.Contains(r.URL.RawQuery, "trap") {
				self = "https://169.254.169.254/users/Brand"
			}
			_, _ = fmt.Fprintf(w, `{"subject":"acct:Brand@one.example","links":[
				{"rel":"http://webfinger.net/rel/profile-page","href":"https://x.example/"},
				{"rel":"self","type":"application/activity+json","href":%q}]}`, self)
		default:
			servers.ServeHTTP(w, r)
		}
	})
}

func TestResolveFindsTheServer(t *testing.T) {
	hc, col := collectortest.Client(t, mastodon.Platform, network(t)), mastodon.Platform.New("")
	for _, tc := range []struct{ handle, server, shown string }{
		{"@brand@one.example", "one.example", "@Brand@one.example"},
		{"brand@ONE.example", "one.example", "@Brand@one.example"},
		{"@brand@two.example", "social.two.example", "@brand@two.example"},
		{"@brand@social.two.example", "social.two.example", "@brand@two.example"},
		{"@brand@three.example", "three.example", "@brand@three.example"},
		{"@me@alias.example", "one.example", "@Brand@one.example"},
	} {
		a, err := col.Resolve(t.Context(), hc, tc.handle)
		if err != nil {
			t.Errorf("Resolve(%s): %v", tc.handle, err)
			continue
		}
		if _, server, _ := strings.Cut(a.ID, "@"); server != tc.server || a.Handle != tc.shown || a.Platform != jauge.Mastodon {
			t.Errorf("Resolve(%s) = %+v, want server %s and handle %s", tc.handle, a, tc.server, tc.shown)
		}
	}
	for _, unknown := range []string{"@nobody@one.example", "@nobody@two.example", "@trap@alias.example"} {
		if _, err := col.Resolve(t.Context(), hc, unknown); jauge.ReasonOf(err) == "" || jauge.ReasonOf(err).Temporary() && unknown != "@trap@alias.example" {
			t.Errorf("Resolve(%s) = %v, want an error for good", unknown, err)
		}
	}
}

// A base stands in for every server: the id keeps the domain of the handle, whatever the server there calls itself.
func TestResolveWithBase(t *testing.T) {
	s := mastofake.New(mastofake.Config{Domain: "127.0.0.1"})
	id := s.AddAccount("brand", 1, 1)
	hosts := map[string]bool{}
	hc := collectortest.Client(t, mastodon.Platform, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts[r.Host] = true
		if strings.HasPrefix(r.URL.Path, "/gate/.well-known") { // answers for any domain, as some servers do
			_, _ = w.Write([]byte(`{"subject":"acct:brand@127.0.0.1","links":[{"rel":"self",` +
				`"type":"application/activity+json","href":"http://127.0.0.1:13001/users/brand"}]}`))
			return
		}
		http.StripPrefix("/gate", s).ServeHTTP(w, r)
	}))
	a, err := mastodon.Platform.New("http://gateway.test/gate/").Resolve(t.Context(), hc, "@brand@mastodon.example")
	if err != nil || a.ID != id+"@mastodon.example" || a.Handle != "@brand@mastodon.example" {
		t.Errorf("Resolve = %+v, %v", a, err)
	}
	if len(hosts) != 1 || !hosts["gateway.test"] {
		t.Errorf("calls went to %v", hosts)
	}
}

func TestResolveHints(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg    mastofake.Config
		handle string
		reason jauge.Reason
		hint   string
	}{
		"unknown": {mastofake.Config{}, "@nobody@mastodon.example", jauge.ReasonNotFound, "spelling"},
		"private": {mastofake.Config{Private: true}, "@brand@mastodon.example", jauge.ReasonAuth, "without a login"},
		"no user": {mastofake.Config{}, "mastodon.example", jauge.ReasonBadRequest, "@brand@mastodon.example"},
		"address": {mastofake.Config{}, "https://m.example/@me", jauge.ReasonBadRequest, "such as @me@m.example"},
	} {
		t.Run(name, func(t *testing.T) {
			s := mastofake.New(tc.cfg)
			s.AddAccount("brand", 1, 1)
			hc := collectortest.Client(t, mastodon.Platform, anonymous(s))
			_, err := mastodon.Platform.New("").Resolve(t.Context(), hc, tc.handle)
			if jauge.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.hint) {
				t.Errorf("Resolve = %v, want reason %s and %q", err, tc.reason, tc.hint)
			}
		})
	}
}
