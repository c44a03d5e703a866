package providers_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

func TestFacebook(t *testing.T)  { oauthtest.Run(t, named(t, "facebook"), fakeFacebook()) }
func TestInstagram(t *testing.T) { oauthtest.Run(t, named(t, "instagram"), fakeInstagram()) }
func TestInstagramWrapped(t *testing.T) {
	oauthtest.Run(t, named(t, "instagram"), fakeInstagramWrapped())
}
func TestThreads(t *testing.T) { oauthtest.Run(t, named(t, "threads"), fakeThreads()) }

const callbackAddress = "https://jauge.example/oauth/callback"

// stage is a provider with its server, and a call of the kind that the vault makes.
type stage struct {
	*testing.T
	d oauth.Dialect
	p *oauth.Provider
	s *oauthtest.Server
	c *oauth.Call
}

func newStage(t *testing.T, name string, f oauthtest.Fake) *stage {
	t.Helper()
	p := named(t, name) // with {version} in its addresses: the dialects fill it in themselves as well
	filled := oauthtest.Filled(p)
	s := oauthtest.NewServer(&filled, f, callbackAddress)
	return &stage{t, p.Dialect, &p, s, &oauth.Call{
		Provider: &p, App: s.Fake.App, Server: &oauth.Server{}, HTTP: s.HTTP(), Redirect: callbackAddress, Now: time.Now,
		Base: func(jauge.Platform) string { return "" },
	}}
}

const testVerifier = "a-verifier-of-forty-three-characters-0123456789"

// consent begins and lets the user agree.
func (s *stage) consent() (*oauth.Start, url.Values) {
	s.Helper()
	start := &oauth.Start{State: "state-1", Verifier: testVerifier}
	if err := s.d.Begin(s.Context(), s.c, start, ""); err != nil {
		s.Fatal(err)
	}
	back, err := s.s.Browse(start.URL)
	if err != nil {
		s.Fatal(err)
	}
	return start, back
}

// connect goes the whole way to a token.
func (s *stage) connect() *oauth.Token {
	s.Helper()
	start, back := s.consent()
	tok, err := s.d.Exchange(s.Context(), s.c, start, back)
	if err != nil {
		s.Fatal(err)
	}
	return tok
}

// list lists with a client that signs.
func (s *stage) list(tok *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	s.Helper()
	return s.p.List(s.Context(), s.signing(tok, s.s.HTTP().Transport), tok)
}

// signing is the call with a client that puts the token on every request, redirected ones included, as the vault's does.
func (s *stage) signing(tok *oauth.Token, base http.RoundTripper) *oauth.Call {
	c := *s.c
	c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		if err := s.d.Sign(s.c, r, tok); err != nil {
			return nil, err
		}
		return base.RoundTrip(r)
	})}
	return &c
}

type tripFunc func(*http.Request) (*http.Response, error)

func (f tripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func kindOf(err error) oauth.FlowKind {
	if f, ok := errors.AsType[*oauth.FlowError](err); ok {
		return f.Kind
	}
	return ""
}

// TestMetaRefused: the status says next to nothing, the code nearly all, and for some codes the sentence decides.
func TestMetaRefused(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       oauth.Cause
	}{
		{"expired", `{"error":{"code":190,"error_subcode":463,"message":"Error validating access token: Session has expired"}}`, oauth.CauseTokenRefused},
		{"app removed", `{"error":{"code":190,"error_subcode":458}}`, oauth.CauseTokenRefused},
		{"password changed", `{"error":{"code":190,"error_subcode":460}}`, oauth.CauseTokenRefused},
		{"unconfirmed", `{"error":{"code":190,"error_subcode":464}}`, oauth.CauseTokenRefused},
		{"logged out", `{"error":{"code":190,"error_subcode":467}}`, oauth.CauseTokenRefused},
		{"no subcode", `{"error":{"code":190,"message":"Invalid OAuth access token."}}`, oauth.CauseTokenRefused},
		{"session", `{"error":{"code":102}}`, oauth.CauseTokenRefused},
		{"code as text", `{"error":{"code":"190"}}`, oauth.CauseTokenRefused},
		{"role lost", `{"error":{"code":190,"error_subcode":492}}`, oauth.CauseWrongObject},
		{"wants a page's token", `{"error":{"code":190,"message":"(#190) This method must be called with a Page Access Token"}}`, oauth.CauseNone},
		{"transient", `{"error":{"code":190,"is_transient":true}}`, oauth.CauseNone},
		{"permission", `{"error":{"code":10,"message":"(#10) Application does not have permission for this action"}}`, oauth.CauseScope},
		{"permission 200", `{"error":{"code":200,"message":"(#200) Missing Permissions"}}`, oauth.CauseScope},
		{"permission 283", `{"error":{"code":283}}`, oauth.CauseScope},
		{"few viewers", `{"error":{"code":10,"message":"(#10) Not enough viewers for the media to show insights"}}`, oauth.CauseNone},
		{"others' pages", `{"error":{"code":10,"message":"(#10) This endpoint requires the 'Page Public Content Access' feature"}}`, oauth.CauseNone},
		{"gone or throttled", `{"error":{"code":100,"error_subcode":33,"message":"Unsupported get request. Object with ID '1' does not exist"}}`, oauth.CauseNone},
		{"bad metric", `{"error":{"code":100}}`, oauth.CauseNone},
		{"throttled app", `{"error":{"code":4}}`, oauth.CauseNone},
		{"throttled user", `{"error":{"code":17}}`, oauth.CauseNone},
		{"throttled page", `{"error":{"code":32}}`, oauth.CauseNone},
		{"throttled", `{"error":{"code":613}}`, oauth.CauseNone},
		{"throttled use case", `{"error":{"code":80001}}`, oauth.CauseNone},
		{"unknown", `{"error":{"code":1}}`, oauth.CauseNone},
		{"down", `{"error":{"code":2}}`, oauth.CauseNone},
		{"a gateway", `<html>`, oauth.CauseNone},
		{"another shape", `{"error":"invalid_token"}`, oauth.CauseNone},
	} {
		for _, name := range []string{"facebook", "instagram", "threads"} {
			p := named(t, name)
			if got := p.Refused(http.StatusBadRequest, http.Header{}, []byte(tt.body)); got != tt.want {
				t.Errorf("%s, %s: %q, want %q", name, tt.name, got, tt.want)
			}
		}
	}
}

