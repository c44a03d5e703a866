package pages_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/internal/web/pages"
	"jauge.dev/jauge/internal/web/pages/pagestest"
)

const home = "https://jauge.example"

func TestOpenOnLoopbackNeedsNoLogin(t *testing.T) {
	v := visit(t, server(t, open(), backend(), pages.Deps{}), "http://127.0.0.1:8080")
	if r := v.get("/accounts"); r.StatusCode != http.StatusOK {
		t.Errorf("the list gave %d", r.StatusCode)
	}
	if r := v.get("/login"); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/" {
		t.Errorf("the login gave %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
}

func TestNothingWithoutLogin(t *testing.T) {
	f := backend()
	v := visit(t, server(t, guarded(), f, pages.Deps{}), home)
	for _, path := range append([]string{"/connect/x/go?to=1"}, everyPage...) {
		if r := v.get(path); r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(r.Header.Get("Location"), "/login") {
			t.Errorf("%s without a login gave %d to %q", path, r.StatusCode, r.Header.Get("Location"))
		}
	}
	for _, path := range []string{"/accounts/pause", "/accounts/remove", "/connect/x", "/grants/G/choose"} {
		if r := v.post(path, url.Values{"account": {"x/44"}}); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/login" {
			t.Errorf("a form to %s without a login gave %d to %q", path, r.StatusCode, r.Header.Get("Location"))
		}
	}
	if len(f.Calls) != 0 {
		t.Errorf("without a login the backend was called: %v", f.Calls)
	}
}

func TestLogin(t *testing.T) {
	v := visit(t, server(t, guarded(), backend(), pages.Deps{}), home)
	if r := v.login("wrong", "/"); r.StatusCode != http.StatusUnauthorized || !strings.Contains(text(parse(t, r)), "not the password") {
		t.Errorf("a wrong password gave %d", r.StatusCode)
	}
	if v.cookies["__Host-jauge"] != nil {
		t.Fatal("a wrong password opened a session")
	}
	r := v.login(password, "/accounts?show=paused")
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/login/check?to=%2Faccounts%3Fshow%3Dpaused" {
		t.Fatalf("the password gave %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
	if r := v.get(r.Header.Get("Location")); r.Header.Get("Location") != "/accounts?show=paused" {
		t.Errorf("after the login the browser goes to %q", r.Header.Get("Location"))
	}
	if r := v.get("/accounts"); r.StatusCode != http.StatusOK {
		t.Errorf("logged in, the list gave %d", r.StatusCode)
	}
	copied := *v.cookies["__Host-jauge"]
	if r := v.post("/logout", v.form("/accounts", "/logout")); r.Header.Get("Location") != "/login" || v.cookies["__Host-jauge"] != nil {
		t.Errorf("the logout gave %d and left %v", r.StatusCode, v.cookies)
	}
	v.cookies[copied.Name] = &copied
	if r := v.get("/accounts"); r.StatusCode != http.StatusSeeOther {
		t.Errorf("a copy of the cookie outlived the logout: %d", r.StatusCode)
	}
}

// TestCookies: flags as a browser wants them for __Host-, and what each is for.
func TestCookies(t *testing.T) {
	secure := visit(t, server(t, guarded(), backend(), pages.Deps{}), home)
	secure.login(password, "/")
	secure.post("/connect/x", secure.form("/connect/x", "/connect/x"))
	local := visit(t, server(t, open(), backend(), pages.Deps{}), "http://127.0.0.1:8080")
	local.post("/connect/x", local.form("/connect/x", "/connect/x"))
	for name, want := range map[string]http.SameSite{
		"__Host-jauge": http.SameSiteStrictMode, "__Host-jauge-visitor": http.SameSiteLaxMode, "__Host-jauge-connect": http.SameSiteLaxMode,
	} {
		c := secure.cookies[name]
		if c == nil || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != want || c.MaxAge <= 0 {
			t.Errorf("over https the cookie %s is %v", name, c)
		}
	}
	if len(secure.cookies) != 3 || len(local.cookies) != 2 {
		t.Errorf("cookies: %v and %v", secure.cookies, local.cookies)
	}
	for _, name := range []string{"jauge-visitor-8080", "jauge-connect-8080"} {
		c := local.cookies[name]
		if c == nil || c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("on loopback the cookie %s is %v", name, c)
		}
	}
}

