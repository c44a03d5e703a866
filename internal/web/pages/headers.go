package pages

import (
	"log/slog"
	"net/http"
	"time"
)

// What a page may do, for browsers: nothing but show itself, its style, and pictures; no script at all. A form goes to
// our own pages alone; the way to a provider is a link (see step). Pictures from elsewhere are for the pages that list
// accounts.
const (
	policyBase    = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src 'self' data:"
	policyAvatars = policyBase + " https:"
)

const (
	bodyTimeout  = 15 * time.Second // to read a form
	writeTimeout = 2 * time.Minute  // to answer, a provider's answer included
)

// safeHeaders puts on every answer what browsers should hold it to.
func (s *Server) safeHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policyBase)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // not no-referrer: the browser would then hide from us, too, where a form came from
		h.Set("Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		// Recorders of tests have no deadline.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		next.ServeHTTP(w, r)
	})
}

// watched writes what was asked and answered to the log, without what follows the path: a callback's code stands there.
func (s *Server) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		begun, seen := time.Now(), &statusSeen{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		s.log.LogAttrs(r.Context(), slog.LevelDebug, "A page was asked for", slog.String("method", r.Method),
			slog.String("path", r.URL.Path), slog.Int("status", seen.status), slog.Any("client", s.peers.client(r)),
			slog.Duration("duration", time.Since(begun)))
	})
}

// statusSeen keeps the status for the log.
type statusSeen struct {
	http.ResponseWriter

	status int
}

// WriteHeader keeps the status.
func (o *statusSeen) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (o *statusSeen) Unwrap() http.ResponseWriter { return o.ResponseWriter }
