package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// plume is a made-up provider whose endpoints are all at one address.
func plume(root string) *oauth.Call {
	return &oauth.Call{
		Provider: &oauth.Provider{
			Name: "plume", Title: "Plume", App: "PLUME", Scopes: []string{"read", "stats"},
			Endpoints: oauth.Endpoints{Authorize: root + "/authorize?lang=en", Token: root + "/token", Revoke: root + "/revoke"},
			Renewal:   oauth.Renewal{Model: oauth.Rotating, Share: 0.1, Life: time.Hour, MaxLife: 24 * time.Hour},
		},
		App:      oauth.App{ClientID: "id of/plume", ClientSecret: "very:secret+word"},
		HTTP:     &http.Client{Timeout: time.Minute},
		Redirect: "https://jauge.example/oauth/callback",
		Now:      func() time.Time { return noon },
	}
}

func serve(t *testing.T, h http.HandlerFunc) *oauth.Call {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return plume(srv.URL)
}

func TestBegin(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *oauth.Provider)
		want   map[string]string // of the query; empty: not there
	}{
		"standard": {func(*oauth.Provider) {}, map[string]string{
			"client_id": "id of/plume", "redirect_uri": "https://jauge.example/oauth/callback", "response_type": "code", "scope": "read stats",
			"state": "the-state", "code_challenge_method": "S256", "lang": "en", "client_secret": "",
		}},
		"comma, client key, no PKCE, more parameters": {func(p *oauth.Provider) {
			p.Separator, p.ClientKey, p.NoPKCE, p.Params = ",", "client_key", true, map[string]string{"access_type": "offline"}
		}, map[string]string{
			"client_id": "", "client_key": "id of/plume", "scope": "read,stats", "access_type": "offline", "code_challenge": "", "code_challenge_method": "",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			call := plume("https://plume.example")
			c.change(call.Provider)
			s := &oauth.Start{State: "the-state", Verifier: "a-verifier-that-nobody-may-see"}
			if err := (oauth.Standard{}).Begin(t.Context(), call, s, ""); err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(s.URL)
			if err != nil || u.Host != "plume.example" || strings.Contains(s.URL, s.Verifier.Reveal()) {
				t.Fatalf("address is %s (%v)", s.URL, err)
			}
			for k, v := range c.want {
				if got := u.Query().Get(k); got != v {
					t.Errorf("%s is %q, want %q", k, got, v)
				}
			}
		})
	}
}

func TestBeginAtAServerOfItsOwn(t *testing.T) {
	call := plume("https://plume.example")
	call.App = oauth.App{}
	call.Server = &oauth.Server{ClientID: "registered", Endpoints: oauth.Endpoints{Authorize: "https://instance.example/authorize"}}
	s := &oauth.Start{State: "x", Verifier: "y"}
	if err := (oauth.Standard{}).Begin(t.Context(), call, s, ""); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.URL, "https://instance.example/authorize?") || !strings.Contains(s.URL, "client_id=registered") {
		t.Errorf("address is %s", s.URL)
	}
	call.Server = nil
	err := (oauth.Standard{}).Begin(t.Context(), call, s, "")
	if e, ok := errors.AsType[*oauth.FlowError](err); !ok || e.Kind != oauth.FlowNotConfigured || !strings.Contains(err.Error(), "JAUGE_PLUME_CLIENT_ID") {
		t.Errorf("without a client id: %v", err)
	}
}

func TestCallback(t *testing.T) {
	for query, want := range map[string]oauth.FlowKind{
		"error=access_denied&error_description=no":                oauth.FlowDenied,
		"error=user_cancelled_authorize":                          oauth.FlowDenied,
		"error=user_cancelled_login":                              oauth.FlowDenied,
		"error=redirect_uri_mismatch":                             oauth.FlowBadRedirect,
		"error=invalid_scope":                                     oauth.FlowScope,
		"error=unauthorized_scope_error":                          oauth.FlowScope,
		"error=server_error":                                      oauth.FlowProvider,
		"state=x":                                                 oauth.FlowProvider,
		"code=c&iss=https%3A%2F%2Fevil.example":                   oauth.FlowWrongIssuer,
		"code=c&error=access_denied":                              oauth.FlowDenied,
		"error=access_denied&iss=https%3A%2F%2Finstance.example":  oauth.FlowDenied,
		"error=access_denied&iss=https%3A%2F%2Felsewhere.example": oauth.FlowWrongIssuer,
	} {
		back, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		call := plume("https://plume.example")
		call.Server = &oauth.Server{Issuer: "https://instance.example"}
		_, err = oauth.Code(call, back)
		if e, ok := errors.AsType[*oauth.FlowError](err); !ok || e.Kind != want {
			t.Errorf("%s gives %v, want %s", query, err, want)
		}
	}
}

