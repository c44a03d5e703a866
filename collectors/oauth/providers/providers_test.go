package providers_test

import (
	"slices"
	"testing"

	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
	"jauge.dev/jauge/collectors/oauth/providers"
)

// named finds a provider of the list.
func named(t *testing.T, name string) oauth.Provider {
	t.Helper()
	p, ok := providers.ByName(name)
	if !ok {
		t.Fatalf("no provider is called %q", name)
	}
	return p
}

func TestYouTube(t *testing.T)   { oauthtest.Run(t, named(t, "youtube"), fakeGoogle()) }
func TestLinkedIn(t *testing.T)  { oauthtest.Run(t, named(t, "linkedin"), fakeLinkedIn()) }
func TestX(t *testing.T)         { oauthtest.Run(t, named(t, "x"), fakeX()) }
func TestPinterest(t *testing.T) { oauthtest.Run(t, named(t, "pinterest"), fakePinterest()) }

// TestLinkedInWithoutRefresh is how most apps find LinkedIn: no refresh token, and a human every 60 days.
func TestLinkedInWithoutRefresh(t *testing.T) {
	f := fakeLinkedIn()
	f.NoRefresh = true
	oauthtest.Run(t, named(t, "linkedin"), f)
}

// TestXPublicClient is a client without a secret: it names itself in the form.
func TestXPublicClient(t *testing.T) {
	f := fakeX()
	f.App = oauth.App{ClientID: "public-client"}
	oauthtest.Run(t, named(t, "x"), f)
}

func TestNamesAreUnique(t *testing.T) {
	var names, platforms []string
	for _, p := range providers.All() {
		names = append(names, p.Name)
		for _, pl := range p.Platforms {
			platforms = append(platforms, p.Name+" "+string(pl))
		}
	}
	for _, list := range [][]string{names, platforms} {
		slices.Sort(list)
		if n := len(list); len(slices.Compact(list)) != n {
			t.Errorf("something stands twice in %v", list)
		}
	}
	if _, ok := providers.ByName("plume"); ok {
		t.Error("a provider that nobody knows is found")
	}
}

// TestListsAreCopies: the operator's settings are put into what All gives.
func TestListsAreCopies(t *testing.T) {
	a := providers.All()
	for i := range a {
		for j := range a[i].Scopes {
			a[i].Scopes[j] = "changed"
		}
		for k := range a[i].Params {
			a[i].Params[k] = "changed"
		}
		a[i].Endpoints.Token = "changed"
	}
	for _, p := range providers.All() {
		if slices.Contains(p.Scopes, "changed") || p.Endpoints.Token == "changed" {
			t.Errorf("%s keeps what was changed in a copy", p.Name)
		}
		for k, v := range p.Params {
			if v == "changed" {
				t.Errorf("%s keeps the changed parameter %s", p.Name, k)
			}
		}
	}
}
