package providers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

func TestMastodon(t *testing.T) { oauthtest.Run(t, named(t, "mastodon"), fakeMastodon()) }

// fakeMastodon is a server before 4.3 (no metadata) at which the operator has registered a client: tokens without an end.
func fakeMastodon() oauthtest.Fake {
	const host = "mastodon.example"
	return oauthtest.Fake{
		Input: "@brand@" + host,
		Endpoints: oauth.Endpoints{
			Authorize: "https://" + host + "/oauth/authorize", Token: "https://" + host + "/oauth/token", Revoke: "https://" + host + "/oauth/revoke",
		},
		NoRefresh: true, Withhold: "-",
		Answer: func(i oauthtest.Issued) any {
			return map[string]any{"access_token": i.Access, "token_type": "Bearer", "scope": strings.Join(i.Scopes, " "), "created_at": 1795294333}
		},
		RefuseAPI: func(w http.ResponseWriter, why oauthtest.Refusal) {
			status, text := http.StatusUnauthorized, "The access token is invalid"
			switch why {
			case oauthtest.TokenRevoked:
				text = "The access token was revoked"
			case oauthtest.NoScope:
				status, text = http.StatusForbidden, "This action is outside the authorized scopes"
			case oauthtest.WrongObject:
				status, text = http.StatusForbidden, "Your login is currently disabled"
			}
			oauthtest.JSON(w, status, map[string]string{"error": text})
		},
		Causes: map[oauthtest.Refusal]oauth.Cause{oauthtest.WrongObject: oauth.CauseNone},
		Routes: func(s *oauthtest.Server, mux *http.ServeMux) {
			mux.HandleFunc("GET "+host+"/api/v1/accounts/verify_credentials", s.Guard("read:accounts", showBrand))
			mux.HandleFunc("GET "+host+"/api/v1/accounts/{id}", s.Guard("read:accounts", showBrand))
		},
		Probe:  "https://" + host + "/api/v1/accounts/110000000000000001",
		Holder: oauth.Holder{ID: "110000000000000001@" + host, Handle: "@brand@" + host, Name: "Brand Co"},
		Subjects: []oauth.Subject{{
			Platform: jauge.Mastodon, ID: "110000000000000001@" + host, Handle: "@brand@" + host, Name: "Brand Co", Avatar: "https://files.example/a.png",
		}},
	}
}

func showBrand(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprint(w, `{"id":"110000000000000001","username":"brand","acct":"brand","display_name":"Brand Co","avatar":"https://files.example/a.png"}`)
}

// memory is what the vault remembers for a dialect.
type memory map[string][]byte

func (m memory) recall(_ context.Context, name string) ([]byte, error) { return m[name], nil }

func (m memory) remember(_ context.Context, name string, v []byte) error {
	if m[name] = v; v == nil {
		delete(m, name)
	}
	return nil
}

// fediverse is servers in memory, by host and path; it remembers what was asked.
type fediverse struct {
	*http.ServeMux
	asked []string
	apps  int
}

func newFediverse() *fediverse {
	f := &fediverse{ServeMux: http.NewServeMux()}
	f.HandleFunc("POST mastodon.example/api/v1/apps", func(w http.ResponseWriter, r *http.Request) {
		f.apps++
		if r.FormValue("redirect_uris") != redirectHere || r.FormValue("scopes") != "read:accounts read:statuses" || r.FormValue("client_name") != "jauge" {
			oauthtest.JSON(w, http.StatusUnprocessableEntity, map[string]string{"error": "Validation failed: Redirect URI must be an absolute URI."})
			return
		}
		oauthtest.JSON(w, http.StatusOK, map[string]any{
			"client_id": fmt.Sprint("client-", f.apps), "client_secret": "the-secret-of-the-app", "client_secret_expires_at": 0,
		})
	})
	f.HandleFunc("POST mastodon.example/oauth/token", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.FormValue("client_id") != fmt.Sprint("client-", f.apps) || r.FormValue("client_secret") != "the-secret-of-the-app":
			oauthtest.JSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		case r.FormValue("grant_type") == "client_credentials":
			oauthtest.JSON(w, http.StatusOK, map[string]string{"access_token": fmt.Sprint("token-of-app-", f.apps), "token_type": "Bearer"})
		default:
			oauthtest.JSON(w, http.StatusOK, map[string]string{"access_token": "token-of-brand", "token_type": "Bearer"})
		}
	})
	f.HandleFunc("GET mastodon.example/api/v1/apps/verify_credentials", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != fmt.Sprint("Bearer token-of-app-", f.apps) {
			oauthtest.JSON(w, http.StatusUnauthorized, map[string]string{"error": "The access token is invalid"})
		}
	})
	return f
}

