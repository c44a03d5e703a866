package pages

import (
	"net/http"
	"time"
)

// Every form bears a token that is bound to the browser (a cookie) and to the session: another site can neither read
// nor guess it, and one from before the login is worth nothing after it.

const (
	tokenField = "csrf"
	mostBody   = 256 << 10 // bytes of a form: a grant may open thousands of pages, all ticked
)

// visitor gives the browser's id, and hands one out where it has none.
func (s *Server) visitor(w http.ResponseWriter, r *http.Request) string {
	if id := s.readCookie(r, visitorCookie); len(id) == idLength {
		return id
	}
	id := newID()
	s.setCookie(w, visitorCookie, id, visitorLife, http.SameSiteLaxMode)
	return id
}

const idLength = 22 // of newID

// token is what the forms of a page bear.
func (s *Server) token(visitor string, who identity) string {
	return s.keys.mac("form", visitor, who.session, who.name)
}

// readForm reads a bounded form and tells whether its token is right.
func (s *Server) readForm(w http.ResponseWriter, r *http.Request, who identity) error {
	// A client that sends one byte a minute would hold a connection forever. Recorders of tests have no deadline.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	r.Body = http.MaxBytesReader(w, r.Body, mostBody)
	if err := r.ParseForm(); err != nil {
		return &Problem{Kind: problemBadForm, Err: err}
	}
	visitor := s.readCookie(r, visitorCookie)
	if len(visitor) != idLength || !same(r.PostForm.Get(tokenField), s.token(visitor, who)) {
		return &Problem{Kind: problemForgery}
	}
	return nil
}
