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

// fakeGoogle is Google: the client in the form, a refresh token in the first answer alone and only when it was asked for
// by access_type and prompt, and errors in Google's old style and new.
func fakeGoogle() oauthtest.Fake {
	return oauthtest.Fake{
		Law: &oauthtest.Law{Auth: oauth.InParams, Model: oauth.Reusable, Offline: func(q url.Values) bool {
			return q.Get("access_type") == "offline" && q.Get("prompt") == "consent"
		}},
		AccessLife: 3599e9,
		Answer: func(i oauthtest.Issued) any {
			a := map[string]any{"access_token": i.Access, "scope": strings.Join(i.Scopes, " "), "token_type": "Bearer", "expires_in": i.ExpiresIn}
			if i.Refresh != "" {
				a["refresh_token"] = i.Refresh
			}
			return a
		},
		Refuse: func(w http.ResponseWriter, why oauthtest.Refusal) {
			status, code, text := http.StatusBadRequest, "invalid_grant", "Bad Request"
			switch why {
			case oauthtest.BadRefresh:
				text = "Token has been expired or revoked."
			case oauthtest.BadCode:
				text = "Malformed auth code."
			case oauthtest.BadRedirect:
				code = "redirect_uri_mismatch"
			case oauthtest.BadVerifier:
				text = "Invalid code verifier."
			default:
				oauthtest.Refuse(w, why)
				return
			}
			oauthtest.JSON(w, status, map[string]any{"error": code, "error_description": text})
		},
		RefuseAPI: googleError,
		Routes: func(s *oauthtest.Server, mux *http.ServeMux) {
			mux.HandleFunc("GET youtube.googleapis.com/youtube/v3/channels", s.Guard("https://www.googleapis.com/auth/youtube.readonly", func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("mine") != "true" || r.FormValue("part") == "" {
					http.Error(w, "no filter selected", http.StatusBadRequest)
					return
				}
				if r.FormValue("pageToken") == "" {
					fmt.Fprint(w, `{"kind":"youtube#channelListResponse","nextPageToken":"CAU=","pageInfo":{"totalResults":2,"resultsPerPage":1},
						"items":[{"kind":"youtube#channel","id":"UCplume","snippet":{"title":"Plume","customUrl":"@plume","thumbnails":{"default":{"url":"https://img.example/plume.jpg"}}}}]}`)
					return
				}
				fmt.Fprint(w, `{"kind":"youtube#channelListResponse","pageInfo":{"totalResults":2,"resultsPerPage":1},"items":[{"id":"UCencre","snippet":{"title":"Encre"}}]}`)
			}))
		},
		Probe:  "https://youtube.googleapis.com/youtube/v3/channels?part=statistics&mine=true",
		Holder: oauth.Holder{ID: "UCplume", Handle: "@plume", Name: "Plume"},
		Subjects: []oauth.Subject{
			{Platform: jauge.YouTube, ID: "UCplume", Handle: "@plume", Name: "Plume", Avatar: "https://img.example/plume.jpg"},
			{Platform: jauge.YouTube, ID: "UCencre", Name: "Encre"},
		},
		// The first scope: without the second one there is no list to fail on.
		Withhold: "https://www.googleapis.com/auth/yt-analytics.readonly",
	}
}

func googleError(w http.ResponseWriter, why oauthtest.Refusal) {
	code, reason, status, detail := http.StatusUnauthorized, "authError", "UNAUTHENTICATED", ""
	switch why {
	case oauthtest.NoScope:
		code, reason, status, detail = http.StatusForbidden, "insufficientPermissions", "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
	case oauthtest.WrongObject:
		code, reason, status = http.StatusForbidden, "authenticatedUserAccountClosed", "PERMISSION_DENIED"
	}
	body := map[string]any{"code": code, "message": "refused", "status": status, "errors": []any{map[string]any{"message": "refused", "domain": "global", "reason": reason}}}
	if detail != "" { // new style: errors[] may be missing
		delete(body, "errors")
		body["details"] = []any{map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail, "domain": "googleapis.com"}}
	}
	oauthtest.JSON(w, code, map[string]any{"error": body})
}
