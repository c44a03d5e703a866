package rest_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/collectortest"
	"jauge.dev/jauge/collectors/rest"
)

func TestUserAgent(t *testing.T) {
	s := &script{answers: []http.HandlerFunc{fine}}
	cfg := rest.Default()
	cfg.Contact = "ops@acme.example"
	if _, err := get(t, client(t, platform(), cfg, s)); err != nil {
		t.Fatal(err)
	}
	if got := s.seen[0].Header.Get("User-Agent"); got != "jauge/1.2.3 (ops@acme.example)" {
		t.Errorf("User-Agent %q", got)
	}
}

func TestRedirects(t *testing.T) {
	var seen []http.Header
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header)
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/down":
			http.Redirect(w, r, "http://plume.test/ok", http.StatusFound)
		case "/away":
			http.Redirect(w, r, "https://other.test/ok", http.StatusFound)
		default:
			fine(w, r)
		}
	})
	hc := client(t, platform(), rest.Default(), h)
	below := hc.Transport
	hc.Transport = collectortest.RoundTripFunc(func(r *http.Request) (*http.Response, error) { // as an OAuth layer would
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer hush")
		return below.RoundTrip(r)
	})
	for path, want := range map[string]jauge.Reason{
		"https://plume.test/loop": jauge.ReasonServer, "https://plume.test/down?key=hush": jauge.ReasonServer,
		"http://plume.test/away?key=hush": "",
	} {
		_, _, err := rest.Get[doc](t.Context(), hc, "read thing", path)
		if jauge.ReasonOf(err) != want {
			t.Errorf("%s: %v, want reason %q", path, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("error shows the query: %v", err)
		}
	}
	seen = nil
	if _, _, err := rest.Get[doc](t.Context(), hc, "read thing", "https://plume.test/away?key=hush"); err != nil {
		t.Fatal(err)
	}
	if seen[0].Get("Authorization") == "" || seen[1].Get("Authorization") != "" || seen[1].Get("Referer") != "" {
		t.Errorf("headers on the way: %v", seen)
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		m, err := rest.NewMetrics(reg)
		if err != nil {
			t.Fatal(err)
		}
		reset := time.Now().Add(time.Minute)
		s := &script{answers: []http.HandlerFunc{
			say(500, ""), say(200, `{"name":"ada"}`, "RateLimit-Limit", "9", "RateLimit-Remaining", "7", "RateLimit-Reset", unix(reset)),
		}}
		hc, err := rest.NewClient(platform(), rest.Default(), rest.Deps{Base: collectortest.InProcess(s), Metrics: m})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := testutil.GatherAndCount(reg, "jauge_api_calls_total"); err != nil || n != len(jauge.Reasons())+1 {
			t.Errorf("%d series from the start, %v", n, err)
		}
		if n, err := testutil.GatherAndCount(reg, "jauge_api_quota_remaining"); err != nil || n != 0 {
			t.Errorf("%d series of a quota that nobody told, %v", n, err)
		}
		if _, err := get(t, hc); err != nil {
			t.Fatal(err)
		}
		wantMetric(t, reg, "jauge_api_calls_total", `jauge_api_calls_total{outcome="ok",platform="plume"} 1`)
		wantMetric(t, reg, "jauge_api_calls_total", `jauge_api_calls_total{outcome="server",platform="plume"} 1`)
		wantMetric(t, reg, "jauge_api_retries_total", `jauge_api_retries_total{platform="plume"} 1`)
		wantMetric(t, reg, "jauge_api_quota_remaining", `jauge_api_quota_remaining{platform="plume"} 7`)
		wantMetric(t, reg, "jauge_api_call_seconds", `jauge_api_call_seconds_count{platform="plume"} 2`)
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
	})
	if _, err := rest.NewMetrics(registered(t)); err == nil {
		t.Error("registering twice is no error")
	}
}

func registered(t *testing.T) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewRegistry()
	if _, err := rest.NewMetrics(reg); err != nil {
		t.Fatal(err)
	}
	return reg
}