func TestExchangeErrors(t *testing.T) {
	for _, c := range []struct {
		code, text string
		want       oauth.FlowKind
	}{
		{"invalid_grant", "code was already redeemed", oauth.FlowBadCode},
		{"invalid_grant", "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client.", oauth.FlowBadCode},
		{"invalid_grant", "redirect_uri does not match", oauth.FlowBadRedirect},
		{"redirect_uri_mismatch", "Bad Request", oauth.FlowBadRedirect},
		{"invalid_request", "Value passed for the authorization code was invalid.", oauth.FlowBadCode},
		{"invalid_scope", "", oauth.FlowScope},
		{"invalid_client", "", oauth.FlowProvider},
	} {
		err := oauth.ExchangeError(&oauth.TokenError{Status: 400, Code: c.code, Text: c.text})
		if e, ok := errors.AsType[*oauth.FlowError](err); !ok || e.Kind != c.want {
			t.Errorf("%s %q gives %v, want %s", c.code, c.text, err, c.want)
		}
		if _, ok := errors.AsType[*oauth.TokenError](err); !ok {
			t.Errorf("the cause is lost in %v", err)
		}
	}
	if e, ok := errors.AsType[*oauth.FlowError](oauth.ExchangeError(io.EOF)); !ok || e.Kind != oauth.FlowNetwork {
		t.Error("a broken connection is not of the network")
	}
}

// TestClientNames: exactly one way of naming the client is used, and one request is sent even when it is refused.
func TestClientNames(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*oauth.Call)
		basic  string
		form   url.Values
	}{
		"params": {func(*oauth.Call) {}, "", url.Values{"client_id": {"id of/plume"}, "client_secret": {"very:secret+word"}}},
		"header": {func(c *oauth.Call) { c.Provider.Auth = oauth.InHeader }, "id+of%2Fplume very%3Asecret%2Bword", url.Values{}},
		"client key": {func(c *oauth.Call) { c.Provider.ClientKey = "client_key" }, "", url.Values{
			"client_key": {"id of/plume"}, "client_secret": {"very:secret+word"},
		}},
		"public": {func(c *oauth.Call) { c.Provider.Auth, c.App.ClientSecret = oauth.InHeader, "" }, "", url.Values{"client_id": {"id of/plume"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var requests int
			call := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				id, secret, _ := r.BasicAuth()
				if got := strings.TrimSpace(id + " " + secret); got != c.basic {
					t.Errorf("basic is %q, want %q", got, c.basic)
				}
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				want := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"spent+once"}, "more": {"yes"}}
				for k, v := range c.form {
					want[k] = v
				}
				if d := cmp.Diff(want, r.PostForm); d != "" || r.URL.RawQuery != "" {
					t.Errorf("form (-want +got), query %q:\n%s", r.URL.RawQuery, d)
				}
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, `{"error":"invalid_client"}`)
			})
			c.change(call)
			_, err := oauth.Standard{RenewParams: map[string]string{"more": "yes"}}.Renew(t.Context(), call, &oauth.Token{Refresh: "spent+once"})
			if e, ok := errors.AsType[*oauth.TokenError](err); !ok || e.Code != "invalid_client" || e.Status != 401 {
				t.Errorf("error is %v", err)
			}
			if requests != 1 {
				t.Errorf("%d requests were sent", requests)
			}
		})
	}
}

