package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
