package pages

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// identity is who asks.
type identity struct {
	in      bool   // may enter
	name    string // as the proxy tells it; empty: the admin, or everybody
	session string // id, where somebody logged in
	refused string // whom the proxy let through and our list does not
}

// identify tells who asks: everybody where the pages are open, whom the proxy names, or who logged in.
func (s *Server) identify(r *http.Request) identity {
	if s.cfg.Open {
		return identity{in: true}
	}
	if name := s.forwarded(r); name != "" {
		if len(s.cfg.ForwardUsers) > 0 && !slices.Contains(s.cfg.ForwardUsers, name) {
			return identity{refused: name}
		}
		return identity{in: true, name: name}
	}
	if v := s.session(r); v != nil {
		return identity{in: true, session: v.ID}
	}
	return identity{}
}

// forwarded is the user that a proxy of ours names. A header that stands there twice is believed from nobody.
func (s *Server) forwarded(r *http.Request) string {
	if s.cfg.ForwardHeader == "" || !s.peers.fromProxy(r) {
		return ""
	}
	names := r.Header.Values(s.cfg.ForwardHeader)
	if len(names) != 1 {
		return ""
	}
	return strings.TrimSpace(names[0])
}

// stripForwarded takes off what only a proxy of ours may say.
func (s *Server) stripForwarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.peers.fromProxy(r) {
			for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", s.cfg.ForwardHeader} {
				r.Header.Del(h)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// member lets those in who may enter; others are sent to the login, or told why there is none.
func (s *Server) member(next func(http.ResponseWriter, *http.Request, identity)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who := s.identify(r)
		if who.in {
			s.renew(w, r)
			next(w, r, who)
			return
		}
		switch {
		case who.refused != "":
			s.trouble(w, r, page{Status: http.StatusForbidden, Kind: "user_refused", Values: []any{"user", who.refused}})
		case s.cfg.AdminHash == "":
			s.trouble(w, r, page{Status: http.StatusForbidden, Kind: "proxy_silent"})
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		case r.Header.Get("Sec-Fetch-Site") == "cross-site" && s.readCookie(r, sessionCookie) == "":
			// A link on another site brought the browser here, so it kept the session's cookie back. Asked again by a page
			// of ours it sends it; whoever is not logged in comes out at the login.
			s.step(w, r, ownPath(r.URL.RequestURI()))
		default:
			http.Redirect(w, r, "/login?to="+queryEscape(ownPath(r.URL.RequestURI())), http.StatusSeeOther)
		}
	}
}

// renew moves the session's idle end.
func (s *Server) renew(w http.ResponseWriter, r *http.Request) {
	v := s.session(r)
	if v == nil || time.Since(time.Unix(v.Used, 0)) < sessionRenew {
		return
	}
	v.Used = time.Now().Unix()
	if err := s.keepSession(w, v); err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelError, "The session could not be written", slog.Any("error", err))
	}
}

type loginView struct {
	To    string
	Wrong bool
	Wait  int // seconds; 0: no need to
}

// loginPage shows the form.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) {
	to := ownPath(r.URL.Query().Get("to"))
	who := s.identify(r)
	switch {
	case who.in:
		http.Redirect(w, r, to, http.StatusSeeOther)
	case who.refused != "":
		s.trouble(w, r, page{Status: http.StatusForbidden, Kind: "user_refused", Values: []any{"user", who.refused}})
	case s.cfg.AdminHash == "":
		s.trouble(w, r, page{Status: http.StatusForbidden, Kind: "proxy_silent"})
	default:
		s.show(w, r, page{Name: "login", Data: loginView{To: to}})
	}
}

// login checks the password. The browser is then sent to a page that looks whether it kept the cookie.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if s.cfg.AdminHash == "" {
		s.loginPage(w, r)
		return
	}
	if err := s.readForm(w, r, s.identify(r)); err != nil {
		s.fail(w, r, err)
		return
	}
	to, from := ownPath(r.PostForm.Get("to")), s.peers.client(r)
	ok, err := s.passwords.check(r.Context(), from, jauge.Secret(r.PostForm.Get("password")))
	limited, isLimited := errors.AsType[*limitedError](err)
	switch {
	case isLimited:
		wait := seconds(limited.wait)
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "Too many tries to log in", slog.Any("client", from))
		w.Header().Set("Retry-After", strconv.Itoa(wait))
		s.show(w, r, page{Name: "login", Status: http.StatusTooManyRequests, Data: loginView{To: to, Wait: wait}})
	case errors.Is(err, context.Canceled):
	case err != nil:
		s.fail(w, r, err)
	case !ok:
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "A login with a wrong password was refused", slog.Any("client", from))
		s.show(w, r, page{Name: "login", Status: http.StatusUnauthorized, Data: loginView{To: to, Wrong: true}})
	default:
		if old := s.session(r); old != nil {
			s.ended.add(old.ID)
		}
		if err := s.begin(w); err != nil {
			s.fail(w, r, err)
			return
		}
		s.setCookie(w, visitorCookie, newID(), visitorLife, http.SameSiteLaxMode)
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "The admin logged in", slog.Any("client", from))
		http.Redirect(w, r, "/login/check?to="+queryEscape(to), http.StatusSeeOther)
	}
}

// loginCheck is where a login ends: a browser that did not keep the cookie is told so here, since it would else be
// asked for the password again and again.
func (s *Server) loginCheck(w http.ResponseWriter, r *http.Request) {
	if !s.identify(r).in {
		s.trouble(w, r, page{Status: http.StatusForbidden, Kind: "cookie_lost", Values: []any{"address", s.hosts.origin}})
		return
	}
	http.Redirect(w, r, ownPath(r.URL.Query().Get("to")), http.StatusSeeOther)
}

// logout ends the session.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	who := s.identify(r)
	if err := s.readForm(w, r, who); err != nil {
		s.fail(w, r, err)
		return
	}
	if who.session != "" {
		s.ended.add(who.session)
		s.setCookie(w, sessionCookie, "", -time.Second, http.SameSiteStrictMode)
		s.setCookie(w, connectCookie, "", -time.Second, http.SameSiteLaxMode)
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// seconds rounds a wait up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