func TestReissue(t *testing.T) {
	call := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "read stats" {
			t.Errorf("form is %v", r.Form)
		}
		fmt.Fprint(w, `{"access_token":"fresh","expires_in":60}`)
	})
	call.Provider.Renewal.Model = oauth.Reissue
	tok, err := oauth.Standard{}.Renew(t.Context(), call, &oauth.Token{Access: "old", Subject: "7", Extra: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &oauth.Token{Access: "fresh", Issued: noon, Expiry: noon.Add(time.Minute), Subject: "7", Extra: map[string]string{"k": "v"}}
	if d := cmp.Diff(want, tok); d != "" {
		t.Errorf("token (-want +got):\n%s", d)
	}
}

// TestNothingToRenew: nothing is sent where there is nothing to send.
func TestNothingToRenew(t *testing.T) {
	call := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	for _, m := range []oauth.Model{oauth.Rotating, oauth.Reusable, oauth.Extend, oauth.Static, "odd"} {
		call.Provider.Renewal.Model = m
		if _, err := (oauth.Standard{}).Renew(t.Context(), call, &oauth.Token{Access: "a"}); !errors.Is(err, oauth.ErrNotSent) {
			t.Errorf("%s: %v, want ErrNotSent", m, err)
		}
	}
}

// TestWhatWasSent: what failed before a byte left is told from everything else, and no error shows what was sent.
func TestWhatWasSent(t *testing.T) {
	renew := func(t *testing.T, call *oauth.Call) error {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := oauth.Standard{}.Renew(ctx, call, &oauth.Token{Access: "acc/ess+secret", Refresh: "re/fresh+secret"})
		if err == nil {
			t.Fatal("no error")
		}
		for _, s := range []string{"fresh+secret", "fresh%2Bsecret", "very:secret", "very%3Asecret"} {
			if strings.Contains(err.Error(), s) {
				t.Errorf("error shows %q: %v", s, err)
			}
		}
		return err
	}
	sent := func(t *testing.T, call *oauth.Call) {
		t.Helper()
		err := renew(t, call)
		if _, ok := errors.AsType[*oauth.TokenError](err); ok || errors.Is(err, oauth.ErrNotSent) {
			t.Errorf("it may have been carried out, but: %v", err)
		}
	}
	notSent := func(t *testing.T, call *oauth.Call) {
		t.Helper()
		if err := renew(t, call); !errors.Is(err, oauth.ErrNotSent) {
			t.Errorf("nothing was sent, but: %v", err)
		}
	}
	t.Run("connection refused", func(t *testing.T) {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		notSent(t, plume("http://"+l.Addr().String()))
	})
	t.Run("unknown name", func(t *testing.T) {
		call := plume("http://plume.example")
		call.HTTP = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "plume.example", IsNotFound: true}
		}}}
		notSent(t, call)
	})
	t.Run("certificate of somebody else", func(t *testing.T) {
		srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came") }))
		srv.Config.ErrorLog = nil
		t.Cleanup(srv.Close)
		notSent(t, plume(srv.URL))
	})
	t.Run("handshake that never ends", func(t *testing.T) {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		notSent(t, plume("https://"+l.Addr().String()))
	})
	t.Run("an address that is none", func(t *testing.T) { notSent(t, plume("http://plu me.example:x")) })
	t.Run("hangs up", func(t *testing.T) {
		sent(t, serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	})
	t.Run("says nothing", func(t *testing.T) {
		sent(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client go
			<-r.Context().Done()
		}))
	})
	t.Run("half an answer", func(t *testing.T) {
		sent(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"access_token":"abc`)
		}))
	})
	t.Run("an endless answer", func(t *testing.T) {
		sent(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"access_token":"`+strings.Repeat("a", 2<<20)+`"}`)
		}))
	})
	t.Run("a page", func(t *testing.T) {
		sent(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>re/fresh+secret</html>") }))
	})
	t.Run("no token", func(t *testing.T) {
		sent(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token_type":"Bearer"}`) }))
	})
}

// TestRedirectsAreNotFollowed: a 307 would send the form a second time, and elsewhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var requests int
	call := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests > 1 {
			fmt.Fprint(w, `{"access_token":"from elsewhere"}`)
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	_, err := oauth.Standard{}.Renew(t.Context(), call, &oauth.Token{Refresh: "r-token"})
	if e, ok := errors.AsType[*oauth.TokenError](err); !ok || e.Status != http.StatusTemporaryRedirect || requests != 1 {
		t.Errorf("%d requests, error %v", requests, err)
	}
}

