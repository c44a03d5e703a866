package rest_test

import (
	"bytes"
	"context"
	"errors"
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

type doc struct {
	Name string `json:"name"`
}

// script answers requests in turn, the last answer ever after, and keeps when each came.
type script struct {
	answers []http.HandlerFunc
	at      []time.Time
	seen    []*http.Request
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := min(len(s.at), len(s.answers)-1)
	s.at, s.seen = append(s.at, time.Now()), append(s.seen, r)
	s.answers[n](w, r)
}

// gaps are the waits between the requests.
func (s *script) gaps() []time.Duration {
	var out []time.Duration
	for i := 1; i < len(s.at); i++ {
		out = append(out, s.at[i].Sub(s.at[i-1]))
	}
	return out
}

func say(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

var fine = say(200, `{"name":"ada"}`)

func stall(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func platform() collectors.Platform {
	return collectors.Platform{Name: "plume", RateLimit: rest.UnixReset("RateLimit-")}
}

func client(t *testing.T, p collectors.Platform, cfg rest.Config, h http.Handler) *http.Client {
	t.Helper()
	hc, err := rest.NewClient(p, cfg, rest.Deps{Base: collectortest.InProcess(h), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return hc
}

// inTime runs a test with the house's usual client before a script, in fake time.
func inTime(t *testing.T, answers []http.HandlerFunc, do func(t *testing.T, hc *http.Client, s *script)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: answers}
		do(t, client(t, platform(), rest.Default(), s), s)
	})
}

func get(t *testing.T, hc *http.Client) (doc, error) {
	t.Helper()
	d, _, err := rest.Get[doc](t.Context(), hc, "read thing", "http://plume.test/thing?key=hush-hush")
	return d, err
}

func wantError(t *testing.T, err error, want jauge.Reason) *jauge.Error {
	t.Helper()
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || e.Reason != want || e.Op != "read thing" {
		t.Fatalf("error %v, want reason %s of read thing", err, want)
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("error shows the query: %v", err)
	}
	return e
}

func TestTroubleCostsNothingButTime(t *testing.T) {
	busy := say(503, "busy", "Retry-After", "20")
	for name, tc := range map[string]struct {
		answers  []http.HandlerFunc
		min, max time.Duration
	}{
		"500":             {[]http.HandlerFunc{say(500, ""), fine}, 250 * time.Millisecond, time.Second},
		"three 502":       {[]http.HandlerFunc{say(502, ""), say(502, ""), say(502, ""), fine}, 1750 * time.Millisecond, 6 * time.Second},
		"connection":      {[]http.HandlerFunc{abort, fine}, 250 * time.Millisecond, time.Second},
		"malformed":       {[]http.HandlerFunc{say(200, `{"name":`), fine}, 250 * time.Millisecond, time.Second},
		"html":            {[]http.HandlerFunc{say(200, `<html>`), fine}, 250 * time.Millisecond, time.Second},
		"null":            {[]http.HandlerFunc{say(200, ` null `), fine}, 250 * time.Millisecond, time.Second},
		"stalled":         {[]http.HandlerFunc{stall, fine}, 30 * time.Second, 31 * time.Second},
		"retry-after":     {[]http.HandlerFunc{busy, fine}, 20 * time.Second, 21 * time.Second},
		"429 without":     {[]http.HandlerFunc{say(429, ""), fine}, 250 * time.Millisecond, time.Second},
		"429 retry-after": {[]http.HandlerFunc{say(429, "", "Retry-After", "90"), fine}, 90 * time.Second, 91 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, tc.answers, func(t *testing.T, hc *http.Client, s *script) {
				start := time.Now()
				d, err := get(t, hc)
				if err != nil || d.Name != "ada" {
					t.Fatalf("Get = %+v, %v", d, err)
				}
				if took := time.Since(start); took < tc.min || took > tc.max {
					t.Errorf("took %s, want %s to %s; gaps %v", took, tc.min, tc.max, s.gaps())
				}
				if len(s.at) != len(tc.answers) {
					t.Errorf("%d requests, want %d", len(s.at), len(tc.answers))
				}
			})
		})
	}
}

func TestRateLimitResetIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(47 * time.Second).Unix()
		s := &script{answers: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("RateLimit-Limit", "30")
			w.Header().Set("RateLimit-Remaining", "0")
			w.Header().Set("RateLimit-Reset", time.Unix(reset, 0).UTC().Format("20060102150405")) // nonsense
			w.WriteHeader(http.StatusTooManyRequests)
		}, fine}}
		hc := client(t, platform(), rest.Default(), s)
		if _, err := get(t, hc); err != nil {
			t.Fatal(err)
		}
		if g := s.gaps()[0]; g > time.Second && g < 24*time.Hour {
			t.Errorf("absurd reset made a wait of %s", g)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(47 * time.Second)
		limited := say(429, `{"error":"RateLimitExceeded","message":"Rate Limit Exceeded"}`,
			"RateLimit-Limit", "30", "RateLimit-Remaining", "0", "RateLimit-Reset", unix(reset))
		s := &script{answers: []http.HandlerFunc{limited, fine}}
		if _, err := get(t, client(t, platform(), rest.Default(), s)); err != nil {
			t.Fatal(err)
		}
		if g := s.gaps()[0]; g < 47*time.Second || g > 48*time.Second {
			t.Errorf("waited %s, want until the reset in 47 s", g)
		}
	})
}

