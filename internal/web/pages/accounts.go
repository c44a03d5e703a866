package pages

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const perPage = 50 // accounts

// row is an account as the list shows it.
type row struct {
	Account

	Tone     string // ok, warn, bad, idle: the badge's colour, beside its text
	Initials string
	Hue      int
	Profile  string // the account's own picture, https or empty
	Why, Do  string
	Urgent   bool // a human must act
	Renew    bool // connecting it again is offered as the first thing to do
	Again    string
}

// brandRows are the accounts of one brand.
type brandRows struct {
	Name       string
	Competitor bool
	Rows       []row
}

type accountsView struct {
	Brands                    []brandRows
	Warnings                  []Warning
	All, Urgent, Paused, Well int
	Filter, Query             string
	Found                     int
	Page, Pages               int
	Exposed                   bool
	Refresh                   string
}

// accounts shows the list.
func (s *Server) accounts(w http.ResponseWriter, r *http.Request, _ identity) {
	list, err := s.backend.Accounts(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	warnings, err := s.backend.Warnings(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	slices.SortStableFunc(warnings, func(a, b Warning) int { return a.When.Compare(b.When) })
	l, q := s.locales.of(r), r.URL.Query()
	v := accountsView{Warnings: warnings, All: len(list), Filter: q.Get("show"), Query: clip(strings.TrimSpace(q.Get("q"))), Exposed: s.cfg.Open && s.exposed()}
	rows := make([]row, 0, len(list))
	for _, a := range list {
		one := newRow(l, a)
		switch {
		case one.Paused:
			v.Paused++
		case one.Urgent:
			v.Urgent++
		case one.Tone == toneOK:
			v.Well++
		}
		if one.shown(v.Filter) && one.matches(v.Query) {
			rows = append(rows, one)
		}
	}
	v.Found = len(rows)
	v.Brands, v.Page, v.Pages = paged(rows, q.Get("page"))
	s.show(w, r, page{Name: "accounts", Data: v, Pictures: true})
}

// exposed tells whether others than this machine reach the pages.
func (s *Server) exposed() bool {
	return s.hosts.public && !loopback(s.hosts.canonical) && !loopback(s.hosts.canonical+":0")
}

// Address gives the list's address with one thing changed.
func (v accountsView) Address(what, value string) string {
	q := url.Values{"show": {v.Filter}, "q": {v.Query}}
	q.Set(what, value)
	for k := range q {
		if q.Get(k) == "" {
			q.Del(k)
		}
	}
	if len(q) == 0 {
		return "/accounts"
	}
	return "/accounts?" + q.Encode()
}

// Turn gives the address of the page n pages on.
func (v accountsView) Turn(n int) string { return v.Address("page", strconv.Itoa(v.Page+n)) }

// paged sorts rows by brand, own ones first, and cuts out one page.
func paged(rows []row, asked string) (brands []brandRows, at, pages int) {
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(truth(a.Competitor)-truth(b.Competitor), cmp.Compare(a.Brand, b.Brand), truth(b.Urgent)-truth(a.Urgent),
			cmp.Compare(a.Account.Title, b.Account.Title), cmp.Compare(a.Handle, b.Handle))
	})
	pages = max(1, (len(rows)+perPage-1)/perPage)
	at, err := strconv.Atoi(asked)
	if err != nil || at < 1 {
		at = 1
	}
	at = min(at, pages)
	for _, one := range rows[(at-1)*perPage : min(at*perPage, len(rows))] {
		if n := len(brands); n == 0 || brands[n-1].Name != one.Brand || brands[n-1].Competitor != one.Competitor {
			brands = append(brands, brandRows{Name: one.Brand, Competitor: one.Competitor})
		}
		b := &brands[len(brands)-1]
		b.Rows = append(b.Rows, one)
	}
	return brands, at, pages
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// The tones of a badge.
const (
	toneOK   = "ok"
	toneWarn = "warn"
	toneBad  = "bad"
	toneIdle = "idle"
)

// tones are the badges' by state of the grant (oauth.State).
var tones = map[string]string{
	"ok": toneOK, "expiring": toneWarn, "refresh_failed_transient": toneWarn, "revoked": toneBad, "wrong_object": toneBad,
	"scope_missing": toneBad, "never_connected": toneIdle,
}

func newRow(l *locale, a Account) row {
	o := row{Account: a, Tone: cmp.Or(tones[a.State], toneWarn), Initials: initials(cmp.Or(a.Handle, a.ID, a.Title)), Hue: hue(a.Key)}
	if u, err := url.Parse(a.Avatar); err == nil && u.Scheme == "https" && u.Host != "" {
		o.Profile = a.Avatar
	}
	if a.State != "ok" {
		o.Why = l.First("cause." + a.Cause)
		o.Do = cmp.Or(l.First("do."+a.State+"."+a.Cause, "do."+a.State), a.Advice)
	}
	parked := o.Tone == toneBad || a.State == "never_connected"
	o.Urgent = parked || a.State == "expiring"
	o.Renew = o.Urgent && a.Provider != ""
	if a.Provider != "" {
		o.Again = "/connect/" + url.PathEscape(a.Provider) + "?" + url.Values{"account": {a.Key}}.Encode()
	}
	return o
}

// shown tells whether a row passes the filter.
func (o *row) shown(filter string) bool {
	switch filter {
	case "attention":
		return o.Urgent && !o.Paused
	case "paused":
		return o.Paused
	case "working":
		return !o.Paused && !o.Urgent && o.Tone == toneOK
	}
	return true
}

// matches tells whether a row holds what was searched for.
func (o *row) matches(query string) bool {
	if query == "" {
		return true
	}
	all := strings.ToLower(strings.Join([]string{o.Handle, o.ID, o.Brand, o.Account.Title, o.Platform}, "\n"))
	return strings.Contains(all, strings.ToLower(query))
}

const hues = 8

// hue picks one of a few colours by name, always the same one.
func hue(s string) int {
	var n uint32
	for _, c := range []byte(s) {
		n = n*31 + uint32(c)
	}
	return int(n % hues)
}

// initials are what stands where there is no picture: the first two letters of a name.
func initials(name string) string {
	var out []rune
	for _, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			if len(out) > 0 {
				break
			}
			continue
		}
		out = append(out, unicode.ToUpper(c))
		if len(out) == 2 {
			break
		}
	}
	return string(out)
}

