package pages

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

type galleryView struct{ Ready, Rest []Platform }

// gallery shows what can be connected.
func (s *Server) gallery(w http.ResponseWriter, r *http.Request, _ identity) {
	list, err := s.backend.Platforms(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var v galleryView
	for _, p := range list {
		if p.Configured {
			v.Ready = append(v.Ready, p)
		} else {
			v.Rest = append(v.Rest, p)
		}
	}
	s.show(w, r, page{Name: "gallery", Data: v})
}

func (s *Server) platform(ctx context.Context, name string) (Platform, error) {
	list, err := s.backend.Platforms(ctx)
	if err != nil {
		return Platform{}, err //nolint:wrapcheck // the Backend's own words
	}
	for _, p := range list {
		if p.Name == name {
			return p, nil
		}
	}
	return Platform{}, &Problem{Kind: ProblemNotFound}
}

type connectView struct {
	Platform Platform
	Input    string
	Account  *row   // that is connected again
	Wrong    bool   // what was typed cannot be right
	Failed   string // kind of Problem that what was typed led to
	Detail   string
}

// connectPage tells what will be asked for, and asks for what must be known before.
func (s *Server) connectPage(w http.ResponseWriter, r *http.Request, _ identity) {
	p, err := s.platform(r.Context(), r.PathValue("platform"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if to := s.callbackHost(r, p); to != "" {
		http.Redirect(w, r, to, http.StatusFound)
		return
	}
	v := connectView{Platform: p, Input: clip(r.URL.Query().Get("input"))}
	if key := r.URL.Query().Get("account"); key != "" {
		a, err := s.find(r.Context(), key)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		o := newRow(s.locales.of(r), *a)
		v.Account, v.Input = &o, cmp.Or(v.Input, known(p, a))
	}
	s.show(w, r, page{Name: "connect", Data: v, Pictures: true})
}

// known is what an account tells of what would else have to be typed.
func known(p Platform, a *Account) string {
	switch p.Ask {
	case "handle":
		return strings.TrimPrefix(a.Handle, "@")
	case "instance":
		for _, s := range []string{a.ID, a.Handle} {
			if i := strings.LastIndexByte(s, '@'); i > 0 {
				return s[i+1:]
			}
		}
	}
	return ""
}

// callbackHost is where the browser must be when it begins: on loopback one machine has several names, and cookies of
// one are not sent to another. Empty: it is there.
func (s *Server) callbackHost(r *http.Request, p Platform) string {
	u, err := url.Parse(p.Callback)
	if err != nil || u.Host == "" {
		return ""
	}
	host := hostOf(u.Host, u.Scheme)
	if host == s.asked(r) || !s.hosts.served[host] {
		return ""
	}
	return u.Scheme + "://" + host + r.URL.RequestURI()
}

// connect begins an authorization and sends the browser on its way.
func (s *Server) connect(w http.ResponseWriter, r *http.Request, _ identity) {
	p, err := s.platform(r.Context(), r.PathValue("platform"))
	if err == nil && !p.Configured {
		err = &Problem{Kind: "not_configured", Platform: p.Name}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := connectView{Platform: p, Input: clip(strings.TrimSpace(r.PostForm.Get("input")))}
	if p.Ask != "" && (v.Input == "" || strings.ContainsAny(v.Input, " \t\r\n\\<>\"'")) {
		v.Wrong = true
		s.show(w, r, page{Name: "connect", Status: http.StatusUnprocessableEntity, Data: v})
		return
	}
	browser, err := s.bind(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	address, err := s.backend.Begin(r.Context(), p.Name, v.Input, browser)
	if wrong, ok := errors.AsType[*Problem](err); ok && p.Ask != "" && (wrong.Kind == "bad_input" || wrong.Kind == "network") {
		v.Failed, v.Detail = wrong.Kind, wrong.Detail // back to the field with what was typed
		s.show(w, r, page{Name: "connect", Status: statuses[wrong.Kind], Data: v})
		return
	}
	if err != nil {
		s.fail(w, r, named(err, p.Name))
		return
	}
	if !webAddress(address) {
		s.fail(w, r, &Problem{Kind: "provider", Platform: p.Name, Err: errors.New("the provider's address is none of the web")})
		return
	}
	sealed, err := s.keys.cookies.Encode(wayOut, exit{Address: address, Browser: browser, Begun: time.Now().Unix()})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/connect/"+url.PathEscape(p.Name)+"/go?to="+queryEscape(sealed), http.StatusSeeOther)
}

// named says of a problem which platform it is about, where it does not say so itself.
func named(err error, platform string) error {
	if p, ok := errors.AsType[*Problem](err); ok && p.Platform == "" {
		with := *p
		with.Platform = platform
		return &with
	}
	return err
}

// webAddress tells whether a browser can be sent to an address, in a header too.
func webAddress(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return false
	}
	return !strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '\\' })
}

// exit is an address outside that this browser may be sent to. Browsers hold the redirects that follow a form to the
// form's policy, which allows our own pages alone; and where a provider is, the form does not know yet. So the form
// leads to a page of ours, and that page leads out, by itself and by a link.
type exit struct {
	Address string `json:"address"`
	Browser string `json:"browser"`
	Begun   int64  `json:"begun"`
}

const wayOut = "jauge-exit" // the name under which an exit is sealed

type leaveView struct {
	Platform      Platform
	Address, Host string
}

// leave sends the browser to the provider. It takes addresses that connect made for this very browser, and no others.
func (s *Server) leave(w http.ResponseWriter, r *http.Request, _ identity) {
	var to exit
	p, err := s.platform(r.Context(), r.PathValue("platform"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	bad := s.keys.cookies.Decode(wayOut, r.URL.Query().Get("to"), &to) != nil || !same(to.Browser, s.browser(r)) ||
		time.Since(time.Unix(to.Begun, 0)) > connectLife || !webAddress(to.Address)
	if bad {
		s.fail(w, r, &Problem{Kind: "expired_state", Platform: p.Name})
		return
	}
	u, err := url.Parse(to.Address)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	s.show(w, r, page{Name: "leave", Onward: to.Address, Data: leaveView{Platform: p, Address: to.Address, Host: u.Host}})
}

const mostParameters = 32

// callback is where a provider sends the browser back to. It is no page of members: the session's cookie does not come
// along from another site; what lets it in is the cookie of the authorization, which a member alone can have.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer") // its address holds a code
	q, err := url.ParseQuery(r.URL.RawQuery)
	q.Del(sentOn)
	if err != nil || len(q) == 0 || len(q) > mostParameters || slices.ContainsFunc([]string{"code", "state", "error", "iss"}, func(k string) bool { return len(q[k]) > 1 }) {
		s.fail(w, r, &Problem{Kind: "unknown_state", Err: errors.New("the callback's parameters make no sense")})
		return
	}
	browser := s.browser(r)
	if browser == "" {
		s.fail(w, r, &Problem{Kind: "other_browser", Err: errors.New("the browser sent no cookie of an authorization")})
		return
	}
	grant, err := s.backend.Complete(r.Context(), q, browser)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.step(w, r, "/grants/"+url.PathEscape(grant)+"/choose")
}
