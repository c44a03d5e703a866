//go:build integration

package providers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/providers"
	"jauge.dev/jauge/collectors/rest"
)

// network is a real Bluesky network: JAUGE_TEST_ATPROTO names the ready.json that it wrote.
type network struct{ PLC, PDS, Bsky string }

func findNetwork(t *testing.T) *network {
	t.Helper()
	b, err := os.ReadFile(os.Getenv("JAUGE_TEST_ATPROTO"))
	if err != nil {
		t.Fatalf("this test needs a real network, named by JAUGE_TEST_ATPROTO: %v", err)
	}
	n := &network{}
	if err := json.Unmarshal(b, n); err != nil || n.PDS == "" {
		t.Fatalf("ready.json tells no PDS: %v", err)
	}
	return n
}

func send(t *testing.T, method, address string, in, out any, header map[string]string) *http.Response {
	t.Helper()
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 400 {
		t.Fatalf("%s %s: %s: %.300s %v", method, req.URL.Path, resp.Status, b, err)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v: %.300s", method, req.URL.Path, err, b)
		}
	}
	return resp
}

const password = "pw-of-the-test"

// join makes an account, and waits until the AppView knows it.
func (n *network) join(t *testing.T, name string) (handle, did string) {
	t.Helper()
	handle = fmt.Sprintf("%s%x.test", name, time.Now().UnixNano()&0xffffffff)
	var made struct{ DID, AccessJWT string }
	send(t, http.MethodPost, n.PDS+"/xrpc/com.atproto.server.createAccount",
		map[string]string{"handle": handle, "email": handle + "@mail.test", "password": password}, &made, nil)
	send(t, http.MethodPost, n.PDS+"/xrpc/com.atproto.repo.createRecord", map[string]any{
		"repo": made.DID, "collection": "app.bsky.feed.post",
		"record": map[string]any{"$type": "app.bsky.feed.post", "text": "hello", "createdAt": time.Now().UTC().Format(time.RFC3339Nano)},
	}, nil, map[string]string{"Authorization": "Bearer " + made.AccessJWT})
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		resp, err := http.Get(n.Bsky + "/xrpc/com.atproto.identity.resolveHandle?handle=" + handle)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return handle, made.DID
		}
		<-tick.C
	}
	t.Fatal("the AppView does not know the account after 10 seconds")
	return "", ""
}

// agree does what a browser does on the login and consent pages, and gives what the callback gets. The pages are a program;
// this is what it sends.
func (n *network) agree(t *testing.T, page, handle, scope string) url.Values {
	t.Helper()
	cookies := map[string]string{} // by hand: they are for https alone, and this is loopback
	step := func(method, address string, in, out any, header map[string]string) *http.Response {
		t.Helper()
		var list []string
		for k, v := range cookies {
			list = append(list, k+"="+v)
		}
		header["Cookie"] = strings.Join(list, "; ")
		resp := send(t, method, address, in, out, header)
		for _, c := range resp.Cookies() {
			cookies[c.Name] = c.Value
		}
		return resp
	}
	step(http.MethodGet, page, nil, nil, map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})
	api := func(name string, in, out any, bearer string) {
		t.Helper()
		h := map[string]string{
			"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "same-origin", "Origin": n.PDS, "Referer": page, "X-Csrf-Token": cookies["csrf-token"],
		}
		if bearer != "" {
			h["Authorization"] = "Bearer " + bearer
		}
		step(http.MethodPost, n.PDS+"/@atproto/oauth-provider/~api/"+name, in, out, h)
	}
	var in struct {
		Account        struct{ Sub, DID string }
		EphemeralToken string
	}
	api("sign-in", map[string]any{"locale": "en", "username": handle, "password": password, "remember": false}, &in, "")
	who := map[string]any{"scope": scope, "sub": in.Account.Sub}
	if in.Account.DID != "" { // newer versions
		who = map[string]any{"scope": scope, "did": in.Account.DID}
	}
	var next struct{ URL string }
	api("consent", who, &next, in.EphemeralToken)
	resp := step(http.MethodGet, next.URL, nil, nil, map[string]string{
		"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Referer": page,
	})
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), loopbackRedirect) {
		t.Fatalf("consent leads to %q, %v", resp.Header.Get("Location"), err)
	}
	return back.Query()
}

const loopbackRedirect = "http://127.0.0.1:8080/oauth/callback"

