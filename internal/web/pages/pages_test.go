package pages_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"jauge.dev/jauge"
	"jauge.dev/jauge/internal/web/pages"
	"jauge.dev/jauge/internal/web/pages/pagestest"
)

const password = "correct horse battery staple"

// cheap is the hash of password at the least price.
var cheap = jauge.Secret("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$")

func key() []byte { return []byte(strings.Repeat("k", 32)) }

func open() pages.Config {
	return pages.Config{Listen: "127.0.0.1:8080", SessionKey: key(), Open: true}
}

func public() *url.URL { return &url.URL{Scheme: "https", Host: "jauge.example"} }

func proxies() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }

func server(t *testing.T, cfg pages.Config, b pages.Backend, d pages.Deps) *pages.Server {
	t.Helper()
	s, err := pages.New(cfg, b, d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryPageIsShown(t *testing.T) {
	f := pagestest.New().Set(pagestest.Accounts(), pagestest.Warnings()).Offer("G", pagestest.Choice())
	s := server(t, open(), f, pages.Deps{Version: "v1"})
	for _, path := range []string{"/", "/accounts", "/accounts?show=attention", "/accounts/remove?account=x/44", "/connect", "/connect/bluesky", "/connect/tiktok", "/grants/G/choose", "/grants/G/done"} {
		for _, lang := range []string{"en", "fr"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080"+path, nil)
			r.Header.Set("Accept-Language", lang)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `<html lang="`+lang+`"`) {
				t.Errorf("%s in %s gave %d:\n%s", path, lang, w.Code, w.Body)
			}
		}
	}
}
