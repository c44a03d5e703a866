package pages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Deps are what the pages stand on beside the Backend. All are optional.
type Deps struct {
	Log *slog.Logger
	// Health serves /metrics, /healthz and /readyz (web.Health); nil: they are not on this listener.
	Health http.Handler
	// ClientMetadata and Keys are served at /oauth/client-metadata.json and /oauth/jwks.json to everybody; nil: not found.
	ClientMetadata, Keys func() []byte
	// Version stands at the foot of each page.
	Version string
}

// Server serves the pages.
type Server struct {
	cfg       Config
	backend   Backend
	deps      Deps
	log       *slog.Logger
	hosts     hosts
	peers     peers
	keys      *keys
	ended     *ended
	passwords *passwords
	locales   *locales
	assets    *assets
	templates templates
	mux       *http.ServeMux
	handler   http.Handler
}

// New makes the handler of the daemon's listener: pages, callback, and where it is given, health. It does no I/O.
func New(cfg Config, b Backend, d Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, backend: b, deps: d, log: d.Log, hosts: newHosts(cfg.Public, cfg.Listen), peers: peers{cfg.TrustedProxies},
		ended: newEnded(), passwords: newPasswords(cfg.AdminHash), mux: http.NewServeMux(),
	}
	var bad [4]error
	s.keys, bad[0] = newKeys(cfg.SessionKey, cfg.AdminHash)
	s.locales, bad[1] = newLocales()
	s.assets, bad[2] = newAssets()
	s.templates, bad[3] = newTemplates()
	if err := errors.Join(bad[:]...); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	s.routes()
	s.handler = s.around(s.mux)
	return s, nil
}

// ServeHTTP answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) routes() {
	m := s.mux
	m.HandleFunc("GET /{$}", s.member(s.accounts))
	m.HandleFunc("GET /accounts", s.member(s.accounts))
	m.HandleFunc("POST /accounts/pause", s.change(s.pause))
	m.HandleFunc("GET /accounts/remove", s.member(s.removePage))
	m.HandleFunc("POST /accounts/remove", s.change(s.remove))
	m.HandleFunc("GET /connect", s.member(s.gallery))
	m.HandleFunc("GET /connect/{platform}", s.member(s.connectPage))
	m.HandleFunc("POST /connect/{platform}", s.change(s.connect))
	m.HandleFunc("GET /connect/{platform}/go", s.member(s.leave))
	m.HandleFunc("GET /grants/{grant}/choose", s.member(s.choosePage))
	m.HandleFunc("POST /grants/{grant}/choose", s.change(s.choose))
	m.HandleFunc("GET /grants/{grant}/done", s.member(s.done))
	m.HandleFunc("GET /oauth/callback", s.callback)
	m.HandleFunc("GET /oauth/callback/{$}", s.callback) // TikTok wants a slash at the end
	m.HandleFunc("GET /login", s.loginPage)
	m.HandleFunc("POST /login", s.login)
	m.HandleFunc("GET /login/check", s.loginCheck)
	m.HandleFunc("POST /logout", s.logout)
	m.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.assets.byName["mark.svg"].address, http.StatusFound)
	})
	m.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n")) // the client went away: nothing to do
	})
	m.HandleFunc("GET /assets/", func(w http.ResponseWriter, r *http.Request) {
		if !s.assets.serve(w, r) {
			s.trouble(w, r, page{Status: http.StatusNotFound, Kind: "no_page"})
		}
	})
	for path, document := range map[string]func() []byte{"/oauth/client-metadata.json": s.deps.ClientMetadata, "/oauth/jwks.json": s.deps.Keys} {
		if document != nil {
			m.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin") // a provider's page may read it
				_, _ = w.Write(document())                                     // the client went away: nothing to do
			})
		}
	}
	if s.deps.Health != nil {
		health := s.guarded(s.deps.Health)
		for _, p := range []string{"/metrics", "/healthz", "/readyz"} {
			m.Handle("GET "+p, health)
		}
	}
}

// around puts what holds for every request around the routes; what stands first sees a request first.
func (s *Server) around(h http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	if err := cross.AddTrustedOrigin(s.hosts.origin); err != nil { // a proxy may have changed the Host that we see
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "The public URL is no origin", slog.Any("error", err))
	}
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &Problem{Kind: problemForgery})
	}))
	return s.watched(s.stripForwarded(s.safeHeaders(s.bounded(s.rightHost(cross.Handler(s.strict(h)))))))
}

const (
	mostAddress = 8 << 10          // bytes of path and query
	backendTime = 90 * time.Second // that a provider may take to answer while a browser waits
)

// bounded bounds address and time of a request.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path)+len(r.URL.RawQuery) > mostAddress {
			s.trouble(w, r, page{Status: http.StatusRequestURITooLong, Kind: "no_page"})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), backendTime)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// strict answers with a page of our own where there is none, or none for this method.
func (s *Server) strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := s.mux.Handler(r)
		if pattern != "" {
			next.ServeHTTP(w, r)
			return
		}
		why := &statusOnly{header: http.Header{}}
		h.ServeHTTP(why, r)
		if why.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", why.header.Get("Allow"))
			s.trouble(w, r, page{Status: http.StatusMethodNotAllowed, Kind: "no_method"})
			return
		}
		s.trouble(w, r, page{Status: http.StatusNotFound, Kind: "no_page"})
	})
}

// change lets a form through whose sender may enter and whose token is right.
func (s *Server) change(next func(http.ResponseWriter, *http.Request, identity)) http.HandlerFunc {
	return s.member(func(w http.ResponseWriter, r *http.Request, who identity) {
		if err := s.readForm(w, r, who); err != nil {
			s.fail(w, r, err)
			return
		}
		next(w, r, who)
	})
}
