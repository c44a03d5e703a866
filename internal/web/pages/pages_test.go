package pages_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"jauge.dev/jauge"
	"jauge.dev/jauge/internal/web/pages"
	"jauge.dev/jauge/internal/web/pages/pagestest"
)

const password = "correct horse battery staple"

// cheap is the hash of password at the least price.
var cheap = jauge.Secret("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$TUhCoV6YH8thtZpQqRp0JvQQ5ZYgiLA0LYApKDG6qtM")

func key() []byte { return []byte(strings.Repeat("k", 32)) }

func open() pages.Config {
	return pages.Config{Listen: "127.0.0.1:8080", SessionKey: key(), Open: true}
}

func public() *url.URL { return &url.URL{Scheme: "https", Host: "jauge.example"} }

func secret(s string) jauge.Secret { return jauge.Secret(s) }

func proxies() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }

func server(t *testing.T, cfg pages.Config, b pages.Backend, d pages.Deps) *pages.Server {
	t.Helper()
	s, err := pages.New(cfg, b, d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// everyPage are the addresses of the pages that show was made for.
var everyPage = []string{
	"/", "/accounts", "/accounts?show=attention", "/accounts?q=nothing", "/accounts/remove?account=x/44", "/connect", "/connect/bluesky",
	"/connect/mastodon?account=mastodon/1@mastodon.example", "/connect/tiktok", "/grants/G/choose", "/grants/N/choose", "/grants/G/done",
}

func backend() *pagestest.Fake {
	return pagestest.New().Set(pagestest.Accounts(), pagestest.Warnings()).Offer("G", pagestest.Choice()).Offer("N", pages.Choice{Platform: "x", Title: "X"})
}

var unfilled = regexp.MustCompile(`\{[a-z]+\}`)

// TestEveryPage holds what every page owes its readers: a language, one heading, a title, labels, no text that was
// forgotten, no script and no style of its own.
func TestEveryPage(t *testing.T) {
	v := visit(t, server(t, open(), backend(), pages.Deps{Version: "v1"}), "http://127.0.0.1:8080")
	for _, lang := range []string{"en", "fr"} {
		v.header.Set("Accept-Language", lang+"-CA,"+lang+";q=0.9,de;q=0.5")
		for _, path := range append(slices.Clone(everyPage), "/oauth/callback?code=x&state=y", "/nowhere", "/connect/nowhere") {
			resp := v.get(path)
			root := parse(t, resp)
			if strings.HasPrefix(path, "/oauth") || strings.HasSuffix(path, "nowhere") {
				if kind(root) == "" || resp.StatusCode < 400 {
					t.Errorf("%s gave %d and no problem", path, resp.StatusCode)
				}
			} else if resp.StatusCode != http.StatusOK {
				t.Errorf("%s gave %d", path, resp.StatusCode)
			}
			if got := resp.Header.Get("Content-Language"); got != lang {
				t.Errorf("%s is in %q, want %q", path, got, lang)
			}
			checkPage(t, lang+" "+path, root)
		}
	}
}

func checkPage(t *testing.T, name string, root *html.Node) {
	t.Helper()
	count, ids, labelled := map[string]int{}, map[string]bool{}, map[string]bool{}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			count[n.Data]++
			ids[attr(n, "id")] = true
			if n.Data == "label" {
				labelled[attr(n, "for")] = true
			}
			if n.Data == "form" && attr(n, "method") == "post" && !strings.Contains(render(t, n), `name="csrf"`) {
				t.Errorf("%s: the form to %s has no token", name, attr(n, "action"))
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Val, "javascript:") {
					t.Errorf("%s: <%s %s=%q> breaks the policy", name, n.Data, a.Key, a.Val)
				}
			}
		}
	}
	for n := range root.Descendants() {
		if n.Data == "input" && attr(n, "type") != "hidden" && !has(n, "hidden") && !labelled[attr(n, "id")] && attr(n, "aria-label") == "" {
			t.Errorf("%s: the field %s has no label", name, attr(n, "name"))
		}
		if by := attr(n, "aria-describedby"); by != "" && !ids[by] {
			t.Errorf("%s: nothing is called %s", name, by)
		}
		if n.Data == "img" && !has(n, "alt") {
			t.Errorf("%s: a picture has no alt", name)
		}
	}
	if count["h1"] != 1 || count["main"] != 1 || count["title"] != 1 || count["script"]+count["style"] > 0 {
		t.Errorf("%s: %v", name, count)
	}
	if m := unfilled.FindString(text(root)); m != "" {
		t.Errorf("%s: %s was not filled in", name, m)
	}
	if m := regexp.MustCompile(`\b(accounts|connect|choose|problem|state|cause|near|gallery|login|setup)\.[a-z_]+\b`).FindString(text(root)); m != "" {
		t.Errorf("%s: there is no text for %s", name, m)
	}
}

func render(t *testing.T, n *html.Node) string {
	t.Helper()
	var b strings.Builder
	if err := html.Render(&b, n); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHeaders: every answer is held to the policy, pages are kept by nobody, assets for ever.
func TestHeaders(t *testing.T) {
	v := visit(t, server(t, open(), backend(), pages.Deps{}), "http://127.0.0.1:8080")
	var style string
	for _, path := range append(slices.Clone(everyPage), "/nowhere", "/oauth/callback", "/assets/x/y.css", "/login", "http://evil.example/") {
		resp := v.get(path)
		csp := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !slices.Contains(strings.Split(csp, "; "), want) {
				t.Errorf("%s: the policy %q lacks %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: the policy is %q", path, csp)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if p := resp.Header.Get("Referrer-Policy"); p != "same-origin" && p != "no-referrer" || strings.HasPrefix(path, "/oauth/") && p != "no-referrer" {
			t.Errorf("%s: Referrer-Policy is %q", path, p)
		}
		for n := range parse(t, resp).Descendants() {
			if n.Data == "link" && attr(n, "rel") == "stylesheet" {
				style = attr(n, "href")
			}
		}
	}
	resp := v.get(style)
	if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") || resp.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%s gave %d %v", style, resp.StatusCode, resp.Header)
	}
	v.header.Set("Accept-Encoding", "gzip")
	if resp := v.get(style); resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%s is not compressed: %v", style, resp.Header)
	}
}

// TestPicturesFromElsewhere: an avatar is shown where it is https alone, and its server learns nothing of us.
func TestPicturesFromElsewhere(t *testing.T) {
	a := pagestest.Accounts()[:3]
	a[0].Avatar, a[1].Avatar, a[2].Avatar = "https://cdn.example/a.jpg", "http://cdn.example/b.jpg", "javascript:alert(1)"
	v := visit(t, server(t, open(), pagestest.New().Set(a, nil), pages.Deps{}), "http://127.0.0.1:8080")
	var shown []string
	resp := v.get("/accounts")
	for n := range parse(t, resp).Descendants() {
		if n.Data == "img" && !strings.HasPrefix(attr(n, "src"), "/assets/") {
			shown = append(shown, attr(n, "src"))
			if attr(n, "referrerpolicy") != "no-referrer" {
				t.Errorf("the picture %s tells where it is shown", attr(n, "src"))
			}
			if attr(n, "data-initials") == "" { // what is shown where it cannot be loaded
				t.Errorf("the picture %s has nothing to stand in for it", attr(n, "src"))
			}
		}
	}
	if len(shown) != 1 || shown[0] != "https://cdn.example/a.jpg" {
		t.Errorf("pictures from elsewhere: %q", shown)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "img-src 'self' data: https:") {
		t.Errorf("the policy is %q", csp)
	}
}
