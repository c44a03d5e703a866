package oauthtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// Server is a provider's server in memory: consent page, token endpoint, revocation and API.
type Server struct {
	Provider *oauth.Provider // with the addresses that are served
	Fake     Fake            // with its defaults
	Redirect string          // the one redirect address that is registered

	mux *http.ServeMux

	mu      sync.Mutex
	codes   map[string]*code
	access  map[string]*accessToken
	refresh map[string]*refreshToken
	secrets []string // everything that must be seen nowhere
	faults  []Fault
	shape   Shape
	deny    bool
	without string // the scope that the user unticks
	object  bool   // the API refuses the object
	counts  Counts
}

// Counts are what the server has seen.
type Counts struct {
	Renewals int // requests that would renew and reached the server
	Reused   int // spent refresh tokens that came again
	Calls    int // API requests that were let through
	Refused  int // API requests that were not
}

// family is a consent with all tokens that came of it.
type family struct {
	scopes  []string
	revoked bool
	online  bool // no refresh token was asked for
}

type code struct {
	family              *family
	redirect, challenge string
	ends                time.Time
	used                bool
}

type accessToken struct {
	family *family
	issued time.Time
	ends   time.Time
}

type refreshToken struct {
	family *family
	ends   time.Time
	spent  time.Time // zero: not yet
	answer Issued    // what it was spent for
}

// NewServer makes a server for a provider; p's addresses are made those of the Fake.
func NewServer(p *oauth.Provider, f Fake, redirect string) *Server {
	f = f.withDefaults(p)
	s := &Server{
		Provider: p, Fake: f, Redirect: redirect, mux: http.NewServeMux(),
		codes: map[string]*code{}, access: map[string]*accessToken{}, refresh: map[string]*refreshToken{},
		secrets: []string{f.App.ClientSecret.Reveal()},
	}
	if f.Endpoints.Authorize != "" && !f.OwnAuthorize {
		s.mux.HandleFunc(pattern("GET", f.Endpoints.Authorize), s.Authorize)
	}
	if f.Endpoints.Token != "" && !f.OwnToken {
		s.mux.HandleFunc(pattern("POST", f.Endpoints.Token), s.Token)
	}
	if f.Endpoints.Revoke != "" && !f.OwnRevoke {
		s.mux.HandleFunc(pattern("POST", f.Endpoints.Revoke), s.Revoke)
	}
	if f.Routes != nil {
		f.Routes(s, s.mux)
	}
	return s
}

// pattern makes a pattern of http.ServeMux out of an address; a path that ends in a slash stands for itself alone.
func pattern(method, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return method + " " + address
	}
	path := u.Path
	if strings.HasSuffix(path, "/") {
		path += "{$}"
	}
	return method + " " + u.Host + path
}

// Deny makes the user say no.
func (s *Server) Deny() { s.mu.Lock(); defer s.mu.Unlock(); s.deny = true }

// Untick makes the user leave out a scope.
func (s *Server) Untick(scope string) { s.mu.Lock(); defer s.mu.Unlock(); s.without = scope }

// LoseObject makes the API refuse what is asked for, or not any more.
func (s *Server) LoseObject(lost bool) { s.mu.Lock(); defer s.mu.Unlock(); s.object = lost }

// RevokeAll ends every grant, as a user does in the provider's settings.
func (s *Server) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.access {
		a.family.revoked = true
	}
	for _, r := range s.refresh {
		r.family.revoked = true
	}
}

// ExpireAccess ends every access token at once, and leaves the refresh tokens.
func (s *Server) ExpireAccess() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.access {
		a.ends = time.Now()
	}
}

// Counts gives what the server has seen.
func (s *Server) Counts() Counts { s.mu.Lock(); defer s.mu.Unlock(); return s.counts }

// Keep adds to what must be seen nowhere.
func (s *Server) Keep(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range secrets {
		if v != "" && !slices.Contains(s.secrets, v) {
			s.secrets = append(s.secrets, v)
		}
	}
}

// Secrets lists everything that must be seen nowhere: codes, tokens, verifiers, the client's secret.
func (s *Server) Secrets() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.secrets) }

func (s *Server) fresh(kind string) string {
	v := kind + "-" + rand.Text()
	s.secrets = append(s.secrets, v)
	return v
}

// Browse is a browser that follows an authorization address to the callback and gives what the callback gets.
func (s *Server) Browse(address string) (url.Values, error) {
	req := httptest.NewRequest(http.MethodGet, address, nil)
	rec := httptest.NewRecorder()
	s.mux.ServeHTTP(rec, req)
	if rec.Code != http.StatusFound {
		return nil, fmt.Errorf("consent page answers %d: %s", rec.Code, rec.Body)
	}
	to := rec.Header().Get("Location")
	rest, ok := strings.CutPrefix(to, s.Redirect+"?")
	if !ok {
		return nil, fmt.Errorf("consent page sends the browser to %s instead of %s", to, s.Redirect)
	}
	return url.ParseQuery(rest)
}

// Authorize is the consent page: the user agrees, or as Deny and Untick have it.
func (s *Server) Authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	key := "client_id"
	if s.Fake.Law.ClientKey != "" {
		key = s.Fake.Law.ClientKey
	}
	challenge := q.Get("code_challenge")
	switch {
	case q.Get(key) != s.Fake.App.ClientID:
		http.Error(w, "unknown client in "+key, http.StatusBadRequest)
	case q.Get("redirect_uri") != s.Redirect:
		http.Error(w, "redirect address is not registered", http.StatusBadRequest) // never redirected to
	case q.Get("response_type") != "code", q.Get("state") == "":
		http.Error(w, "no code asked for, or no state", http.StatusBadRequest)
	case s.Fake.Law.NoPKCE && challenge != "":
		http.Error(w, "challenge is not understood", http.StatusBadRequest)
	case !s.Fake.Law.NoPKCE && (challenge == "" || q.Get("code_challenge_method") != "S256"):
		http.Error(w, "challenge is missing or not S256", http.StatusBadRequest)
	default:
		answer, err := s.Consent(splitScopes(q.Get("scope"), s.Fake.Law.Separator), challenge)
		if err != nil {
			answer = url.Values{"error": {"access_denied"}, "error_description": {err.Error()}}
		}
		if offline := s.Fake.Law.Offline; offline != nil && !offline(q) {
			s.online(answer.Get("code"))
		}
		answer.Set("state", q.Get("state"))
		http.Redirect(w, r, s.Redirect+"?"+answer.Encode(), http.StatusFound)
	}
}

// online makes a code one without a refresh token.
func (s *Server) online(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.codes[v]; c != nil {
		c.family.online = true
	}
}

func splitScopes(text, separator string) []string {
	if separator == "" {
		separator = " "
	}
	if text == "" {
		return nil
	}
	return strings.Split(text, separator)
}

// Consent is what a user's click makes: a code, or an error where the user says no.
func (s *Server) Consent(scopes []string, challenge string) (url.Values, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deny {
		return nil, errors.New("the user said no")
	}
	scopes = slices.DeleteFunc(slices.Clone(scopes), func(v string) bool { return v == s.without })
	v := s.fresh("code")
	s.codes[v] = &code{family: &family{scopes: scopes}, redirect: s.Redirect, challenge: challenge, ends: time.Now().Add(s.Fake.CodeLife)}
	return url.Values{"code": {v}}, nil
}

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