func (f *fediverse) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked = append(f.asked, r.Method+" "+r.URL.Scheme+"://"+r.URL.Host+r.URL.Path)
	rec := httptest.NewRecorder()
	r = r.Clone(r.Context())
	r.Host, r.RequestURI = r.URL.Host, r.URL.RequestURI()
	f.ServeHTTP(rec, r)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

const redirectHere = "http://127.0.0.1:8080/oauth/callback"

func (f *fediverse) call(t *testing.T, base string) *oauth.Call {
	t.Helper()
	p := named(t, "mastodon")
	kept := memory{}
	return &oauth.Call{
		Provider: &p, Server: &oauth.Server{}, HTTP: &http.Client{Transport: f}, Redirect: redirectHere, Now: time.Now,
		Recall: kept.recall, Remember: kept.remember, Base: func(jauge.Platform) string { return base },
	}
}

func begin(t *testing.T, c *oauth.Call, input string) (*oauth.Start, url.Values, error) {
	t.Helper()
	s := &oauth.Start{State: "state-of-the-test", Verifier: "verifier-of-the-test-verifier-of-the-test"}
	err := c.Provider.Dialect.Begin(t.Context(), c, s, input)
	u, perr := url.Parse(s.URL)
	if perr != nil {
		t.Fatal(perr)
	}
	return s, u.Query(), err
}

func TestMastodonRegistersOncePerServer(t *testing.T) {
	f := newFediverse()
	c := f.call(t, "")
	s, q, err := begin(t, c, "https://Mastodon.Example/@brand")
	if err != nil || !strings.HasPrefix(s.URL, "https://mastodon.example/oauth/authorize?") || q.Get("client_id") != "client-1" ||
		q.Get("scope") != "read:accounts read:statuses" || q.Get("code_challenge_method") != "S256" || q.Get("state") != s.State {
		t.Fatalf("begun at %s, %v", s.URL, err)
	}
	want := &oauth.Server{
		Issuer: "https://mastodon.example", Resource: "https://mastodon.example", ClientID: "client-1", ClientSecret: "the-secret-of-the-app",
		Endpoints: oauth.Endpoints{
			Authorize: "https://mastodon.example/oauth/authorize", Token: "https://mastodon.example/oauth/token", Revoke: "https://mastodon.example/oauth/revoke",
		},
	}
	if got, wanted := fmt.Sprintf("%+v", c.Server), fmt.Sprintf("%+v", want); got != wanted {
		t.Errorf("server %s, want %s", got, wanted)
	}
	if _, q, err = begin(t, c, "mastodon.example"); err != nil || q.Get("client_id") != "client-1" || f.apps != 1 {
		t.Errorf("second time: client %s, %d registrations, %v", q.Get("client_id"), f.apps, err)
	}
	f.apps++ // the server has forgotten the first one
	if _, q, err = begin(t, c, "mastodon.example"); err != nil || q.Get("client_id") != "client-3" || f.apps != 3 {
		t.Errorf("after it was forgotten: client %s, %d registrations, %v", q.Get("client_id"), f.apps, err)
	}
	f.apps++ // forgotten while the user was at the consent page
	_, err = c.Provider.Dialect.Exchange(t.Context(), c, s, url.Values{"code": {"x"}, "state": {s.State}})
	if e, ok := errors.AsType[*oauth.TokenError](err); !ok || e.Code != "invalid_client" || strings.Contains(err.Error(), "the-secret") {
		t.Errorf("exchange as a client that was forgotten: %v", err)
	}
	if _, q, err = begin(t, c, "mastodon.example"); err != nil || q.Get("client_id") != "client-5" {
		t.Errorf("after a refusal: client %s, %v", q.Get("client_id"), err)
	}
	tok, err := c.Provider.Dialect.Exchange(t.Context(), c, s, url.Values{"code": {"x"}, "state": {s.State}, "iss": {"https://mastodon.example/"}})
	if err != nil || tok.Access != "token-of-brand" || !tok.Expiry.IsZero() {
		t.Errorf("exchange: %v", err)
	}
	if _, err := c.Provider.Dialect.Exchange(t.Context(), c, s, url.Values{"code": {"x"}, "iss": {"https://other.example"}}); flowKind(err) != oauth.FlowWrongIssuer {
		t.Errorf("answer of another server: %v", err)
	}
}

