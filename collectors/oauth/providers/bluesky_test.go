package providers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
	"jauge.dev/jauge/collectors/oauth/providers"
)

func TestBluesky(t *testing.T) { oauthtest.Run(t, named(t, "bluesky"), fakeBluesky(newATProto())) }

// sky is a server of the AT Protocol with a way to it.
type sky struct {
	*fediverse // the documents of accounts and servers, and everything else that is no API
	at         *atproto
	server     *oauthtest.Server
	p          oauth.Provider
	call       *oauth.Call
	dns        map[string][]string
}

func newSky(t *testing.T, app oauth.App) *sky {
	t.Helper()
	k := &sky{fediverse: &fediverse{ServeMux: http.NewServeMux()}, at: newATProto(), p: named(t, "bluesky"), dns: map[string][]string{}}
	f := fakeBluesky(k.at)
	f.App = app
	f.Routes = func(s *oauthtest.Server, _ *http.ServeMux) { k.at.routes(s, k.ServeMux) }
	k.server = oauthtest.NewServer(&k.p, f, redirectHere)
	k.p.Dialect = providers.BlueskyWith(func(_ context.Context, name string) ([]string, error) {
		if r, ok := k.dns[name]; ok {
			return r, nil
		}
		return nil, errors.New("no such host")
	})
	k.call = &oauth.Call{
		Provider: &k.p, Server: &oauth.Server{}, HTTP: &http.Client{Transport: k.fediverse}, Redirect: redirectHere, Now: time.Now,
		Base: func(jauge.Platform) string { return "" },
	}
	return k
}

// loopbackID is how the suite's server knows the daemon on this machine.
func loopbackID(scopes []string) string {
	return "http://localhost?" + url.Values{"redirect_uri": {redirectHere}, "scope": {strings.Join(scopes, " ")}}.Encode()
}

func (k *sky) begin(t *testing.T, input string) (*oauth.Start, error) {
	t.Helper()
	s, _, err := begin(t, k.call, input)
	return s, err
}

// consent lets the user agree, and gives what the callback gets.
func (k *sky) consent(t *testing.T, s *oauth.Start) url.Values {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := k.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("consent page answers %s, %v", resp.Status, err)
	}
	return to.Query()
}

