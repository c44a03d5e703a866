//go:build integration

package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// selectors of the pages, as a user would point at them.
const (
	connectX     = `a[href^="/connect/x"], form[action="/connect/x"] button`
	goX          = `form[action="/connect/x"] button`
	chooseButton = `form[action$="/choose"] button:not([name])`
	pauseButton  = `form[action="/accounts/pause"] button`
	removeLink   = `a[href^="/accounts/remove"]`
	removeButton = `form[action="/accounts/remove"] button`
)

// TestConnectInBrowser connects X in a real browser, click by click: gallery, provider, consent, choice, list; then
// pauses, goes on, connects again and removes.
func TestConnectInBrowser(t *testing.T) {
	app := authorizationServer(t).client(native, object{"access_life": 600})
	j := install(t, connectOnly, app.x()...)
	d := j.start()
	d.ready()
	home := "http://" + d.addr
	b := browse(t, "connect", "en")

	b.open(home + "/")
	b.looks("empty list")
	b.open(home + "/connect")
	b.looks("gallery")
	throughProvider(b, app, "alder")
	b.looks("choose")
	b.leave(chooseButton)
	b.looks("done")
	b.open(home + "/accounts")
	b.shows("alder")
	b.looks("list")
	if a := j.account("x", "alder"); a.State != "ok" {
		t.Errorf("after connecting in the browser: %+v", a)
	}
	if app.authorisedCalls() == 0 {
		t.Error("no authorised call was answered")
	}
	proofKey(t, app)

	b.leave(pauseButton)
	b.arrive("/accounts")
	b.looks("paused")
	if a := j.account("x", "alder"); a.NextRun != "" {
		t.Errorf("a paused account has a next run: %+v", a)
	}
	b.leave(pauseButton)
	b.arrive("/accounts")

	first, _ := app.newest()
	b.open(home + "/connect/x?account=" + url.QueryEscape("x/"+j.account("x", "alder").Account))
	b.looks("connect again")
	b.click(goX)
	b.consentIfAsked(app.issuer, "alder")
	b.arrive("/grants/*")
	if again, _ := app.newest(); again == first {
		t.Error("connecting again brought no new token")
	}
	b.open(home + "/accounts")
	j.account("x", "alder") // one row still

	access, refresh := app.newest()
	b.leave(removeLink)
	b.arrive("/accounts/remove")
	b.looks("remove")
	b.leave(removeButton)
	b.arrive("/accounts")
	b.looks("removed")
	if app.active(access) || app.active(refresh) {
		t.Error("the provider still takes the tokens of what was removed")
	}
	for _, a := range j.accounts() {
		if a.Platform == "x" && a.State == "ok" {
			t.Errorf("after the removal: %+v", a)
		}
	}
	d.stop()
}

// throughProvider begins at the gallery and ends at the page of choice.
func throughProvider(b *tab, app *client, user string) {
	b.t.Helper()
	b.click(connectX)
	if b.arriveOr("/connect/x") {
		b.looks("connect")
		b.click(goX)
	}
	b.consent(app.issuer, user)
	b.arrive("/grants/*")
}

// arriveOr tells whether the browser comes to a page of ours, and not straight to the provider.
func (b *tab) arriveOr(path string) bool {
	b.t.Helper()
	ours := false
	poll(b.t, stepLimit, "a next page", func() (bool, string) {
		u, err := url.Parse(b.where())
		if err != nil {
			return false, err.Error()
		}
		ours = u.Path == path && b.there(goX)
		return ours || strings.HasPrefix(u.Path, "/interaction/"), u.Path
	})
	return ours
}

// consentIfAsked goes through the provider, which may remember the user.
func (b *tab) consentIfAsked(i *issuer, user string) {
	b.t.Helper()
	asked := false
	poll(b.t, stepLimit, "the provider or the way back", func() (bool, string) {
		u, err := url.Parse(b.where())
		if err != nil {
			return false, err.Error()
		}
		asked = strings.HasPrefix(u.Path, "/interaction/")
		return asked && b.there("button[type=submit]") || strings.HasPrefix(u.Path, "/grants/"), b.where()
	})
	if asked {
		b.consent(i, user)
	}
}

