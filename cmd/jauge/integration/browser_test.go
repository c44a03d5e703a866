//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// tab is a tab of a real browser (Chromium without a window). What it shows is kept as pictures.
type tab struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // chromedp's handle of the tab
	dir  string          // where pictures go
	name string          // what their names begin with
	n    int
}

// artifacts is the directory for what a human may want to look at after the tests.
func artifacts(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("JAUGE_TEST_ARTIFACTS")
	if dir == "" {
		d, err := os.MkdirTemp("", "jauge-screenshots-")
		if err != nil {
			t.Fatal(err)
		}
		dir = d
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Logf("pictures: %s", dir)
	return dir
}

// browse starts a browser of its own, with no cookies, in a language. It reaches this machine alone, by the names of
// hosts that are given and as localhost.
func browse(t *testing.T, name, language string, hosts ...string) *tab {
	t.Helper()
	rules := "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
	for _, h := range hosts {
		rules = "MAP " + h + " 127.0.0.1, " + rules
	}
	profile, err := os.MkdirTemp("", "jauge-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 900),
		chromedp.IgnoreCertErrors, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", language), chromedp.Flag("accept-lang", language), chromedp.Flag("host-resolver-rules", rules),
		chromedp.Flag("no-proxy-server", true),
	)
	parent, stopParent := chromedp.NewExecAllocator(context.Background(), options...)
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
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium (make testbed installs it): %v", err)
	}
	return &tab{t: t, ctx: ctx, dir: artifacts(t), name: name}
}

const stepLimit = 30 * time.Second

// do does steps that have to succeed.
func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepLimit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.shot("FAILED " + what)
		b.t.Fatalf("%s: %v\nat %s the browser shows: %s", what, err, b.where(), tail(b.text(), 1500))
	}
}

func (b *tab) open(address string) { b.t.Helper(); b.do("open "+address, chromedp.Navigate(address)) }

// click clicks what a CSS selector finds first, as soon as it is visible.
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

// try evaluates without a failure of the test; the zero value where it does not work.
func try[T any](b *tab, a chromedp.Action[T]) T {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		var none T
		return none
	}
	return v
}

func (b *tab) where() string { return try(b, chromedp.Location()) }
func (b *tab) text() string {
	return try(b, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
}

// there tells whether the page has what a CSS selector means.
func (b *tab) there(selector string) bool {
	return try(b, chromedp.Evaluate[bool](fmt.Sprintf("document.querySelector(%q) !== null", selector)))
}

// arrive waits until the browser is at an address whose path is one of those that are given, and has loaded it.
func (b *tab) arrive(paths ...string) {
	b.t.Helper()
	poll(b.t, stepLimit, "the browser to be at "+strings.Join(paths, " or "), func() (bool, string) {
		at := b.where()
		u, err := url.Parse(at)
		if err != nil {
			return false, at
		}
		loaded := try(b, chromedp.Evaluate[string]("document.readyState")) == "complete"
		for _, p := range paths {
			if prefix, ok := strings.CutSuffix(p, "*"); loaded && (u.Path == p || ok && strings.HasPrefix(u.Path, prefix)) {
				return true, at
			}
		}
		return false, at + ": " + tail(b.text(), 800)
	})
}

// shot keeps a picture of the page.
func (b *tab) shot(what string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepLimit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Errorf("take a picture (%s): %v", what, err)
		return
	}
	b.n++
	name := fmt.Sprintf("%s-%02d-%s.png", b.name, b.n, strings.ReplaceAll(what, " ", "-"))
	if err := os.WriteFile(filepath.Join(b.dir, strings.ReplaceAll(name, "/", "_")), png, 0o644); err != nil {
		b.t.Error(err)
	}
}

// looks keeps pictures of the page as others see it: in the dark, and on a telephone.
func (b *tab) looks(what string) {
	b.t.Helper()
	b.shot(what)
	dark := func(value string) {
		params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, params); err != nil {
			b.t.Errorf("prefer %s colours: %v", value, err)
		}
		poll(b.t, stepLimit, "colours that have changed", func() (bool, string) {
			n := try(b, chromedp.Evaluate[int]("document.getAnimations().length"))
			return n == 0, fmt.Sprintf("%d are changing", n)
		})
	}
	dark("dark")
	b.shot(what + " dark")
	b.do("hold a telephone", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	b.shot(what + " dark phone")
	dark("light")
	b.shot(what + " phone")
	if wide := try(b, chromedp.Evaluate[int]("document.documentElement.scrollWidth")); wide > 390 {
		b.t.Errorf("%s is %d pixels wide on a telephone of 390: it must be scrolled sideways", what, wide)
	}
	b.do("put the telephone away", chromedp.EmulateViewport(1280, 900))
}

// consent goes through the authorization server's pages by hand.
func (b *tab) consent(i *issuer, user string) {
	b.t.Helper()
	b.arrive("/interaction/*")
	if b.there("input[name=login]") {
		b.shot("provider login")
		b.fill("input[name=login]", user)
		b.fill("input[name=password]", "password-of-"+user)
		b.click("button[type=submit]")
		poll(b.t, stepLimit, "the consent page of "+i.Issuer, func() (bool, string) {
			return !b.there("input[name=login]") && b.there(`input[name=prompt][value=consent]`), b.where() + " " + b.text()
		})
	}
	b.shot("provider consent")
	b.click("button[type=submit]")
}

// front is a TLS proxy before a daemon, as an operator would put one there, with a certificate of its own making.
func front(t *testing.T, daemon string) (port int) {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: daemon}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(proxy.ServeHTTP))
	server.StartTLS()
	t.Cleanup(server.Close)
	addr, ok := server.Listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("the proxy listens on %v", server.Listener.Addr())
	}
	return addr.Port
}
