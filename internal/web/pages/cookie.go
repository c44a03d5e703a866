package pages

import (
	"net"
	"net/http"
	"time"
)

// The cookies. All are HttpOnly and of the whole site. Over https their names begin with __Host-, which a browser takes
// only with Secure and from this very host: no neighbour under the same domain can plant one. On loopback there is no
// TLS, and ports share their cookies: there the port is part of the name.
const (
	sessionCookie = "jauge"         // who logged in; Strict: no other site can make the browser send it
	visitorCookie = "jauge-visitor" // what tokens of forms are bound to; Lax
	connectCookie = "jauge-connect" // which browser began an authorization; Lax: it comes along when the provider sends back
)

// The ages.
const (
	sessionIdle   = 12 * time.Hour
	sessionLife   = 7 * 24 * time.Hour
	sessionRenew  = 5 * time.Minute // how old a cookie's last use is when it is written anew
	connectLife   = time.Hour       // longer than an authorization lives, so that a late one is told as late, not as another browser's
	visitorLife   = 365 * 24 * time.Hour
	clockAskew    = 2 * time.Minute // between replicas
	cookieRemoved = -1
)

// cookieName is a cookie's name on this site.
func (s *Server) cookieName(name string) string {
	if s.hosts.secure {
		return "__Host-" + name
	}
	if _, port, err := net.SplitHostPort(s.hosts.canonical); err == nil {
		return name + "-" + port
	}
	return name
}

func (s *Server) setCookie(w http.ResponseWriter, name, value string, life time.Duration, site http.SameSite) {
	age := int(life / time.Second)
	if life < 0 {
		age = cookieRemoved
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(name), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.hosts.secure, SameSite: site,
	})
}

// readCookie gives a cookie's value, "" where the browser sent none, or two of one name: one of them was planted.
func (s *Server) readCookie(r *http.Request, name string) string {
	found := r.CookiesNamed(s.cookieName(name))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// session is what the session's cookie holds, sealed.
type session struct {
	ID          string `json:"id"`
	Begun       int64  `json:"begun"` // Unix seconds, as Used
	Used        int64  `json:"used"`
	Fingerprint string `json:"fingerprint"` // of the password that opened it
}

// session reads the session of a request; nil where there is none that holds.
func (s *Server) session(r *http.Request) *session {
	v := s.readCookie(r, sessionCookie)
	if v == "" || s.cfg.AdminHash == "" {
		return nil
	}
	var got session
	if s.keys.cookies.Decode(sessionCookie, v, &got) != nil || got.ID == "" || !same(got.Fingerprint, s.keys.fingerprint) {
		return nil
	}
	now := time.Now()
	begun, used := time.Unix(got.Begun, 0), time.Unix(got.Used, 0)
	if now.Sub(begun) > sessionLife || now.Sub(used) > sessionIdle || used.Sub(now) > clockAskew || s.ended.has(got.ID) {
		return nil
	}
	return &got
}

// keepSession writes a session's cookie, anew where its last use is a while ago.
func (s *Server) keepSession(w http.ResponseWriter, v *session) error {
	left := time.Until(time.Unix(v.Begun, 0).Add(sessionLife))
	sealed, err := s.keys.cookies.Encode(sessionCookie, v)
	if err != nil {
		return err //nolint:wrapcheck // of our own value: cannot fail but by a mistake of ours, which the caller logs
	}
	s.setCookie(w, sessionCookie, sealed, min(left, sessionIdle), http.SameSiteStrictMode)
	return nil
}

// begin starts a session, always with a new id: one that was there before is not taken over.
func (s *Server) begin(w http.ResponseWriter) error {
	now := time.Now().Unix()
	return s.keepSession(w, &session{ID: newID(), Begun: now, Used: now, Fingerprint: s.keys.fingerprint})
}

// attempt is what the cookie of an authorization holds, sealed: the browser's id. It lives as long as the password
// that was valid when it began.
type attempt struct {
	Browser     string `json:"browser"`
	Begun       int64  `json:"begun"`
	Fingerprint string `json:"fingerprint"`
}

// browser gives the id under which this browser began authorizations, "" where it began none that still counts.
func (s *Server) browser(r *http.Request) string {
	v := s.readCookie(r, connectCookie)
	if v == "" {
		return ""
	}
	var got attempt
	if s.keys.cookies.Decode(connectCookie, v, &got) != nil || !same(got.Fingerprint, s.keys.fingerprint) {
		return ""
	}
	if age := time.Since(time.Unix(got.Begun, 0)); age > connectLife || age < -clockAskew {
		return ""
	}
	return got.Browser
}

// bind gives this browser an id for its authorizations. One that it has stays: several may be under way at once.
func (s *Server) bind(w http.ResponseWriter, r *http.Request) (string, error) {
	id := s.browser(r)
	if id == "" {
		id = newID()
	}
	sealed, err := s.keys.cookies.Encode(connectCookie, attempt{Browser: id, Begun: time.Now().Unix(), Fingerprint: s.keys.fingerprint})
	if err != nil {
		return "", err //nolint:wrapcheck // as in keepSession
	}
	s.setCookie(w, connectCookie, sealed, connectLife, http.SameSiteLaxMode)
	return id, nil
}
