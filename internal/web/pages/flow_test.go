package pages_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/internal/web/pages"
	"jauge.dev/jauge/internal/web/pages/pagestest"
)

const local = "http://127.0.0.1:8080"

// begin starts an authorization and returns the provider's address, as the page before it names it.
func (v *visitor) begin(platform, input string) *url.URL {
	v.t.Helper()
	f := v.form("/connect/"+platform, "/connect/"+platform)
	f.Set("input", input)
	r := v.post("/connect/"+platform, f)
	to := r.Header.Get("Location")
	if r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/connect/"+platform+"/go?") {
		v.t.Fatalf("the form gave %d to %q: %s", r.StatusCode, to, text(parse(v.t, r)))
	}
	return v.leave(to)
}

func (v *visitor) leave(path string) *url.URL {
	v.t.Helper()
	r := v.get(path)
	address, ok := strings.CutPrefix(r.Header.Get("Refresh"), "0; url=")
	linked := false
	for n := range parse(v.t, r).Descendants() {
		linked = linked || attr(n, "id") == "go" && attr(n, "href") == address
	}
	u, err := url.Parse(address)
	if !ok || !linked || err != nil {
		v.t.Fatalf("the way out gave %d %q (linked: %t)", r.StatusCode, r.Header.Get("Refresh"), linked)
	}
	return u
}

func TestConnect(t *testing.T) {
	f := pagestest.New()
	v := visit(t, server(t, open(), f, pages.Deps{}), local)
	u := v.begin("x", "")
	if u.Host != "provider.example" || u.Query().Get("state") == "" {
		t.Fatalf("the browser is sent to %s", u)
	}
	// Back from the provider the browser sends what is Lax alone, and then goes on by a step of ours.
	v.header.Set("Sec-Fetch-Site", "cross-site")
	back := "/oauth/callback?" + url.Values{"state": {u.Query().Get("state")}, "code": {"good"}}.Encode()
	r := v.get(back)
	clear(v.header)
	const choose = "/grants/01JX/choose"
	if r.StatusCode != http.StatusOK || r.Header.Get("Refresh") != "0; url="+choose {
		t.Fatalf("the callback gave %d %q", r.StatusCode, r.Header.Get("Refresh"))
	}
	if root := parse(t, v.get(back)); kind(root) != "unknown_state" {
		t.Errorf("the same callback again gave %q", text(root))
	}
	form := v.form(choose, choose)
	for wrong, change := range map[string]func(url.Values){
		"at least one": func(f url.Values) { f.Del("subject"); f.Set("brand", "acme") },
		"name of at": func(f url.Values) {
			f["subject"] = []string{"facebook/101"}
			f.Set("brand", "")
			f.Set("new_brand", " ")
		},
	} {
		with := url.Values{"csrf": form["csrf"]}
		change(with)
		if r := v.post(choose, with); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text(parse(t, r)), wrong) {
			t.Errorf("a form to be refused (%s) gave %d", wrong, r.StatusCode)
		}
	}
	if f.Calls["Follow"] != 0 {
		t.Error("a refused form was followed")
	}
	form["subject"] = []string{"facebook/101", "instagram/102", "facebook/not-mine"}
	form.Set("new_brand", "Acmé & sœurs")
	if r := v.post(choose, form); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/grants/01JX/done" {
		t.Fatalf("the choice gave %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
	if done := text(parse(t, v.get("/grants/01JX/done"))); !strings.Contains(done, "2 accounts are followed") || !strings.Contains(done, "Acme Industries") {
		t.Errorf("done: %q", done)
	}
	list := text(parse(t, v.get("/")))
	if !strings.Contains(list, "Acmé & sœurs") || !strings.Contains(list, "2 accounts are followed") || strings.Contains(list, "not-mine") {
		t.Errorf("the list: %q", list)
	}
	form = v.form(choose, choose)
	form.Set("all", "1")
	form.Set("brand", "acme")
	if r := v.post(choose, form); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("everything gave %d", r.StatusCode)
	}
	if list := text(parse(t, v.get("/"))); !strings.Contains(list, "4 accounts") {
		t.Errorf("the list: %q", list)
	}
}

