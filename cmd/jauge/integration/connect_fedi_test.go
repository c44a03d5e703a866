//go:build integration

package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestConnectMastodon registers at the instance, consents at its own page, and reads with the token that came of it.
func TestConnectMastodon(t *testing.T) {
	wholeDay(t, 5*time.Minute)
	i := found(t, 61)
	i.live(40, i.tracked()...)
	way := tapped(t, i.url, nil)
	j := install(t, connectOnly, "JAUGE_MASTODON_BASE_URL="+way.URL)
	name := i.alder.name
	k := j.talk("connect", "mastodon", "--instance", "https://"+i.domain, "--all")
	s := surf(t)
	p := s.visit(k.address())
	p = s.submit(p, s.form(p, "/oauth/authorize"), url.Values{"username": {name}})
	if r := k.wait(); r.code != 0 {
		t.Fatalf("jauge connect mastodon: %s\nbrowser: HTTP %d %s\ninstance:\n%s", r, p.status, p.text(), way)
	}
	if n := way.count(func(c call) bool { return c.path == "/api/v1/apps" }); n != 1 {
		t.Errorf("%d registrations at the instance, want 1:\n%s", n, way)
	}
	a := j.account("mastodon", "")
	if a.State != "ok" || a.Account != i.account(i.alder) {
		t.Errorf("connected: %+v, want account %s", a, i.account(i.alder))
	}
	token := issued(t, way)

	i.ledger = newLedger("mastodon", map[string]string{a.Account: a.Brand}, mastodonMetrics...)
	i.ledger.collect(t, j, i, j.sqlite())
	if n := way.with(token, "/api/v1/accounts/"+i.alder.id); n == 0 {
		t.Errorf("collected without the token:\n%s", way)
	}
	if a := j.account("mastodon", ""); a.LastSuccess == "" || a.AccountState != "live" {
		t.Errorf("after a collection: %+v", a)
	}

	// A second account of the same instance needs no second registration.
	k = j.talk("connect", "mastodon", "--instance", "https://"+i.domain, "--all")
	p = s.visit(k.address())
	s.submit(p, s.form(p, "/oauth/authorize"), url.Values{"username": {i.birch.name}})
	if r := k.wait(); r.code != 0 {
		t.Fatalf("a second account: %s", r)
	}
	if n := way.count(func(c call) bool { return c.path == "/api/v1/apps" }); n > 2 {
		t.Errorf("%d registrations at the instance:\n%s", n, way)
	}

	j.must("disconnect", a.Account)
	if n := way.count(func(c call) bool { return c.path == "/oauth/revoke" && c.status == http.StatusOK }); n == 0 {
		t.Errorf("disconnected, and not revoked at the instance:\n%s", way)
	}
	if status := whoAmI(t, i.url, token); status != http.StatusUnauthorized {
		t.Errorf("after jauge disconnect the token is answered with %d, want 401", status)
	}
}

// issued is the authorization that was used last to ask who consented.
func issued(t *testing.T, way *tap) string {
	t.Helper()
	way.mu.Lock()
	defer way.mu.Unlock()
	for n := len(way.calls) - 1; n >= 0; n-- {
		if c := way.calls[n]; c.path == "/api/v1/accounts/verify_credentials" && c.status == http.StatusOK {
			return c.authorization
		}
	}
	t.Fatalf("nobody asked the instance who consented")
	return ""
}

// whoAmI is how the instance answers a token; 0 where it does not.
func whoAmI(t *testing.T, instance, authorization string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, instance+"/api/v1/accounts/verify_credentials", http.NoBody)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", authorization)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// TestMastodonRevoked: the instance ends the token; the next run finds out, the account is parked and no longer asked
// for, and goes on after it was connected again.
func TestMastodonRevoked(t *testing.T) {
	i := found(t, 62)
	// This server overlooks a bad token where none is needed; a real one answers 401 to it everywhere.
	way := tapped(t, i.url, func(r *http.Response) error {
		token := r.Request.Header.Get("Authorization")
		if token == "" || r.StatusCode != http.StatusOK || whoAmI(t, i.url, token) != http.StatusUnauthorized {
			return nil
		}
		const body = `{"error":"The access token was revoked"}`
		r.StatusCode, r.ContentLength = http.StatusUnauthorized, int64(len(body))
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return nil
	})
	j := install(t, connectOnly, "JAUGE_MASTODON_BASE_URL="+way.URL)
	d := j.start()
	d.ready()
	s := surf(t)
	connect := func() (token string) {
		t.Helper()
		k := j.talk("connect", "mastodon", "--instance", "https://"+i.domain, "--all")
		p := s.visit(k.address())
		s.submit(p, s.form(p, "/oauth/authorize"), url.Values{"username": {i.alder.name}})
		if r := k.wait(); r.code != 0 {
			t.Fatalf("jauge connect mastodon: %s", r)
		}
		return issued(t, way)
	}
	reads := func(token string) {
		t.Helper()
		d.poll(time.Minute, "a run with the token", func() (bool, string) {
			a := j.account("mastodon", "")
			return way.with(token, "/api/v1/accounts/"+i.alder.id) > 0 && a.State == "ok" && a.LastSuccess != "" && a.NextRun != "", fmt.Sprintf("%+v\n%s", a, way)
		})
	}
	token := connect()
	reads(token)

	endToken(t, i.url, strings.TrimPrefix(token, "Bearer "))
	if r := j.run("collect", "--once"); r.code != 1 {
		t.Errorf("a run with a token that was ended: exit code %d, want 1: %s", r.code, r)
	}
	if a := j.account("mastodon", ""); a.State != "revoked" || a.Cause != "token_refused" || a.NextRun != "" {
		t.Errorf("after one run: %+v; want revoked, token_refused, and no next run\n%s", a, way)
	}
	all := func(call) bool { return true }
	before := way.count(all)
	r := j.run("collect", "--once")
	if n := way.count(all) - before; n > 0 {
		t.Errorf("a parked account was asked for %d times: %s\n%s", n, r, way)
	}
	reads(connect())
	d.stop()
}

