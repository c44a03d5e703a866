package providers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

// fakeX is X: codes of 30 seconds, token types in small letters, every mistake an invalid_request, problem bodies.
func fakeX() oauthtest.Fake {
	return oauthtest.Fake{
		Law: &oauthtest.Law{Auth: oauth.InHeader, Model: oauth.Rotating, Offline: func(q url.Values) bool {
			return strings.Contains(q.Get("scope"), "offline.access")
		}},
		CodeLife: 30e9, AccessLife: 7200e9, RefreshLife: 180 * 24 * 3600e9,
		Answer: func(i oauthtest.Issued) any {
			a := map[string]any{"token_type": "bearer", "expires_in": i.ExpiresIn, "access_token": i.Access, "scope": strings.Join(i.Scopes, " ")}
			if i.Refresh != "" {
				a["refresh_token"] = i.Refresh
			}
			return a
		},
		Refuse: func(w http.ResponseWriter, why oauthtest.Refusal) {
			status, code, text := http.StatusBadRequest, "invalid_request", ""
			switch why {
			case oauthtest.BadRefresh:
				text = "Value passed for the token was invalid."
			case oauthtest.BadCode:
				text = "Value passed for the authorization code was invalid."
			case oauthtest.BadVerifier:
				text = "Value passed for the code verifier did not match the code challenge."
			case oauthtest.BadRedirect:
				text = "Value passed for the redirect uri did not match the uri of the authorization code."
			case oauthtest.BadClient:
				status, code, text = http.StatusUnauthorized, "unauthorized_client", "Missing valid authorization header"
			default:
				oauthtest.Refuse(w, why)
				return
			}
			oauthtest.JSON(w, status, map[string]any{"error": code, "error_description": text})
		},
		RefuseAPI: func(w http.ResponseWriter, why oauthtest.Refusal) {
			status, title := http.StatusUnauthorized, "Unauthorized"
			if why == oauthtest.NoScope || why == oauthtest.WrongObject {
				status, title = http.StatusForbidden, "Forbidden"
			}
			oauthtest.JSON(w, status, map[string]any{"title": title, "type": "about:blank", "status": status, "detail": title})
		},
		// X does not say what a 403 is about.
		Causes: map[oauthtest.Refusal]oauth.Cause{oauthtest.NoScope: oauth.CauseNone, oauthtest.WrongObject: oauth.CauseNone},
		Routes: func(s *oauthtest.Server, mux *http.ServeMux) {
			mux.HandleFunc("GET api.x.com/2/users/me", s.Guard("users.read", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("x-rate-limit-remaining", "74")
				image := ""
				if strings.Contains(r.FormValue("user.fields"), "profile_image_url") {
					image = `,"profile_image_url":"https://img.example/plume.jpg"`
				}
				fmt.Fprint(w, `{"data":{"id":"9007199254740993","name":"Plume","username":"plume"`+image+`}}`)
			}))
		},
		Probe:    "https://api.x.com/2/users/me",
		Holder:   oauth.Holder{ID: "9007199254740993", Handle: "plume", Name: "Plume"},
		Subjects: []oauth.Subject{{Platform: jauge.X, ID: "9007199254740993", Handle: "plume", Name: "Plume", Avatar: "https://img.example/plume.jpg"}},
		Withhold: "tweet.read",
	}
}
