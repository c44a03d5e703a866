package providers_test

import (
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
	"jauge.dev/jauge/storage/storagetest"
)

// facebookVault is a vault whose only provider is Facebook.
func facebookVault(t *testing.T, s *oauthtest.Server) *oauth.Vault {
	t.Helper()
	hc := func(*oauth.Provider) *http.Client { return s.HTTP() }
	v, err := oauth.New(oauth.Config{
		Key:       jauge.Secret(base64.StdEncoding.EncodeToString([]byte("thirty-two bytes that are a key!"))),
		StateLife: 10 * time.Minute, Timeout: 30 * time.Second, Every: 15 * time.Second, Warn: 14 * 24 * time.Hour,
	}, oauth.Deps{
		Store: storagetest.NewMemSealed(), Providers: []*oauth.Provider{s.Provider}, Apps: map[string]oauth.App{"facebook": s.Fake.App},
		Clients: hc, API: func(jauge.Platform) *http.Client { return s.HTTP() }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// TestFacebookPasted: a system user's token does not end, and each account behind it is read with its page's token.
func TestFacebookPasted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, server := newFacebookFake()
		p := oauthtest.Filled(named(t, "facebook"))
		s := oauthtest.NewServer(&p, f, callbackAddress)
		scopes := make([]any, 0, len(p.Scopes))
		for _, scope := range p.Scopes {
			scopes = append(scopes, scope)
		}
		server.debug = map[string]any{
			"app_id": s.Fake.App.ClientID, "type": "SYSTEM_USER", "is_valid": true, "expires_at": 0, "scopes": scopes, "user_id": "1221",
		}
		var used []string // by whom the figures were read
		server.read = func(token string) { used = append(used, token) }
		v := facebookVault(t, s)
		pasted, why := s.Issue(nil)
		if why != "" {
			t.Fatal(why)
		}
		g, found, err := v.Static(t.Context(), "facebook", "", jauge.Secret(pasted.Access))
		if err != nil {
			t.Fatal(err)
		}
		if g.State != oauth.StateOK || !g.ExpiresAt.IsZero() || len(found) != 4 {
			t.Fatalf("grant is %s (%s), ends %s, opens %d", g.State, g.Cause, g.ExpiresAt, len(found))
		}
		if _, err := v.Follow(t.Context(), g.ID, []string{"instagram/" + bigID, "facebook/1020305"}, "plume"); err != nil {
			t.Fatal(err)
		}
		for _, a := range []jauge.Account{{Platform: jauge.Instagram, ID: bigID}, {Platform: jauge.Facebook, ID: "1020305"}} {
			hc, id, err := v.Client(a)
			if err != nil || id != g.ID {
				t.Fatalf("client of %s: grant %s, %v", a.ID, id, err)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+graph+"/anything", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := hc.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s, %v", a.ID, resp.StatusCode, body, err)
			}
		}
		want := "page-token-of-1020304-never-to-be-seen page-token-of-1020305-never-to-be-seen"
		if got := strings.Join(used, " "); got != want {
			t.Errorf("read with %d tokens that are not the pages' own", len(used))
		}
	})
}

// TestFacebookPastedNothing: a token that is worth nothing makes no grant, and is not shown.
func TestFacebookPastedNothing(t *testing.T) {
	f, server := newFacebookFake()
	p := oauthtest.Filled(named(t, "facebook"))
	s := oauthtest.NewServer(&p, f, callbackAddress)
	server.debug = map[string]any{"is_valid": false, "error": map[string]any{"code": 190, "subcode": 460, "message": "the token pasted-token is dead"}}
	v := facebookVault(t, s)
	_, _, err := v.Static(t.Context(), "facebook", "", "pasted-token")
	if kindOf(err) != oauth.FlowBadInput || strings.Contains(err.Error(), "pasted-token") {
		t.Errorf("error is %v", err)
	}
	if e, ok := errors.AsType[*oauth.TokenError](err); !ok || e.Code != "190/460" {
		t.Errorf("error is %v", err)
	}
	grants, err := v.Grants(t.Context())
	if err != nil || len(grants) != 0 {
		t.Errorf("grants %v, %v", grants, err)
	}
}
