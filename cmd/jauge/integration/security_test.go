//go:build integration

package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestListenerBeyondLoopback: a daemon that others can reach starts only with somebody to ask and an https address; it
// says what to set, and ends with 2.
func TestListenerBeyondLoopback(t *testing.T) {
	j := install(t, connectOnly)
	hash := "JAUGE_ADMIN_PASSWORD_HASH=" + hashed(t, j)
	public := "JAUGE_PUBLIC_URL=https://jauge.example"
	const wantHash, wantPublic = "JAUGE_ADMIN_PASSWORD_HASH", "JAUGE_PUBLIC_URL"
	for _, c := range []struct {
		listen string
		env    []string
		says   []string
	}{
		{"0.0.0.0:%d", nil, []string{wantHash, wantPublic}},
		{"[::]:%d", nil, []string{wantHash, wantPublic}},
		{":%d", nil, []string{wantHash, wantPublic}},
		{"0.0.0.0:%d", []string{hash}, []string{wantPublic}},
		{"0.0.0.0:%d", []string{public}, []string{wantHash}},
		{"0.0.0.0:%d", []string{hash, "JAUGE_PUBLIC_URL=http://jauge.example"}, []string{wantPublic}},
		{"0.0.0.0:%d", []string{"JAUGE_ADMIN_PASSWORD_HASH=hunter2", public}, []string{wantHash}},
		{"0.0.0.0:%d", []string{"JAUGE_FORWARD_AUTH_HEADER=Remote-User", public}, []string{"JAUGE_TRUSTED_PROXIES"}},
	} {
		name := fmt.Sprint(c.listen, c.env)
		one := install(t, connectOnly, c.env...)
		one.set("JAUGE_LISTEN=" + fmt.Sprintf(c.listen, freePort(t)))
		r := one.run("run")
		if r.code != 2 {
			t.Errorf("%s: exit code %d, want 2: %s", name, r.code, r)
		}
		for _, w := range c.says {
			if !strings.Contains(r.stderr, w) {
				t.Errorf("%s: the error does not name %s: %s", name, w, r.stderr)
			}
		}
		if strings.Contains(r.stdout+r.stderr, "hunter2") {
			t.Errorf("%s: the error repeats what could be a password: %s", name, r.stderr)
		}
	}
	j.set(hash, public, "JAUGE_OPS_LISTEN="+fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	d := j.listen(fmt.Sprintf("0.0.0.0:%d", freePort(t)))
	ops := *d
	ops.addr = j.env["JAUGE_OPS_LISTEN"]
	ops.ready()
	d.stop()
}

// TestForgedRequests: what another site can make a browser send changes nothing.
func TestForgedRequests(t *testing.T) {
	app := authorizationServer(t).client(native, object{"access_life": 600})
	j := install(t, connectOnly, app.x()...)
	d := j.start()
	d.ready()
	home := "http://" + d.addr
	j.connected(app, "x", "alder")
	id := j.account("x", "alder").Account

	s := surf(t)
	p := s.visit(home + "/accounts")
	pauseForm := s.form(p, "/accounts/pause")
	c := s.visit(home + "/connect/x")
	connectForm := s.form(c, "/connect/x")
	removal := url.Values{"account": {"x/" + id}}
	own := http.Header{"Origin": {home}, "Sec-Fetch-Site": {"same-origin"}}
	evil := http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}
	stranger := surf(t)
	for _, f := range []struct {
		name, path string
		who        *surfer
		form       url.Values
		header     http.Header
	}{
		{"pause without a token", "/accounts/pause", s, without(pauseForm.fields, "csrf"), own},
		{"remove without a token", "/accounts/remove", s, removal, own},
		{"remove with a made-up token", "/accounts/remove", s, url.Values{"account": {"x/" + id}, "csrf": {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}, own},
		{"connect without a token", "/connect/x", s, without(connectForm.fields, "csrf"), own},
		{"connect from another site, with the right token", "/connect/x", s, connectForm.fields, evil},
		{"pause from another site, with the right token", "/accounts/pause", s, pauseForm.fields, evil},
		{"pause from a page without an origin", "/accounts/pause", s, pauseForm.fields, http.Header{"Origin": {"null"}, "Sec-Fetch-Site": {"cross-site"}}},
		{"pause with another browser's token", "/accounts/pause", stranger, pauseForm.fields, own},
		{"log out from another site", "/logout", s, url.Values{}, evil},
	} {
		p := f.who.must(http.MethodPost, home+f.path, f.form, f.header)
		if p.status != http.StatusForbidden {
			t.Errorf("%s: HTTP %d, want 403; Location %q", f.name, p.status, p.header.Get("Location"))
		}
	}
	for _, path := range []string{"/accounts/pause", "/accounts/remove?account=x/" + id, "/logout", "/connect/x"} {
		s.must(http.MethodGet, home+path, nil, navigation("cross-site")) // a link or a picture: whatever it shows
	}
	if n := len(app.events("auth")); n > 3 {
		t.Errorf("a forged request began an authorization: %s", app)
	}
	if a := j.account("x", "alder"); a.State != "ok" {
		t.Errorf("a forged request changed the account: %+v", a)
	}
	access, _ := app.newest()
	if !app.active(access) {
		t.Error("a forged request ended the grant")
	}
	// The same forms, sent as the pages send them, work: without this the rest would show nothing.
	if p := s.submit(p, pauseForm, nil); p.status != http.StatusOK {
		t.Errorf("pause by its own form: HTTP %d %s", p.status, p.text())
	}
	d.stop()
}

func without(v url.Values, names ...string) url.Values {
	out := url.Values{}
	for k, x := range v {
		if !slices.Contains(names, k) {
			out[k] = x
		}
	}
	return out
}

// elsewhere are addresses that must not be redirected to, in spellings that have fooled others.
var elsewhere = []string{
	"https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example", "/%09/evil.example", "/\t/evil.example", "///evil.example",
	"https:evil.example", "javascript:alert(1)", "/accounts/../..//evil.example", "/%2f/evil.example", "http://jauge.test@evil.example/", "/.//evil.example",
}

// TestGuardedPages looks at a daemon that others can reach: the login, what is open without it, redirects, cookies,
// headers, names of hosts.
func TestGuardedPages(t *testing.T) {
	j := install(t, connectOnly)
	d, public := guarded(t, j)
	u, _ := url.Parse(public)
	browser := func(t *testing.T) *surfer {
		s := surf(t)
		s.names[u.Host] = "127.0.0.1:" + u.Port()
		return s
	}
	// A client may try few passwords in a row, right ones included: one login serves all that follows.
	login := func(t *testing.T, s *surfer, to string) *sheet {
		t.Helper()
		s.stop = func(at *url.URL) bool { return at.Host != u.Host }
		p := s.visit(public + "/login?to=" + url.QueryEscape(to))
		return s.submit(p, s.form(p, "/login"), url.Values{"password": {password}})
	}
	t.Run("nothing without a login", func(t *testing.T) { closedToStrangers(t, browser(t), public) })
	s := browser(t)
	if p := login(t, s, elsewhere[1]); p.address.Host != u.Host || p.status != http.StatusOK {
		t.Errorf("login with to=%q ends at %s, HTTP %d", elsewhere[1], p.address, p.status)
	}
	t.Run("open redirects", func(t *testing.T) { s.t = t; staysHere(t, s, public) })
	t.Run("cookies", func(t *testing.T) {
		cookieFlags(t, s)
		// A session that somebody else put into the browser before the login is not the one after it.
		fixed := browser(t)
		fixed.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-jauge", Value: "planted", Path: "/", Secure: true}})
		if p := login(t, fixed, "/accounts"); p.address.Path != "/accounts" {
			t.Fatalf("login ends at %s, HTTP %d", p.address, p.status)
		}
		for _, c := range fixed.client.Jar.Cookies(u) {
			if c.Value == "planted" {
				t.Errorf("the cookie %s is still the one that was planted", c.Name)
			}
		}
	})
	t.Run("headers", func(t *testing.T) {
		s.t = t
		for _, path := range []string{"/", "/accounts", "/connect", "/connect/mastodon", "/no/such/page", "/oauth/callback?state=x&code=y"} {
			hardened(t, s.visit(public+path))
		}
		hardened(t, browser(t).visit(public+"/login"))
	})
	t.Run("other hosts", func(t *testing.T) {
		s.t = t
		for _, host := range []string{"evil.example", "evil.example:" + u.Port(), "127.0.0.1:" + u.Port(), "jauge.test.evil.example"} {
			p := s.must(http.MethodGet, public+"/accounts", nil, http.Header{"Host": {host}})
			to, err := url.Parse(p.header.Get("Location"))
			if p.status < 300 || p.status < 400 && (err != nil || to.Host != u.Host) {
				t.Errorf("asked for as %s it answers HTTP %d, Location %q", host, p.status, p.header.Get("Location"))
			}
		}
	})
	t.Run("logout", func(t *testing.T) {
		s.t = t
		p := s.visit(public + "/accounts")
		if p.address.Path != "/accounts" {
			t.Fatalf("not logged in any more: %s", p.address)
		}
		kept := s.client.Jar.Cookies(u)
		for _, c := range kept {
			c.Path, c.Secure = "/", true
		}
		s.submit(p, s.form(p, "/logout"), nil)
		s.client.Jar.SetCookies(u, kept) // a thief who copied them before
		if p := s.visit(public + "/accounts"); p.address.Path != "/login" {
			t.Errorf("cookies from before the logout still open %s", p.address.Path)
		}
	})
	t.Run("guessing is slow", func(t *testing.T) { slowGuesses(t, browser(t), public) })
	d.stop()
}

// staysHere tries to have somebody who is logged in led to another site.
func staysHere(t *testing.T, s *surfer, public string) {
	t.Helper()
	for _, to := range elsewhere {
		for _, path := range []string{"/login?to=", "/connect/x/go?to=", "/login/check?to="} {
			p := s.must(http.MethodGet, public+path+url.QueryEscape(to), nil, navigation("same-origin"))
			_, refresh, _ := strings.Cut(p.header.Get("Refresh"), "url=")
			for _, where := range []string{p.header.Get("Location"), refresh} {
				if where == "" {
					continue
				}
				// As a browser reads it: a backslash is a slash, tabs do not count.
				next, err := p.address.Parse(strings.NewReplacer("\\", "/", "\t", "").Replace(where))
				if err != nil || next.Host != p.address.Host || next.Scheme != "https" {
					t.Errorf("%s%q leads to %q", path, to, where)
				}
			}
		}
	}
}

// closedToStrangers looks at what the daemon gives without a login.
func closedToStrangers(t *testing.T, s *surfer, public string) {
	t.Helper()
	for _, path := range []string{"/", "/accounts", "/connect", "/connect/x", "/accounts/remove?account=x", "/grants/01ABC/choose", "/metrics"} {
		p := s.must(http.MethodGet, public+path, nil, navigation("none"))
		if p.status == http.StatusOK && p.header.Get("Refresh") == "" {
			t.Errorf("%s without a login: HTTP 200 %s", path, tail(p.text(), 200))
		}
		if strings.Contains(p.body, "jauge_build_info") {
			t.Errorf("%s without a login shows metrics", path)
		}
	}
	for _, path := range []string{"/accounts/pause", "/accounts/remove", "/connect/x", "/grants/01ABC/choose"} {
		p := s.must(http.MethodPost, public+path, url.Values{"account": {"x/1"}}, http.Header{"Origin": {public}, "Sec-Fetch-Site": {"same-origin"}})
		if p.status != http.StatusForbidden && p.status != http.StatusUnauthorized && !strings.HasPrefix(p.header.Get("Location"), "/login") {
			t.Errorf("POST %s without a login: HTTP %d %s", path, p.status, p.header.Get("Location"))
		}
	}
}

// TestMetricsAndHealth: beyond loopback /metrics asks for the login; the listener for operations needs none, and has no
// pages.
func TestMetricsAndHealth(t *testing.T) {
	j := install(t, connectOnly)
	d, public := guarded(t, j)
	u, _ := url.Parse(public)
	s := surf(t)
	s.names[u.Host] = "127.0.0.1:" + u.Port()
	if p := s.must(http.MethodGet, public+"/metrics", nil, nil); p.status < 300 {
		t.Errorf("/metrics without a login: HTTP %d", p.status)
	}
	p := s.visit(public + "/login?to=/metrics")
	if p = s.submit(p, s.form(p, "/login"), url.Values{"password": {password}}); p.status != http.StatusOK || !strings.Contains(p.body, "jauge_build_info") {
		t.Errorf("/metrics after the login: HTTP %d at %s", p.status, p.address)
	}
	ops := *d
	ops.addr = j.env["JAUGE_OPS_LISTEN"]
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/": 404, "/accounts": 404, "/login": 404, "/connect": 404, "/oauth/callback": 404} {
		if status, _ := ops.get(path); status != want {
			t.Errorf("%s on the operations' listener: HTTP %d, want %d", path, status, want)
		}
	}
	d.stop()

	// On loopback, without a password, it is as it always was.
	open := install(t, connectOnly)
	e := open.start()
	e.ready()
	if status, body := e.get("/metrics"); status != http.StatusOK || !strings.Contains(body, "jauge_build_info") {
		t.Errorf("/metrics on loopback: HTTP %d", status)
	}
	// A page of another site whose name was made to resolve to this machine.
	for _, path := range []string{"/", "/accounts", "/connect", "/metrics"} {
		p := s.must(http.MethodGet, "http://"+e.addr+path, nil, http.Header{"Host": {"evil.example"}})
		if p.status < 300 || p.status < 400 && !strings.Contains(p.header.Get("Location"), e.addr) {
			t.Errorf("%s asked for as evil.example: HTTP %d, Location %q", path, p.status, p.header.Get("Location"))
		}
	}
	e.stop()
}

