package providers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

// tiktok is the Display API: a creator's own public videos and counts.
func tiktok() oauth.Provider {
	return oauth.Provider{
		Name: "tiktok", Title: "TikTok", App: "TIKTOK",
		Platforms: []jauge.Platform{jauge.TikTok},
		Endpoints: oauth.Endpoints{
			Authorize: "https://www.tiktok.com/v2/auth/authorize/",
			Token:     "https://open.tiktokapis.com/{version}/oauth/token/",
			Revoke:    "https://open.tiktokapis.com/{version}/oauth/revoke/",
		},
		Base:      "https://open.tiktokapis.com/{version}",
		API:       collectors.API{Version: "v2"},
		Scopes:    []string{"user.info.basic", "user.info.profile", "user.info.stats", "video.list"},
		Separator: ",",
		Auth:      oauth.InParams,
		ClientKey: "client_key",
		NeedsApp:  true,
		Renewal: oauth.Renewal{
			// Since November 2026: two hours of access, 180 days of refresh, and a refresh token stops to work once the next
			// one is issued. Nothing is promised of a request whose answer was lost.
			Model: oauth.Rotating, Share: 0.25, Life: 2 * time.Hour, MaxLife: 25 * time.Hour,
		},
		Dead:    map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant},
		Dialect: tiktokDialect{},
		List:    tiktokUser, Refused: tiktokRefused,
		Docs: "https://developers.tiktok.com/apps",
		Hint: "The app needs the products Login Kit and Display API. A web app's redirect address begins with https; an address on this " +
			"machine belongs into the settings for desktop apps.",
	}
}

// tiktokDialect differs in the challenge, in the code, in what is revoked, and in errors that come with status 200, which
// oauth.ReadToken sees.
type tiktokDialect struct{ oauth.Standard }

// Begin makes the address of the consent page. TikTok's challenge is the hex of the verifier's hash, while its method is
// named S256 all the same; the form of RFC 7636 passes here and is refused at the exchange.
func (d tiktokDialect) Begin(ctx context.Context, c *oauth.Call, s *oauth.Start, input string) error {
	if err := d.Standard.Begin(ctx, versioned(c), s, input); err != nil {
		return err
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return &oauth.FlowError{Kind: oauth.FlowProvider, Err: fmt.Errorf("make address of the consent page: %w", oauth.Scrub(err))}
	}
	hash := sha256.Sum256([]byte(s.Verifier.Reveal()))
	q := u.Query()
	q.Set("code_challenge", hex.EncodeToString(hash[:]))
	u.RawQuery = q.Encode()
	s.URL = u.String()
	return nil
}

// Exchange trades the code, which TikTok escapes once more than the address does, for a token.
func (d tiktokDialect) Exchange(ctx context.Context, c *oauth.Call, s *oauth.Start, callback url.Values) (*oauth.Token, error) {
	once := url.Values{}
	for k, v := range callback {
		once[k] = v
	}
	if code := callback.Get("code"); strings.Contains(code, "%") {
		if plain, err := url.PathUnescape(code); err == nil { // else it was no escape
			once.Set("code", plain)
		}
	}
	return d.Standard.Exchange(ctx, versioned(c), s, once)
}

// Renew spends the refresh token.
func (d tiktokDialect) Renew(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	return d.Standard.Renew(ctx, versioned(c), old)
}

// Revoke ends the grant by its access token, the only one that is taken. A success has no body; an error may come with
// status 200, and one that speaks of the token says that it was worth nothing before.
func (tiktokDialect) Revoke(ctx context.Context, c *oauth.Call, t *oauth.Token) error {
	c = versioned(c)
	address := c.Addresses().Revoke
	if address == "" {
		return nil
	}
	req, err := oauth.FormRequest(ctx, c, address, url.Values{"token": {t.Access.Reveal()}})
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	a, err := oauth.Fetch(ctx, c, req)
	if err == nil {
		var e struct {
			Error text `json:"error"`
		}
		_ = json.Unmarshal(a.Body, &e) // a success has no body
		if a.Status >= 200 && a.Status < 300 && e.Error == "" {
			return nil
		}
		_, err = oauth.ReadToken(c, a) // reads the error
		if e, ok := errors.AsType[*oauth.TokenError](err); ok && (e.Code == "invalid_grant" || e.Code == "access_token_invalid") {
			return nil
		}
	}
	return oauth.Blot(fmt.Errorf("revoke: %w", err), t.Access, c.Client().ClientSecret)
}

// tiktokError is the error that stands in every answer of the API; code is "ok" in a success.
type tiktokError struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// tiktokUser reads who consented: a login is one account. A field whose scope was not granted fails the whole call.
func tiktokUser(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	const op = "read account"
	c = versioned(c)
	fields := "open_id,union_id,avatar_url,display_name"
	if t.Scopes == nil && slices.Contains(c.Provider.Scopes, "user.info.profile") || slices.Contains(t.Scopes, "user.info.profile") {
		fields += ",username"
	}
	var a struct {
		tiktokError
		Data struct {
			User struct {
				ID       text   `json:"open_id"`
				Name     string `json:"display_name"`
				Username string `json:"username"`
				Avatar   string `json:"avatar_url"`
			} `json:"user"`
		} `json:"data"`
	}
	if err := oauth.GetJSON(ctx, c, op, c.Provider.Base+"/user/info/?fields="+fields, nil, &a); err != nil {
		return oauth.Holder{}, nil, oauth.Blot(err, t.Access)
	}
	if code := a.Error.Code; code != "" && code != "ok" {
		return oauth.Holder{}, nil, oauth.Blot(&jauge.Error{
			Op: op, Reason: tiktokReason(code), Status: http.StatusOK, Code: code, Err: errors.New(a.Error.Message),
		}, t.Access)
	}
	u := a.Data.User
	id := cmp.Or(string(u.ID), t.Subject)
	if id == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Err: errors.New("the answer names nobody")}
	}
	name := cmp.Or(u.Name, u.Username)
	return oauth.Holder{ID: id, Handle: u.Username, Name: name},
		[]oauth.Subject{{Platform: jauge.TikTok, ID: id, Handle: u.Username, Name: name, Avatar: u.Avatar}}, nil
}

func tiktokReason(code string) jauge.Reason {
	switch code {
	case "access_token_invalid":
		return jauge.ReasonAuth
	case "scope_not_authorized", "scope_permission_missed":
		return jauge.ReasonScope
	case "rate_limit_exceeded":
		return jauge.ReasonRateLimited
	case "internal_error":
		return jauge.ReasonServer
	}
	return jauge.ReasonBadRequest
}

// tiktokRefused tells the two meanings of a 401 apart: a missing scope is no reason to refresh.
func tiktokRefused(status int, _ http.Header, body []byte) oauth.Cause {
	var e tiktokError
	if status != http.StatusUnauthorized && status != http.StatusForbidden || json.Unmarshal(body, &e) != nil {
		return oauth.CauseNone
	}
	switch e.Error.Code {
	case "access_token_invalid":
		return oauth.CauseTokenRefused
	case "scope_not_authorized", "scope_permission_missed":
		return oauth.CauseScope
	}
	return oauth.CauseNone
}
