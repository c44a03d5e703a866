package oauth_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// authority is a provider in memory: strict about rotation, as X and Bluesky are. Its tokens begin with "tok-", so that
// any text can be searched for them.
type authority struct {
	mu       sync.Mutex
	life     time.Duration // of access tokens
	refLife  time.Duration // of refresh tokens; 0: not told
	reusable bool
	bare     bool          // no refresh tokens
	grace    time.Duration // how long a spent refresh token gets the answer that it got first
	first    map[string]spending
	n        int
	families map[string]*family // by any of its refresh tokens
	access   map[string]*family
	ends     map[string]time.Time
	codes    map[string]string // code -> login
	spent    map[string]int    // how often a refresh token was seen
	tally
	subjects []oauth.Subject
	scopes   []string // granted; nil: the answer does not tell
	api      func(req *http.Request, login string) *http.Response
	requests int
}

// spending is when a refresh token was spent, and what it brought.
type spending struct {
	at  time.Time
	got *oauth.Token
}

// tally is what the authority counts.
type tally struct{ reused, renewed, revokes int }

// got is what was counted until now.
func (a *authority) got() tally {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tally
}

// serve replaces the API; nil: the authority's own.
func (a *authority) serve(api func(req *http.Request, login string) *http.Response) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.api = api
}

// family is all tokens of one consent.
type family struct {
	login   string
	refresh string
	dead    bool
}

func newAuthority() *authority {
	return &authority{
		life: 2 * time.Hour, families: map[string]*family{}, access: map[string]*family{}, ends: map[string]time.Time{},
		codes: map[string]string{}, spent: map[string]int{},
		subjects: []oauth.Subject{
			{Platform: "plume", ID: "p1", Handle: "One.example", Name: "One"},
			{Platform: "plume", ID: "p2", Handle: "two.example", Name: "Two"},
		},
	}
}

// code makes a code for a login, as if it had consented.
func (a *authority) code(login string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n++
	c := fmt.Sprintf("tok-code-%d-%s", a.n, login)
	a.codes[c] = login
	return c
}

func (a *authority) issue(f *family) *oauth.Token {
	a.n++
	t := &oauth.Token{
		Access: jauge.Secret(fmt.Sprintf("tok-access-%d", a.n)), Refresh: jauge.Secret(fmt.Sprintf("tok-refresh-%d", a.n)),
		Issued: time.Now(), Scopes: a.scopes, Subject: f.login,
	}
	if a.reusable && f.refresh != "" {
		t.Refresh = jauge.Secret(f.refresh)
	}
	if a.life > 0 {
		t.Expiry = time.Now().Add(a.life)
		a.ends[t.Access.Reveal()] = t.Expiry
	}
	if a.refLife > 0 {
		t.RefreshExpiry = time.Now().Add(a.refLife)
	}
	f.refresh = t.Refresh.Reveal()
	if a.bare {
		defer func() { t.Refresh = "" }()
	}
	a.families[f.refresh] = f
	a.access[t.Access.Reveal()] = f
	return t
}

func (a *authority) exchange(code string) (*oauth.Token, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	login, ok := a.codes[code]
	if !ok {
		return nil, &oauth.TokenError{Status: 400, Code: "invalid_grant", Text: "code " + code + " is unknown"}
	}
	delete(a.codes, code)
	return a.issue(&family{login: login}), nil
}

// refresh spends a refresh token. A spent one kills its family.
func (a *authority) refresh(token string) (*oauth.Token, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spent[token]++
	f := a.families[token]
	switch {
	case f == nil || f.dead:
		return nil, &oauth.TokenError{Status: 400, Code: "invalid_grant", Text: "refresh token " + token + " is unknown"}
	case f.refresh != token && time.Since(a.first[token].at) < a.grace:
		again := *a.first[token].got
		return &again, nil
	case f.refresh != token:
		f.dead = true
		a.reused++
		return nil, &oauth.TokenError{Status: 400, Code: "invalid_grant", Text: "refresh token was used before"}
	}
	a.renewed++
	got := a.issue(f)
	if a.first == nil {
		a.first = map[string]spending{}
	}
	a.first[token] = spending{time.Now(), got}
	return got, nil
}

// revokeLogin ends everything that a login has.
func (a *authority) revokeLogin(login string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.families {
		if f.login == login {
			f.dead = true
		}
	}
}

// bearer is the token of a request.
func bearer(req *http.Request) string {
	return strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
}

// RoundTrip is the API: /me needs a token and gives the login, all else as well.
func (a *authority) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.requests++
	token := bearer(req)
	f := a.access[token]
	end, bounded := a.ends[token]
	ok := f != nil && !f.dead && (!bounded || time.Now().Before(end))
	api := a.api
	a.mu.Unlock()
	login := ""
	if ok {
		login = f.login
	}
	if api != nil {
		if resp := api(req, login); resp != nil {
			resp.Request = req
			return resp, nil
		}
	}
	if !ok {
		return answer(req, 401, `{"error":"invalid_token"}`), nil
	}
	return answer(req, 200, `{"login":"`+login+`"}`), nil
}

func answer(req *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}