func TestQuotaIsWaitedForBeforeItIsExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(30 * time.Second)
		s := &script{answers: []http.HandlerFunc{
			say(200, `{"name":"ada"}`, "RateLimit-Limit", "9", "RateLimit-Remaining", "1", "RateLimit-Reset", unix(reset)),
			fine,
		}}
		hc := client(t, platform(), rest.Default(), s)
		for range 3 {
			if _, err := get(t, hc); err != nil {
				t.Fatal(err)
			}
		}
		if g := s.gaps(); g[0] != 0 || g[1] != 30*time.Second {
			t.Errorf("gaps %v, want the last call at the reset", g)
		}
	})
}

func TestQuotaTooFarAheadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(10 * time.Minute)
		s := &script{answers: []http.HandlerFunc{
			say(200, `{"name":"ada"}`, "RateLimit-Limit", "9", "RateLimit-Remaining", "0", "RateLimit-Reset", unix(reset)),
		}}
		hc := client(t, platform(), rest.Default(), s)
		if _, err := get(t, hc); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := get(t, hc)
		if e := wantError(t, err, jauge.ReasonQuota); e.RetryAfter != 10*time.Minute || time.Since(start) != 0 {
			t.Errorf("asks to wait %s after %s", e.RetryAfter, time.Since(start))
		}
		if len(s.at) != 1 {
			t.Errorf("%d requests, want 1", len(s.at))
		}
	})
}

func TestRetryAfterBeyondTheBoundFails(t *testing.T) {
	inTime(t, []http.HandlerFunc{say(429, "", "Retry-After", "3600")}, func(t *testing.T, hc *http.Client, s *script) {
		_, err := get(t, hc)
		if e := wantError(t, err, jauge.ReasonRateLimited); e.RetryAfter != time.Hour || len(s.at) != 1 {
			t.Errorf("asks to wait %s after %d requests", e.RetryAfter, len(s.at))
		}
		_, err = get(t, hc)
		wantError(t, err, jauge.ReasonQuota)
		if len(s.at) != 1 {
			t.Error("asked again within the hour")
		}
	})
}

func TestEachWaitIsBounded(t *testing.T) {
	inTime(t, []http.HandlerFunc{say(503, "", "Retry-After", "200")}, func(t *testing.T, hc *http.Client, s *script) {
		_, err := get(t, hc)
		if e := wantError(t, err, jauge.ReasonServer); e.RetryAfter != 200*time.Second || len(s.at) != 1 {
			t.Errorf("asks to wait %s after %d requests, though waits are bounded to 2 minutes", e.RetryAfter, len(s.at))
		}
	})
}

func TestImpatientCallersDoNotOpenTheCircuit(t *testing.T) {
	inTime(t, []http.HandlerFunc{stall}, func(t *testing.T, hc *http.Client, s *script) {
		for range 30 {
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(time.Second, cancel)
			_, _, err := rest.Get[doc](ctx, hc, "read thing", "http://plume.test/thing")
			wantError(t, err, jauge.ReasonCanceled)
			timer.Stop()
		}
		if len(s.at) != 30 {
			t.Errorf("%d of 30 calls were made", len(s.at))
		}
	})
}

func TestReasons(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   jauge.Reason
		status int
		code   string
		asked  int
	}{
		"401":            {say(401, `{"error":"AuthMissing","message":"no"}`), jauge.ReasonAuth, 401, "AuthMissing", 1},
		"403":            {say(403, `{"error":"This action is outside the authorized scopes"}`), jauge.ReasonScope, 403, "", 1},
		"404":            {say(404, `{"error":"Record not found"}`), jauge.ReasonNotFound, 404, "", 1},
		"410":            {say(410, ""), jauge.ReasonNotFound, 410, "", 1},
		"400":            {say(400, `{"error":"InvalidRequest","message":"x"}`), jauge.ReasonBadRequest, 400, "InvalidRequest", 1},
		"422":            {say(422, ""), jauge.ReasonBadRequest, 422, "", 1},
		"501":            {say(501, `{"error":"MethodNotImplemented"}`), jauge.ReasonServer, 501, "MethodNotImplemented", 1},
		"500":            {say(500, ""), jauge.ReasonServer, 500, "", 5},
		"connection":     {abort, jauge.ReasonNetwork, 0, "", 5},
		"stalled":        {stall, jauge.ReasonDeadline, 0, "", 5},
		"malformed":      {say(200, "{"), jauge.ReasonDecode, 200, "", 3},
		"another shape":  {say(200, "[]"), jauge.ReasonDecode, 200, "", 3},
		"too long":       {say(200, strings.Repeat(" ", 9<<20)), jauge.ReasonDecode, 200, "", 1},
		"304":            {say(304, ""), jauge.ReasonOther, 304, "", 1},
		"error object":   {say(400, `{"error":{"code":3}}`), jauge.ReasonBadRequest, 400, "", 1},
		"long word":      {say(401, `{"error":"AuthFactorTokenRequired"}`), jauge.ReasonAuth, 401, "AuthFactorTokenRequired", 1},
		"token for word": {say(401, `{"error":"hush0123456789abcdefghijk"}`), jauge.ReasonAuth, 401, "", 1},
		"echoed token":   {say(400, `{"error":"Bad","message":"hush0123456789abcdefghijk is unknown"}`), jauge.ReasonBadRequest, 400, "Bad", 1},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, []http.HandlerFunc{tc.answer}, func(t *testing.T, hc *http.Client, s *script) {
				_, err := get(t, hc)
				e := wantError(t, err, tc.want)
				if e.Status != tc.status || e.Code != tc.code || len(s.at) != tc.asked {
					t.Errorf("status %d code %q after %d requests: %v", e.Status, e.Code, len(s.at), err)
				}
			})
		})
	}
}

