package providers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

// tiktokBusiness is the Accounts API: daily figures and reach of an account, beyond what the Display API offers.
func tiktokBusiness() oauth.Provider {
	const root = "https://business-api.tiktok.com/open_api/{version}"
	return oauth.Provider{
		Name: "tiktok-business", Title: "TikTok for Business", App: "TIKTOK_BUSINESS",
		Platforms: []jauge.Platform{jauge.TikTok},
		Endpoints: oauth.Endpoints{
			Authorize: "https://www.tiktok.com/v2/auth/authorize/",
			Token:     root + "/tt_user/oauth2/token/", // refresh_token/ is beside it
			Revoke:    root + "/tt_user/oauth2/revoke/",
		},
		Base: root,
		API:  collectors.API{Version: "v1.3"},
		Scopes: []string{
			"user.info.basic", "user.info.username", "user.info.stats", "user.info.profile", "user.account.type", "user.insights",
			"video.list", "video.insights",
		},
		Separator: ",",
		Auth:      oauth.InParams,
		ClientKey: "client_key", // on the consent page alone: the token endpoint says client_id
		NoPKCE:    true,
		Params:    map[string]string{"disable_auto_auth": "1"}, // else a browser that consented before is not asked again
		Slash:     true,
		NeedsApp:  true,
		Renewal: oauth.Renewal{
			// A day of access. The refresh token's year is counted from the consent: renewals tell how much is left. Nobody
			// documents whether the old one lives on beside the new one, so none is sent twice.
			Model: oauth.Rotating, Share: 0.25, Life: 24 * time.Hour, MaxLife: 25 * time.Hour,
		},
		Dead: map[string]oauth.Cause{
			"40105": oauth.CauseInvalidGrant, // incorrect or revoked
			"40102": oauth.CauseExpired,      // from memory
		},
		Dialect: tiktokBusinessDialect{},
		List:    tiktokBusinessAccount, Refused: tiktokBusinessRefused, Enveloped: true,
		Docs: "https://business-api.tiktok.com/portal/apps",
		Hint: "The app needs the Accounts API. Its redirect address for account holders must end with a slash: register " +
			"https://your.host/oauth/callback/ so.",
	}
}

// tiktokBusinessDialect speaks JSON, with errors in envelopes of status 200.
type tiktokBusinessDialect struct{ oauth.Standard }

// slashed gives the call with the redirect address as TikTok wants it registered: with a slash at its end.
func slashed(c *oauth.Call) *oauth.Call {
	c = versioned(c)
	if !strings.HasSuffix(c.Redirect, "/") {
		c.Redirect += "/"
	}
	return c
}

// Begin makes the address of the consent page.
func (d tiktokBusinessDialect) Begin(ctx context.Context, c *oauth.Call, s *oauth.Start, input string) error {
	return d.Standard.Begin(ctx, slashed(c), s, input)
}

// Exchange trades the code, which comes back as auth_code or as code.
func (d tiktokBusinessDialect) Exchange(ctx context.Context, c *oauth.Call, _ *oauth.Start, callback url.Values) (*oauth.Token, error) {
	c = slashed(c)
	named := url.Values{}
	for k, v := range callback {
		named[k] = v
	}
	if code := callback.Get("auth_code"); code != "" {
		named.Set("code", code)
	}
	code, err := oauth.Code(c, named)
	if err != nil {
		return nil, err
	}
	if plain, perr := url.PathUnescape(code); perr == nil {
		code = plain
	}
	t, err := d.post(ctx, c, c.Addresses().Token, map[string]string{
		"grant_type": "authorization_code", "auth_code": code, "redirect_uri": c.Redirect,
	}, jauge.Secret(code))
	if e, ok := errors.AsType[*oauth.TokenError](err); ok && e.Code == "40110" {
		return nil, &oauth.FlowError{Kind: oauth.FlowBadCode, Err: err}
	}
	if err != nil {
		return nil, oauth.ExchangeError(err)
	}
	return t, nil
}

// Renew spends the refresh token. The year that it has is not made longer by that, whatever an answer leaves out.
func (d tiktokBusinessDialect) Renew(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	c = versioned(c)
	if old.Refresh == "" {
		return nil, fmt.Errorf("renew: %w: %s gave no refresh token", oauth.ErrNotSent, c.Provider.Title)
	}
	address := strings.TrimSuffix(c.Addresses().Token, "/")
	address = strings.TrimSuffix(address, "/token") + "/refresh_token/"
	t, err := d.post(ctx, c, address, map[string]string{
		"grant_type": "refresh_token", "refresh_token": old.Refresh.Reveal(),
	}, old.Refresh)
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	if end := old.RefreshExpiry; !end.IsZero() && (t.RefreshExpiry.IsZero() || t.Refresh == old.Refresh && t.RefreshExpiry.After(end)) {
		t.RefreshExpiry = end
	}
	return oauth.Inherit(t, old), nil
}

// Revoke ends the grant by its access token; one that is worth nothing has been ended before.
func (d tiktokBusinessDialect) Revoke(ctx context.Context, c *oauth.Call, t *oauth.Token) error {
	c = versioned(c)
	address := c.Addresses().Revoke
	if address == "" {
		return nil
	}
	_, err := d.send(ctx, c, address, map[string]string{"access_token": t.Access.Reveal()})
	if e, ok := errors.AsType[*oauth.TokenError](err); ok && slices.Contains([]string{"40105", "40102"}, e.Code) {
		return nil
	}
	if err != nil {
		return oauth.Blot(fmt.Errorf("revoke: %w", err), t.Access, c.Client().ClientSecret)
	}
	return nil
}

