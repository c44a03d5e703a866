package providers

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

func pinterest() oauth.Provider {
	return oauth.Provider{
		Name: "pinterest", Title: "Pinterest", App: "PINTEREST",
		Platforms: []jauge.Platform{jauge.Pinterest},
		Endpoints: oauth.Endpoints{
			Authorize: "https://www.pinterest.com/oauth/",
			Token:     "https://api.pinterest.com/{version}/oauth/token",
		},
		Base:      "https://api.pinterest.com/{version}",
		API:       collectors.API{Version: "v5"},
		Scopes:    []string{"user_accounts:read", "boards:read", "pins:read"},
		Separator: ",",
		Auth:      oauth.InHeader,
		// The published description of the API has neither challenge nor verifier.
		NoPKCE:   true,
		NeedsApp: true,
		Renewal: oauth.Renewal{
			// 30 days of access (from memory: the answer tells), 60 of refresh, and both begin anew with each refresh. It is
			// done early, so that weeks are left to notice that it fails.
			Model: oauth.Rotating, Share: 0.3,
			Life: 30 * 24 * time.Hour, MaxLife: 366 * 24 * time.Hour,
		},
		Dead: map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant},
		// Apps from before 2025-09-25 are given tokens that can be renewed for ever only when they ask; others ignore it.
		Dialect: pinterestDialect{oauth.Standard{
			ExchangeParams: map[string]string{"continuous_refresh": "true"},
			RenewParams:    map[string]string{"continuous_refresh": "true"},
		}},
		List: pinterestUser, Refused: pinterestRefused,
		Docs: "https://developers.pinterest.com/apps/",
		Hint: "An app with trial access reads 1,000 times a day in total: apply for standard access. Analytics need a business account.",
	}
}

// pinterestDialect is the standard, but for the word by which Pinterest refuses a code or a refresh token.
type pinterestDialect struct{ oauth.Standard }

// Exchange trades the code for a token.
func (d pinterestDialect) Exchange(ctx context.Context, c *oauth.Call, s *oauth.Start, callback url.Values) (*oauth.Token, error) {
	t, err := d.Standard.Exchange(ctx, c, s, callback)
	return t, oauth.ExchangeError(pinterestWords(err))
}

// Renew trades the refresh token for a new pair, once.
func (d pinterestDialect) Renew(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	t, err := d.Standard.Renew(ctx, c, old)
	return t, pinterestWords(err)
}

// pinterestWords names a refused grant as RFC 6749 does: Pinterest's number for "The authorization grant is invalid" is
// 283 (as reported of its token endpoint; the description of the API lists no errors there).
func pinterestWords(err error) error {
	if t, ok := errors.AsType[*oauth.TokenError](err); ok && t.Code == "283" {
		t.Code = "invalid_grant"
	}
	return err
}

// pinterestUser reads who consented: a Pinterest login is one account.
func pinterestUser(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	var u struct {
		ID       string `json:"id"`
		Username string `json:"username"`
		Business string `json:"business_name"`
		Image    string `json:"profile_image"`
	}
	if err := oauth.GetJSON(ctx, c, "read account", c.Provider.Base+"/user_account", nil, &u); err != nil {
		return oauth.Holder{}, nil, err
	}
	id := cmp.Or(u.ID, t.Subject)
	if id == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: "read account", Reason: jauge.ReasonDecode, Err: errors.New("the answer names nobody")}
	}
	name := cmp.Or(u.Business, u.Username)
	return oauth.Holder{ID: id, Handle: u.Username, Name: name},
		[]oauth.Subject{{Platform: jauge.Pinterest, ID: id, Handle: u.Username, Name: name, Avatar: u.Image}}, nil
}

// pinterestRefused tells a missing scope, which the message lists after "Missing:" (from memory), from a refused token. A
// 403 otherwise speaks of one board or of an account that is no business.
func pinterestRefused(status int, _ http.Header, body []byte) oauth.Cause {
	denied := status == http.StatusUnauthorized || status == http.StatusForbidden
	switch {
	case denied && strings.Contains(string(body), "Missing:"):
		return oauth.CauseScope
	case status == http.StatusUnauthorized:
		return oauth.CauseTokenRefused
	}
	return oauth.CauseNone
}
