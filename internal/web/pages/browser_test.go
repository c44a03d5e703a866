//go:build integration

package pages_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"

	"jauge.dev/jauge"
	"jauge.dev/jauge/internal/web/pages"
	"jauge.dev/jauge/internal/web/pages/pagestest"
)

const patience = 30 * time.Second

// tab is a tab of a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp's handle of the tab
	dir string

	mu       sync.Mutex
	violated []string // what broke the policy, in the console's words
}

// browse starts Chromium in a language. The names jauge.test and provider.test are this machine, and nothing else can
// be reached.
func browse(t *testing.T, language string) *tab {
	t.Helper()
	dir := os.Getenv("JAUGE_TEST_ARTIFACTS")
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "jauge-chromium-") // not t.TempDir: the browser still writes while it ends
	if err != nil {
		t.Fatal(err)
	}
	parent, stopParent := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 900),
		chromedp.IgnoreCertErrors, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", language), chromedp.Flag("accept-lang", language), chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP jauge.test 127.0.0.1, MAP provider.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))...)
	ctx, stop := chromedp.NewContext(parent)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("close the browser: %v", err)
		}
		stop()
		stopParent()
		if err := os.RemoveAll(profile); err != nil {
			t.Logf("remove the browser's profile: %v", err)
		}
	})
	b := &tab{t: t, ctx: ctx, dir: dir}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium (apt-get install chromium): %v", err)
	}
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tab) heard(ev any) {
	e, ok := ev.(*log.EventEntryAdded)
	if ok && strings.Contains(e.Entry.Text, "Content Security Policy") {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.violated = append(b.violated, e.Entry.Text)
	}
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\nat %s:\n%s", what, err, b.where(), b.text())
	}
}

func ask[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Logf("ask the browser: %v", err)
	}
	return v
}

func (b *tab) where() string { b.t.Helper(); return ask(b, chromedp.Location()) }

func (b *tab) text() string {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
}

func (b *tab) open(address string) { b.t.Helper(); b.do("open "+address, chromedp.Navigate(address)) }

func (b *tab) click(selector string) {
	b.t.Helper()
	s := chromedp.CSS(selector)
	b.do("click "+selector, chromedp.WaitVisible(s), chromedp.Click(s))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	s := chromedp.CSS(selector)
	b.do("fill in "+selector, chromedp.WaitVisible(s), chromedp.Clear(s), chromedp.SendKeys(s, text))
}

// arrive waits for a page that has something.
func (b *tab) arrive(path, selector string) {
	b.t.Helper()
	b.do("wait for "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
	if u, err := url.Parse(b.where()); err != nil || u.Path != path {
		b.t.Fatalf("the browser is at %s, want %s (%v)\n%s", b.where(), path, err, b.text())
	}
}

func (b *tab) shot(name string) {
	b.t.Helper()
	png := ask(b, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(b.dir, "pages-"+name+".png"), png, 0o644); err != nil {
		b.t.Error(err)
	}
}

func (b *tab) colours(scheme string) {
	b.t.Helper()
	p := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}, // no colour half-way to another
	}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, p); err != nil {
		b.t.Fatalf("prefer %s colours: %v", scheme, err)
	}
}

// provider is an authorization server whose page of consent is a form, on another site.
func provider(t *testing.T, callback string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<title>Consent</title><form method="post" action="/consent"><input type="hidden" name="state" value="%s">
<button id="yes" name="answer" value="yes">yes</button><button id="no" name="answer" value="no">no</button></form>`, html.EscapeString(r.FormValue("state")))
	})
	mux.HandleFunc("POST /consent", func(w http.ResponseWriter, r *http.Request) {
		q := url.Values{"state": {r.FormValue("state")}, "code": {"good"}}
		if r.FormValue("answer") == "no" {
			q = url.Values{"state": {r.FormValue("state")}, "error": {"access_denied"}}
		}
		http.Redirect(w, r, callback+"?"+q.Encode(), http.StatusFound)
	})
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s
}

// secureSite serves pages over TLS as https://jauge.test, with a password.
func secureSite(t *testing.T, f *pagestest.Fake) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	home := &url.URL{Scheme: "https", Host: "jauge.test:" + port}
	hash, err := pages.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	h := server(t, pages.Config{Public: home, Listen: "0.0.0.0:" + port, AdminHash: jauge.Secret(hash), SessionKey: key()}, f, pages.Deps{Version: "v0.4.0"})
	srv := httptest.NewUnstartedServer(h)
	if err := srv.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	srv.Listener = l
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return home.String()
}

// TestConnectInARealBrowser goes the whole way over https, with a login, and a provider on another site: what only a
// browser shows is whether cookies and the policy let it through.
func TestConnectInARealBrowser(t *testing.T) {
	f := pagestest.New()
	home := secureSite(t, f)
	p := provider(t, home+"/oauth/callback")
	f.Authorize = strings.Replace(p.URL, "127.0.0.1", "provider.test", 1) + "/authorize"
	b := browse(t, "en")

	b.open(home + "/connect")
	b.arrive("/login", "#password")
	b.fill("#password", "wrong")
	b.click("button.wide")
	b.arrive("/login", "#wrong")
	b.shot("walk-1-wrong-password")
	b.fill("#password", password)
	b.click("button.wide")
	b.arrive("/connect", ".tiles")
	b.click(`a[href="/connect/mastodon"]`)
	b.arrive("/connect/mastodon", "#input")
	b.fill("#input", "nowhere.example")
	b.click("button.wide")
	b.arrive("/connect/mastodon", "#input[aria-invalid]")
	b.shot("walk-2-nowhere")
	b.fill("#input", "mastodon.example")
	b.click("button.wide")
	b.arrive("/authorize", "#no")
	if u, err := url.Parse(b.where()); err != nil || u.Hostname() != "provider.test" {
		t.Fatalf("the browser is at %s, want the provider (%v)", b.where(), err)
	}
	b.click("#no")
	b.arrive("/oauth/callback", "h1")
	if !strings.Contains(b.text(), "Consent was refused") {
		t.Errorf("a refused consent shows:\n%s", b.text())
	}
	b.shot("walk-3-denied")
	b.click(`.choices a[href="/connect/mastodon"]`)
	b.fill("#input", "mastodon.example")
	b.click("button.wide")
	b.click("#yes")
	b.arrive("/grants/01JMASTODON/choose", ".pick")
	b.click("button[name=all]")
	b.arrive("/grants/01JMASTODON/done", ".plainlist")
	b.shot("walk-4-done")
	b.click(`a[href="/accounts"][role=button]`)
	b.arrive("/accounts", ".accounts")
	if n := ask(b, chromedp.Evaluate[int]("document.querySelectorAll('.account').length")); n != 4 {
		t.Errorf("%d accounts are listed, want 4", n)
	}

	// A link on another site leads in, although the session's cookie is kept back from it at first.
	link := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<a id="link" href="%s/accounts?show=paused">accounts</a>`, home)
	}))
	t.Cleanup(link.Close)
	b.open(strings.Replace(link.URL, "127.0.0.1", "provider.test", 1))
	b.click("#link")
	b.arrive("/accounts", ".filters")

	// The browser shows the pages, and no others can use them by a form.
	b.click(`form[action="/logout"] button`)
	b.arrive("/login", "#password")
	b.open(home + "/accounts")
	b.arrive("/login", "#password")
	if len(b.violated) > 0 {
		t.Errorf("the policy was broken: %q", b.violated)
	}
}

