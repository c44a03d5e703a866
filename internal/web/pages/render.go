package pages

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
)

//go:embed templates
var templateFiles embed.FS

// templates are the pages by name, each with the frame around it.
type templates map[string]*template.Template

func newTemplates() (templates, error) {
	const frame, parts = "templates/frame.html", "templates/parts.html"
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("find templates: %w", err)
	}
	t := templates{}
	for _, n := range names {
		if n == frame || n == parts {
			continue
		}
		one, err := template.New("frame.html").Option("missingkey=error").ParseFS(templateFiles, frame, parts, n)
		if err != nil {
			return nil, fmt.Errorf("read template: %w", err)
		}
		t[strings.TrimSuffix(path.Base(n), ".html")] = one
	}
	return t, nil
}

// page is what a handler wants shown.
type page struct {
	Name   string // of the template; empty: trouble
	Status int    // 0: 200
	Data   any
	// Pictures lets pictures from elsewhere in.
	Pictures bool
	// Onward is an address to which the browser goes on by itself, a step that is no redirect.
	Onward string
	// Kind, Values and Again are of a trouble page: which texts, what to fill in, where to try again.
	Kind   string
	Values []any
	Again  string
	Detail string
}

// view is what a template sees.
type view struct {
	*locale
	page

	Version string
	In      bool   // may enter: the bar has its links
	User    string // as a proxy names it
	Session bool   // there is one to end
	Here    string // path

	assets *assets
	token  func() string
}

// Token is what a form of this page bears. A page without forms hands out no cookie.
func (v *view) Token() string { return v.token() }

// Lang is the page's language tag.
func (v *view) Lang() string { return v.tag }

// Asset gives the address of a file.
func (v *view) Asset(name string) (string, error) {
	a := v.assets.byName[name]
	if a == nil {
		return "", fmt.Errorf("no asset %s", name)
	}
	return a.address, nil
}

// Trouble gives a part of the text on what went wrong: title, what, do.
func (v *view) Trouble(part string) string { return v.T("problem."+v.Kind+"."+part, v.Values...) }

// show writes a page. It is made whole before the first byte leaves, so that a mistake in a template is an error and
// no half page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, p page) {
	who := s.identify(r)
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	v := &view{
		locale: s.locales.of(r), page: p, Version: s.deps.Version, In: who.in, User: who.name, Session: who.session != "",
		Here: r.URL.Path, assets: s.assets,
		token: sync.OnceValue(func() string { return s.token(s.visitor(w, r), who) }),
	}
	var body bytes.Buffer
	if err := s.templates[p.Name].Execute(&body, v); err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelError, "A page could not be made", slog.String("page", p.Name), slog.Any("error", err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.tag)
	h.Set("Vary", "Accept-Language, Cookie")
	if p.Pictures {
		h.Set("Content-Security-Policy", policyAvatars)
	}
	if p.Onward != "" {
		h.Set("Refresh", "0; url="+p.Onward)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body.Bytes()) // the client went away: nothing to do
}

// step sends the browser on to an address of ours by a page instead of a redirect: the browser then counts the request
// as one of our own site, and sends the session's cookie, which it keeps back from what another site set off.
func (s *Server) step(w http.ResponseWriter, r *http.Request, to string) {
	s.show(w, r, page{Name: "step", Onward: to})
}

// trouble shows what went wrong and what to do.
func (s *Server) trouble(w http.ResponseWriter, r *http.Request, p page) {
	p.Name = "trouble"
	s.show(w, r, p)
}

// More kinds of Problem, of our own making.
const (
	problemForgery  = "forgery"  // a form without its token
	problemBadForm  = "bad_form" // a form that cannot be read
	problemInternal = "internal"
)

// statuses are the answers' statuses by kind of Problem; 400 where none is named.
var statuses = map[string]int{
	ProblemNotFound: http.StatusNotFound, ProblemFromConfig: http.StatusConflict, ProblemBusy: http.StatusServiceUnavailable,
	problemForgery: http.StatusForbidden, problemInternal: http.StatusInternalServerError,
	"denied": http.StatusForbidden, "other_browser": http.StatusForbidden, "wrong_account": http.StatusForbidden, "scope_missing": http.StatusForbidden,
	"not_configured": http.StatusServiceUnavailable, "provider": http.StatusBadGateway, "network": http.StatusBadGateway,
	"bad_input": http.StatusUnprocessableEntity,
}

// fail shows an error: a Problem by its own texts, anything else as an internal error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		p = &Problem{Kind: problemInternal, Err: err}
	}
	if !s.locales.all[0].has("problem." + p.Kind + ".title") {
		s.log.LogAttrs(r.Context(), slog.LevelError, "A problem has no text", slog.String("kind", p.Kind))
		p = &Problem{Kind: problemInternal, Platform: p.Platform, Detail: p.Detail, Err: p.Err}
	}
	status := statuses[p.Kind]
	if status == 0 {
		status = http.StatusBadRequest
	}
	level := slog.LevelInfo
	if p.Kind == problemInternal {
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("kind", p.Kind), slog.String("path", r.URL.Path)}
	if p.Platform != "" {
		attrs = append(attrs, slog.String("platform", p.Platform))
	}
	if p.Err != nil {
		attrs = append(attrs, slog.Any("error", p.Err))
	}
	s.log.LogAttrs(r.Context(), level, "A page ended in a problem", attrs...)
	again := ""
	switch {
	case p.Platform != "":
		again = "/connect/" + url.PathEscape(p.Platform)
	case connecting(r):
		again = "/connect"
	}
	s.trouble(w, r, page{Status: status, Kind: p.Kind, Again: again, Detail: p.Detail})
}

// connecting tells whether a request belongs to an authorization.
func connecting(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/oauth/") || strings.HasPrefix(r.URL.Path, "/connect")
}

// queryEscape writes a value for a query.
func queryEscape(s string) string { return url.QueryEscape(s) }