// TestInstagramShortAnswers: flat or in a list, permissions as list or text, an id that no float holds.
func TestInstagramShortAnswers(t *testing.T) {
	for name, f := range map[string]oauthtest.Fake{"flat": fakeInstagram(), "wrapped": fakeInstagramWrapped()} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "instagram", f)
			s.s.Untick("instagram_business_manage_insights")
			tok := s.connect()
			if tok.Subject != bigID {
				t.Errorf("subject is %q, want %q", tok.Subject, bigID)
			}
			if d := cmp.Diff([]string{"instagram_business_basic"}, tok.Scopes); d != "" {
				t.Errorf("scopes (-want +got):\n%s", d)
			}
			if left := time.Until(tok.Expiry); left < 59*24*time.Hour {
				t.Errorf("token lives %s: it is the short one", left)
			}
		})
	}
}

// TestMetaCodeWithFragment: what Meta appends to the callback is no part of the code.
func TestMetaCodeWithFragment(t *testing.T) {
	for name, f := range map[string]oauthtest.Fake{"facebook": fakeFacebook(), "instagram": fakeInstagram(), "threads": fakeThreads()} {
		for _, tail := range []string{"#_", "#_=_"} {
			s := newStage(t, name, f)
			start, back := s.consent()
			back.Set("code", back.Get("code")+tail)
			if _, err := s.d.Exchange(t.Context(), s.c, start, back); err != nil {
				t.Errorf("%s: code with %s: %v", name, tail, err)
			}
		}
	}
}

// TestMetaConsentAddress: scopes apart by commas, no challenge, the version in the path.
func TestMetaConsentAddress(t *testing.T) {
	for name, want := range map[string]string{
		"facebook":  "https://www.facebook.com/v26.0/dialog/oauth",
		"instagram": "https://www.instagram.com/oauth/authorize",
		"threads":   "https://threads.net/oauth/authorize",
	} {
		f := map[string]oauthtest.Fake{"facebook": fakeFacebook(), "instagram": fakeInstagram(), "threads": fakeThreads()}[name]
		s := newStage(t, name, f)
		start, _ := s.consent()
		u, err := url.Parse(start.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := "https://" + u.Host + u.Path; got != want {
			t.Errorf("%s: consent at %s, want %s", name, got, want)
		}
		q := u.Query()
		if got := q.Get("scope"); got != strings.Join(s.p.Scopes, ",") {
			t.Errorf("%s: scope is %q", name, got)
		}
		if q.Has("code_challenge") || q.Has("client_secret") {
			t.Errorf("%s: the address has more than it should: %s", name, start.URL)
		}
	}
}

// TestLongLivedTooYoung: a token that is not a day old is refused, and the grant is not dead by that.
func TestLongLivedTooYoung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "threads", fakeThreads())
		tok := s.connect()
		_, err := s.d.Renew(t.Context(), s.c, tok)
		e, ok := errors.AsType[*oauth.TokenError](err)
		if !ok || s.p.Dead[e.Code] != oauth.CauseNone {
			t.Fatalf("renewal of a young token gives %v, want a refusal that does not end the grant", err)
		}
		time.Sleep(s.p.Renewal.MinAge) // fake time
		if _, err := s.d.Renew(t.Context(), s.c, tok); err != nil {
			t.Errorf("renewal after a day: %v", err)
		}
		time.Sleep(60 * 24 * time.Hour)
		_, err = s.d.Renew(t.Context(), s.c, tok)
		if e, ok := errors.AsType[*oauth.TokenError](err); !ok || s.p.Dead[e.Code] != oauth.CauseExpired {
			t.Errorf("renewal after 60 days gives %v, want expired", err)
		}
	})
}

