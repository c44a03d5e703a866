package pages_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge/internal/web"
	"jauge.dev/jauge/internal/web/pages"
)

func health() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "jauge_secret_figure"}))
	return web.Health(r, []web.Part{{Name: "store", Check: func(context.Context) error { return errors.New("refused") }}})
}

func TestHealth(t *testing.T) {
	behind := open()
	behind.Public = public()
	proxied := guarded()
	proxied.AdminHash, proxied.ForwardHeader = "", "Remote-User"
	for name, try := range map[string]struct {
		cfg            pages.Config
		at             string
		user, password string
		metrics, ready int
		parts          bool
	}{
		"open on loopback":              {open(), local, "", "", 200, 503, true},
		"open, rebound":                 {open(), "http://evil.example:8080", "", "", 421, 503, false},
		"open, public, by address":      {behind, local, "", "", 200, 503, true},
		"open, public, by name":         {behind, home, "", "", 200, 503, true},
		"from elsewhere":                {guarded(), home, "", "", 401, 503, false},
		"from elsewhere, by address":    {guarded(), "http://10.1.2.3:8080", "", "", 302, 503, false},
		"password":                      {guarded(), home, "admin", password, 200, 503, true},
		"password, by address":          {guarded(), "http://10.1.2.3:8080", "admin", password, 200, 503, true},
		"password, localhost forwarded": {guarded(), "http://127.0.0.1:8080", "", "", 302, 503, false},
		"wrong password":                {guarded(), home, "admin", "wrong", 401, 503, false},
		"wrong user":                    {guarded(), home, "root", password, 401, 503, false},
		"no password, proxy":            {proxied, home, "admin", "", 401, 503, false},
	} {
		v := visit(t, server(t, try.cfg, backend(), pages.Deps{Health: health()}), try.at)
		if try.user != "" {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, try.at, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth(try.user, try.password)
			v.header = r.Header
		}
		r := v.get("/metrics")
		if body := all(t, r); r.StatusCode != try.metrics || strings.Contains(body, "jauge_secret_figure") != (try.metrics == 200) {
			t.Errorf("%s: /metrics gave %d, want %d", name, r.StatusCode, try.metrics)
		}
		r = v.get("/readyz")
		if body := all(t, r); r.StatusCode != try.ready || strings.Contains(body, "refused") != try.parts || !strings.Contains(body, "degraded") {
			t.Errorf("%s: /readyz gave %d %s", name, r.StatusCode, body)
		}
		if r := v.get("/healthz"); r.StatusCode != http.StatusOK {
			t.Errorf("%s: /healthz gave %d", name, r.StatusCode)
		}
	}
	v := visit(t, server(t, guarded(), backend(), pages.Deps{Health: health()}), home)
	v.login(password, "/")
	if r := v.get("/metrics"); r.StatusCode != http.StatusOK {
		t.Errorf("logged in, /metrics gave %d", r.StatusCode)
	}
	if r := visit(t, server(t, open(), backend(), pages.Deps{}), local).get("/metrics"); r.StatusCode != http.StatusNotFound {
		t.Errorf("where it is elsewhere, /metrics gave %d", r.StatusCode)
	}
}

func all(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestBasicIsLimited: guesses by HTTP Basic count like those at the login; the right password costs nothing, and is not
// recognised any more once a client has no tries left.
func TestBasicIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, server(t, guarded(), backend(), pages.Deps{Health: health()}), home)
		scrape := func(word string) int {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, home, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("admin", word)
			v.header = r.Header
			return v.get("/metrics").StatusCode
		}
		for range 50 {
			if got := scrape(password); got != http.StatusOK {
				t.Fatalf("a scrape gave %d", got)
			}
		}
		last := 0
		for i := range 6 {
			last = scrape("guess" + strconv.Itoa(i))
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("the sixth guess gave %d", last)
		}
		if got := scrape(password); got != http.StatusTooManyRequests {
			t.Errorf("the right one among too many guesses gave %d", got)
		}
	})
}

func TestPublicDocuments(t *testing.T) {
	d := pages.Deps{ClientMetadata: func() []byte { return []byte(`{"client_id":"x"}`) }}
	v := visit(t, server(t, guarded(), backend(), d), home)
	if r := v.get("/oauth/client-metadata.json"); r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/json" || all(t, r) != `{"client_id":"x"}` {
		t.Errorf("the metadata gave %d", r.StatusCode)
	}
	if r := v.get("/oauth/jwks.json"); r.StatusCode != http.StatusNotFound {
		t.Errorf("keys that there are none of gave %d", r.StatusCode)
	}
}
