package providers

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

func x() oauth.Provider {
	return oauth.Provider{
		Name: "x", Title: "X", App: "X",
		Platforms: []jauge.Platform{jauge.X},
		Endpoints: oauth.Endpoints{
			Authorize: "https://x.com/i/oauth2/authorize",
			Token:     "https://api.x.com/2/oauth2/token",
			Revoke:    "https://api.x.com/2/oauth2/revoke",
		},
		Base: "https://api.x.com/{version}",
		// X renames fields without a date (retweet_count, repost_count): collectors take both spellings.
		API:      collectors.API{Version: "2"},
		Scopes:   []string{"tweet.read", "users.read", "offline.access"},
		Auth:     oauth.InHeader, // a client without a secret is public and names itself in the form
		NeedsApp: true,
		Renewal: oauth.Renewal{
			// Every refresh is a chance to lose the chain: a spent token that is sent again ends the whole family. So it is
			// done in the last 6 minutes of the two hours, and never a second time.
			Model: oauth.Rotating, Share: 0.05,
			Life: 2 * time.Hour, MaxLife: 24 * time.Hour,
		},
		Dead:    map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant},
		Dialect: xDialect{},
		// Refused is left to the rule: 401 is about the token. X's 403 speak of the app or of one post, 402 of money.
		List: xUser,
		Docs: "https://console.x.com",
		Hint: "Switch on user authentication (OAuth 2.0) with the permission to read, as a web app (confidential client). Reading is paid for by the post.",
	}
}

// xDialect is the standard, but for the word by which X refuses a token or a code.
type xDialect struct{ oauth.Standard }

// Exchange trades the code for a token. A code lives 30 seconds.
func (d xDialect) Exchange(ctx context.Context, c *oauth.Call, s *oauth.Start, callback url.Values) (*oauth.Token, error) {
	t, err := d.Standard.Exchange(ctx, c, s, callback)
	return t, xWords(err)
}

// Renew trades the refresh token for a new pair, once.
func (d xDialect) Renew(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	t, err := d.Standard.Renew(ctx, c, old)
	return t, xWords(err)
}

// xWords names a refused token as RFC 6749 does: X says invalid_request of it, as of every other mistake, and only the
// text tells them apart ("Value passed for the token was invalid.").
func xWords(err error) error {
	if t, ok := errors.AsType[*oauth.TokenError](err); ok && t.Code == "invalid_request" && strings.Contains(t.Text, "token was invalid") {
		t.Code = "invalid_grant"
	}
	return err
}

// xUser reads who consented: an X login is one account.
func xUser(ctx context.Context, c *oauth.Call, _ *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	var a struct {
		Data struct {
			ID       string `json:"id"`
			Name     string `json:"name"`
			Username string `json:"username"`
			Image    string `json:"profile_image_url"`
		} `json:"data"`
	}
	if err := oauth.GetJSON(ctx, c, "read user", c.Provider.Base+"/users/me?user.fields=profile_image_url", nil, &a); err != nil {
		return oauth.Holder{}, nil, err
	}
	u := a.Data
	if u.ID == "" { // a success may hold errors alone
		return oauth.Holder{}, nil, &jauge.Error{Op: "read user", Reason: jauge.ReasonNotFound, Err: errors.New("the answer names nobody")}
	}
	return oauth.Holder{ID: u.ID, Handle: u.Username, Name: u.Name},
		[]oauth.Subject{{Platform: jauge.X, ID: u.ID, Handle: u.Username, Name: u.Name, Avatar: u.Image}}, nil
}