const mostText = 256 // bytes of what is typed in a short field

// clip bounds a short text.
func clip(s string) string {
	if len(s) > mostText {
		s = s[:mostText]
	}
	for !utf8.ValidString(s) && len(s) > 0 {
		s = strings.ToValidUTF8(s, "")
	}
	return s
}

// find finds an account by its key.
func (s *Server) find(ctx context.Context, key string) (*Account, error) {
	list, err := s.backend.Accounts(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // the Backend's own words
	}
	for i := range list {
		if list[i].Key == key {
			return &list[i], nil
		}
	}
	return nil, &Problem{Kind: ProblemNotFound}
}

// pause pauses an account, or ends its pause.
func (s *Server) pause(w http.ResponseWriter, r *http.Request, _ identity) {
	if err := s.backend.Pause(r.Context(), r.PostForm.Get("account"), r.PostForm.Get("paused") == "true"); err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, backTo(r), http.StatusSeeOther)
}

// backTo is the list as it was looked at, where the form says so.
func backTo(r *http.Request) string {
	if to := ownPath(r.PostForm.Get("back")); strings.HasPrefix(to, "/accounts") {
		return to
	}
	return "/accounts"
}

type removeView struct {
	Account row
	Last    bool // the grant goes along
}

// removePage says what removing an account does, and asks.
func (s *Server) removePage(w http.ResponseWriter, r *http.Request, _ identity) {
	list, err := s.backend.Accounts(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	at := slices.IndexFunc(list, func(a Account) bool { return a.Key == r.URL.Query().Get("account") })
	if at < 0 {
		s.fail(w, r, &Problem{Kind: ProblemNotFound})
		return
	}
	a := list[at]
	if a.FromConfig {
		s.fail(w, r, &Problem{Kind: ProblemFromConfig})
		return
	}
	v := removeView{Account: newRow(s.locales.of(r), a), Last: a.Grant != ""}
	for i := range list {
		if i != at && list[i].Grant == a.Grant {
			v.Last = false
		}
	}
	s.show(w, r, page{Name: "remove", Data: v, Pictures: true})
}

// remove stops to follow an account.
func (s *Server) remove(w http.ResponseWriter, r *http.Request, _ identity) {
	a, err := s.find(r.Context(), r.PostForm.Get("account"))
	if err == nil && a.FromConfig {
		err = &Problem{Kind: ProblemFromConfig}
	}
	if err == nil {
		err = s.backend.Remove(r.Context(), a.Key)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/accounts", http.StatusSeeOther)
}

// Late tells whether a warning is due within two weeks, or was.
func (w Warning) Late() bool { return w.When.IsZero() || time.Until(w.When) < 14*day }