// TestSessionIsNotFixed: a session that was there before the login, made up or somebody else's, is not taken over; and
// a cookie that was changed, or sealed by another key or for another password, is none.
func TestSessionIsNotFixed(t *testing.T) {
	site := server(t, guarded(), backend(), pages.Deps{})
	first, second := visit(t, site, home), visit(t, site, home)
	first.login(password, "/")
	planted := *first.cookies["__Host-jauge"]
	second.cookies[planted.Name] = &planted
	second.cookies["__Host-jauge-visitor"] = first.cookies["__Host-jauge-visitor"]
	second.post("/logout", second.form("/accounts", "/logout"))
	second.cookies[planted.Name] = &http.Cookie{Name: planted.Name, Value: "made-up"}
	second.login(password, "/")
	if got := second.cookies[planted.Name].Value; got == planted.Value || got == "made-up" {
		t.Error("the session from before the login was kept")
	}
	good := second.cookies[planted.Name].Value
	other := guarded()
	other.SessionKey = []byte(strings.Repeat("o", 32))
	changed := guarded()
	hash, err := pages.HashPassword("another one")
	if err != nil {
		t.Fatal(err)
	}
	changed.AdminHash = secret(hash)
	for name, try := range map[string]struct {
		site  http.Handler
		value string
		want  int
	}{
		"as it is":              {site, good, http.StatusOK},
		"one letter changed":    {site, flip(good), http.StatusSeeOther},
		"another key":           {server(t, other, backend(), pages.Deps{}), good, http.StatusSeeOther},
		"another password":      {server(t, changed, backend(), pages.Deps{}), good, http.StatusSeeOther},
		"another replica":       {server(t, guarded(), backend(), pages.Deps{}), good, http.StatusOK},
		"the visitor's instead": {site, second.cookies["__Host-jauge-visitor"].Value, http.StatusSeeOther},
	} {
		v := visit(t, try.site, home)
		v.cookies[planted.Name] = &http.Cookie{Name: planted.Name, Value: try.value}
		if r := v.get("/accounts"); r.StatusCode != try.want {
			t.Errorf("a cookie %s gave %d, want %d", name, r.StatusCode, try.want)
		}
	}
}

func flip(s string) string {
	i := len(s) / 2
	c := byte('A')
	if s[i] == c {
		c = 'B'
	}
	return s[:i] + string(c) + s[i+1:]
}

func TestSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, server(t, guarded(), backend(), pages.Deps{}), home)
		v.login(password, "/")
		in := func() bool { return v.get("/accounts").StatusCode == http.StatusOK }
		for range 11 { // every 12 hours at most, for five days and a half
			time.Sleep(12*time.Hour - time.Minute)
			if !in() {
				t.Fatal("a session in use ended early")
			}
		}
		time.Sleep(13 * time.Hour)
		if in() {
			t.Error("an idle session lives on")
		}
		v.login(password, "/")
		for range 7 * 24 {
			if !in() {
				t.Fatal("a session in use ended early")
			}
			time.Sleep(time.Hour)
		}
		time.Sleep(time.Minute)
		if in() {
			t.Error("a session lives for ever as long as it is used")
		}
	})
}

// TestLoginIsLimited: per client, by the address that a proxy of ours tells and not by one that anybody made up.
// TestRightPasswordsAreNotLimited: who knows the password may log in as often as he likes.
func TestRightPasswordsAreNotLimited(t *testing.T) {
	site := server(t, guarded(), backend(), pages.Deps{})
	for i := range 12 {
		if r := visit(t, site, home).login(password, "/"); r.StatusCode != http.StatusSeeOther {
			t.Fatalf("login %d: %d", i+1, r.StatusCode)
		}
	}
}

func TestLoginIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := server(t, guarded(), backend(), pages.Deps{})
		v := visit(t, site, home)
		var last *http.Response
		tries := 0
		for ; tries < 20; tries++ {
			v.header.Set("X-Forwarded-For", "198.51.100."+strconv.Itoa(tries)) // from no proxy: not believed
			if last = v.login("guess"+strconv.Itoa(tries), "/"); last.StatusCode != http.StatusUnauthorized {
				break
			}
		}
		if tries != 5 || last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
			t.Errorf("after %d tries: %d, wait %q; want 5", tries, last.StatusCode, last.Header.Get("Retry-After"))
		}
		if r := v.login(password, "/"); r.StatusCode != http.StatusTooManyRequests {
			t.Errorf("the right password gets through the limit: %d", r.StatusCode)
		}
		for name, from := range map[string]*visitor{"straight": visit(t, site, home), "through the proxy": visit(t, site, home)} {
			from.from = "192.0.2.2:1"
			if name != "straight" {
				from.from = "10.1.1.1:1"
				from.header.Set("X-Forwarded-For", "192.0.2.1, 203.0.113.7")
			}
			if r := from.login(password, "/"); r.StatusCode != http.StatusSeeOther {
				t.Errorf("another client, %s: %d", name, r.StatusCode)
			}
		}
		through := visit(t, site, home)
		through.from = "10.1.1.1:1"
		through.header.Set("X-Forwarded-For", "203.0.113.9, 192.0.2.1")
		if r := through.login(password, "/"); r.StatusCode != http.StatusTooManyRequests {
			t.Errorf("the limited client through the proxy: %d", r.StatusCode)
		}
		wait, err := strconv.Atoi(last.Header.Get("Retry-After"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(wait) * time.Second)
		if r := v.login(password, "/"); r.StatusCode != http.StatusSeeOther {
			t.Errorf("after the wait: %d", r.StatusCode)
		}
	})
}

func TestLoginIsLimitedOverAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := server(t, guarded(), backend(), pages.Deps{})
		v := visit(t, site, home)
		refused := 0
		for i := range 60 {
			v.from = "[2001:db8:" + strconv.FormatInt(int64(i), 16) + "::1]:1"
			if v.login("guess", "/").StatusCode == http.StatusTooManyRequests {
				refused++
			}
		}
		if refused < 25 {
			t.Errorf("%d of 60 tries from as many networks were refused, want 30 or so", refused)
		}
	})
}

func TestOneNetworkIsOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, server(t, guarded(), backend(), pages.Deps{}), home)
		last := 0
		for i := range 6 {
			v.from = "[2001:db8::" + strconv.Itoa(i+1) + "]:1"
			last = v.login("guess", "/").StatusCode
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("the sixth address of one network gave %d", last)
		}
	})
}

// TestCookieLost: a browser that does not keep the cookie is told so, and not asked again and again.
func TestCookieLost(t *testing.T) {
	v := visit(t, server(t, guarded(), backend(), pages.Deps{}), home)
	r := v.login(password, "/accounts")
	delete(v.cookies, "__Host-jauge")
	r = v.get(r.Header.Get("Location"))
	if root := parse(t, r); kind(root) != "cookie_lost" || !strings.Contains(text(root), home) {
		t.Errorf("a lost cookie gave %d %q", r.StatusCode, text(root))
	}
}

// TestLinkFromElsewhere: the browser keeps a Strict cookie back where another site's link was followed. A step of our
// own brings it; whoever has none comes to the login, and no step leads to a second one.
func TestLinkFromElsewhere(t *testing.T) {
	v := visit(t, server(t, guarded(), backend(), pages.Deps{}), home)
	v.header.Set("Sec-Fetch-Site", "cross-site")
	r := v.get("/accounts?show=paused")
	if r.StatusCode != http.StatusOK || r.Header.Get("Refresh") != "0; url=/accounts?show=paused" {
		t.Errorf("a link from elsewhere gave %d and %q", r.StatusCode, r.Header.Get("Refresh"))
	}
	v.header.Set("Sec-Fetch-Site", "same-origin")
	if r := v.get("/accounts?show=paused"); r.StatusCode != http.StatusSeeOther {
		t.Errorf("after the step: %d", r.StatusCode)
	}
}

// TestReturnTo: after a login the browser stays on our site, whatever the address said.
func TestReturnTo(t *testing.T) {
	site := server(t, guarded(), backend(), pages.Deps{})
	for i, to := range []string{
		"https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "/\t/evil.example", "/\n/evil", "javascript:alert(1)",
		"/%2F/evil.example", "/%2fevil.example", "/%5cevil.example", "/accounts/..//evil.example", "/../evil", "@evil.example", "/logout", "/login?to=//evil.example", "/oauth/callback?code=1",
		" //evil.example", "http://jauge.example@evil.example/", "/accounts#//evil", "", "accounts",
	} {
		v := visit(t, site, home)
		v.from = "192.0.2." + strconv.Itoa(i) + ":1"
		if i > 20 {
			site = server(t, guarded(), backend(), pages.Deps{})
			v.site = site
		}
		r := v.login(password, to)
		if got := r.Header.Get("Location"); got != "/login/check?to=%2F" {
			t.Errorf("return to %q: the browser goes to %q", to, got)
		}
		r = v.get("/login/check?" + url.Values{"to": {to}}.Encode())
		if got := r.Header.Get("Location"); got != "/" {
			t.Errorf("return to %q: the check sends to %q", to, got)
		}
	}
}

