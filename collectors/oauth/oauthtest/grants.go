package oauthtest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// Token is the token endpoint of RFC 6749, as strict as the provider's data says.
func (s *Server) Token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" {
		s.Fake.Refuse(w, BadRequest)
		return
	}
	if !s.Client(r) {
		s.Fake.Refuse(w, BadClient)
		return
	}
	var (
		i   Issued
		why Refusal
	)
	switch f := r.PostForm; f.Get("grant_type") {
	case "authorization_code":
		i, why = s.Redeem(f.Get("code"), f.Get("redirect_uri"), f.Get("code_verifier"))
	case "refresh_token":
		i, why = s.Renew(f.Get("refresh_token"))
	case "client_credentials":
		i, why = s.Issue(nil)
	default:
		why = BadRequest
	}
	s.Reply(w, i, why)
}

// Reply answers a token request.
func (s *Server) Reply(w http.ResponseWriter, i Issued, why Refusal) {
	if why != "" {
		s.Fake.Refuse(w, why)
		return
	}
	JSON(w, http.StatusOK, s.Fake.Answer(i))
}

// Client tells whether a form request names the client as the provider wants it, and in no other way.
func (s *Server) Client(r *http.Request) bool {
	app, f := s.Fake.App, r.PostForm
	key := cmp.Or(s.Fake.Law.ClientKey, "client_id")
	id, secret, basic := r.BasicAuth()
	if s.Fake.Law.Auth == oauth.InHeader && app.ClientSecret != "" {
		id, ierr := url.QueryUnescape(id)
		secret, serr := url.QueryUnescape(secret)
		return basic && ierr == nil && serr == nil && id == app.ClientID && secret == app.ClientSecret.Reveal() && !f.Has("client_secret")
	}
	return !basic && f.Get(key) == app.ClientID && f.Get("client_secret") == app.ClientSecret.Reveal()
}

// Redeem trades a code for tokens, once.
func (s *Server) Redeem(v, redirect, verifier string) (Issued, Refusal) {
	s.Keep(verifier)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.codes[v]
	switch {
	case s.Fake.Law.NoPKCE && verifier != "":
		return Issued{}, BadClient // LinkedIn's way
	case c == nil || !time.Now().Before(c.ends):
		return Issued{}, BadCode
	case c.used:
		c.family.revoked = true // RFC 6749 section 4.1.2
		return Issued{}, BadCode
	case redirect != c.redirect:
		return Issued{}, BadRedirect
	case c.challenge != "" && s.Fake.Challenge(verifier) != c.challenge:
		return Issued{}, BadVerifier
	}
	c.used = true
	i := s.issue(c.family, true)
	return i, ""
}

// Renew trades a refresh token, as the provider's model has it.
func (s *Server) Renew(v string) (Issued, Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refresh[v]
	if r == nil || r.family.revoked || !time.Now().Before(r.ends) {
		return Issued{}, BadRefresh
	}
	if s.Fake.Law.Model != oauth.Rotating {
		i := s.issue(r.family, false)
		if s.Fake.Repeats {
			i.Refresh, i.RefreshIn = v, int64(time.Until(r.ends).Seconds())
		}
		i.Renewal = true
		return s.shaped(i), ""
	}
	if !r.spent.IsZero() {
		if g := s.Provider.Renewal.Grace; g > 0 && time.Since(r.spent) <= g {
			return r.answer, ""
		}
		s.counts.Reused++
		r.family.revoked = true
		return Issued{}, BadRefresh
	}
	i := s.issue(r.family, s.shape != OmitRefresh)
	i.Renewal = true
	i = s.shaped(i)
	if s.shape != OmitRefresh {
		r.spent, r.answer = time.Now(), i
	}
	return i, ""
}

// Extend trades an access token for a younger one, which takes its place; the old one lives on.
func (s *Server) Extend(v string) (Issued, Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.access[v]
	if a == nil || a.family.revoked || !time.Now().Before(a.ends) {
		return Issued{}, BadRefresh
	}
	i := s.issue(a.family, false)
	i.Renewal = true
	return s.shaped(i), ""
}

