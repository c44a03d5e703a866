package mastofake

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	pageLimit  = 40
	batchLimit = 20
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := kindOf(r.URL.Path)
	f := s.enter(kind, r.URL.Path)
	if f != nil && f.strike(w, r) {
		return
	}
	out := w
	if f != nil && f.Kind == Truncated {
		t := &truncating{ResponseWriter: w}
		defer t.flush()
		out = t
	}
	if s.otherHost(r) {
		s.bareDomain(out, r, kind)
		return
	}
	if !s.admit(out, r) {
		refuse(out, http.StatusTooManyRequests, "Too many requests")
		return
	}
	if s.cfg.Private && kind != "webfinger" && kind != "instance" && r.Header.Get("Authorization") == "" {
		refuse(out, http.StatusUnauthorized, "This API requires an authenticated user")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route(out, r, kind)
}

func kindOf(path string) string {
	p, ok := strings.CutPrefix(path, "/api/v1/")
	parts := strings.Split(p, "/")
	switch {
	case path == "/.well-known/webfinger":
		return "webfinger"
	case path == "/api/v2/instance":
		return "instance"
	case !ok:
		return "other"
	case len(parts) == 2 && parts[0] == "accounts" && parts[1] == "lookup":
		return "lookup"
	case len(parts) == 2 && parts[0] == "accounts":
		return "account"
	case len(parts) == 3 && parts[0] == "accounts" && parts[2] == "statuses":
		return "list"
	case len(parts) == 1 && parts[0] == "statuses":
		return "batch"
	case len(parts) == 2 && parts[0] == "statuses":
		return "status"
	}
	return "other"
}

// enter counts the call and takes the fault that strikes it, if any.
func (s *Server) enter(kind, path string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[kind]++
	return s.takeFault(path)
}

// otherHost tells whether the call came to the domain of the handles where the API has a host of its own.
func (s *Server) otherHost(r *http.Request) bool {
	return s.cfg.WebDomain != s.cfg.Domain && strings.EqualFold(r.Host, s.cfg.Domain)
}

// bareDomain answers as a company's own web site would that passes WebFinger on.
func (s *Server) bareDomain(w http.ResponseWriter, r *http.Request, kind string) {
	if kind == "webfinger" {
		http.Redirect(w, r, "https://"+s.cfg.WebDomain+r.URL.RequestURI(), http.StatusMovedPermanently)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte("<html>no such page</html>"))
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, kind string) {
	switch kind {
	case "webfinger":
		s.webFinger(w, r)
	case "instance":
		s.instance(w)
	case "lookup":
		user, domain, _ := strings.Cut(strings.TrimPrefix(r.URL.Query().Get("acct"), "@"), "@")
		a := s.user(user)
		if domain != "" && domain != s.cfg.Domain && domain != s.cfg.WebDomain {
			a = nil
		}
		s.account(w, a)
	case "account":
		s.account(w, s.byID[tail(r, 0)])
	case "list":
		s.list(w, r)
	case "batch":
		s.batch(w, r)
	case "status":
		a, p := s.find(tail(r, 0))
		if p == nil || a.hidden() || !p.public() {
			notFound(w)
			return
		}
		send(w, s.appendPost(nil, a, p))
	default:
		notFound(w)
	}
}

// user finds an account by name, which is not case sensitive.
func (s *Server) user(name string) *account {
	if a := s.byName[name]; a != nil {
		return a
	}
	for _, a := range s.accounts {
		if strings.EqualFold(a.name, name) {
			return a
		}
	}
	return nil
}

// tail is a part of the path, counted from its end.
func tail(r *http.Request, n int) string {
	parts := strings.Split(r.URL.Path, "/")
	return parts[len(parts)-1-n]
}

func (a *account) hidden() bool { return a == nil || a.suspended || a.removed || a.gone }

func (s *Server) account(w http.ResponseWriter, a *account) {
	switch {
	case a == nil || a.removed:
		notFound(w)
	case a.gone:
		w.WriteHeader(http.StatusGone)
	default:
		send(w, s.appendAccount(nil, a))
	}
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	a := s.byID[tail(r, 1)]
	q := r.URL.Query()
	switch {
	case a == nil || a.removed:
		notFound(w)
		return
	case a.gone:
		w.WriteHeader(http.StatusGone)
		return
	case a.suspended:
		send(w, []byte("[]"))
		return
	}
	limit := 20
	if n, err := strconv.Atoi(q.Get("limit")); err == nil {
		limit = min(max(n, 1), pageLimit)
	}
	below := ^uint64(0)
	if n, err := strconv.ParseUint(q.Get("max_id"), 10, 64); err == nil {
		below = n
	}
	noReblogs := q.Get("exclude_reblogs") == "true" && !s.cfg.KeepReblogs
	body, n, last := []byte{'['}, 0, uint64(0)
	for i := len(a.posts) - 1; i >= 0 && n < limit; i-- {
		p := &a.posts[i]
		if p.id >= below || !p.public() || noReblogs && p.extra != nil && p.extra.Reblog {
			continue
		}
		if n++; n > 1 {
			body = append(body, ',')
		}
		body, last = s.appendPost(body, a, p), p.id
	}
	if n == limit && !s.cfg.NoLink {
		w.Header().Set("Link", s.link(r, last))
	}
	send(w, append(body, ']'))
}

// link names the next page, and the previous one, as the server knows itself.
func (s *Server) link(r *http.Request, last uint64) string {
	q := url.Values{}
	for k, v := range r.URL.Query() {
		if k != "max_id" {
			q[k] = v
		}
	}
	root := s.cfg.LinkRoot + r.URL.Path + "?"
	q.Set("max_id", strconv.FormatUint(last, 10))
	next := root + q.Encode()
	q.Del("max_id")
	q.Set("min_id", strconv.FormatUint(last+1, 10))
	return "<" + next + `>; rel="next", <` + root + q.Encode() + `>; rel="prev"`
}

func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	ids := r.URL.Query()["id[]"]
	switch {
	case s.cfg.Minor < 3 || r.Method != http.MethodGet:
		refuse(w, http.StatusNotFound, "Not Found")
		return
	case len(ids) > batchLimit:
		refuse(w, http.StatusUnprocessableEntity, "Validation failed")
		return
	}
	body := []byte{'['}
	for i := len(ids) - 1; i >= 0; i-- { // in no order that anybody may rely on
		a, p := s.find(ids[i])
		if p == nil || a.hidden() || !p.public() {
			continue
		}
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = s.appendPost(body, a, p)
	}
	send(w, append(body, ']'))
}

func (p *post) public() bool {
	return p.extra == nil || p.extra.Visibility == "" || p.extra.Visibility == "public" || p.extra.Visibility == "unlisted"
}

func send(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body)
}

func refuse(w http.ResponseWriter, code int, what string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(`{"error":"` + what + `"}`))
}

func notFound(w http.ResponseWriter) { refuse(w, http.StatusNotFound, "Record not found") }
