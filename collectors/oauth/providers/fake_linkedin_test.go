package providers_test

import (
	"fmt"
	"net/http"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

// fakeLinkedIn is LinkedIn: any verifier is invalid_client, scopes come back with commas, the refresh token is repeated
// and its year goes on counting, and every call needs a living version.
func fakeLinkedIn() oauthtest.Fake {
	return oauthtest.Fake{
		Law:        &oauthtest.Law{Auth: oauth.InParams, NoPKCE: true, Model: oauth.Reusable},
		AccessLife: 5183999e9, RefreshLife: 365 * 24 * 3600e9, Repeats: true,
		Answer: func(i oauthtest.Issued) any {
			a := map[string]any{"access_token": i.Access, "expires_in": i.ExpiresIn, "scope": strings.Join(i.Scopes, ","), "token_type": "Bearer"}
			if i.Refresh != "" {
				a["refresh_token"], a["refresh_token_expires_in"] = i.Refresh, i.RefreshIn
			}
			return a
		},
		Refuse: func(w http.ResponseWriter, why oauthtest.Refusal) {
			switch why {
			case oauthtest.BadCode, oauthtest.BadRedirect:
				oauthtest.JSON(w, http.StatusBadRequest, map[string]any{
					"error":             "invalid_request",
					"error_description": "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code. Or authorization code expired. Or external member binding exists",
				})
			case oauthtest.BadRefresh:
				oauthtest.JSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "The provided refresh token is invalid, expired or revoked"})
			default:
				oauthtest.Refuse(w, why)
			}
		},
		RefuseAPI: linkedinError,
		Routes: func(s *oauthtest.Server, mux *http.ServeMux) {
			versioned := func(scope string, h http.HandlerFunc) http.HandlerFunc {
				return s.Guard(scope, func(w http.ResponseWriter, r *http.Request) {
					switch v := r.Header.Get("LinkedIn-Version"); {
					case v == "" && strings.HasPrefix(r.URL.Path, "/rest/"):
						oauthtest.JSON(w, http.StatusBadRequest, map[string]any{"status": 400, "code": "VERSION_MISSING"})
					case v != "" && v < "202601":
						oauthtest.JSON(w, http.StatusUpgradeRequired, map[string]any{"status": 426, "code": "NONEXISTENT_VERSION", "message": "Requested version " + v + " is not active"})
					default:
						h(w, r)
					}
				})
			}
			mux.HandleFunc("GET api.linkedin.com/v2/me", versioned("r_basicprofile", func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `{"id":"yrZC","localizedFirstName":"Ada","localizedLastName":"Encre","vanityName":"ada-encre","firstName":{"localized":{"en_US":"Ada"}}}`)
			}))
			mux.HandleFunc("GET api.linkedin.com/rest/organizationAcls", versioned("rw_organization_admin", func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("start") != "0" {
					fmt.Fprint(w, `{"paging":{"start":100,"count":100},"elements":[]}`)
					return
				}
				fmt.Fprint(w, `{"paging":{"start":0,"count":100,"links":[]},"elements":[
					{"role":"ADMINISTRATOR","state":"APPROVED","roleAssignee":"urn:li:person:yrZC","organization":"urn:li:organization:4004"},
					{"role":"ADMINISTRATOR","state":"APPROVED","organizationalTarget":"urn:li:organization:5005"},
					{"role":"ADMINISTRATOR","state":"APPROVED","organization":"urn:li:organizationBrand:6006"}]}`)
			}))
			mux.HandleFunc("GET api.linkedin.com/rest/organizations", versioned("rw_organization_admin", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery != "ids=List(4004,5005)" || r.Header.Get("X-Restli-Protocol-Version") != "2.0.0" {
					http.Error(w, "not Rest.li 2.0", http.StatusBadRequest)
					return
				}
				fmt.Fprint(w, `{"results":{"4004":{"id":4004,"localizedName":"Plume SA","vanityName":"plume"}},"statuses":{},"errors":{"5005":{"status":403}}}`)
			}))
		},
		Probe:  "https://api.linkedin.com/v2/me",
		Holder: oauth.Holder{ID: "urn:li:person:yrZC", Handle: "ada-encre", Name: "Ada Encre"},
		Subjects: []oauth.Subject{
			{Platform: jauge.LinkedIn, ID: "urn:li:organization:4004", Handle: "plume", Name: "Plume SA"},
			{Platform: jauge.LinkedIn, ID: "urn:li:organization:5005"},
			{Platform: jauge.LinkedIn, ID: "urn:li:person:yrZC", Handle: "ada-encre", Name: "Ada Encre"},
		},
	}
}

func linkedinError(w http.ResponseWriter, why oauthtest.Refusal) {
	body := map[string]any{"status": 401, "serviceErrorCode": 65600, "message": "Invalid access token"}
	status := http.StatusUnauthorized
	switch why {
	case oauthtest.TokenRevoked:
		body["serviceErrorCode"] = 65601
	case oauthtest.NoScope:
		status = http.StatusForbidden
		body = map[string]any{"status": 403, "serviceErrorCode": 100, "code": "ACCESS_DENIED", "message": "Not enough permissions to access: me.GET.NO_VERSION"}
	case oauthtest.WrongObject:
		status = http.StatusForbidden
		body = map[string]any{"status": 403, "serviceErrorCode": 100, "code": "ACCESS_DENIED", "message": "Viewer has no role on this organization"}
	}
	oauthtest.JSON(w, status, body)
}