func (k *sky) connect(t *testing.T) *oauth.Token {
	t.Helper()
	s, err := k.begin(t, brandDID)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := k.p.Dialect.Exchange(t.Context(), k.call, s, k.consent(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestBlueskyOnThisMachine(t *testing.T) {
	k := newSky(t, oauth.App{ClientID: loopbackID(named(t, "bluesky").Scopes)})
	tok := k.connect(t)
	if tok.Subject != brandDID || !tok.RefreshExpiry.IsZero() || k.call.Server.Nonces[issuer] != "nonce-1" {
		t.Errorf("token for %s, refresh token ends at %s, nonces %v", tok.Subject, tok.RefreshExpiry, k.call.Server.Nonces)
	}
	// The first request of all is asked for a nonce and sent once more, and no other.
	if !slices.Equal(k.at.wrong, []string{"use_dpop_nonce"}) {
		t.Errorf("proofs that were refused: %v", k.at.wrong)
	}
	k.at.nonce = "nonce-2"
	tok, err := k.p.Dialect.Renew(t.Context(), k.call, tok)
	if err != nil || len(k.at.wrong) != 2 || k.call.Server.Nonces[issuer] != "nonce-2" {
		t.Errorf("renewed under another nonce: %v, proofs that were refused: %v", err, k.at.wrong)
	}
	// A public client's session ends after two weeks, of which the last three days are told.
	k.call.Now = func() time.Time { return time.Now().Add(12 * 24 * time.Hour) }
	k.at.nonce = k.call.Server.Nonces[issuer]
	late := *tok
	if got := providersBound(k.call, &late); got.IsZero() || time.Until(got) > 14*24*time.Hour {
		t.Errorf("the session ends at %s", got)
	}
}

// providersBound is the end of a token that was issued now, by the call's clock.
func providersBound(c *oauth.Call, t *oauth.Token) time.Time {
	t.Issued = c.Now().UTC()
	providers.Bound(c, t)
	return t.RefreshExpiry
}

func TestBlueskyInPublic(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	const public = "https://jauge.example"
	k := newSky(t, oauth.App{ClientID: document})
	k.call.Public, k.call.Redirect, k.call.ClientKey = public, public+"/oauth/callback", der
	k.server.Redirect = k.call.Redirect
	doc, err := providers.ClientMetadata(public+"/", k.p.Scopes, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		ID       string              `json:"client_id"`
		Redirect []string            `json:"redirect_uris"`
		Method   string              `json:"token_endpoint_auth_method"`
		Scope    string              `json:"scope"`
		Bound    bool                `json:"dpop_bound_access_tokens"`
		Keys     *jose.JSONWebKeySet `json:"jwks"`
	}
	if err := json.Unmarshal(doc, &meta); err != nil || meta.ID != document || !slices.Equal(meta.Redirect, []string{k.call.Redirect}) ||
		meta.Method != "private_key_jwt" || !meta.Bound || meta.Scope != strings.Join(k.p.Scopes, " ") || !meta.Keys.Keys[0].IsPublic() {
		t.Fatalf("client document %s, %v", doc, err)
	}
	k.at.jwks = meta.Keys
	tok := k.connect(t)
	if d := time.Until(tok.RefreshExpiry); d < 80*24*time.Hour || d > 91*24*time.Hour {
		t.Errorf("refresh token ends in %s", d)
	}
	fresh, err := k.p.Dialect.Renew(t.Context(), k.call, tok)
	if err != nil || fresh.RefreshExpiry.Before(tok.RefreshExpiry) {
		t.Errorf("renew: %v", err)
	}
	if err := k.p.Dialect.Revoke(t.Context(), k.call, fresh); err != nil {
		t.Errorf("revoke: %v", err)
	}
	k.call.ClientKey = nil // then nothing proves who we are
	if _, err := k.p.Dialect.Renew(t.Context(), k.call, fresh); tokenCode(err) != "invalid_client" || k.p.Dead["invalid_client"] != "" {
		t.Errorf("renewal without an assertion: %v", err)
	}
}

func tokenCode(err error) string {
	if e, ok := errors.AsType[*oauth.TokenError](err); ok {
		return e.Code
	}
	return ""
}

func TestBlueskyDocumentsNeedAKey(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := providers.JWKS(other.Public()); err == nil {
		t.Error("a key of another kind is shown")
	}
	if _, err := providers.JWKS(nil); err == nil {
		t.Error("no key is shown")
	}
	for _, public := range []string{"", "http://jauge.example"} {
		if _, err := providers.ClientMetadata(public, nil, nil); err == nil {
			t.Errorf("a document for %q", public)
		}
	}
}

// A server that asks for another nonce each time is asked twice, not for ever.
func TestBlueskyNonceWithoutEnd(t *testing.T) {
	k := newSky(t, oauth.App{ClientID: loopbackID(named(t, "bluesky").Scopes)})
	tok := k.connect(t)
	n := 0
	k.call.HTTP = &http.Client{Transport: skyTrip(func(r *http.Request) (*http.Response, error) {
		n++
		rec := httptest.NewRecorder()
		rec.Header().Set("DPoP-Nonce", fmt.Sprint("again-", n))
		oauthtest.JSON(rec, http.StatusBadRequest, map[string]string{"error": "use_dpop_nonce"})
		resp := rec.Result()
		resp.Header = rec.Header()
		return resp, nil
	})}
	_, err := k.p.Dialect.Renew(t.Context(), k.call, tok)
	if n != 2 || tokenCode(err) != "use_dpop_nonce" || k.p.Dead["use_dpop_nonce"] != "" {
		t.Errorf("%d requests, %v", n, err)
	}
}

type skyTrip func(*http.Request) (*http.Response, error)

func (f skyTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBlueskyFindsTheAccount(t *testing.T) {
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }
	}
	view := func(w http.ResponseWriter, r *http.Request) {
		oauthtest.JSON(w, http.StatusOK, map[string]string{"did": brandDID})
	}
	const byView = "/xrpc/com.atproto.identity.resolveHandle"
	for name, c := range map[string]struct {
		input, base string
		set         func(k *sky)
		kind        oauth.FlowKind
	}{
		"a DID":             {input: brandDID},
		"by DNS":            {input: "@Brand.Example", set: func(k *sky) { k.dns["_atproto.brand.example"] = []string{"v=spf1", "did=" + brandDID} }},
		"by the web":        {input: "brand.example", set: func(k *sky) { k.HandleFunc("GET brand.example/.well-known/atproto-did", say(brandDID+"\n")) }},
		"by the AppView":    {input: "brand.example", set: func(k *sky) { k.HandleFunc("GET public.api.bsky.app"+byView, view) }},
		"by the operator's": {input: "brand.example", base: "https://view.example/", set: func(k *sky) { k.HandleFunc("GET view.example"+byView, view) }},
		"nobody knows":      {input: "brand.example", kind: oauth.FlowBadInput},
		"two records":       {input: "brand.example", set: func(k *sky) { k.dns["_atproto.brand.example"] = []string{"did=" + brandDID, "did=did:web:b.example"} }, kind: oauth.FlowBadInput},
		"no DID":            {input: "brand.example", set: func(k *sky) { k.HandleFunc("GET brand.example/.well-known/atproto-did", say("<html>")) }, kind: oauth.FlowBadInput},
		"not its own name":  {input: "other.example", set: func(k *sky) { k.dns["_atproto.other.example"] = []string{"did=" + brandDID} }, kind: oauth.FlowBadInput},
		"no handle":         {input: "brand", kind: oauth.FlowBadInput},
		"an address":        {input: "https://brand.example", kind: oauth.FlowBadInput},
		"no such DID":       {input: "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb", kind: oauth.FlowBadInput},
		"another's document": {input: "did:plc:cccccccccccccccccccccccc", set: func(k *sky) {
			k.HandleFunc("GET plc.directory/did:plc:cccccccccccccccccccccccc", say(`{"id":"`+brandDID+`"}`))
		}, kind: oauth.FlowProvider},
		"no server":        {input: "did:web:b.example", set: func(k *sky) { k.HandleFunc("GET b.example/.well-known/did.json", say(`{"id":"did:web:b.example"}`)) }, kind: oauth.FlowBadInput},
		"a DID of the web": {input: "did:web:b.example", set: func(k *sky) { k.HandleFunc("GET b.example/.well-known/did.json", say(webDocument(pds))) }},
		"a server in the open": {input: "did:web:b.example", set: func(k *sky) {
			k.HandleFunc("GET b.example/.well-known/did.json", say(webDocument("http://pds.example")))
		}, kind: oauth.FlowBadInput},
		"a server with a path": {input: "did:web:b.example", set: func(k *sky) { k.HandleFunc("GET b.example/.well-known/did.json", say(webDocument(pds+"/x"))) }, kind: oauth.FlowBadInput},
	} {
		t.Run(name, func(t *testing.T) {
			k := newSky(t, oauth.App{ClientID: loopbackID(named(t, "bluesky").Scopes)})
			k.call.Base = func(jauge.Platform) string { return c.base }
			if c.set != nil {
				c.set(k)
			}
			s, err := k.begin(t, c.input)
			if flowKind(err) != c.kind || (err == nil) != (c.kind == "") {
				t.Fatalf("begin: %v, want %q", err, c.kind)
			}
			if err == nil && (s.Expect == "" || k.call.Server.Resource != pds || k.call.Server.Issuer != issuer || k.call.Server.PAR != issuer+"/par") {
				t.Errorf("expects %s at %+v", s.Expect, k.call.Server.Endpoints)
			}
			if c.base != "" && slices.ContainsFunc(k.asked, func(a string) bool { return strings.Contains(a, "atproto-did") }) {
				t.Errorf("others were asked before the operator's: %v", k.asked)
			}
		})
	}
}

func webDocument(server string) string {
	return `{"id":"did:web:b.example","alsoKnownAs":["at://b.example"],"service":[` +
		`{"id":"did:web:b.example#atproto_pds","type":"AtprotoPersonalDataServer","serviceEndpoint":"` + server + `"}]}`
}

func TestBlueskyServersThatWillNotDo(t *testing.T) {
	for name, changed := range map[string]map[string]any{
		"another issuer":      {"issuer": "https://evil.example"},
		"no pushed requests":  {"pushed_authorization_request_endpoint": ""},
		"token in the open":   {"token_endpoint": "http://login.example/token"},
		"consent in the open": {"authorization_endpoint": "http://login.example/a"},
		"revoke in the open":  {"revocation_endpoint": "http://login.example/r"},
		"a user in it":        {"token_endpoint": "https://a:b@login.example/token"},
		"no S256":             {"code_challenge_methods_supported": []string{"plain"}},
		"no ES256":            {"dpop_signing_alg_values_supported": []string{"RS256"}},
		"no iss":              {"authorization_response_iss_parameter_supported": false},
		"no documents":        {"client_id_metadata_document_supported": false},
		"no atproto":          {"scopes_supported": []string{"openid"}},
	} {
		k := newSky(t, oauth.App{ClientID: document})
		k.call.HTTP = &http.Client{Transport: skyTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/oauth-authorization-server") {
				rec := httptest.NewRecorder()
				oauthtest.JSON(rec, http.StatusOK, metadata(changed))
				return rec.Result(), nil
			}
			return k.RoundTrip(r)
		})}
		if _, err := k.begin(t, brandDID); flowKind(err) != oauth.FlowProvider {
			t.Errorf("%s: %v", name, err)
		}
		if slices.ContainsFunc(k.asked, func(a string) bool { return strings.HasPrefix(a, "POST") }) {
			t.Errorf("%s: was asked nonetheless: %v", name, k.asked)
		}
	}
	for name, answer := range map[string]func(w http.ResponseWriter){
		"no word of a PDS": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"a redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(http.StatusFound)
		},
		"another resource": func(w http.ResponseWriter) {
			oauthtest.JSON(w, 200, map[string]any{"resource": "https://x.example", "authorization_servers": []string{issuer}})
		},
		"two servers": func(w http.ResponseWriter) {
			oauthtest.JSON(w, 200, map[string]any{"resource": pds, "authorization_servers": []string{issuer, pds}})
		},
		"server in private": func(w http.ResponseWriter) {
			oauthtest.JSON(w, 200, map[string]any{"resource": pds, "authorization_servers": []string{"http://10.0.0.1"}})
		},
		"no JSON": func(w http.ResponseWriter) { _, _ = fmt.Fprint(w, "<html>") },
	} {
		k := newSky(t, oauth.App{ClientID: document})
		k.call.HTTP = &http.Client{Transport: skyTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/oauth-protected-resource") {
				rec := httptest.NewRecorder()
				answer(rec)
				return rec.Result(), nil
			}
			return k.RoundTrip(r)
		})}
		if _, err := k.begin(t, brandDID); flowKind(err) != oauth.FlowProvider {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBlueskyAnswersOfOthers(t *testing.T) {
	k := newSky(t, oauth.App{ClientID: loopbackID(named(t, "bluesky").Scopes)})
	exchange := func(change func(back url.Values, s *oauth.Start)) error {
		s, err := k.begin(t, brandDID)
		if err != nil {
			t.Fatal(err)
		}
		back := k.consent(t, s)
		change(back, s)
		_, err = k.p.Dialect.Exchange(t.Context(), k.call, s, back)
		return err
	}
	for name, c := range map[string]struct {
		change func(back url.Values, s *oauth.Start)
		kind   oauth.FlowKind
	}{
		"another server":  {func(back url.Values, _ *oauth.Start) { back.Set("iss", "https://evil.example") }, oauth.FlowWrongIssuer},
		"no server":       {func(back url.Values, _ *oauth.Start) { back.Del("iss") }, oauth.FlowWrongIssuer},
		"another account": {func(_ url.Values, s *oauth.Start) { s.Expect = "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb" }, oauth.FlowWrongAccount},
		"nobody expected": {func(_ url.Values, s *oauth.Start) { s.Expect = "" }, oauth.FlowWrongAccount},
	} {
		if err := exchange(c.change); flowKind(err) != c.kind {
			t.Errorf("%s: %v, want %s", name, err, c.kind)
		}
	}
	tok := k.connect(t)
	for name, c := range map[string]struct{ answer, code string }{
		"for another account": {`{"access_token":"a","refresh_token":"b","token_type":"DPoP","sub":"did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"}`, "other_account"},
		"for anybody":         {`{"access_token":"a","refresh_token":"b","token_type":"Bearer","sub":"` + brandDID + `"}`, "invalid_token_type"},
	} {
		call := *k.call
		call.HTTP = &http.Client{Transport: skyTrip(func(*http.Request) (*http.Response, error) {
			rec := httptest.NewRecorder()
			_, _ = rec.WriteString(c.answer)
			return rec.Result(), nil
		})}
		if _, err := k.p.Dialect.Renew(t.Context(), &call, tok); tokenCode(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if k.p.Dead["other_account"] != oauth.CauseWrongObject {
		t.Error("a grant that is answered for another account lives on")
	}
}

func TestBlueskySignsForItsServerAlone(t *testing.T) {
	k := newSky(t, oauth.App{ClientID: loopbackID(named(t, "bluesky").Scopes)})
	tok := k.connect(t)
	for address, want := range map[string]string{
		"https://public.api.bsky.app/xrpc/app.bsky.feed.getPosts?uris=at%3A%2F%2Fa": pds + "/xrpc/app.bsky.feed.getPosts?uris=at%3A%2F%2Fa",
		"http://gateway.example:8080/bsky/xrpc/app.bsky.actor.getProfile?actor=a":   pds + "/xrpc/app.bsky.actor.getProfile?actor=a",
		"https://u:p@evil.example/xrpc/a%2Fb":                                       pds + "/xrpc/a%2Fb",
		pds + "/xrpc/x":                                                             pds + "/xrpc/x",
	} {
		req := httptest.NewRequest(http.MethodGet, address, http.NoBody)
		if err := k.p.Dialect.Sign(k.call, req, tok); err != nil || req.URL.String() != want || req.Host != "" {
			t.Errorf("%s goes to %s (%s), %v", address, req.URL, req.Host, err)
		}
		if req.Header.Get("Authorization") != "DPoP "+tok.Access.Reveal() {
			t.Errorf("%s bears %q", address, req.Header.Get("Authorization"))
		}
		req.Host = req.URL.Host
		if why := k.at.judge(req, tok.Access.Reveal()); why != "" {
			t.Errorf("%s: %s", address, why)
		}
	}
	for name, spoil := range map[string]func(c *oauth.Call, r *http.Request){
		"no address of the API": func(_ *oauth.Call, r *http.Request) { r.URL.Path = "/login" },
		"no server":             func(c *oauth.Call, _ *http.Request) { c.Server.Resource = "" },
		"no key":                func(c *oauth.Call, _ *http.Request) { c.Server.Key = nil },
		"another key":           func(c *oauth.Call, _ *http.Request) { c.Server.Key = []byte("nonsense") },
	} {
		c, server := *k.call, *k.call.Server
		c.Server = &server
		req := httptest.NewRequest(http.MethodGet, "https://api.example/xrpc/x", http.NoBody)
		spoil(&c, req)
		if err := k.p.Dialect.Sign(&c, req, tok); err == nil || strings.Contains(err.Error(), tok.Access.Reveal()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBlueskyClientID(t *testing.T) {
	for redirect, want := range map[string]string{
		"http://127.0.0.1:8080/oauth/callback":    "http://localhost?",
		"http://[::1]:8080/oauth/callback":        "http://localhost?",
		"https://jauge.example/oauth/callback":    document,
		"http://localhost:8080/oauth/callback":    "",
		"https://jauge.example.evil/oauth/cb":     "",
		"http://192.168.1.7:8080/oauth/callback":  "",
		"https://127.0.0.1:8080/oauth/callback":   "",
		"http://127.0.0.1.evil.example/callback?": "",
	} {
		c := &oauth.Call{Provider: &oauth.Provider{Scopes: []string{"atproto"}}, Redirect: redirect, Public: "https://jauge.example"}
		id, err := providers.ClientID(c)
		if want == "" && flowKind(err) != oauth.FlowBadRedirect || want != "" && (err != nil || !strings.HasPrefix(id, want)) {
			t.Errorf("%s: %q, %v, want %q", redirect, id, err, want)
		}
	}
}

func TestBlueskyRefused(t *testing.T) {
	refused := named(t, "bluesky").Refused
	for _, c := range []struct {
		status          int
		challenge, body string
		want            oauth.Cause
	}{
		{401, `DPoP error="invalid_token"`, `{"error":"invalid_token"}`, oauth.CauseTokenRefused},
		{401, "", `{"error":"InvalidToken"}`, oauth.CauseTokenRefused},
		{400, "", `{"error":"ExpiredToken","message":"Token has expired"}`, oauth.CauseTokenRefused},
		{401, `DPoP error="use_dpop_nonce"`, `{"error":"use_dpop_nonce"}`, oauth.CauseNone},
		{401, "", `{"error":"AuthMissing"}`, oauth.CauseNone},
		{401, "", `<html>`, oauth.CauseNone},
		{403, "", `{"error":"ScopeMissingError"}`, oauth.CauseScope},
		{403, `DPoP error="insufficient_scope"`, ``, oauth.CauseScope},
		{403, "", `{"error":"AccountTakedown"}`, oauth.CauseNone},
		{400, "", `{"error":"InvalidRequest","message":"Profile not found"}`, oauth.CauseNone},
	} {
		if got := refused(c.status, http.Header{"Www-Authenticate": {c.challenge}}, []byte(c.body)); got != c.want {
			t.Errorf("%d %s %s means %q, want %q", c.status, c.challenge, c.body, got, c.want)
		}
	}
}

// What is pushed is refused for reasons that the user is told apart.
func TestBlueskyPushRefused(t *testing.T) {
	for code, want := range map[string]oauth.FlowKind{
		"invalid_scope": oauth.FlowScope, "invalid_request": oauth.FlowProvider, "invalid_redirect_uri": oauth.FlowBadRedirect,
	} {
		k := newSky(t, oauth.App{ClientID: document})
		k.call.HTTP = &http.Client{Transport: skyTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost {
				rec := httptest.NewRecorder()
				oauthtest.JSON(rec, http.StatusBadRequest, maps.Clone(map[string]string{"error": code}))
				return rec.Result(), nil
			}
			return k.RoundTrip(r)
		})}
		if _, err := k.begin(t, brandDID); flowKind(err) != want {
			t.Errorf("%s: %v, want %s", code, err, want)
		}
	}
}
