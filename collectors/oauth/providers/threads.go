package providers

import (
	"cmp"
	"context"
	"errors"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

const threadsToken = "https://graph.threads.net/oauth/access_token"

func threads() oauth.Provider {
	return oauth.Provider{
		Name: "threads", Title: "Threads", App: "THREADS",
		Platforms: []jauge.Platform{jauge.Threads},
		Endpoints: oauth.Endpoints{
			Authorize: "https://threads.net/oauth/authorize",
			Token:     threadsToken,
			// No way to revoke is documented: a user does it in the settings.
		},
		Base:      "https://graph.threads.net/{version}",
		API:       collectors.API{Version: "v1.0"}, // the only one, and no end of it is known
		Scopes:    []string{"threads_basic", "threads_manage_insights"},
		Separator: ",", // a blank is refused
		Auth:      oauth.InParams,
		NoPKCE:    true, // not part of this flow's documentation
		NeedsApp:  true,
		// A token that is younger than a day is not refreshed.
		Renewal: metaRenewal(24 * time.Hour),
		Dead:    metaDead(),
		Dialect: longLived{prefix: "th", token: threadsToken},
		List:    threadsAccount, Refused: metaRefused,
		Docs: "https://developers.facebook.com/apps",
		Hint: "Use the Threads app id and secret, which differ from those of the Meta app around it.",
	}
}

// threadsAccount reads who consented: a login is one account.
func threadsAccount(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	c = versioned(c)
	var u struct {
		ID       text   `json:"id"`
		Username string `json:"username"`
		Name     string `json:"name"`
		Picture  string `json:"threads_profile_picture_url"`
	}
	address := c.Provider.Base + "/me?fields=id,username,name,threads_profile_picture_url"
	if err := oauth.GetJSON(ctx, c, "read account", address, nil, &u); err != nil {
		return oauth.Holder{}, nil, oauth.Blot(err, t.Access)
	}
	if u.ID == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: "read account", Reason: jauge.ReasonDecode, Err: errors.New("the answer names nobody")}
	}
	name := cmp.Or(u.Name, u.Username)
	return oauth.Holder{ID: string(u.ID), Handle: u.Username, Name: name},
		[]oauth.Subject{{Platform: jauge.Threads, ID: string(u.ID), Handle: u.Username, Name: name, Avatar: u.Picture}}, nil
}