// endToken is what happens when a user takes an app's access back in the instance's settings.
func endToken(t *testing.T, instance, token string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, instance+"/oauth/revoke", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("revoke at the instance: HTTP %d", res.StatusCode)
	}
}

// plcURL is the network's own directory.
func (n *bluesky) plcURL(t *testing.T) string {
	t.Helper()
	var ready struct{ PLC string }
	if err := json.Unmarshal([]byte(readFile(t, needEnv(t, "JAUGE_TEST_ATPROTO"))), &ready); err != nil || ready.PLC == "" {
		t.Fatalf("the Bluesky network has no directory: %v", err)
	}
	return ready.PLC
}

// TestConnectBluesky connects an account of a real PDS: PAR, PKCE, DPoP with nonces, consent at the PDS; then reads
// through the PDS with the token.
func TestConnectBluesky(t *testing.T) {
	wholeDay(t, 5*time.Minute)
	g := plant(t, 63)
	g.live(40, g.tracked()...)
	app := tapped(t, g.app, nil)
	j := install(t, connectOnly, "JAUGE_BLUESKY_BASE_URL="+app.URL, "JAUGE_BLUESKY_PLC_URL="+g.plcURL(t), "JAUGE_ALLOW_NETS=127.0.0.0/8,::1/128")
	k := j.talk("connect", "bluesky", "--handle", g.alder.handle, "--all")
	s := surf(t)
	p := s.agreeAtPDS(g.bluesky, k.address(), g.alder)
	if r := k.wait(); r.code != 0 {
		t.Fatalf("jauge connect bluesky: %s\nbrowser: HTTP %d %s\nAppView:\n%s", r, p.status, p.text(), app)
	}
	a := j.account("bluesky", g.alder.handle)
	if a.State != "ok" || a.Account != g.alder.did {
		t.Errorf("connected: %+v, want account %s", a, g.alder.did)
	}
	// What is read with the grant goes through the account's own server: the AppView is not asked by us.
	asked := func(c call) bool { return strings.HasPrefix(c.path, "/xrpc/app.bsky.") }
	before := app.count(asked)
	g.ledger = newLedger("bluesky", map[string]string{a.Account: a.Brand}, blueskyMetrics...)
	g.ledger.collect(t, j, g, j.sqlite())
	if n := app.count(asked) - before; n > 0 {
		t.Errorf("%d readings went to the AppView without the grant:\n%s", n, app)
	}
	if a := j.account("bluesky", ""); a.LastSuccess == "" || a.AccountState != "live" || a.State != "ok" {
		t.Errorf("after a collection: %+v", a)
	}
	j.must("disconnect", a.Account)
}

// agreeAtPDS does what the PDS's consent page does in a browser: that page is a program of its own, which calls an API.
func (s *surfer) agreeAtPDS(n *bluesky, address string, a *actor) *sheet {
	s.t.Helper()
	cookies := map[string]string{} // they are Secure, and the PDS of a test has no TLS: the jar would keep them back
	call := func(method, address string, body any, header map[string]string) (*http.Response, []byte) {
		s.t.Helper()
		var content []byte
		if body != nil {
			content, _ = json.Marshal(body) // maps of strings
		}
		req, err := http.NewRequestWithContext(s.t.Context(), method, address, bytes.NewReader(content))
		if err != nil {
			s.t.Fatal(err)
		}
		for k, v := range header {
			req.Header.Set(k, v)
		}
		for k, v := range cookies {
			req.AddCookie(&http.Cookie{Name: k, Value: v})
		}
		res, err := (&http.Client{CheckRedirect: s.client.CheckRedirect, Timeout: 30 * time.Second}).Do(req)
		if err != nil {
			s.t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, c := range res.Cookies() {
			cookies[c.Name] = c.Value
		}
		return res, text
	}
	visit := map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	res, text := call(http.MethodGet, address, nil, visit)
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("the PDS's page: HTTP %d %s", res.StatusCode, tail(string(text), 500))
	}
	api := func(path string, body object, bearer string, into any) {
		s.t.Helper()
		h := map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "same-origin", "Origin": n.pds, "Referer": address, "X-Csrf-Token": cookies["csrf-token"]}
		if bearer != "" {
			h["Authorization"] = "Bearer " + bearer
		}
		res, text := call(http.MethodPost, n.pds+"/@atproto/oauth-provider/~api"+path, body, h)
		if res.StatusCode != http.StatusOK {
			s.t.Fatalf("%s: HTTP %d %s", path, res.StatusCode, text)
		}
		if err := json.Unmarshal(text, into); err != nil {
			s.t.Fatalf("%s: %v: %s", path, err, text)
		}
	}
	var in struct {
		Account        struct{ Sub, DID string }
		EphemeralToken string
	}
	api("/sign-in", object{"locale": "en", "username": a.handle, "password": "pw-" + a.handle, "remember": false}, "", &in)
	who := object{"sub": in.Account.Sub}
	if in.Account.DID != "" {
		who = object{"did": in.Account.DID}
	}
	var out struct{ URL string }
	api("/consent", who, in.EphemeralToken, &out)
	visit["Sec-Fetch-Site"], visit["Referer"] = "same-origin", address
	res, text = call(http.MethodGet, out.URL, nil, visit)
	where := res.Header.Get("Location")
	if where == "" {
		s.t.Fatalf("the PDS sends the browser nowhere: HTTP %d %s", res.StatusCode, tail(string(text), 500))
	}
	return s.visit(where)
}