// TestEchoedSecrets: what a provider says is shown, what it repeats of ours is not.
func TestEchoedSecrets(t *testing.T) {
	call := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"token %s of %s is no good"}`, r.FormValue("refresh_token"), url.QueryEscape(r.FormValue("client_secret")))
	})
	_, err := oauth.Standard{}.Renew(t.Context(), call, &oauth.Token{Refresh: "re/fresh+secret"})
	e, ok := errors.AsType[*oauth.TokenError](err)
	if !ok || e.Text != "token ******** of ******** is no good" || strings.Contains(err.Error(), "secret") {
		t.Errorf("error is %v, text %q", err, e.Text)
	}
}

func TestRevoke(t *testing.T) {
	var forms []url.Values
	status, body := 200, ""
	call := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		forms = append(forms, r.PostForm)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
	tok := &oauth.Token{Access: "acc-secret", Refresh: "ref-secret"}
	revoke := func() error { return oauth.Standard{}.Revoke(t.Context(), call, tok) }
	if err := revoke(); err != nil || forms[0].Get("token") != "ref-secret" || forms[0].Get("token_type_hint") != "refresh_token" {
		t.Errorf("%v, form %v", err, forms)
	}
	tok.Refresh = ""
	if err := revoke(); err != nil || forms[1].Get("token") != "acc-secret" {
		t.Errorf("%v, form %v", err, forms)
	}
	status, body = 400, `{"error":"invalid_token"}`
	if err := revoke(); err != nil {
		t.Errorf("a token that is gone: %v", err)
	}
	status, body = 503, `acc-secret`
	if err := revoke(); err == nil || strings.Contains(err.Error(), "acc-secret") {
		t.Errorf("503 gives %v", err)
	}
	call.Provider.Endpoints.Revoke = ""
	if err := revoke(); err != nil || len(forms) != 4 {
		t.Errorf("without an endpoint: %v, %d requests", err, len(forms))
	}
}

func TestSign(t *testing.T) {
	for kind, want := range map[string]string{"": "Bearer tok", "bearer": "Bearer tok", "Bearer": "Bearer tok", "DPoP": "DPoP tok"} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		if err := (oauth.Standard{}).Sign(nil, req, &oauth.Token{Access: "tok", Type: kind}); err != nil || req.Header.Get("Authorization") != want {
			t.Errorf("%q gives %q, %v", kind, req.Header.Get("Authorization"), err)
		}
	}
}

func TestGetJSON(t *testing.T) {
	for body, want := range map[string]*jauge.Error{
		`401 {"error":{"code":190,"error_subcode":463,"message":"expired"}}`: {Reason: jauge.ReasonAuth, Status: 401, Code: "190/463"},
		`403 {"code":7,"message":"no"}`:                                      {Reason: jauge.ReasonScope, Status: 403, Code: "7"},
		`402 {"title":"Payment Required"}`:                                   {Reason: jauge.ReasonQuota, Status: 402},
		`404 <html>`:                                                         {Reason: jauge.ReasonNotFound, Status: 404},
		`429 {"error":"slow_down"}`:                                          {Reason: jauge.ReasonRateLimited, Status: 429, Code: "slow_down", RetryAfter: 90 * time.Second},
		`426 {"code":"NONEXISTENT_VERSION"}`:                                 {Reason: jauge.ReasonBadRequest, Status: 426, Code: "NONEXISTENT_VERSION"},
		`502 bad gateway`:                                                    {Reason: jauge.ReasonServer, Status: 502},
		`200 <html>`:                                                         {Reason: jauge.ReasonDecode, Status: 200},
	} {
		call := serve(t, func(w http.ResponseWriter, r *http.Request) {
			status, text, _ := strings.Cut(body, " ")
			w.Header().Set("Retry-After", map[bool]string{true: "90"}[status == "429"])
			var n int
			fmt.Sscan(status, &n)
			w.WriteHeader(n)
			fmt.Fprint(w, text)
		})
		var into struct{ ID string }
		err := oauth.GetJSON(t.Context(), call, "read thing", call.Addresses().Token+"?access_token=secret-word", http.Header{"X-More": {"1"}}, &into)
		e, ok := errors.AsType[*jauge.Error](err)
		if !ok || e.Reason != want.Reason || e.Status != want.Status || e.Code != want.Code || e.RetryAfter != want.RetryAfter || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s gives %+v", body, e)
		}
	}
	call := plume("http://127.0.0.1:1")
	err := oauth.GetJSON(t.Context(), call, "read thing", call.Addresses().Token+"?access_token=secret-word", nil, nil)
	if e, ok := errors.AsType[*jauge.Error](err); !ok || e.Reason != jauge.ReasonNetwork || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("refused connection gives %v", err)
	}
}