// cookieFlags looks at every cookie that the daemon set over https.
func cookieFlags(t *testing.T, s *surfer) {
	t.Helper()
	n := 0
	for _, p := range s.seen {
		for _, c := range (&http.Response{Header: p.header}).Cookies() {
			n++
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" {
				t.Errorf("cookie of %s: %s; want a __Host- cookie, Secure and HttpOnly", p.address.Path, c)
			}
			if c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
				t.Errorf("cookie of %s has no SameSite: %s", p.address.Path, c)
			}
		}
	}
	if n == 0 {
		t.Error("no cookie was set: the test shows nothing")
	}
}

var handlers = regexp.MustCompile(`^on[a-z]+$`)

// hardened looks at what a page allows browsers to do with it, and that it keeps to its own policy.
func hardened(t *testing.T, p *sheet) {
	t.Helper()
	policy := map[string]string{}
	for part := range strings.SplitSeq(p.header.Get("Content-Security-Policy"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), " ")
		policy[name] = value
	}
	if d := policy["default-src"]; d != "'none'" && d != "'self'" {
		t.Errorf("%s: default-src %q", p.address.Path, d)
	}
	if policy["frame-ancestors"] != "'none'" || policy["base-uri"] != "'none'" || policy["form-action"] == "" {
		t.Errorf("%s: policy %v", p.address.Path, policy)
	}
	for name, value := range policy {
		if strings.Contains(value, "unsafe") || (name == "script-src" || name == "style-src" || name == "default-src") && strings.Contains(value, "*") {
			t.Errorf("%s: %s %s", p.address.Path, name, value)
		}
	}
	if p.header.Get("X-Content-Type-Options") != "nosniff" || p.header.Get("Referrer-Policy") == "" {
		t.Errorf("%s: nosniff %q, referrer policy %q", p.address.Path, p.header.Get("X-Content-Type-Options"), p.header.Get("Referrer-Policy"))
	}
	if strings.Contains(p.header.Get("Cache-Control"), "public") {
		t.Errorf("%s may be kept by caches: %s", p.address.Path, p.header.Get("Cache-Control"))
	}
	p.each(func(n *html.Node) {
		if n.Data == "script" && attr(n, "src") == "" || n.Data == "style" || has(n, "style") || strings.HasPrefix(attr(n, "href"), "javascript:") {
			t.Errorf("%s has inline script or style: <%s>", p.address.Path, n.Data)
		}
		for _, a := range n.Attr {
			if handlers.MatchString(a.Key) {
				t.Errorf("%s has an inline handler: <%s %s>", p.address.Path, n.Data, a.Key)
			}
		}
	})
}

// slowGuesses tries passwords until it is told to wait, whatever address it claims to come from.
func slowGuesses(t *testing.T, s *surfer, public string) {
	t.Helper()
	for n := range 40 {
		p := s.visit(public + "/login")
		f := s.form(p, "/login")
		fields := f.fields
		fields.Set("password", fmt.Sprintf("guess %d", n))
		h := navigation("same-origin")
		h.Set("Origin", public)
		h.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", n))
		p = s.must(http.MethodPost, public+"/login", fields, h)
		if p.status == http.StatusTooManyRequests {
			if p.header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			return
		}
		if p.status != http.StatusUnauthorized {
			t.Fatalf("a wrong password: HTTP %d", p.status)
		}
	}
	t.Error("40 wrong passwords in a row were all looked at")
}
