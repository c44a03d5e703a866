package oauthtest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

// plume is a made-up provider: what no real one is, the suite must know as well.
func plume() oauth.Provider {
	return oauth.Provider{
		Name: "plume", Title: "Plume", App: "PLUME", Platforms: []jauge.Platform{"plume"}, NeedsApp: true,
		Endpoints: oauth.Endpoints{
			Authorize: "https://plume.example/{version}/authorize", Token: "https://plume.example/{version}/token", Revoke: "https://plume.example/{version}/revoke",
		},
		Base: "https://api.plume.example/{version}", API: collectors.API{Version: "v1"}, Docs: "https://plume.example/apps",
		Scopes: []string{"me:read", "stats:read"}, Auth: oauth.InHeader,
		Renewal: oauth.Renewal{Model: oauth.Rotating, Share: 0.2, Life: 2 * time.Hour, MaxLife: 24 * time.Hour},
		Dead:    map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant},
		Refused: func(status int, h http.Header, _ []byte) oauth.Cause {
			return map[string]oauth.Cause{
				`Bearer error="invalid_token"`: oauth.CauseTokenRefused, `Bearer error="insufficient_scope"`: oauth.CauseScope,
				`Bearer error="forbidden"`: oauth.CauseWrongObject,
			}[h.Get("WWW-Authenticate")]
		},
		List: func(ctx context.Context, c *oauth.Call, _ *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
			var me struct{ ID, Name string }
			err := oauth.GetJSON(ctx, c, "read me", c.Provider.Base+"/me", nil, &me)
			if err != nil {
				return oauth.Holder{}, nil, err
			}
			return oauth.Holder{ID: me.ID, Name: me.Name}, []oauth.Subject{{Platform: "plume", ID: me.ID, Name: me.Name}}, nil
		},
	}
}

func fakePlume() oauthtest.Fake {
	return oauthtest.Fake{
		Holder: oauth.Holder{ID: "7", Name: "Plume"}, Subjects: []oauth.Subject{{Platform: "plume", ID: "7", Name: "Plume"}},
		Probe: "https://api.plume.example/v1/stats",
		Routes: func(s *oauthtest.Server, mux *http.ServeMux) {
			mux.HandleFunc("GET api.plume.example/v1/me", s.Guard("me:read", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"7","name":"Plume"}`) }))
			mux.HandleFunc("GET api.plume.example/v1/stats", s.Guard("me:read", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"followers":0}`) }))
		},
	}
}

// TestModels holds made-up providers of every model against the suite.
func TestModels(t *testing.T) {
	for name, change := range map[string]func(*oauth.Provider, *oauthtest.Fake){
		"rotating":                  func(*oauth.Provider, *oauthtest.Fake) {},
		"rotating with grace":       func(p *oauth.Provider, _ *oauthtest.Fake) { p.Renewal.Grace = 10 * time.Minute },
		"rotating, failures undone": func(p *oauth.Provider, _ *oauthtest.Fake) { p.Renewal.Undone = []int{500, 503} },
		"reusable":                  func(p *oauth.Provider, _ *oauthtest.Fake) { p.Renewal.Model = oauth.Reusable },
		"reusable, without a life": func(p *oauth.Provider, f *oauthtest.Fake) {
			p.Renewal.Model, p.Renewal.Life, f.AccessLife = oauth.Reusable, 0, time.Hour
		},
		"reissue": func(p *oauth.Provider, _ *oauthtest.Fake) { p.Renewal.Model = oauth.Reissue },
		"static": func(p *oauth.Provider, _ *oauthtest.Fake) {
			p.Renewal = oauth.Renewal{Model: oauth.Static}
			p.Dead = nil
		},
		"extend": func(p *oauth.Provider, f *oauthtest.Fake) {
			p.Renewal = oauth.Renewal{Model: oauth.Extend, Share: 0.5, MinAge: 24 * time.Hour, Life: 60 * 24 * time.Hour, MaxLife: 90 * 24 * time.Hour}
			p.Dialect, f.Renews = extending{}, func(r *http.Request, _ string) bool { return r.URL.Path == "/extend" }
			routes := f.Routes
			f.Routes = func(s *oauthtest.Server, mux *http.ServeMux) {
				routes(s, mux)
				mux.HandleFunc("POST plume.example/extend", func(w http.ResponseWriter, r *http.Request) {
					if v := r.FormValue("token"); s.Age(v) < p.Renewal.MinAge {
						s.Reply(w, oauthtest.Issued{}, oauthtest.BadRefresh)
					} else {
						i, why := s.Extend(v)
						s.Reply(w, i, why)
					}
				})
			}
		},
		"client in the form, comma, no PKCE": func(p *oauth.Provider, _ *oauthtest.Fake) {
			p.Auth, p.Separator, p.NoPKCE, p.ClientKey = oauth.InParams, ",", true, "client_key"
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, f := plume(), fakePlume()
			change(&p, &f)
			oauthtest.Run(t, p, f)
		})
	}
}

// extending is the dialect of a provider whose access tokens are traded for younger ones.
type extending struct{ oauth.Standard }

func (extending) Renew(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	t, err := oauth.PostToken(ctx, c, "https://plume.example/extend", url.Values{"token": {old.Access.Reveal()}}, old.Access)
	if err != nil {
		return nil, fmt.Errorf("extend: %w", err)
	}
	return oauth.Inherit(t, old), nil
}
