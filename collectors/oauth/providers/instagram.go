package providers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

const instagramToken = "https://api.instagram.com/oauth/access_token"

// instagram is Instagram Login: professional accounts without a page. Those behind a page come by facebook.
func instagram() oauth.Provider {
	return oauth.Provider{
		Name: "instagram", Title: "Instagram", App: "INSTAGRAM",
		Platforms: []jauge.Platform{jauge.Instagram},
		Endpoints: oauth.Endpoints{
			Authorize: "https://www.instagram.com/oauth/authorize",
			Token:     instagramToken,
			// No way to revoke is documented: a user does it in the settings.
		},
		Base:      "https://graph.instagram.com/{version}",
		API:       collectors.API{Version: graphVersion, Sunsets: graphSunsets()},
		Scopes:    []string{"instagram_business_basic", "instagram_business_manage_insights"},
		Separator: ",",
		Auth:      oauth.InParams,
		NoPKCE:    true, // not part of this flow's documentation
		NeedsApp:  true,
		// A token that is younger than a day is not refreshed.
		Renewal: metaRenewal(24 * time.Hour),
		Dead:    metaDead(),
		Dialect: longLived{prefix: "ig", token: instagramToken},
		List:    instagramAccount, Refused: metaRefused,
		Docs: "https://developers.facebook.com/apps",
		Hint: "Use the Instagram app id and secret, which differ from those of the Meta app around it. The account must be a professional one. " +
			"The redirect address must be registered character by character.",
	}
}

// instagramProfile is who consented: user_id is the professional account's id, id means something to the app only.
type instagramProfile struct {
	ID       text   `json:"id"`
	UserID   text   `json:"user_id"`
	Username string `json:"username"`
	Name     string `json:"name"`
	Picture  string `json:"profile_picture_url"`
}

// instagramAccount reads the account: a login is one.
func instagramAccount(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	const op = "read account"
	c = versioned(c)
	var raw json.RawMessage
	address := c.Provider.Base + "/me?fields=id,user_id,username,name,account_type,profile_picture_url"
	if err := oauth.GetJSON(ctx, c, op, address, nil, &raw); err != nil {
		return oauth.Holder{}, nil, oauth.Blot(err, t.Access)
	}
	var flat struct {
		instagramProfile
		Data []instagramProfile `json:"data"` // the documentation shows both forms
	}
	if err := json.Unmarshal(raw, &flat); err != nil {
		return oauth.Holder{}, nil, &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Err: errors.New("the answer is not as documented")}
	}
	u := flat.instagramProfile
	if len(flat.Data) > 0 {
		u = flat.Data[0]
	}
	id := cmp.Or(string(u.UserID), string(u.ID))
	if id == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Err: errors.New("the answer names nobody")}
	}
	name := cmp.Or(u.Name, u.Username)
	return oauth.Holder{ID: id, Handle: u.Username, Name: name},
		[]oauth.Subject{{Platform: jauge.Instagram, ID: id, Handle: u.Username, Name: name, Avatar: u.Picture}}, nil
}