func flowKind(err error) oauth.FlowKind {
	if e, ok := errors.AsType[*oauth.FlowError](err); ok {
		return e.Kind
	}
	return ""
}

func TestMastodonMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		base, server, meta string
		status             int
		kind               oauth.FlowKind
		token, revoke      string
	}{
		"of the server": {
			meta:  `{"issuer":"https://mastodon.example/","authorization_endpoint":"https://mastodon.example/a","token_endpoint":"https://mastodon.example/oauth/token","revocation_endpoint":"https://mastodon.example/r"}`,
			token: "https://mastodon.example/oauth/token", revoke: "https://mastodon.example/r",
		},
		"no JSON":           {meta: `<html>`, token: "https://mastodon.example/oauth/token", revoke: "https://mastodon.example/oauth/revoke"},
		"none":              {status: http.StatusNotFound, token: "https://mastodon.example/oauth/token", revoke: "https://mastodon.example/oauth/revoke"},
		"out of order":      {status: http.StatusBadGateway, kind: oauth.FlowNetwork},
		"of another server": {meta: `{"authorization_endpoint":"https://bank.example/a","token_endpoint":"https://mastodon.example/t"}`, kind: oauth.FlowBadInput},
		"token elsewhere":   {meta: `{"token_endpoint":"https://evil.example/t"}`, kind: oauth.FlowBadInput},
		"of another scheme": {meta: `{"token_endpoint":"http://mastodon.example/t"}`, kind: oauth.FlowBadInput},
		"to the inside":     {meta: `{"token_endpoint":"http://169.254.169.254/t"}`, kind: oauth.FlowBadInput},
		"malformed":         {meta: `{"token_endpoint":"https://%zz"}`, kind: oauth.FlowProvider},
		"behind a gateway":  {base: "https://mastodon.example/", meta: `{"token_endpoint":"https://inner.example/oauth/token"}`, token: "https://mastodon.example/oauth/token", revoke: "https://mastodon.example/oauth/revoke"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFediverse()
			f.HandleFunc("GET mastodon.example/.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
				if c.status != 0 {
					w.WriteHeader(c.status)
				}
				_, _ = fmt.Fprint(w, c.meta)
			})
			call := f.call(t, c.base)
			_, _, err := begin(t, call, "mastodon.example")
			if flowKind(err) != c.kind || (err == nil) != (c.kind == "") {
				t.Fatalf("begin: %v, want %q", err, c.kind)
			}
			if e := call.Server.Endpoints; e.Token != c.token || e.Revoke != c.revoke {
				t.Errorf("endpoints %+v", e)
			}
			if err != nil && f.apps != 0 {
				t.Error("registered nonetheless")
			}
		})
	}
}