// Sign puts the token on a request, in a header of TikTok's own and without the word Bearer, which would be taken for a
// part of the token.
func (tiktokBusinessDialect) Sign(_ *oauth.Call, req *http.Request, t *oauth.Token) error {
	req.Header.Set("Access-Token", t.Access.Reveal())
	return nil
}

// post asks for a token.
func (d tiktokBusinessDialect) post(ctx context.Context, c *oauth.Call, address string, body map[string]string, secret jauge.Secret) (*oauth.Token, error) {
	data, err := d.send(ctx, c, address, body)
	if err == nil {
		var t *oauth.Token
		if t, err = oauth.ReadToken(c, oauth.Answer{Status: http.StatusOK, Header: http.Header{}, Body: data}); err == nil {
			return t, nil
		}
	}
	return nil, oauth.Blot(err, secret, c.Client().ClientSecret)
}

// send posts a JSON object in the client's name and unwraps the answer.
func (tiktokBusinessDialect) send(ctx context.Context, c *oauth.Call, address string, body map[string]string) (json.RawMessage, error) {
	app := c.Client()
	body["client_id"], body["client_secret"] = app.ClientID, app.ClientSecret.Reveal()
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("%w: make request: %w", oauth.ErrNotSent, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: make request: %w", oauth.ErrNotSent, oauth.Scrub(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	a, err := oauth.Fetch(ctx, c, req)
	if err != nil {
		return nil, err
	}
	var e tiktokEnvelope
	derr := json.Unmarshal(a.Body, &e)
	switch {
	case a.Status < 200 || a.Status > 299:
		if derr == nil && e.Code != "" {
			a.Body = refusal(string(e.Code), e.Message)
		}
		_, err = oauth.ReadToken(c, a)
		return nil, err
	case derr != nil || e.Code == "":
		return nil, errors.New("read token answer: it is no envelope")
	case e.Code != "0":
		code := string(e.Code)
		if code == "40101" { // the pair of id and secret is not valid
			code = "invalid_client"
		}
		a.Status, a.Body = e.status(), refusal(code, e.Message)
		_, err = oauth.ReadToken(c, a)
		return nil, err
	}
	return e.Data, nil
}

// tiktokEnvelope is around every answer; code 0 is a success.
type tiktokEnvelope struct {
	Code    text            `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// status is the one that the answer would have had, had it not been wrapped in a 200: a system error (50000) at a renewal
// may have spent the refresh token, a throttled call (40100) has not.
func (e *tiktokEnvelope) status() int {
	n, err := strconv.Atoi(string(e.Code))
	switch {
	case err != nil:
		return http.StatusBadRequest
	case n >= 50000:
		return http.StatusInternalServerError
	case n == 40100 || n == 40016 || n == 40133:
		return http.StatusTooManyRequests
	case n >= 40101 && n <= 40199:
		return http.StatusUnauthorized
	}
	return http.StatusBadRequest
}

// tiktokBusinessAccount reads who consented: a login is one account, and its business_id is the open_id of the token.
func tiktokBusinessAccount(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	const op = "read account"
	c = versioned(c)
	if t.Subject == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Err: errors.New("the token answer has no open_id")}
	}
	fields := `["display_name","profile_image"]`
	if t.Scopes == nil && slices.Contains(c.Provider.Scopes, "user.info.username") || slices.Contains(t.Scopes, "user.info.username") {
		fields = `["display_name","profile_image","username"]`
	}
	var e tiktokEnvelope
	q := url.Values{"business_id": {t.Subject}, "fields": {fields}}
	if err := oauth.GetJSON(ctx, c, op, c.Provider.Base+"/business/get/?"+q.Encode(), nil, &e); err != nil {
		return oauth.Holder{}, nil, oauth.Blot(err, t.Access)
	}
	if e.Code != "0" {
		return oauth.Holder{}, nil, oauth.Blot(&jauge.Error{
			Op: op, Reason: e.reason(), Status: http.StatusOK, Code: string(e.Code), Err: errors.New(e.Message),
		}, t.Access)
	}
	var u struct {
		Username string `json:"username"`
		Name     string `json:"display_name"`
		Image    string `json:"profile_image"`
	}
	if len(e.Data) > 0 && json.Unmarshal(e.Data, &u) != nil {
		return oauth.Holder{}, nil, &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Err: errors.New("the answer is not as documented")}
	}
	name := cmp.Or(u.Name, u.Username)
	return oauth.Holder{ID: t.Subject, Handle: u.Username, Name: name},
		[]oauth.Subject{{Platform: jauge.TikTok, ID: t.Subject, Handle: u.Username, Name: name, Avatar: u.Image}}, nil
}

func (e *tiktokEnvelope) reason() jauge.Reason {
	switch {
	case e.Code == "40001":
		return jauge.ReasonScope
	case e.status() == http.StatusUnauthorized:
		return jauge.ReasonAuth
	case e.status() == http.StatusTooManyRequests:
		return jauge.ReasonRateLimited
	case e.status() >= 500:
		return jauge.ReasonServer
	}
	return jauge.ReasonBadRequest
}

// tiktokBusinessRefused judges envelopes, of whatever status. 40101 and 40104 (no valid pair of app and secret; no token)
// are mistakes of ours and say nothing of the grant; 40001 and 40102 stand on memory.
func tiktokBusinessRefused(_ int, _ http.Header, body []byte) oauth.Cause {
	var e tiktokEnvelope
	if json.Unmarshal(body, &e) != nil {
		return oauth.CauseNone
	}
	switch e.Code {
	case "40105", "40102":
		return oauth.CauseTokenRefused
	case "40001":
		return oauth.CauseScope
	}
	return oauth.CauseNone
}
