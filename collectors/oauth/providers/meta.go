package providers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

// What Facebook, Instagram and Threads share: tokens without a refresh token, and one dialect of errors.

const (
	graphVersion = "v26.0" // released 2026-07-29
	graphLog     = "https://developers.facebook.com/docs/graph-api/changelog"
)

// metaRenewal is how Meta's long-lived tokens live on: 60 days, counted anew at each exchange, which spends nothing and
// may be repeated. An expired one is beyond help, so half of the time is kept for failures.
func metaRenewal(minAge time.Duration) oauth.Renewal {
	return oauth.Renewal{
		Model: oauth.Extend, Share: 0.5, MinAge: minAge, Life: 60 * 24 * time.Hour, MaxLife: 90 * 24 * time.Hour,
	}
}

// metaDead are the codes by which an exchange of a token says that the token has ended. 190 and 102 mean the same; their
// subcodes say why. 463, 464, 467 and 492 stand on memory.
func metaDead() map[string]oauth.Cause {
	dead := map[string]oauth.Cause{}
	for _, code := range []string{"190", "102"} {
		dead[code] = oauth.CauseInvalidGrant
		dead[code+"/458"] = oauth.CauseInvalidGrant // the user removed the app
		dead[code+"/459"] = oauth.CauseInvalidGrant // the user has to pass a checkpoint on the site
		dead[code+"/460"] = oauth.CauseInvalidGrant // the password was changed
		dead[code+"/463"] = oauth.CauseExpired
		dead[code+"/464"] = oauth.CauseInvalidGrant // the user is not confirmed
		dead[code+"/467"] = oauth.CauseInvalidGrant // logged out, or made invalid
		dead[code+"/492"] = oauth.CauseInvalidGrant // the user lost the role on the page
	}
	return dead
}

// graphSunsets are the ends of the Graph API's versions, which Instagram counts in the same numbers. Metrics end in all
// versions at once: the collector that asks for them has their ends.
func graphSunsets() []collectors.Sunset {
	ends := []struct {
		version string
		year    int
		month   time.Month
		day     int
	}{
		{"v20.0", 2026, 9, 24}, {"v21.0", 2027, 1, 21}, {"v22.0", 2027, 5, 20}, {"v23.0", 2027, 10, 8},
		{"v24.0", 2028, 2, 18}, {"v25.0", 2028, 7, 29}, // of v26.0 no end is known: two years after its successor
	}
	out := make([]collectors.Sunset, 0, len(ends))
	for _, e := range ends {
		out = append(out, collectors.Sunset{
			Kind: collectors.SunsetVersion, Name: e.version, Ends: time.Date(e.year, e.month, e.day, 0, 0, 0, 0, time.UTC),
			Then: graphVersion, From: graphLog,
		})
	}
	return out
}

// metaError is the error of an API answer.
type metaError struct {
	Code, Subcode int
	Message       string
	Transient     bool
}