func TestConfig(t *testing.T) {
	if err := rest.Default().Validate(); err != nil {
		t.Errorf("default is refused: %v", err)
	}
	err := rest.Config{Contact: "a\nb"}.Validate()
	for _, name := range []string{"ATTEMPT_TIMEOUT", "MAX_WAIT", "TOTAL_TIMEOUT", "CIRCUIT_OPEN", "ATTEMPTS", "MAX_BODY",
		"MAX_IN_FLIGHT", "CIRCUIT_FAILURES", "LIMIT_FACTOR", "CONTACT"} {
		if err == nil || !strings.Contains(err.Error(), name+" ") {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	if _, err := rest.NewClient(collectors.Platform{}, rest.Default(), rest.Deps{}); err == nil {
		t.Error("a platform without a name is taken")
	}
}

func TestRealConnections(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"name":"a`)
		case "/trickle": // headers at once, the body never
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, `{"name":"ada"}`)
		}
	}))
	defer srv.Close()
	cfg := rest.Default()
	cfg.Attempts, cfg.AttemptTimeout = 1, 200*time.Millisecond
	hc, err := rest.NewClient(platform(), cfg, rest.Deps{Exempt: []string{srv.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	for path, want := range map[string]jauge.Reason{"/": "", "/cut": jauge.ReasonNetwork, "/trickle": jauge.ReasonDeadline} {
		if _, _, err := rest.Get[doc](t.Context(), hc, "read thing", srv.URL+path); jauge.ReasonOf(err) != want {
			t.Errorf("%s: %v, want reason %q", path, err, want)
		}
	}
	addr := srv.URL
	srv.Close()
	if _, _, err := rest.Get[doc](t.Context(), hc, "read thing", addr+"/?key=hush"); jauge.ReasonOf(err) != jauge.ReasonNetwork || strings.Contains(err.Error(), "hush") {
		t.Errorf("closed port: %v", err)
	}
}

func TestPostIsNotRepeated(t *testing.T) {
	inTime(t, []http.HandlerFunc{say(500, "")}, func(t *testing.T, hc *http.Client, s *script) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://plume.test/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if len(s.at) != 1 {
			t.Errorf("%d requests, want 1", len(s.at))
		}
	})
}

func TestRefusalsDoNotOpenTheCircuit(t *testing.T) {
	for _, status := range []int{400, 401, 404, 429, 501} {
		inTime(t, []http.HandlerFunc{say(status, "")}, func(t *testing.T, hc *http.Client, s *script) {
			for range 30 {
				before := len(s.at)
				if _, err := get(t, hc); err == nil || len(s.at) == before {
					t.Fatalf("status %d: %v after %d requests", status, err, len(s.at))
				}
			}
		})
	}
}

func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		reg := prometheus.NewPedanticRegistry()
		m, err := rest.NewMetrics(reg)
		if err != nil {
			t.Fatal(err)
		}
		down := true
		s := &script{answers: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			if down && r.URL.Host == "plume.test" {
				abort(w, r)
			}
			fine(w, r)
		}}}
		hc, err := rest.NewClient(platform(), rest.Default(), rest.Deps{
			Base: collectortest.InProcess(s), Metrics: m, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err := get(t, hc)
			wantError(t, err, jauge.ReasonNetwork)
		}
		asked := len(s.at)
		_, err = get(t, hc)
		e := wantError(t, err, jauge.ReasonServer)
		if e.RetryAfter <= 0 || e.RetryAfter > time.Minute+time.Second || len(s.at) != asked || asked != 10 {
			t.Errorf("open circuit: wait %s, %d requests then, %d now", e.RetryAfter, asked, len(s.at))
		}
		if _, _, err := rest.Get[doc](t.Context(), hc, "read", "http://other.test/"); err != nil {
			t.Errorf("another host suffers: %v", err)
		}
		wantMetric(t, reg, "jauge_api_circuit_open", `jauge_api_circuit_open{platform="plume"} 1`)
		down = false
		wait(t, e.RetryAfter)
		if _, err := get(t, hc); err != nil {
			t.Errorf("circuit does not close again: %v", err)
		}
		wantMetric(t, reg, "jauge_api_circuit_open", `jauge_api_circuit_open{platform="plume"} 0`)
		if out := log.String(); !strings.Contains(out, "circuit opened") || !strings.Contains(out, "circuit closed") {
			t.Errorf("log does not tell: %s", out)
		}
	})
}