// TestWayOut: the page that leads out takes what it made itself, for this browser, within its time.
func TestWayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := server(t, open(), pagestest.New(), pages.Deps{})
		v, other := visit(t, site, local), visit(t, site, local)
		r := v.post("/connect/x", v.form("/connect/x", "/connect/x"))
		to := r.Header.Get("Location")
		v.leave(to)
		v.leave(to) // once more, by the back button
		other.begin("x", "")
		for name, try := range map[string]struct {
			v    *visitor
			path string
		}{
			"another browser": {other, to}, "no browser": {visit(t, site, local), to}, "changed": {v, flip(to)}, "nothing": {v, "/connect/x/go"},
			"an address": {v, "/connect/x/go?to=https://evil.example"}, "a cookie": {v, "/connect/x/go?to=" + url.QueryEscape(v.cookies["jauge-connect-8080"].Value)},
		} {
			if r := try.v.get(try.path); r.Header.Get("Refresh") != "" || kind(parse(t, r)) != "expired_state" {
				t.Errorf("%s: %d %q", name, r.StatusCode, r.Header.Get("Refresh"))
			}
		}
		time.Sleep(2 * time.Hour)
		if r := v.get(to); r.Header.Get("Refresh") != "" {
			t.Error("the way out is open for ever")
		}
	})
}

// TestBadAddresses: what the backend says is no address of the web leads nowhere, and splits no header.
func TestBadAddresses(t *testing.T) {
	for _, address := range []string{"javascript:alert(1)", "//evil.example", "https://", "https://a b", "https://x/\r\nSet-Cookie: a=b", "https://x/'", "https://user@x/", "data:text/html,x"} {
		f := pagestest.New()
		f.Authorize = address
		v := visit(t, server(t, open(), f, pages.Deps{}), local)
		if r := v.post("/connect/x", v.form("/connect/x", "/connect/x")); kind(parse(t, r)) != "provider" {
			t.Errorf("%q gave %d to %q", address, r.StatusCode, r.Header.Get("Location"))
		}
	}
}

func TestCallbackFailures(t *testing.T) {
	f := pagestest.New()
	site := server(t, open(), f, pages.Deps{})
	state := func(v *visitor) string { return v.begin("x", "").Query().Get("state") }
	for name, try := range map[string]struct {
		query func(v *visitor) string
		kind  string
		again string
	}{
		"nothing":   {func(*visitor) string { return "" }, "unknown_state", "/connect"},
		"no cookie": {func(*visitor) string { return "state=a&code=good" }, "other_browser", "/connect"},
		"foreign state": {func(v *visitor) string {
			v.begin("x", "")
			return "state=" + state(visit(t, site, local)) + "&code=good"
		}, "other_browser", "/connect/x"},
		"unknown state":  {func(v *visitor) string { v.begin("x", ""); return "state=a&code=good" }, "unknown_state", "/connect"},
		"denied":         {func(v *visitor) string { return "error=access_denied&state=" + state(v) }, "denied", "/connect/x"},
		"expired code":   {func(v *visitor) string { return "code=old&state=" + state(v) }, "bad_code", "/connect/x"},
		"two codes":      {func(v *visitor) string { return "code=good&code=old&state=" + state(v) }, "unknown_state", "/connect"},
		"two states":     {func(v *visitor) string { return "code=good&state=a&state=" + state(v) }, "unknown_state", "/connect"},
		"bad escapes":    {func(v *visitor) string { return "code=%zz&state=" + state(v) }, "unknown_state", "/connect"},
		"many":           {func(v *visitor) string { return strings.Repeat("x&", 1) + manyParameters() + "&state=" + state(v) }, "unknown_state", "/connect"},
		"far too long":   {func(v *visitor) string { return "code=good&state=" + state(v) + strings.Repeat("x", 9<<10) }, "no_page", ""},
		"somebody's own": {func(v *visitor) string { v.begin("x", ""); return "state=<script>alert(1)</script>&code=\"><img>" }, "unknown_state", "/connect"},
	} {
		v := visit(t, site, local)
		r := v.get("/oauth/callback?" + strings.ReplaceAll(strings.ReplaceAll(try.query(v), "<", "%3C"), "\"", "%22"))
		root := parse(t, r)
		again := ""
		for n := range root.Descendants() {
			if n.Data == "a" && attr(n, "role") == "button" && strings.HasPrefix(attr(n, "href"), "/connect") {
				again = attr(n, "href")
			}
		}
		if kind(root) != try.kind || again != try.again || r.StatusCode < 400 {
			t.Errorf("%s: %d %s, again at %q; want %s and %q", name, r.StatusCode, kind(root), again, try.kind, try.again)
		}
	}
}