func TestForwardAuth(t *testing.T) {
	cfg := guarded()
	cfg.AdminHash, cfg.ForwardHeader, cfg.ForwardUsers = "", "Remote-User", []string{"camille"}
	for name, try := range map[string]struct {
		from string
		user []string
		want int
		kind string
	}{
		"through the proxy":          {"10.0.0.7:1", []string{"camille"}, http.StatusOK, ""},
		"through the proxy, mapped":  {"[::ffff:10.0.0.7]:1", []string{"camille"}, http.StatusOK, ""},
		"past the proxy":             {"192.0.2.1:1", []string{"camille"}, http.StatusForbidden, "proxy_silent"},
		"nobody":                     {"10.0.0.7:1", nil, http.StatusForbidden, "proxy_silent"},
		"empty":                      {"10.0.0.7:1", []string{" "}, http.StatusForbidden, "proxy_silent"},
		"twice":                      {"10.0.0.7:1", []string{"camille", "camille"}, http.StatusForbidden, "proxy_silent"},
		"somebody who is not listed": {"10.0.0.7:1", []string{"eve"}, http.StatusForbidden, "user_refused"},
		"several in one":             {"10.0.0.7:1", []string{"eve,camille"}, http.StatusForbidden, "user_refused"},
	} {
		v := visit(t, server(t, cfg, backend(), pages.Deps{}), home)
		v.from = try.from
		v.header["Remote-User"] = try.user
		r := v.get("/accounts")
		if root := parse(t, r); r.StatusCode != try.want || kind(root) != try.kind {
			t.Errorf("%s: %d %s, want %d %s", name, r.StatusCode, kind(root), try.want, try.kind)
		}
	}
	v := visit(t, server(t, cfg, backend(), pages.Deps{}), home)
	v.from = "10.0.0.7:1"
	v.header.Set("Remote-User", "camille")
	if r := v.post("/accounts/pause", v.form("/accounts", "/accounts/pause")); r.StatusCode != http.StatusSeeOther {
		t.Errorf("a form of a forwarded user gave %d", r.StatusCode)
	}
}

func TestForgery(t *testing.T) {
	f := backend()
	site := server(t, guarded(), f, pages.Deps{})
	v, other := visit(t, site, home), visit(t, site, home)
	before := v.form("/login", "/login").Get("csrf")
	v.login(password, "/")
	other.login(password, "/")
	form := v.form("/accounts", "/accounts/pause")
	clear(f.Calls)
	token := func(s string) url.Values {
		return url.Values{"account": form["account"], "paused": {"true"}, "csrf": {s}}
	}
	for name, try := range map[string]struct {
		form   url.Values
		header [2]string
	}{
		"no token":                 {url.Values{"account": form["account"]}, [2]string{}},
		"empty token":              {token(""), [2]string{}},
		"made up":                  {token("AAAA"), [2]string{}},
		"another visitor's":        {token(other.form("/accounts", "/accounts/pause").Get("csrf")), [2]string{}},
		"from before the login":    {token(before), [2]string{}},
		"right, from another site": {token(form.Get("csrf")), [2]string{"Sec-Fetch-Site", "cross-site"}},
		"right, from a neighbour":  {token(form.Get("csrf")), [2]string{"Sec-Fetch-Site", "same-site"}},
		"right, another origin":    {token(form.Get("csrf")), [2]string{"Origin", "https://evil.example"}},
		"right, hidden origin":     {token(form.Get("csrf")), [2]string{"Origin", "null"}},
		"too large":                {url.Values{"csrf": form["csrf"], "account": {strings.Repeat("x", 1<<20)}}, [2]string{}},
	} {
		clear(v.header)
		if try.header[0] != "" {
			v.header.Set(try.header[0], try.header[1])
		}
		want := http.StatusForbidden
		if name == "too large" {
			want = http.StatusBadRequest
		}
		if r := v.post("/accounts/pause", try.form); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", name, r.StatusCode, want)
		}
	}
	if f.Calls["Pause"] != 0 {
		t.Error("a forged form changed something")
	}
	clear(v.header)
	v.header.Set("Origin", home)
	v.header.Set("Sec-Fetch-Site", "same-origin")
	if r := v.post("/accounts/pause", form); r.StatusCode != http.StatusSeeOther || f.Calls["Pause"] != 1 {
		t.Errorf("the right form gave %d", r.StatusCode)
	}
	for _, path := range []string{"/accounts/pause", "/accounts/remove", "/logout"} {
		if r := v.get(path + "?" + form.Encode()); path != "/accounts/remove" && r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s gave %d", path, r.StatusCode)
		}
	}
	if f.Calls["Pause"] != 1 || f.Calls["Remove"] != 0 {
		t.Errorf("a GET changed something: %v", f.Calls)
	}
}