// readMetaError reads {"error":{…}}; ok is false where the body is none.
func readMetaError(body []byte) (e metaError, ok bool) {
	var w struct {
		Error *struct {
			Code      text `json:"code"`
			Subcode   text `json:"error_subcode"`
			Message   text `json:"message"`
			Transient bool `json:"is_transient"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &w) != nil || w.Error == nil {
		return metaError{}, false
	}
	code, err := strconv.Atoi(string(w.Error.Code))
	if err != nil {
		return metaError{}, false
	}
	sub, err := strconv.Atoi(string(w.Error.Subcode))
	if err != nil {
		sub = 0 // most errors have none
	}
	return metaError{code, sub, string(w.Error.Message), w.Error.Transient}, true
}

// metaRefused tells what an API answer means for the grant. Meta answers 400 to nearly everything, throttling included:
// the code decides. 100/33 ("does not exist, or no permission") stands for deleted posts and, at times, for throttling as
// well: it proves nothing of the grant.
func metaRefused(_ int, _ http.Header, body []byte) oauth.Cause {
	e, ok := readMetaError(body)
	if !ok || e.Transient {
		return oauth.CauseNone
	}
	said := strings.ToLower(e.Message)
	switch {
	case e.Code == 190 || e.Code == 102:
		switch {
		case e.Subcode == 492: // this page's token is dead, the grant may open others
			return oauth.CauseWrongObject
		case strings.Contains(said, "page access token"): // the token is good, the call wants another kind
			return oauth.CauseNone
		}
		return oauth.CauseTokenRefused
	case e.Code == 10 || e.Code >= 200 && e.Code <= 299:
		switch {
		case strings.Contains(said, "not enough viewers"): // of a story: it has no figures
			return oauth.CauseNone
		case strings.Contains(said, "public content access"), strings.Contains(said, "public metadata access"):
			return oauth.CauseNone // the app lacks a feature for pages of others: no consent brings it
		}
		return oauth.CauseScope
	}
	return oauth.CauseNone
}

// metaThrottled are the codes of spent budgets: of the app, the user, the page, a use case.
func metaThrottled(code int) bool {
	return code == 4 || code == 17 || code == 32 || code == 341 || code == 613 || code >= 80000 && code <= 80014
}

// metaRefusal gives a token endpoint's refusal the status and the word that it has elsewhere: throttling comes as 400, and
// a wrong secret of the client as code 1 ("unknown") or 101.
func metaRefusal(err error) error {
	t, ok := errors.AsType[*oauth.TokenError](err)
	if !ok {
		return err
	}
	word, _, _ := strings.Cut(t.Code, "/")
	code, nerr := strconv.Atoi(word)
	switch {
	case nerr != nil:
	case metaThrottled(code):
		t.Status = http.StatusTooManyRequests
	case code == 101, strings.Contains(strings.ToLower(t.Text), "client secret"): // 101 stands on memory
		t.Code = "invalid_client"
	}
	return err
}

// metaFlow says what a failed exchange of a code means. Meta has no invalid_grant: the sentence tells.
func metaFlow(err error) error {
	err = oauth.ExchangeError(metaRefusal(err))
	f, ok := errors.AsType[*oauth.FlowError](err)
	if !ok || f.Kind != oauth.FlowProvider {
		return err
	}
	t, ok := errors.AsType[*oauth.TokenError](f.Err)
	if !ok {
		return err
	}
	said := strings.ToLower(t.Text)
	for _, part := range []string{"authorization code", "verification code", "matching code"} {
		if strings.Contains(said, part) {
			return &oauth.FlowError{Kind: oauth.FlowBadCode, Err: f.Err}
		}
	}
	return err
}

// metaCallback takes off what Meta appends to the address that it sends the browser to, and what is then pasted as part of
// the code: "#_" and "#_=_".
func metaCallback(callback url.Values) url.Values {
	out := url.Values{}
	for k, v := range callback {
		out[k] = v
	}
	code, _, _ := strings.Cut(callback.Get("code"), "#_")
	out.Set("code", code)
	if code == "" {
		out.Del("code")
	}
	return out
}

// versioned gives the call with its API version in all addresses.
func versioned(c *oauth.Call) *oauth.Call {
	p, out := *c.Provider, *c
	fill := func(s *string) { *s = strings.ReplaceAll(*s, "{version}", p.API.Version) }
	fill(&p.Endpoints.Authorize)
	fill(&p.Endpoints.Token)
	fill(&p.Endpoints.Revoke)
	fill(&p.Base)
	p.Base = strings.TrimRight(p.Base, "/")
	out.Provider = &p
	return &out
}

// longLived is the dialect of Instagram and Threads: a code gives a token of an hour, which is traded for one of 60 days,
// which is traded for another. Both trades are GET requests with secrets in the query; nothing else is documented, and a
// POST is refused. The requests go through oauth.FetchToken, which follows no redirect and shows no address.
type longLived struct {
	oauth.Standard
	prefix string // of the grant types: ig, th
	token  string // the platform's own token endpoint
}

// Begin makes the address of the consent page.
func (d longLived) Begin(ctx context.Context, c *oauth.Call, s *oauth.Start, input string) error {
	return d.Standard.Begin(ctx, versioned(c), s, input)
}

// Exchange trades the code for a long-lived token.
func (d longLived) Exchange(ctx context.Context, c *oauth.Call, _ *oauth.Start, callback url.Values) (*oauth.Token, error) {
	c = versioned(c)
	code, err := oauth.Code(c, metaCallback(callback))
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Redirect}}
	req, err := oauth.FormRequest(ctx, c, c.Addresses().Token, form)
	if err != nil {
		return nil, metaFlow(err)
	}
	secrets := []jauge.Secret{jauge.Secret(code), c.Client().ClientSecret}
	a, err := oauth.Fetch(ctx, c, req)
	if err != nil {
		return nil, metaFlow(oauth.Blot(err, secrets...))
	}
	short, err := shortToken(c, a)
	if err != nil {
		return nil, metaFlow(oauth.Blot(err, secrets...))
	}
	long, err := d.trade(ctx, c, "access_token", url.Values{
		"grant_type": {d.prefix + "_exchange_token"}, "client_secret": {c.Client().ClientSecret.Reveal()},
		"access_token": {short.Access.Reveal()},
	}, short.Access)
	if err != nil {
		return nil, metaFlow(fmt.Errorf("exchange for a long-lived token: %w", err))
	}
	return oauth.Inherit(long, short), nil
}

// Renew trades the token for one that lives another 60 days.
func (d longLived) Renew(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	t, err := d.trade(ctx, versioned(c), "refresh_access_token", url.Values{
		"grant_type": {d.prefix + "_refresh_token"}, "access_token": {old.Access.Reveal()},
	}, old.Access)
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	return oauth.Inherit(t, old), nil
}

// Revoke does nothing: neither API documents a way.
func (longLived) Revoke(context.Context, *oauth.Call, *oauth.Token) error { return nil }

func (d longLived) trade(ctx context.Context, c *oauth.Call, name string, q url.Values, old jauge.Secret) (*oauth.Token, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.root(c)+"/"+name+"?"+q.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: make request: %w", oauth.ErrNotSent, oauth.Scrub(err))
	}
	req.Header.Set("Accept", "application/json")
	t, err := oauth.FetchToken(ctx, c, req, old, c.Client().ClientSecret)
	return t, metaRefusal(err)
}

// root is where the trades are, outside of every version: at the API's host, or where the operator put something in place
// of the token endpoint, beside that.
func (d longLived) root(c *oauth.Call) string {
	token := c.Addresses().Token
	if token == d.token {
		return strings.TrimSuffix(c.Provider.Base, "/"+c.Provider.API.Version)
	}
	token = strings.TrimRight(token, "/")
	if root, ok := strings.CutSuffix(token, "/oauth/access_token"); ok {
		return root
	}
	if u, err := url.Parse(token); err == nil {
		u.Path, u.RawPath, u.RawQuery = u.Path[:strings.LastIndexByte("/"+u.Path, '/')], "", ""
		return strings.TrimRight(u.String(), "/")
	}
	return token
}

// shortToken reads the answer to a code: flat or in a list, permissions in a list or a text, a user_id that no float can
// hold; errors in the way of api.instagram.com.
func shortToken(c *oauth.Call, a oauth.Answer) (*oauth.Token, error) {
	var w struct {
		Data        []json.RawMessage `json:"data"`
		Permissions json.RawMessage   `json:"permissions"`
		ErrorType   text              `json:"error_type"`
		ErrorText   text              `json:"error_message"`
		Code        text              `json:"code"`
	}
	if json.Unmarshal(a.Body, &w) == nil {
		if w.ErrorText != "" {
			a.Body = refusal(strings.Trim(string(w.Code+"/"+w.ErrorType), "/"), string(w.ErrorText))
		}
		if len(w.Data) > 0 {
			a.Body = w.Data[0]
			var inner struct {
				Permissions json.RawMessage `json:"permissions"`
			}
			if json.Unmarshal(a.Body, &inner) == nil {
				w.Permissions = inner.Permissions
			}
		}
	}
	t, err := oauth.ReadToken(c, a)
	if err != nil {
		return nil, err
	}
	if t.Scopes == nil {
		t.Scopes = permissions(w.Permissions)
	}
	return t, nil
}

// refusal spells an error as RFC 6749 does, so that it is read like any other.
func refusal(code, said string) []byte {
	b, err := json.Marshal(map[string]string{"error": code, "error_description": said})
	if err != nil { // strings alone do not fail
		return nil
	}
	return b
}

// permissions reads a list or a text apart by commas; nil where there is none.
func permissions(raw json.RawMessage) []string {
	var list []string
	var one text
	if json.Unmarshal(raw, &list) != nil && json.Unmarshal(raw, &one) == nil {
		list = strings.FieldsFunc(string(one), func(r rune) bool { return r == ',' || r == ' ' })
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// text is a string, or a number as it was written: ids exceed what a float can hold.
type text string

// UnmarshalJSON reads both; anything else is empty.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
		return nil
	}
	if b = bytes.TrimSpace(b); len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9') {
		*t = text(b)
	}
	return nil
}