// leave clicks something that leads to another page, opening the menu that it is in where there is one, and waits for
// that page, which may have the same address.
func (b *tab) leave(selector string) {
	b.t.Helper()
	hidden := fmt.Sprintf("(() => { const e = document.querySelector(%q); const d = e && e.closest('details:not([open])'); if (d) d.setAttribute('data-open-me', ''); return Boolean(d) })()", selector)
	if try(b, chromedp.Evaluate[bool](hidden)) {
		b.click("details[data-open-me] > summary")
		b.shot("menu")
	}
	b.do("mark the page", chromedp.Evaluate[chromedp.Void]("window.beforeTheClick = true"))
	b.click(selector)
	poll(b.t, stepLimit, "another page after "+selector, func() (bool, string) {
		return try(b, chromedp.Evaluate[bool]("window.beforeTheClick === undefined && document.readyState === 'complete'")), b.where() + " " + b.text()
	})
}

func (b *tab) shows(words ...string) {
	b.t.Helper()
	poll(b.t, stepLimit, fmt.Sprintf("the page to show %q", words), func() (bool, string) {
		text := b.text()
		for _, w := range words {
			if !strings.Contains(text, w) {
				return false, b.where() + ": " + text
			}
		}
		return true, ""
	})
}

const password = "correct horse battery staple 7"

// hashed is what `jauge hash-password` makes of the password.
func hashed(t *testing.T, j *jauge) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "hash-password")
	cmd.Dir = j.dir
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.Output()
	hash := strings.TrimSpace(string(out))
	if err != nil || !strings.HasPrefix(hash, "$argon2id$") || strings.ContainsAny(hash, " \n") {
		t.Fatalf("jauge hash-password: %v: %q", err, out)
	}
	return hash
}

// guarded is a daemon that is reached from other machines, as an operator would run one: behind a TLS proxy, with a
// password.
func guarded(t *testing.T, j *jauge) (d *daemon, public string) {
	t.Helper()
	listen := fmt.Sprintf("0.0.0.0:%d", freePort(t))
	port := front(t, strings.Replace(listen, "0.0.0.0", "127.0.0.1", 1))
	public = fmt.Sprintf("https://jauge.test:%d", port)
	j.set("JAUGE_ADMIN_PASSWORD_HASH="+hashed(t, j), "JAUGE_PUBLIC_URL="+public, "JAUGE_TRUSTED_PROXIES=127.0.0.1",
		"JAUGE_OPS_LISTEN=127.0.0.1:"+fmt.Sprint(freePort(t)))
	d = j.listen(listen)
	ops := *d
	ops.addr = j.env["JAUGE_OPS_LISTEN"]
	ops.ready()
	return d, public
}

// TestGuardedInBrowser logs in through a TLS proxy in a real browser and connects; the cookies have the flags that they
// must have.
func TestGuardedInBrowser(t *testing.T) {
	server := authorizationServer(t)
	j := install(t, connectOnly)
	d, public := guarded(t, j)
	app := server.client([]string{public + "/oauth/callback"}, object{"access_life": 600})
	d.stop()
	j.set(app.x()...)
	d = j.listen(strings.Replace(d.addr, "127.0.0.1", "0.0.0.0", 1))
	ops := *d
	ops.addr = j.env["JAUGE_OPS_LISTEN"]
	ops.ready()

	b := browse(t, "guarded", "fr", "jauge.test")
	b.open(public + "/connect")
	b.arrive("/login")
	b.looks("login")
	b.fill("input[type=password]", "not the password")
	b.click(`form[action="/login"] button`)
	poll(t, stepLimit, "the refusal", func() (bool, string) { return b.there("[role=alert], .error, [aria-invalid=true]"), b.text() })
	b.shot("wrong password")
	b.fill("input[type=password]", password)
	b.leave(`form[action="/login"] button`)
	b.arrive("/connect")
	b.looks("gallery")
	throughProvider(b, app, "alder")
	b.shot("choose")
	b.leave(chooseButton)
	b.open(public + "/accounts")
	b.shows("alder")
	b.looks("list")
	flags(t, b)
	if a := j.account("x", "alder"); a.State != "ok" {
		t.Errorf("after connecting: %+v", a)
	}
	d.stop()
}

// flags looks at the cookies that the browser keeps for the daemon.
func flags(t *testing.T, b *tab) {
	t.Helper()
	all, err := chromedp.CallBrowser(b.ctx, storage.GetCookies, storage.GetCookiesParams{})
	if err != nil {
		t.Fatalf("read the browser's cookies: %v", err)
	}
	var ours, strict, lax int
	for _, c := range all.Cookies {
		if c.Domain != "jauge.test" {
			continue
		}
		ours++
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HTTPOnly || c.Path != "/" {
			t.Errorf("cookie %s: secure %t, http-only %t, path %s; want a __Host- cookie", c.Name, c.Secure, c.HTTPOnly, c.Path)
		}
		switch c.SameSite {
		case network.CookieSameSiteStrict:
			strict++
		case network.CookieSameSiteLax:
			lax++
		default:
			t.Errorf("cookie %s has SameSite %q", c.Name, c.SameSite)
		}
	}
	if ours < 2 || strict == 0 || lax == 0 {
		t.Errorf("%d cookies of ours, %d Strict, %d Lax: want a session that is Strict and a callback's own that is Lax", ours, strict, lax)
	}
}