// Age is how long ago an access token was issued; 0 where there is none such.
func (s *Server) Age(v string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.access[v]; a != nil {
		return time.Since(a.issued)
	}
	return 0
}

// Issue makes tokens without a code: client credentials, a short-lived token's long-lived twin. scopes nil: the
// provider's.
func (s *Server) Issue(scopes []string) (Issued, Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if scopes == nil {
		scopes = s.Provider.Scopes
	}
	i := s.issue(&family{scopes: scopes}, false)
	i.Renewal = true
	return s.shaped(i), ""
}

// Short makes an access token of another lifetime of the same consent: what a code is traded for where a second request
// trades that for a long-lived one (Extend).
func (s *Server) Short(i Issued, life time.Duration) Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.access[i.Access]; a != nil {
		a.ends = time.Now().Add(life)
	}
	i.ExpiresIn = int64(life.Seconds())
	return i
}

// Lend makes v a token of the same consent as an access token, without an end of its own and with the same scopes: that of
// a page, which its administrator's login gives out.
func (s *Server) Lend(v, access string) {
	s.Keep(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.access[access]; a != nil {
		s.access[v] = &accessToken{a.family, time.Now(), time.Now().Add(100 * 365 * 24 * time.Hour)}
	}
}

func (s *Server) issue(f *family, withRefresh bool) Issued {
	now := time.Now()
	i := Issued{Access: s.fresh("access"), Scopes: f.scopes, ExpiresIn: int64(s.Fake.AccessLife.Seconds())}
	ends := now.Add(s.Fake.AccessLife)
	if s.Fake.Law.Model == oauth.Static && s.Provider.Renewal.Life == 0 {
		i.ExpiresIn, ends = nil, now.Add(100*365*24*time.Hour)
	}
	s.access[i.Access] = &accessToken{f, now, ends}
	m := s.Fake.Law.Model
	if withRefresh && !s.Fake.NoRefresh && !f.online && (m == oauth.Rotating || m == oauth.Reusable) {
		i.Refresh, i.RefreshIn = s.fresh("refresh"), int64(s.Fake.RefreshLife.Seconds())
		s.refresh[i.Refresh] = &refreshToken{family: f, ends: now.Add(s.Fake.RefreshLife)}
	}
	return i
}

// Revoke is RFC 7009: it knows both kinds of tokens, and takes any other as gone.
func (s *Server) Revoke(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.Fake.Refuse(w, BadRequest)
		return
	}
	if !s.Client(r) {
		s.Fake.Refuse(w, BadClient)
		return
	}
	s.End(r.PostForm.Get("token"))
	w.WriteHeader(http.StatusOK)
}

// End revokes the consent that a token came of.
func (s *Server) End(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.access[v]; a != nil {
		a.family.revoked = true
	}
	if r := s.refresh[v]; r != nil {
		r.family.revoked = true
	}
}

// Scopes are what a token was granted; nil where it is not good.
func (s *Server) Scopes(access string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.access[access]
	if a == nil || a.family.revoked || !time.Now().Before(a.ends) {
		return nil
	}
	return slices.Clone(a.family.scopes)
}

// Guard lets API requests through that bring a good token with the scope; "" needs none. Only GETs of the probe can lose
// their object.
func (s *Server) Guard(scope string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if why := s.judge(s.Fake.Bearer(r), scope, r); why != "" {
			s.Fake.RefuseAPI(w, why)
			return
		}
		h(w, r)
	}
}

func (s *Server) judge(token, scope string, r *http.Request) (why Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		if why == "" {
			s.counts.Calls++
		} else {
			s.counts.Refused++
		}
	}()
	a := s.access[token]
	path, _, _ := strings.Cut(s.Fake.Probe, "?")
	switch {
	case a == nil || a.family.revoked:
		return TokenRevoked
	case !time.Now().Before(a.ends):
		return TokenExpired
	case scope != "" && !slices.Contains(a.family.scopes, scope):
		return NoScope
	case s.object && strings.HasSuffix(path, r.Host+r.URL.Path):
		return WrongObject
	}
	return ""
}