// TestPagesLook keeps pictures of every page, and holds what can be measured: nothing is wider than the screen, and no
// text is fainter than WCAG AA allows.
func TestPagesLook(t *testing.T) {
	for _, language := range []string{"en", "fr"} {
		t.Run(language, func(t *testing.T) {
			full := pagestest.New().Set(pagestest.Accounts(), pagestest.Warnings()).Offer("G", pagestest.Choice()).Offer("N", pages.Choice{Platform: "facebook", Title: "Facebook", Holder: "Camille Martin"})
			site := func(f *pagestest.Fake) string {
				srv := httptest.NewUnstartedServer(nil)
				cfg := open()
				cfg.Listen = srv.Listener.Addr().String()
				srv.Config.Handler = server(t, cfg, f, pages.Deps{Version: "v0.4.0"})
				srv.Start()
				t.Cleanup(srv.Close)
				return srv.URL
			}
			home, empty, guarded := site(full), site(pagestest.New()), secureSite(t, full)
			b := browse(t, language)
			for name, address := range map[string]string{
				"accounts": home + "/accounts", "empty": empty + "/", "gallery": home + "/connect", "connect": home + "/connect/mastodon", "again": home + "/connect/x?account=x/44",
				"scopes": home + "/connect/facebook", "setup": home + "/connect/tiktok", "choose": home + "/grants/G/choose", "choose-none": home + "/grants/N/choose", "done": home + "/grants/G/done",
				"remove": home + "/accounts/remove?account=x/44", "trouble": home + "/oauth/callback?state=x&code=y", "not-found": home + "/nowhere", "login": guarded + "/login",
			} {
				b.open(address)
				for _, scheme := range []string{"light", "dark"} {
					b.colours(scheme)
					for width, height := range map[int]int{1280: 900, 390: 844} {
						view := []chromedp.EmulateViewportOption{}
						if width < 500 {
							view = append(view, chromedp.EmulateMobile)
						}
						b.do("hold another screen", chromedp.EmulateViewport(int64(width), int64(height), view...))
						where := fmt.Sprintf("%s-%s-%s-%d", language, name, scheme, width)
						b.shot(where)
						if wide := ask(b, chromedp.Evaluate[int]("document.documentElement.scrollWidth")); wide > width {
							t.Errorf("%s is %d pixels wide", where, wide)
						}
						if faint := ask(b, chromedp.Evaluate[string](faintText)); faint != "" {
							t.Errorf("%s has text that is hard to read:\n%s", where, faint)
						}
					}
				}
			}
			if len(b.violated) > 0 {
				t.Errorf("the policy was broken: %q", b.violated)
			}
		})
	}
}

// faintText finds texts whose contrast with the colour behind them is below 4.5:1 (3:1 where they are large).
const faintText = `(() => {
  const rgba = s => { const m = s.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m };
  const light = c => { const f = c.slice(0, 3).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2] };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c } return [255, 255, 255, 1] };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walk.nextNode();) {
    const e = n.parentElement;
    if (!n.data.trim() || !e.checkVisibility() || e.closest('.skip')) continue;
    const s = getComputedStyle(e), a = light(rgba(s.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(s.fontSize);
    const least = size >= 24 || size >= 18.66 && s.fontWeight >= 700 ? 3 : 4.5;
    if (ratio < least) bad.push(ratio.toFixed(2) + ' ' + e.tagName + '.' + e.className + ' ' + n.data.trim().slice(0, 40));
  }
  return bad.join('\n');
})()`