func TestHosts(t *testing.T) {
	behind := pages.Config{Public: public(), Listen: "127.0.0.1:8080", SessionKey: key(), Open: true, TrustedProxies: proxies()}
	for name, try := range map[string]struct {
		cfg            pages.Config
		method, at     string
		from, fwd      string
		want           int
		location, kind string
	}{
		"loopback":                      {open(), "GET", "http://127.0.0.1:8080/connect", "", "", 200, "", ""},
		"localhost":                     {open(), "GET", "http://localhost:8080/connect", "", "", 200, "", ""},
		"LOCALHOST.":                    {open(), "GET", "http://LOCALHOST.:8080/connect", "", "", 200, "", ""},
		"IPv6 loopback":                 {open(), "GET", "http://[::1]:8080/connect", "", "", 200, "", ""},
		"another port":                  {open(), "GET", "http://localhost:9999/connect", "", "", 421, "", "wrong_host"},
		"rebound name":                  {open(), "GET", "http://evil.example:8080/connect", "", "", 421, "", "wrong_host"},
		"rebound name, forwarded":       {open(), "GET", "http://evil.example:8080/connect", "", "localhost:8080", 421, "", "wrong_host"},
		"rebound form":                  {open(), "POST", "http://evil.example:8080/connect/x", "", "", 421, "", "wrong_host"},
		"canonical":                     {behind, "GET", "https://jauge.example/connect", "", "", 200, "", ""},
		"canonical with port":           {behind, "GET", "https://jauge.example:443/connect", "", "", 200, "", ""},
		"sent on":                       {behind, "GET", "https://old.example/connect?x=1", "", "", 302, "https://jauge.example/connect?jauge-host=1&x=1", ""},
		"sent on from loopback":         {behind, "GET", "http://127.0.0.1:8080//evil.example/%2e", "", "", 302, "https://jauge.example//evil.example/%2e?jauge-host=1", ""},
		"sent on once only":             {behind, "GET", "https://old.example/connect?jauge-host=1", "", "", 421, "", "host_loop"},
		"form to another name":          {behind, "POST", "https://old.example/connect/x", "", "", 421, "", "wrong_host"},
		"a proxy of ours tells":         {behind, "GET", "http://127.0.0.1:8080/connect", "10.0.0.1:1", "jauge.example", 200, "", ""},
		"somebody else tells":           {behind, "GET", "http://127.0.0.1:8080/connect", "192.0.2.9:1", "jauge.example", 302, "https://jauge.example/connect?jauge-host=1", ""},
		"a proxy of ours tells another": {behind, "GET", "https://jauge.example/connect", "10.0.0.1:1", "evil.example", 302, "https://jauge.example/connect?jauge-host=1", ""},
	} {
		v := visit(t, server(t, try.cfg, backend(), pages.Deps{}), "")
		if try.from != "" {
			v.from = try.from
		}
		if try.fwd != "" {
			v.header.Set("X-Forwarded-Host", try.fwd)
		}
		r := v.do(httptest.NewRequestWithContext(t.Context(), try.method, try.at, nil))
		if got := r.Header.Get("Location"); r.StatusCode != try.want || got != try.location || kind(parse(t, r)) != try.kind {
			t.Errorf("%s: %d to %q, want %d to %q (%s)", name, r.StatusCode, got, try.want, try.location, try.kind)
		}
		if try.want == 421 && len(v.cookies) > 0 {
			t.Errorf("%s: a wrong name got cookies", name)
		}
	}
}

// TestPlainHTTPBehindTLS: a browser that a proxy let in without TLS is sent to https, where its cookies are kept.
func TestPlainHTTPBehindTLS(t *testing.T) {
	v := visit(t, server(t, guarded(), pagestest.New(), pages.Deps{}), "http://jauge.example")
	v.from = "10.0.0.1:1"
	v.header.Set("X-Forwarded-Proto", "http")
	if r := v.get("/login"); r.StatusCode != http.StatusFound || r.Header.Get("Location") != "https://jauge.example/login?jauge-host=1" {
		t.Errorf("plain http gave %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
	if r := v.get("/login?jauge-host=1"); kind(parse(t, r)) != "host_loop" {
		t.Errorf("plain http again gave %d", r.StatusCode)
	}
}