// TestFailuresHavePages: whatever goes wrong between click and callback gives a page that says what happened, and stores
// nothing.
func TestFailuresHavePages(t *testing.T) {
	server := authorizationServer(t)
	app := server.client(native, object{"code_life": 1})
	j := install(t, connectOnly, append(app.x(), "JAUGE_VAULT_STATE_LIFE=3s")...)
	d := j.start()
	d.ready()
	home := "http://" + d.addr
	begin := func(t *testing.T) (*surfer, *sheet) {
		t.Helper()
		s := surf(t)
		p := s.visit(home + "/connect/x")
		return s, s.submit(p, s.form(p, "/connect/x"), nil)
	}
	// back is where the provider would send the browser after consent.
	back := func(t *testing.T) (*surfer, string) {
		t.Helper()
		s, p := begin(t)
		s.stop = callback
		p = s.consent(server, p, "alder")
		s.stop = nil
		return s, p.address.String()
	}
	t.Run("denied", func(t *testing.T) {
		s, p := begin(t)
		explains(t, s.deny(server, p, "alder"), "denied", "refused")
	})
	t.Run("expired code", func(t *testing.T) {
		s, address := back(t)
		pause(t, 1500*time.Millisecond)
		explains(t, s.visit(address), "expired")
	})
	t.Run("expired state", func(t *testing.T) {
		s, address := back(t)
		pause(t, 3500*time.Millisecond)
		explains(t, s.visit(address), "too long", "expired")
	})
	t.Run("replayed", func(t *testing.T) {
		s, address := back(t)
		if p := s.visit(address); p.status != http.StatusOK {
			t.Fatalf("the first time: HTTP %d %s", p.status, p.text())
		}
		n := len(app.events("token"))
		explains(t, s.visit(address), "used before", "already used")
		if got := len(app.events("token")); got != n {
			t.Error("a replayed callback led to a token request")
		}
	})
	t.Run("another browser", func(t *testing.T) {
		_, address := back(t)
		explains(t, surf(t).visit(address), "another browser")
		other, _ := back(t) // one that has begun something else
		_, address = back(t)
		explains(t, other.visit(address), "another browser")
	})
	t.Run("forged state", func(t *testing.T) {
		s, address := back(t)
		u, _ := url.Parse(address)
		q := u.Query()
		q.Set("state", "AAAA"+q.Get("state")[4:])
		u.RawQuery = q.Encode()
		explains(t, s.visit(u.String()), "no authorization", "not expected", "unknown")
	})
	t.Run("wrong code", func(t *testing.T) {
		s, address := back(t)
		u, _ := url.Parse(address)
		q := u.Query()
		q.Set("code", "nonsense")
		u.RawQuery = q.Encode()
		explains(t, s.visit(u.String()), "code is", "the code")
	})
	t.Run("provider's error", func(t *testing.T) {
		s, address := back(t)
		u, _ := url.Parse(address)
		u.RawQuery = url.Values{"state": {u.Query().Get("state")}, "error": {"server_error"}, "error_description": {"<script>alert(1)</script>"}}.Encode()
		p := s.visit(u.String())
		explains(t, p, "server_error")
		if strings.Contains(p.body, "<script>alert") {
			t.Error("what the provider sent stands in the page as it came")
		}
	})
	t.Run("nothing at all", func(t *testing.T) {
		explains(t, surf(t).visit(home+"/oauth/callback"), "no authorization", "not expected", "another browser")
	})
	t.Run("wrong redirect", func(t *testing.T) {
		other := server.client([]string{"http://127.0.0.1/elsewhere"}, nil)
		two := install(t, connectOnly, other.x()...)
		d := two.start()
		d.ready()
		s := surf(t)
		p := s.visit("http://" + d.addr + "/connect/x")
		if p = s.submit(p, s.form(p, "/connect/x"), nil); p.address.Host != server.AuthorizeHost {
			t.Fatalf("the browser is at %s", p.address)
		}
		explains(t, p, "redirect_uri")
	})
	for _, a := range j.accounts() {
		if a.Platform == "x" && a.State == "ok" {
			t.Errorf("a failure led to an account: %+v", a)
		}
	}
	d.stop()
}