func manyParameters() string {
	var b strings.Builder
	for i := range 40 {
		b.WriteString("p" + string(rune('a'+i%26)) + strings.Repeat("x", i) + "=1&")
	}
	return strings.TrimSuffix(b.String(), "&")
}

// TestInput: what was typed wrongly comes back in its field, with what is wrong.
func TestInput(t *testing.T) {
	f := pagestest.New()
	v := visit(t, server(t, open(), f, pages.Deps{}), local)
	for typed, want := range map[string]string{"": "no server", "two words": "no server", "<script>": "no server", "nowhere.example": "leads nowhere"} {
		form := v.form("/connect/mastodon", "/connect/mastodon")
		form.Set("input", typed)
		r := v.post("/connect/mastodon", form)
		root := parse(t, r)
		if r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text(root), want) {
			t.Errorf("%q gave %d: %s", typed, r.StatusCode, text(root))
		}
		for n := range root.Descendants() {
			if attr(n, "id") == "input" && (attr(n, "value") != typed || attr(n, "aria-invalid") != "true") {
				t.Errorf("%q came back as %q", typed, attr(n, "value"))
			}
		}
	}
	if again := v.form("/connect/mastodon", "/connect/mastodon"); again.Get("input") != "" {
		t.Errorf("a new form holds %q", again.Get("input"))
	}
}

// TestAgain: connecting again asks for nothing that the account tells.
func TestAgain(t *testing.T) {
	v := visit(t, server(t, open(), backend(), pages.Deps{}), local)
	if f := v.form("/connect/mastodon?account=mastodon/1@mastodon.example", "/connect/mastodon"); f.Get("input") != "mastodon.example" {
		t.Errorf("the server is %q", f.Get("input"))
	}
	if f := v.form("/connect/bluesky?account=bluesky/did:plc:acme", "/connect/bluesky"); f.Get("input") != "acme.example" {
		t.Errorf("the handle is %q", f.Get("input"))
	}
	if r := v.get("/connect/x?account=x/none"); r.StatusCode != http.StatusNotFound {
		t.Errorf("an account that is not there gave %d", r.StatusCode)
	}
}

