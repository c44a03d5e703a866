package providers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

// youtube is Google's authorization server with the scopes of YouTube. The client is one for every Google API, so its
// variables are JAUGE_GOOGLE_….
func youtube() oauth.Provider {
	return oauth.Provider{
		Name: "youtube", Title: "YouTube", App: "GOOGLE",
		Platforms: []jauge.Platform{jauge.YouTube},
		Endpoints: oauth.Endpoints{
			Authorize: "https://accounts.google.com/o/oauth2/v2/auth",
			Token:     "https://oauth2.googleapis.com/token",
			Revoke:    "https://oauth2.googleapis.com/revoke",
		},
		Base: "https://youtube.googleapis.com/youtube/{version}",
		// No version of the API and no metric that is read has an announced end.
		API: collectors.API{Version: "v3"},
		Scopes: []string{
			"https://www.googleapis.com/auth/youtube.readonly",
			"https://www.googleapis.com/auth/yt-analytics.readonly",
		},
		Auth: oauth.InParams, // Basic is refused
		// Without both there is no refresh token, or only at the very first consent. include_granted_scopes is left out:
		// it would mix in what the client was granted for something else.
		Params:   map[string]string{"access_type": "offline", "prompt": "consent"},
		NeedsApp: true,
		Renewal: oauth.Renewal{
			Model: oauth.Reusable, Share: 0.15, // 9 minutes of an hour; refreshes cost nothing and may be repeated
			Life: time.Hour, MaxLife: 24 * time.Hour,
		},
		// invalid_client and unauthorized_client speak of the client's secret, which an operator puts right without a
		// new consent: they end no grant. A client that was deleted never comes back.
		Dead: map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant, "deleted_client": oauth.CauseAppGone},
		List: youtubeChannels, Refused: googleRefused,
		Docs: "https://console.cloud.google.com/apis/credentials",
		Hint: "Make an OAuth client of type web application, and enable YouTube Data API v3 and YouTube Analytics API. " +
			"Publish the consent screen: while it is in testing, every grant ends after 7 days.",
	}
}

// maxPages bounds every listing of what can be followed.
const maxPages = 20

// youtubeChannels lists the login's channels. The token answer names nobody, so the holder is the first channel.
func youtubeChannels(ctx context.Context, c *oauth.Call, _ *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	var (
		holder oauth.Holder
		found  []oauth.Subject
	)
	first := c.Provider.Base + "/channels?part=snippet&mine=true&maxResults=50"
	address := first
	for range maxPages {
		var page struct {
			Next  string `json:"nextPageToken"`
			Items []struct {
				ID      string `json:"id"`
				Snippet struct {
					Title      string `json:"title"`
					CustomURL  string `json:"customUrl"`
					Thumbnails map[string]struct {
						URL string `json:"url"`
					} `json:"thumbnails"`
				} `json:"snippet"`
			} `json:"items"` // left out where there are none
		}
		if err := oauth.GetJSON(ctx, c, "list channels", address, nil, &page); err != nil {
			return oauth.Holder{}, nil, err
		}
		for _, i := range page.Items {
			found = append(found, oauth.Subject{
				Platform: jauge.YouTube, ID: i.ID, Handle: i.Snippet.CustomURL, Name: i.Snippet.Title, Avatar: i.Snippet.Thumbnails["default"].URL,
			})
		}
		if page.Next == "" {
			break
		}
		address = first + "&pageToken=" + url.QueryEscape(page.Next)
	}
	if len(found) == 0 {
		return holder, nil, &oauth.FlowError{Kind: oauth.FlowWrongAccount, Err: errors.New("this Google account has no YouTube channel: choose the channel itself on Google's page")}
	}
	return oauth.Holder{ID: found[0].ID, Handle: found[0].Handle, Name: found[0].Name}, found, nil
}

// googleRefused reads the error of a Google API: errors[].reason is decided on first, then details[].reason and status,
// then the HTTP status; each may be missing.
func googleRefused(status int, _ http.Header, body []byte) oauth.Cause {
	var a struct {
		Error struct {
			Status string `json:"status"`
			Errors []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
			Details []struct {
				Reason string `json:"reason"`
			} `json:"details"`
		} `json:"error"`
	}
	var reasons []string
	if json.Unmarshal(body, &a) == nil {
		for _, e := range a.Error.Errors {
			reasons = append(reasons, e.Reason)
		}
		for _, d := range a.Error.Details {
			reasons = append(reasons, d.Reason)
		}
	}
	is := func(words ...string) bool {
		return slices.ContainsFunc(reasons, func(r string) bool { return slices.Contains(words, r) })
	}
	switch {
	case is("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"):
		return oauth.CauseScope
	// The login works and has no channel, or none any more that it may see.
	case is("youtubeSignupRequired", "authenticatedUserAccountClosed", "authenticatedUserAccountSuspended", "authenticatedUserNotChannel", "accountDelegationForbidden"):
		return oauth.CauseWrongObject
	// Quota, an API that is not enabled, "forbidden" (a stream that this channel has not): nothing of the grant.
	case status == http.StatusUnauthorized || strings.EqualFold(a.Error.Status, "UNAUTHENTICATED"):
		return oauth.CauseTokenRefused
	}
	return oauth.CauseNone
}
