package providers_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

// fakePinterest is Pinterest: Basic, scopes with commas, refresh tokens that tell how long they live twice, and errors
// that are a number and a message.
func fakePinterest() oauthtest.Fake {
	return oauthtest.Fake{
		Law:        &oauthtest.Law{Auth: oauth.InHeader, Separator: ",", NoPKCE: true, Model: oauth.Rotating},
		AccessLife: 2592000e9, RefreshLife: 5184000e9,
		Answer: func(i oauthtest.Issued) any {
			a := map[string]any{
				"response_type": "authorization_code", "access_token": i.Access, "token_type": "bearer",
				"expires_in": i.ExpiresIn, "scope": strings.Join(i.Scopes, ","),
			}
			if i.Refresh != "" {
				a["refresh_token"], a["refresh_token_expires_in"] = i.Refresh, i.RefreshIn
				a["refresh_token_expires_at"] = time.Now().Unix() + i.RefreshIn
			}
			return a
		},
		Refuse: func(w http.ResponseWriter, why oauthtest.Refusal) {
			status, code, text := http.StatusBadRequest, 1, "Invalid request"
			switch why {
			case oauthtest.BadRefresh, oauthtest.BadCode:
				status, code, text = http.StatusUnauthorized, 283, "The authorization grant is invalid"
			case oauthtest.BadRedirect:
				text = "Invalid redirect_uri"
			case oauthtest.BadClient:
				status, code, text = http.StatusUnauthorized, 2, "Authentication failed."
			case oauthtest.Slow:
				status, code, text = http.StatusTooManyRequests, 8, "This request exceeded a rate limit."
			case oauthtest.Broken, oauthtest.Down:
				oauthtest.Refuse(w, why)
				return
			}
			oauthtest.JSON(w, status, map[string]any{"code": code, "message": text, "status": "failure"})
		},
		RefuseAPI: func(w http.ResponseWriter, why oauthtest.Refusal) {
			status, code, text := http.StatusUnauthorized, 2, "Authentication failed."
			switch why {
			case oauthtest.NoScope:
				status, code, text = http.StatusUnauthorized, 3, "Not authorized. Missing: ['user_accounts:read']"
			case oauthtest.WrongObject:
				status, code, text = http.StatusForbidden, 7, "You are not permitted to access that resource."
			}
			oauthtest.JSON(w, status, map[string]any{"code": code, "message": text})
		},
		// A 403 speaks of one board as well: it is not judged.
		Causes: map[oauthtest.Refusal]oauth.Cause{oauthtest.WrongObject: oauth.CauseNone},
		Routes: func(s *oauthtest.Server, mux *http.ServeMux) {
			mux.HandleFunc("GET api.pinterest.com/v5/user_account", s.Guard("user_accounts:read", func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `{"account_type":"BUSINESS","id":"1104","username":"plume","business_name":"Plume SA","profile_image":"https://img.example/plume.jpg","follower_count":310}`)
			}))
		},
		Probe:    "https://api.pinterest.com/v5/user_account",
		Holder:   oauth.Holder{ID: "1104", Handle: "plume", Name: "Plume SA"},
		Subjects: []oauth.Subject{{Platform: jauge.Pinterest, ID: "1104", Handle: "plume", Name: "Plume SA", Avatar: "https://img.example/plume.jpg"}},
		Withhold: "pins:read",
	}
}