func TestMastodonRefusesToRegister(t *testing.T) {
	f := newFediverse()
	c := f.call(t, "")
	c.Redirect = "nonsense"
	if _, _, err := begin(t, c, "mastodon.example"); flowKind(err) != oauth.FlowBadRedirect {
		t.Errorf("bad redirect: %v", err)
	}
	f.HandleFunc("POST empty.example/api/v1/apps", func(w http.ResponseWriter, _ *http.Request) { oauthtest.JSON(w, 200, map[string]string{"id": "7"}) })
	if _, _, err := begin(t, c, "empty.example"); flowKind(err) != oauth.FlowProvider {
		t.Errorf("answer without a client: %v", err)
	}
}

// An operator's own client and endpoints make a plain flow of it: nobody is asked for metadata or registration.
func TestMastodonWithAnOperatorsClient(t *testing.T) {
	f := newFediverse()
	c := f.call(t, "https://gateway.example")
	c.App = oauth.App{ClientID: "ours", ClientSecret: "the-secret-of-ours"}
	c.Provider.Endpoints = oauth.Endpoints{Authorize: "https://login.example/a", Token: "https://login.example/t"}
	s, q, err := begin(t, c, "mastodon.example")
	if err != nil || !strings.HasPrefix(s.URL, "https://login.example/a?") || q.Get("client_id") != "ours" || len(f.asked) != 0 {
		t.Errorf("begun at %s after %v, %v", s.URL, f.asked, err)
	}
	if c.Server.Issuer != "https://mastodon.example" || c.Server.Resource != "https://gateway.example" || c.Server.Endpoints.Revoke != "" {
		t.Errorf("server %+v", c.Server)
	}
}

func TestMastodonInput(t *testing.T) {
	f := newFediverse()
	webfinger := func(href string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.FormValue("resource"), "acct:brand@") {
				http.NotFound(w, r)
				return
			}
			b, err := json.Marshal(map[string]any{"links": []map[string]string{
				{"rel": "http://webfinger.net/rel/profile-page", "href": "https://wrong.example/@brand"},
				{"rel": "self", "type": "application/activity+json", "href": href},
			}})
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(b)
		}
	}
	f.HandleFunc("GET brand.example/.well-known/webfinger", webfinger("https://mastodon.example/users/brand"))
	f.HandleFunc("GET inside.example/.well-known/webfinger", webfinger("https://169.254.169.254/users/brand"))
	f.HandleFunc("GET plain.example/.well-known/webfinger", webfinger("http://mastodon.example/users/brand"))
	find := func(base, input string) (string, string, error) {
		c := f.call(t, base)
		d, ok := c.Provider.Dialect.(oauth.Finder)
		if !ok {
			t.Fatal("the dialect finds no server")
		}
		err := d.Find(t.Context(), c, input)
		return c.Server.Issuer, c.Server.Resource, err
	}
	for _, c := range []struct{ base, input, issuer, resource string }{
		{"", "mastodon.example", "https://mastodon.example", "https://mastodon.example"},
		{"", " Mastodon.Example/about ", "https://mastodon.example", "https://mastodon.example"},
		{"", "http://mastodon.example/@brand", "https://mastodon.example", "https://mastodon.example"},
		{"", "@brand@brand.example", "https://mastodon.example", "https://mastodon.example"},
		{"", "brand@nowhere.example", "https://nowhere.example", "https://nowhere.example"},
		{"", "@brand@inside.example", "https://inside.example", "https://inside.example"},
		{"", "@brand@plain.example", "https://plain.example", "https://plain.example"},
		{"http://127.0.0.1:13001/", "@brand@mastodon.example", "https://mastodon.example", "http://127.0.0.1:13001"},
		{"http://127.0.0.1:13001", "http://127.0.0.1:13001", "https://127.0.0.1:13001", "http://127.0.0.1:13001"},
		{"http://127.0.0.1:13001", "", "https://127.0.0.1:13001", "http://127.0.0.1:13001"},
	} {
		issuer, resource, err := find(c.base, c.input)
		if err != nil || issuer != c.issuer || resource != c.resource {
			t.Errorf("%q: %s at %s, %v; want %s at %s", c.input, issuer, resource, err, c.issuer, c.resource)
		}
	}
	for _, input := range []string{"", "ftp://mastodon.example", "https://user:pw@mastodon.example", "@brand@", "@br and@mastodon.example",
		"mastodon example", "mastodon.example:99x", "-", "https://", "a@b@c", "[::1]", "https://[::1]/"} {
		if _, _, err := find("", input); flowKind(err) != oauth.FlowBadInput {
			t.Errorf("%q: %v", input, err)
		}
	}
}