// TestOneNameOfLoopback: cookies of localhost are not sent to 127.0.0.1, where the callback comes; so it begins there.
func TestOneNameOfLoopback(t *testing.T) {
	v := visit(t, server(t, open(), backend(), pages.Deps{}), "http://localhost:8080")
	if r := v.get("/connect/x?account=x/44"); r.Header.Get("Location") != "http://127.0.0.1:8080/connect/x?account=x/44" {
		t.Errorf("begun at localhost: %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
}

func TestUnsetPlatform(t *testing.T) {
	f := pagestest.New()
	v := visit(t, server(t, open(), f, pages.Deps{}), local)
	page := text(parse(t, v.get("/connect/pinterest")))
	for _, want := range []string{"JAUGE_PINTEREST_CLIENT_ID", "JAUGE_PINTEREST_CLIENT_SECRET", "http://127.0.0.1:8080/oauth/callback"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not name %s", want)
		}
	}
	r := v.post("/connect/pinterest", url.Values{"csrf": v.form("/connect/x", "/connect/x")["csrf"]})
	if kind(parse(t, r)) != "not_configured" || f.Calls["Begin"] != 0 {
		t.Errorf("a platform that is not set up gave %d", r.StatusCode)
	}
}

func TestPauseAndRemove(t *testing.T) {
	f := backend()
	v := visit(t, server(t, open(), f, pages.Deps{}), local)
	form := v.form("/accounts?show=working", "/accounts/pause")
	if r := v.post("/accounts/pause", form); r.Header.Get("Location") != "/accounts?page=1&show=working" {
		t.Errorf("pausing leads to %q", r.Header.Get("Location"))
	}
	all, _ := f.Accounts(t.Context())
	if i := slices.IndexFunc(all, func(a pages.Account) bool { return a.Key == form.Get("account") }); i < 0 || !all[i].Paused {
		t.Errorf("%s is not paused", form.Get("account"))
	}
	form.Set("paused", "false")
	form.Set("back", "//evil.example")
	if r := v.post("/accounts/pause", form); r.Header.Get("Location") != "/accounts" {
		t.Errorf("going on leads to %q", r.Header.Get("Location"))
	}
	if page := text(parse(t, v.get("/accounts/remove?account=x/44"))); !strings.Contains(page, "last account of this login") {
		t.Errorf("the question: %q", page)
	}
	if page := text(parse(t, v.get("/accounts/remove?account=facebook/88"))); !strings.Contains(page, "same login") {
		t.Errorf("the question: %q", page)
	}
	if r := v.post("/accounts/remove", v.form("/accounts/remove?account=x/44", "/accounts/remove")); r.Header.Get("Location") != "/accounts" || f.Calls["Remove"] != 1 {
		t.Errorf("removing gave %d", r.StatusCode)
	}
	for key, want := range map[string]string{"x/44": pages.ProblemNotFound, "bluesky/did:plc:acme": pages.ProblemFromConfig} {
		if got := kind(parse(t, v.get("/accounts/remove?account="+key))); got != want {
			t.Errorf("asking to remove %s gave %s", key, got)
		}
		form.Set("account", key)
		if got := kind(parse(t, v.post("/accounts/remove", form))); got != want {
			t.Errorf("removing %s gave %s", key, got)
		}
	}
}

// TestInternalErrors: their text is for the log alone.
func TestInternalErrors(t *testing.T) {
	var logged strings.Builder
	f := backend()
	f.Fail["Accounts"] = errors.New("sqlite: no such table: tokens")
	f.Fail["Begin"] = &pages.Problem{Kind: "a kind of tomorrow", Err: errors.New("deep inside")}
	v := visit(t, server(t, open(), f, pages.Deps{Log: slog.New(slog.NewTextHandler(&logged, nil))}), local)
	r := v.get("/accounts")
	if page := text(parse(t, r)); r.StatusCode != http.StatusInternalServerError || strings.Contains(page, "sqlite") {
		t.Errorf("an error within gave %d %q", r.StatusCode, page)
	}
	if r := v.post("/connect/x", v.form("/connect/x", "/connect/x")); r.StatusCode != http.StatusInternalServerError {
		t.Errorf("an unknown kind gave %d", r.StatusCode)
	}
	if !strings.Contains(logged.String(), "no such table") || !strings.Contains(logged.String(), "deep inside") {
		t.Errorf("the log lacks the reason: %s", &logged)
	}
}

// TestLogHoldsNoCode: a callback's parameters reach no log.
func TestLogHoldsNoCode(t *testing.T) {
	var logged strings.Builder
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v := visit(t, server(t, open(), pagestest.New(), pages.Deps{Log: log}), local)
	v.begin("x", "")
	v.get("/oauth/callback?state=state-secret&code=code-secret")
	v.get("/oauth/callback?state=state-secret&state=code-secret&code=%zz")
	if s := logged.String(); !strings.Contains(s, "/oauth/callback") || strings.Contains(s, "secret") || strings.Contains(s, "state-x") {
		t.Errorf("the log:\n%s", s)
	}
}

func TestManyAccounts(t *testing.T) {
	var all []pages.Account
	for i := range 120 {
		all = append(all, pages.Account{Key: "x/" + strings.Repeat("i", i+1), Brand: "b", Title: "X", Platform: "x", Handle: "@" + strings.Repeat("i", i+1), State: "ok"})
	}
	v := visit(t, server(t, open(), pagestest.New().Set(all, nil), pages.Deps{}), local)
	seen := map[string]bool{}
	path, turns := "/accounts", 0
	for ; path != "" && turns < 10; turns++ {
		next := ""
		for n := range parse(t, v.get(path)).Descendants() {
			if n.Data == "input" && attr(n, "name") == "account" {
				seen[attr(n, "value")] = true
			}
			if n.Data == "a" && attr(n, "rel") == "next" {
				next = attr(n, "href")
			}
		}
		path = next
	}
	if turns != 3 || len(seen) != 120 {
		t.Errorf("%d accounts on %d pages", len(seen), turns)
	}
	for _, odd := range []string{"?page=0", "?page=-1", "?page=99999999999999999999", "?page=7", "?show=x&q=%00%ff"} {
		if r := v.get("/accounts" + odd); r.StatusCode != http.StatusOK {
			t.Errorf("%s gave %d", odd, r.StatusCode)
		}
	}
}