func TestGetWithAnyClient(t *testing.T) {
	hc := &http.Client{Transport: collectortest.InProcess(&script{answers: []http.HandlerFunc{fine, say(200, "{"), say(429, "", "Retry-After", "5")}})}
	if d, err := get(t, hc); err != nil || d.Name != "ada" {
		t.Errorf("Get = %+v, %v", d, err)
	}
	_, err := get(t, hc)
	wantError(t, err, jauge.ReasonDecode)
	_, err = get(t, hc)
	if e := wantError(t, err, jauge.ReasonRateLimited); e.RetryAfter != 5*time.Second {
		t.Errorf("RetryAfter %s", e.RetryAfter)
	}
	_, _, err = rest.Get[doc](t.Context(), hc, "read thing", "http://plume.test/%zz?key=hush-hush")
	wantError(t, err, jauge.ReasonBadRequest)
}

func TestCallersContextEndsACall(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{"stalled": stall, "retried": say(503, "", "Retry-After", "60")} {
		t.Run(name, func(t *testing.T) {
			inTime(t, []http.HandlerFunc{answer}, func(t *testing.T, hc *http.Client, _ *script) {
				ctx, cancel := context.WithCancel(t.Context())
				timer := time.AfterFunc(10*time.Second, cancel)
				defer timer.Stop()
				start := time.Now()
				_, _, err := rest.Get[doc](ctx, hc, "read thing", "http://plume.test/thing")
				wantError(t, err, jauge.ReasonCanceled)
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("took %s after the context had ended at 10 s", took)
				}
			})
		})
	}
	inTime(t, []http.HandlerFunc{say(503, "", "Retry-After", "60")}, func(t *testing.T, hc *http.Client, s *script) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, _, err := rest.Get[doc](ctx, hc, "read thing", "http://plume.test/thing")
		wantError(t, err, jauge.ReasonServer)
		if took := time.Since(start); took != 0 || len(s.at) != 1 {
			t.Errorf("waited %s for what its deadline did not allow", took)
		}
	})
}

func TestTotalTimeBoundsACall(t *testing.T) {
	inTime(t, []http.HandlerFunc{stall}, func(t *testing.T, _ *http.Client, s *script) {
		cfg := rest.Default()
		cfg.Attempts, cfg.TotalTimeout = 1000, 100*time.Second
		cfg.CircuitFailures = 1000
		start := time.Now()
		_, err := get(t, client(t, platform(), cfg, s))
		wantError(t, err, jauge.ReasonDeadline)
		if took := time.Since(start); took > 100*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestOwnBudgetSpreadsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := platform()
		p.Limit = collectors.Limit{Calls: 40, In: time.Minute}
		s := &script{answers: []http.HandlerFunc{fine}}
		hc := client(t, p, rest.Default(), s)
		for range 200 {
			if _, err := get(t, hc); err != nil {
				t.Fatal(err)
			}
		}
		most := 0
		for i := range s.at {
			n := 0
			for _, at := range s.at[i:] {
				if at.Sub(s.at[i]) < time.Minute {
					n++
				}
			}
			most = max(most, n)
		}
		if most > 40 {
			t.Errorf("%d calls within a minute, want at most 40", most)
		}
		if took := s.at[199].Sub(s.at[0]); took > 7*time.Minute {
			t.Errorf("200 calls took %s: the budget is not used", took)
		}
	})
}

func TestEveryTokenHasItsOwnBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := platform()
		p.Limit = collectors.Limit{Calls: 1, In: time.Hour}
		s := &script{answers: []http.HandlerFunc{fine}}
		hc := client(t, p, rest.Default(), s)
		below := hc.Transport
		for _, token := range []string{"a", "b", "c"} {
			hc.Transport = collectortest.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.Header.Set("Authorization", "Bearer "+token)
				return below.RoundTrip(r)
			})
			if _, err := get(t, hc); err != nil {
				t.Errorf("token %s: %v", token, err)
			}
		}
		_, err := get(t, hc)
		wantError(t, err, jauge.ReasonQuota)
	})
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
	hc, err := rest.NewClient(platform(), cfg, rest.Deps{})
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