// TestLongLivedElsewhere: what stands in the place of the token endpoint, or of the API, gets the trades as well, so that
// no secret goes to the platform behind the operator's back.
func TestLongLivedElsewhere(t *testing.T) {
	for _, tt := range []struct{ name, provider, token, base, want string }{
		{"the platform's own", "instagram", "", "", "https://graph.instagram.com/"},
		{"another API", "instagram", "", "https://gw.example/ig", "https://gw.example/ig/"},
		{"another token endpoint", "instagram", "https://gw.example/x/oauth/access_token", "", "https://gw.example/x/"},
		{"another one that is called otherwise", "threads", "https://gw.example/x/token", "", "https://gw.example/x/"},
		{"at the root", "threads", "https://gw.example/token", "", "https://gw.example/"},
		{"the platform's own threads", "threads", "", "", "https://graph.threads.net/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := named(t, tt.provider)
			if tt.token != "" {
				p.Endpoints.Token = tt.token
			}
			if tt.base != "" {
				p.Base = tt.base
			}
			var asked []string
			c := &oauth.Call{Provider: &p, App: oauth.App{ClientID: "1", ClientSecret: "secret-1"}, Redirect: callbackAddress, Now: time.Now}
			c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.Scheme+"://"+r.URL.Host+r.URL.Path)
				return answer(r, 200, `{"access_token":"token-1","expires_in":5184000}`), nil
			})}
			tok, err := p.Dialect.Exchange(t.Context(), c, &oauth.Start{}, url.Values{"code": {"code-1"}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Dialect.Renew(t.Context(), c, tok); err != nil {
				t.Fatal(err)
			}
			want := []string{p.Endpoints.Token, tt.want + "access_token", tt.want + "refresh_access_token"}
			if d := cmp.Diff(want, asked); d != "" {
				t.Errorf("asked (-want +got):\n%s", d)
			}
		})
	}
}

// TestMetaFailuresShowNoAddress: the trades have their secrets in the query, and a broken connection names the address.
func TestMetaFailuresShowNoAddress(t *testing.T) {
	const secret, token = "app-secret-never-to-be-seen", "token-never-to-be-seen"
	for _, name := range []string{"facebook", "instagram", "threads", "tiktok", "tiktok-business"} {
		p := named(t, name)
		c := &oauth.Call{Provider: &p, App: oauth.App{ClientID: "1", ClientSecret: secret}, Redirect: callbackAddress, Now: time.Now}
		for what, trip := range map[string]tripFunc{
			"broken": func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
			"echo": func(r *http.Request) (*http.Response, error) {
				return answer(r, 400, `{"error":{"code":190,"message":"Malformed access token `+token+` of `+secret+`"},"message":"`+token+`","error_description":"`+secret+`"}`), nil
			},
			"redirect": func(r *http.Request) (*http.Response, error) {
				a := answer(r, 302, "")
				a.Header.Set("Location", "https://elsewhere.example/?"+r.URL.RawQuery)
				if r.URL.Host == "elsewhere.example" {
					t.Errorf("%s: a redirect is followed with the secrets", name)
				}
				return a, nil
			},
		} {
			c.HTTP = &http.Client{Transport: trip}
			_, err := p.Dialect.Renew(t.Context(), c, &oauth.Token{Access: token, Refresh: token})
			if err == nil {
				t.Errorf("%s, %s: no error", name, what)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if said := e.Error(); strings.Contains(said, secret) || strings.Contains(said, token) {
					t.Errorf("%s, %s: a secret is shown: %s", name, what, said)
				}
			}
		}
	}
}

// TestMetaSunsets: what ends, and that the version that is spoken has none yet.
func TestMetaSunsets(t *testing.T) {
	for _, name := range []string{"facebook", "instagram"} {
		p := named(t, name)
		var versions []string
		for _, s := range p.API.Sunsets {
			if s.Kind == "version" {
				versions = append(versions, s.Name+" "+s.Ends.Format(time.DateOnly))
			}
		}
		want := []string{"v20.0 2026-09-24", "v21.0 2027-01-21", "v22.0 2027-05-20", "v23.0 2027-10-08", "v24.0 2028-02-18", "v25.0 2028-07-29"}
		if d := cmp.Diff(want, versions); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if slices.ContainsFunc(versions, func(v string) bool { return strings.HasPrefix(v, p.API.Version+" ") }) {
			t.Errorf("%s speaks %s, which has an end", name, p.API.Version)
		}
	}
}
