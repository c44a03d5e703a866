package collectortest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/rest"
)

// Token is what the clients of this package send as authorisation; it must never show up in an error.
const Token = "s3cr3t-t0ken-never-to-be-seen-0123456789"

// RoundTripFunc is a function that is a http.RoundTripper.
type RoundTripFunc func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f RoundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// InProcess asks a handler without sockets or goroutines, so that it works with fake time too. A handler that
// panics with http.ErrAbortHandler breaks the connection; a context that ends while the handler works ends the call.
func InProcess(h http.Handler) http.RoundTripper {
	return RoundTripFunc(func(r *http.Request) (resp *http.Response, err error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		defer func() {
			switch p := recover(); {
			case p == nil:
			case p == http.ErrAbortHandler: //nolint:errorlint // the very value, as net/http compares it
				resp, err = nil, io.ErrUnexpectedEOF
			default:
				panic(p)
			}
		}()
		in := r.Clone(r.Context())
		in.RequestURI = in.URL.RequestURI()
		if in.Host == "" {
			in.Host = in.URL.Host
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, in)
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		resp = rec.Result()
		resp.Request = r
		return resp, nil
	})
}

// Client makes a client with the house's HTTP manners before a handler, with Token as its authorisation. It tries
// each call once and knows no budget, so that tests see what the collector does.
func Client(tb testing.TB, p collectors.Platform, h http.Handler) *http.Client {
	tb.Helper()
	cfg := rest.Default()
	cfg.Attempts, cfg.CircuitFailures, cfg.LimitFactor = 1, 1_000_000, 1_000_000
	hc, err := rest.NewClient(p, cfg, rest.Deps{Base: InProcess(h), Version: "test"})
	if err != nil {
		tb.Fatal(err)
	}
	below := hc.Transport
	hc.Transport = RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+Token)
		return below.RoundTrip(r)
	})
	return hc
}

// Sink takes pages as the scheduler would, and fails where Fail says so.
type Sink struct {
	Pages []jauge.Page
	Fail  func(n int) error // asked before each page with the number of pages taken; nil never fails
	Calls int               // of Emit
}

// Emit implements collectors.Emit.
func (s *Sink) Emit(ctx context.Context, page jauge.Page) error {
	s.Calls++
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Fail != nil {
		if err := s.Fail(len(s.Pages)); err != nil {
			return err
		}
	}
	page.Observations = slices.Clone(page.Observations) // the collector may use its memory again
	s.Pages = append(s.Pages, page)
	return nil
}

// Targets resolves the handles and makes a target of each.
func Targets(tb testing.TB, col collectors.Collector, hc *http.Client, until time.Time, handles ...string) []collectors.Target {
	tb.Helper()
	out := make([]collectors.Target, len(handles))
	for i, h := range handles {
		a, err := col.Resolve(tb.Context(), hc, h)
		if err != nil {
			tb.Fatalf("resolve %s: %v", h, err)
		}
		out[i] = collectors.Target{Account: a, Until: until}
	}
	return out
}

// answer is a handler that gives one answer to everything.
func answer(status int, header map[string]string, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// cut serves what h serves, but only the first half of it.
func cut(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body := bytes.TrimSpace(rec.Body.Bytes())
		for k, v := range rec.Header() {
			if k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body[:len(body)/2])
	})
}

var errEmit = errors.New("journal is full")
