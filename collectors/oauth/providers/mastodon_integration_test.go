//go:build integration

package providers_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	mastodonapi "jauge.dev/jauge/collectors/mastodon"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/rest"
)

// TestRealMastodon connects at a server of third parties: registration, consent, the account, revocation.
func TestRealMastodon(t *testing.T) {
	root := os.Getenv("JAUGE_TEST_MASTODON_URL")
	if root == "" {
		t.Fatal("this test needs a Mastodon server, named by JAUGE_TEST_MASTODON_URL")
	}
	hc, err := rest.NewPlain("mastodon", rest.Default(), rest.Deps{Version: "test", Exempt: []string{root}})
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	p := byName(t, "mastodon")
	kept := memory{}
	c := &oauth.Call{
		Provider: &p, Server: &oauth.Server{}, HTTP: hc, Redirect: loopbackRedirect, Now: time.Now, Recall: kept.recall, Remember: kept.remember,
		Base: func(jauge.Platform) string { return root },
	}
	s := &oauth.Start{State: "state-of-the-test", Verifier: jauge.Secret(oauth2.GenerateVerifier())}
	if err := p.Dialect.Begin(t.Context(), c, s, "https://mastodon.example"); err != nil {
		t.Fatal(err)
	}
	first := c.Server.ClientID
	if first == "" || c.Server.ClientSecret == "" || len(kept) != 1 || !strings.HasPrefix(s.URL, root+"/oauth/authorize?") {
		t.Errorf("begun as %q, %d registrations kept, to %s", first, len(kept), s.URL)
	}
	if err := p.Dialect.Begin(t.Context(), c, s, "mastodon.example"); err != nil || c.Server.ClientID != first {
		t.Errorf("begun once more as another client, %v", err)
	}

	page, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	form := page.Query()
	form.Set("username", "brand")
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.PostForm(root+"/oauth/authorize", form)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Query().Get("state") != s.State {
		t.Fatalf("consent leads to %q, %v", resp.Header.Get("Location"), err)
	}
	tok, err := p.Dialect.Exchange(t.Context(), c, s, back.Query())
	if err != nil || !tok.Expiry.IsZero() || tok.Refresh != "" {
		t.Fatalf("token ends at %s, %v", tok.Expiry, err)
	}
	c.HTTP = signing(c, tok, hc.Transport)
	holder, found, err := p.List(t.Context(), c, tok)
	if err != nil || len(found) != 1 || holder.Handle != "@brand@mastodon.example" {
		t.Fatalf("list: %+v, %+v, %v", holder, found, err)
	}
	api, err := rest.NewClient(mastodonapi.Platform, rest.Default(), rest.Deps{Exempt: []string{root}})
	if err != nil {
		t.Fatal(err)
	}
	defer api.CloseIdleConnections()
	var signed int
	authorised := signing(c, tok, tripper(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") == "Bearer "+tok.Access.Reveal() {
			signed++
		}
		return api.Transport.RoundTrip(r)
	}))
	col := mastodonapi.Platform.New(root)
	known, err := col.Resolve(t.Context(), authorised, holder.Handle)
	if err != nil || known.ID != found[0].ID {
		t.Errorf("the collector calls the account %q, the grant %q, %v", known.ID, found[0].ID, err)
	}
	results, err := col.Collect(t.Context(), collectors.Request{Task: collectors.TaskRefresh, HTTP: authorised, Targets: []collectors.Target{
		{Account: known, Until: time.Now().Add(-time.Hour)},
	}}, func(context.Context, jauge.Page) error { return nil })
	if err != nil || !results[0].Complete || signed < 3 {
		t.Errorf("collected with %d signed calls: %+v, %v", signed, results, err)
	}

	c.HTTP = hc
	if err := p.Dialect.Revoke(t.Context(), c, tok); err != nil {
		t.Fatal(err)
	}
	resp, err = signing(c, tok, hc.Transport).Get(root + "/api/v1/accounts/verify_credentials")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if got := p.Refused(resp.StatusCode, resp.Header, body); err != nil || got != oauth.CauseTokenRefused {
		t.Errorf("revoked token: %d %s means %q", resp.StatusCode, body, got)
	}
}
