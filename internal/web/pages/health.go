package pages

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"jauge.dev/jauge"
)

// basicUser is the name that goes with the admin's password where a program logs in (HTTP Basic).
const basicUser = "admin"

// probe tells whether a request is answered under any name: a probe of an orchestrator comes by address, Prometheus by
// whatever its configuration says. Without a login they learn "ok" or "degraded" and no more.
func (s *Server) probe(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch r.URL.Path {
	case "/healthz", "/readyz":
		return true
	case "/metrics":
		_, _, ok := r.BasicAuth()
		return ok || s.freeHealth(r)
	}
	return false
}

// guarded serves /metrics, /healthz and /readyz of the daemon on the pages' listener. Where that is open to everybody,
// or loopback alone, they are as they are; elsewhere /metrics wants the login, and /readyz names parts to those who
// logged in alone.
func (s *Server) guarded(health http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.URL.Path == "/healthz" || s.freeHealth(r) {
			health.ServeHTTP(w, r)
			return
		}
		in, err := s.basic(r)
		limited, isLimited := errors.AsType[*limitedError](err)
		switch {
		case isLimited:
			w.Header().Set("Retry-After", strconv.Itoa(seconds(limited.wait)))
			http.Error(w, "too many tries with a wrong password", http.StatusTooManyRequests)
		case err != nil:
			s.log.LogAttrs(r.Context(), slog.LevelError, "A password could not be checked", slog.Any("error", err))
			http.Error(w, "the password could not be checked", http.StatusInternalServerError)
		case in || s.named(r) && s.identify(r).in:
			health.ServeHTTP(w, r)
		case r.URL.Path == "/readyz":
			short := &statusOnly{header: http.Header{}, status: http.StatusOK}
			health.ServeHTTP(short, r)
			short.answer(w)
		default:
			if s.cfg.AdminHash != "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="jauge", charset="UTF-8"`)
			}
			http.Error(w, "log in first, as admin with the admin's password, or use the address of JAUGE_OPS_LISTEN", http.StatusUnauthorized)
		}
	})
}

// freeHealth tells whether health is for whoever sent a request: everybody who reaches the listener, but for a request
// under a strange name, which a web page may have sent.
func (s *Server) freeHealth(r *http.Request) bool {
	open := s.cfg.Open || !s.hosts.public && loopback(s.cfg.Listen)
	return open && (s.named(r) || s.hosts.local[s.asked(r)])
}

// basic tells whether a request bears the admin's name and password.
func (s *Server) basic(r *http.Request) (bool, error) {
	name, password, ok := r.BasicAuth()
	if !ok || s.cfg.AdminHash == "" {
		return false, nil
	}
	right, err := s.passwords.basic(r.Context(), s.peers.client(r), jauge.Secret(password))
	return right && subtle.ConstantTimeCompare([]byte(name), []byte(basicUser)) == 1, err
}

// statusOnly keeps of an answer its status alone.
type statusOnly struct {
	header http.Header
	status int
}

// Header is thrown away.
func (o *statusOnly) Header() http.Header { return o.header }

// Write throws the body away.
func (o *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader keeps the status.
func (o *statusOnly) WriteHeader(status int) { o.status = status }

func (o *statusOnly) answer(w http.ResponseWriter) {
	word := "ok"
	if o.status != http.StatusOK {
		word = "degraded"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(o.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": word}) // the client went away: nothing to do
}