func byName(t *testing.T, name string) oauth.Provider {
	t.Helper()
	p, ok := providers.ByName(name)
	if !ok {
		t.Fatalf("there is no provider %s", name)
	}
	return p
}

// call is what the vault makes: guarded, and open to this machine as JAUGE_ALLOW_NETS would have it.
func (n *network) call(t *testing.T) *oauth.Call {
	t.Helper()
	p := byName(t, "bluesky")
	p.Endpoints.Directory, p.Base = n.PLC, n.Bsky
	cfg := rest.Default()
	cfg.AllowNets = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	hc, err := rest.NewPlain("bluesky", cfg, rest.Deps{Version: "test", Exempt: []string{n.PLC, n.Bsky}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return &oauth.Call{
		Provider: &p, Server: &oauth.Server{}, HTTP: hc, Redirect: loopbackRedirect, Now: time.Now,
		Base: func(jauge.Platform) string { return n.Bsky },
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// signing is a client that signs, and signs once more where the server wants another nonce, as the vault's does.
func signing(c *oauth.Call, tok *oauth.Token, base http.RoundTripper) *http.Client {
	return &http.Client{Transport: tripper(func(req *http.Request) (*http.Response, error) {
		for try := 0; ; try++ {
			out := req.Clone(req.Context())
			if err := c.Provider.Dialect.Sign(c, out, tok); err != nil {
				return nil, err
			}
			resp, err := base.RoundTrip(out)
			if err != nil || resp.StatusCode != http.StatusUnauthorized || try > 0 || !providers.KeepNonce(c, out.URL, resp.Header) {
				return resp, err
			}
			_ = resp.Body.Close()
		}
	})}
}

func (n *network) connect(t *testing.T, c *oauth.Call, handle, did string) *oauth.Token {
	t.Helper()
	d := c.Provider.Dialect
	s := &oauth.Start{State: "state-of-the-test-0123456789", Verifier: jauge.Secret(oauth2.GenerateVerifier())}
	if err := d.Begin(t.Context(), c, s, "@"+strings.ToUpper(handle)); err != nil {
		t.Fatal(err)
	}
	if s.Expect != did || c.Server.Issuer != n.PDS || c.Server.Resource != n.PDS || strings.Contains(s.URL, s.State) {
		t.Errorf("begun with %+v at %+v", s.Expect, c.Server.Issuer)
	}
	back := n.agree(t, s.URL, handle, strings.Join(c.Provider.Scopes, " "))
	if back.Get("state") != s.State {
		t.Errorf("state %q came back", back.Get("state"))
	}
	wrong := url.Values{"code": back["code"], "state": back["state"], "iss": {"https://elsewhere.example"}}
	if _, err := d.Exchange(t.Context(), c, s, wrong); kind(err) != oauth.FlowWrongIssuer {
		t.Errorf("answer of another server: %v", err)
	}
	tok, err := d.Exchange(t.Context(), c, s, back)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func kind(err error) oauth.FlowKind {
	if e, ok := errors.AsType[*oauth.FlowError](err); ok {
		return e.Kind
	}
	return ""
}

func TestRealBluesky(t *testing.T) {
	n := findNetwork(t)
	handle, did := n.join(t, "flow")
	c := n.call(t)
	tok := n.connect(t, c, handle, did)
	t.Logf("scopes %v, life %s", tok.Scopes, tok.Expiry.Sub(tok.Issued))
	if tok.Subject != did || !strings.EqualFold(tok.Type, "DPoP") || tok.Refresh == "" || tok.Expiry.IsZero() || len(c.Server.Nonces) == 0 {
		t.Errorf("token for %s of type %s, ends %s", tok.Subject, tok.Type, tok.Expiry)
	}
	c.HTTP = signing(c, tok, c.HTTP.Transport)
	holder, found, err := c.Provider.List(t.Context(), c, tok)
	if err != nil || holder.ID != did || len(found) != 1 || found[0].ID != did || found[0].Handle != handle {
		t.Errorf("list: %+v, %+v, %v", holder, found, err)
	}
	c.HTTP = n.call(t).HTTP
	t.Run("collects through the account's server", func(t *testing.T) { n.collect(t, c, tok, did) })

	d := c.Provider.Dialect
	clear(c.Server.Nonces) // as after a restart: the server asks for its nonce first
	fresh, err := d.Renew(t.Context(), c, tok)
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Refresh == tok.Refresh || fresh.Access == tok.Access || fresh.Subject != did || !fresh.RefreshExpiry.Equal(tok.RefreshExpiry) {
		t.Errorf("renewed: same refresh token %t, same access token %t, for %s", fresh.Refresh == tok.Refresh, fresh.Access == tok.Access, fresh.Subject)
	}
	n.collect(t, c, fresh, did)
	_, err = d.Renew(t.Context(), c, tok) // spent
	if e, ok := errors.AsType[*oauth.TokenError](err); !ok || c.Provider.Dead[e.Code] != oauth.CauseInvalidGrant {
		t.Errorf("spent token: %v", err)
	}
	if _, err = d.Renew(t.Context(), c, fresh); err == nil {
		t.Error("the session outlives the replay of a spent token")
	}
}

// collect reads the account with the real collector, whose calls go to the account's own server.
func (n *network) collect(t *testing.T, c *oauth.Call, tok *oauth.Token, did string) {
	t.Helper()
	cfg := rest.Default()
	cfg.AllowNets = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	api, err := rest.NewClient(bluesky.Platform, cfg, rest.Deps{Version: "test", Exempt: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	defer api.CloseIdleConnections()
	var asked []string
	hc := signing(c, tok, tripper(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Scheme+"://"+r.URL.Host)
		return api.Transport.RoundTrip(r)
	}))
	var posts int
	results, err := bluesky.Platform.New("").Collect(t.Context(), collectors.Request{
		Task: collectors.TaskRefresh, HTTP: hc,
		Targets: []collectors.Target{{Account: jauge.Account{Platform: jauge.Bluesky, ID: did}, Until: time.Now().Add(-time.Hour)}},
	}, func(_ context.Context, p jauge.Page) error {
		for _, o := range p.Observations {
			if o.Object == jauge.ObjectPost {
				posts++
			}
		}
		return nil
	})
	if err != nil || !results[0].Complete || posts != 1 {
		t.Errorf("collected %d posts, %+v, %v", posts, results, err)
	}
	for _, a := range asked {
		if a != n.PDS {
			t.Errorf("a token went to %s", a)
		}
	}
}

func TestRealBlueskyRevocation(t *testing.T) {
	n := findNetwork(t)
	handle, did := n.join(t, "gone")
	c := n.call(t)
	tok := n.connect(t, c, handle, did)
	if err := c.Provider.Dialect.Revoke(t.Context(), c, tok); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Provider.Dialect.Renew(t.Context(), c, tok); err == nil {
		t.Error("a revoked session is renewed")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/xrpc/app.bsky.actor.getProfile?actor="+did, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := signing(c, tok, c.HTTP.Transport).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("revoked token: %d %s, %s", resp.StatusCode, body, resp.Header.Get("WWW-Authenticate"))
}

func TestRealBlueskyRefusals(t *testing.T) {
	n := findNetwork(t)
	handle, did := n.join(t, "less")
	c := n.call(t)
	c.Provider.Scopes = []string{"atproto", "rpc:app.bsky.actor.getProfile?aud=*"}
	tok := n.connect(t, c, handle, did)
	for name, want := range map[string]struct {
		access jauge.Secret
		method string
		cause  oauth.Cause
	}{
		"outside of the scopes": {tok.Access, "app.bsky.feed.getAuthorFeed", oauth.CauseScope},
		"no token at all":       {"bogus", "app.bsky.actor.getProfile", oauth.CauseTokenRefused},
		"within":                {tok.Access, "app.bsky.actor.getProfile", oauth.CauseNone},
	} {
		bad := *tok
		bad.Access = want.access
		resp, err := signing(c, &bad, c.HTTP.Transport).Get("https://api.example/xrpc/" + want.method + "?actor=" + did)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if got := c.Provider.Refused(resp.StatusCode, resp.Header, body); err != nil || got != want.cause {
			t.Errorf("%s: %d %s %q means %q, want %q", name, resp.StatusCode, body, resp.Header.Get("WWW-Authenticate"), got, want.cause)
		}
	}
}

func TestRealBlueskyUnknownHandle(t *testing.T) {
	n := findNetwork(t)
	c := n.call(t)
	for _, input := range []string{"nobody-at-all.test", "not a handle", "", "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"} {
		s := &oauth.Start{State: "x", Verifier: "y"}
		if err := c.Provider.Dialect.Begin(t.Context(), c, s, input); kind(err) != oauth.FlowBadInput {
			t.Errorf("%q: %v", input, err)
		}
	}
}