func TestMastodonTokenStaysAtItsServer(t *testing.T) {
	f := newFediverse()
	c := f.call(t, "")
	c.Server.Resource = "https://mastodon.example"
	tok := &oauth.Token{Access: "the-token"}
	for address, want := range map[string]string{
		"https://mastodon.example/api/v1/accounts/1": "Bearer the-token",
		"https://other.example/api/v1/accounts/1":    "",
		"http://mastodon.example/api/v1/accounts/1":  "",
		"https://mastodon.example:8443/":             "",
	} {
		req := httptest.NewRequest(http.MethodGet, address, http.NoBody)
		if err := c.Provider.Dialect.Sign(c, req, tok); err != nil || req.Header.Get("Authorization") != want {
			t.Errorf("%s bears %q, %v", address, req.Header.Get("Authorization"), err)
		}
	}
	c.Server.Resource = ""
	if err := c.Provider.Dialect.Sign(c, httptest.NewRequest(http.MethodGet, "https://x.example/", http.NoBody), tok); err == nil {
		t.Error("signed for a server that is not known")
	}
}

func TestMastodonRefused(t *testing.T) {
	refused := named(t, "mastodon").Refused
	for _, c := range []struct {
		status          int
		challenge, body string
		want            oauth.Cause
	}{
		{401, "", `{"error":"The access token was revoked"}`, oauth.CauseTokenRefused},
		{401, `Bearer realm="Doorkeeper", error="invalid_token"`, ``, oauth.CauseTokenRefused},
		{401, "", `<html>gateway</html>`, oauth.CauseNone},
		{401, "", `{}`, oauth.CauseNone},
		{403, "", `{"error":"This action is outside the authorized scopes"}`, oauth.CauseScope},
		{403, `Bearer error="insufficient_scope"`, ``, oauth.CauseScope},
		{403, "", `{"error":"Your login is currently disabled"}`, oauth.CauseNone},
		{400, "", `{"error":"invalid_token"}`, oauth.CauseNone},
	} {
		if got := refused(c.status, http.Header{"Www-Authenticate": {c.challenge}}, []byte(c.body)); got != c.want {
			t.Errorf("%d %s %s means %q, want %q", c.status, c.challenge, c.body, got, c.want)
		}
	}
}

func TestMastodonAnswersWithoutAnAccount(t *testing.T) {
	for _, body := range []string{`{}`, `{"id":null,"username":"a"}`, `{"id":"","username":"a"}`, `{"id":"1@evil","username":"a"}`,
		`{"id":{"a":1},"username":"a"}`, `{"id":"1","username":"a b"}`, `[]`} {
		f := newFediverse()
		f.HandleFunc("GET mastodon.example/api/v1/accounts/verify_credentials", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, body) })
		c := f.call(t, "")
		c.Server.Issuer, c.Server.Resource = "https://mastodon.example", "https://mastodon.example"
		if h, _, err := c.Provider.List(t.Context(), c, &oauth.Token{Access: "x"}); jauge.ReasonOf(err) != jauge.ReasonDecode {
			t.Errorf("%s: %+v, %v", body, h, err)
		}
	}
}
