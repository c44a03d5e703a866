package providers_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

// fakeTikTok is the Display API: client_key, challenges in hex, errors of the token endpoint with status 200, and tokens of
// two hours whose refresh tokens serve once.
func fakeTikTok() oauthtest.Fake {
	return oauthtest.Fake{
		AccessLife: 7200e9, RefreshLife: 15552000e9, OwnRevoke: true,
		Challenge: func(verifier string) string {
			sum := sha256.Sum256([]byte(verifier))
			return hex.EncodeToString(sum[:])
		},
		Answer: func(i oauthtest.Issued) any {
			a := map[string]any{
				"open_id": "afd97af1-b87b", "scope": strings.Join(i.Scopes, ","), "access_token": i.Access, "expires_in": i.ExpiresIn,
				"token_type": "Bearer",
			}
			if i.Refresh != "" {
				a["refresh_token"], a["refresh_expires_in"] = i.Refresh, i.RefreshIn
			}
			return a
		},
		Refuse: tiktokRefuse,
		RefuseAPI: func(w http.ResponseWriter, why oauthtest.Refusal) {
			status, code := http.StatusUnauthorized, "access_token_invalid"
			switch why {
			case oauthtest.NoScope:
				code = "scope_not_authorized" // a 401 as well
			case oauthtest.WrongObject:
				status, code = http.StatusBadRequest, "invalid_params"
			}
			tiktokAnswer(w, status, code, nil)
		},
		// A login is one account: there is no other object to be refused.
		Causes:   map[oauthtest.Refusal]oauth.Cause{oauthtest.WrongObject: oauth.CauseNone},
		Routes:   tiktokRoutes,
		Probe:    "https://open.tiktokapis.com/v2/user/info/?fields=display_name",
		Holder:   oauth.Holder{ID: "afd97af1-b87b", Handle: "plume", Name: "Plume SA"},
		Subjects: []oauth.Subject{{Platform: jauge.TikTok, ID: "afd97af1-b87b", Handle: "plume", Name: "Plume SA", Avatar: "https://img.example/plume.jpg"}},
		Withhold: "video.list",
	}
}

// tiktokRefuse answers a token request that is refused: with status 200 where the request is at fault.
func tiktokRefuse(w http.ResponseWriter, why oauthtest.Refusal) {
	switch why {
	case oauthtest.BadClient:
		tiktokError(w, 200, "invalid_client", "Client authentication failed.")
	case oauthtest.BadCode:
		tiktokError(w, 200, "invalid_grant", "Authorization code is expired.")
	case oauthtest.BadRefresh:
		tiktokError(w, 200, "invalid_grant", "Refresh token is invalid or expired.")
	case oauthtest.BadRedirect:
		tiktokError(w, 200, "invalid_grant", "The redirect_uri is not matched with the uri when requesting code.")
	case oauthtest.BadVerifier:
		tiktokError(w, 200, "invalid_request", "Code verifier or code challenge is invalid.")
	case oauthtest.Broken:
		tiktokError(w, 500, "server_error", "Something went wrong.")
	case oauthtest.Down:
		tiktokError(w, 503, "temporarily_unavailable", "The server is overloaded.")
	case oauthtest.Slow:
		tiktokError(w, 429, "rate_limit_exceeded", "Too many requests.")
	default:
		tiktokError(w, 200, "invalid_request", "The request parameters are malformed.")
	}
}

func tiktokError(w http.ResponseWriter, status int, code, text string) {
	oauthtest.JSON(w, status, map[string]any{"error": code, "error_description": text, "log_id": "202611220000"})
}

func tiktokRoutes(s *oauthtest.Server, mux *http.ServeMux) {
	mux.HandleFunc("POST open.tiktokapis.com/v2/oauth/revoke/", func(w http.ResponseWriter, r *http.Request) {
		switch err := r.ParseForm(); {
		case err != nil || r.URL.RawQuery != "":
			tiktokError(w, 200, "invalid_request", "The request parameters are malformed.")
		case !s.Client(r):
			tiktokError(w, 200, "invalid_client", "Client authentication failed.")
		case s.Scopes(r.PostForm.Get("token")) == nil: // a refresh token as well
			tiktokError(w, 200, "invalid_grant", "Access token is invalid or expired.")
		default:
			s.End(r.PostForm.Get("token"))
		}
	})
	mux.HandleFunc("GET open.tiktokapis.com/v2/user/info/", s.Guard("user.info.basic", func(w http.ResponseWriter, r *http.Request) {
		user, granted := map[string]any{}, s.Scopes(oauthtest.Bearer(r))
		all := map[string]string{
			"open_id": "afd97af1-b87b", "union_id": "u1", "avatar_url": "https://img.example/plume.jpg", "display_name": "Plume SA", "username": "plume",
		}
		for _, f := range strings.Split(r.FormValue("fields"), ",") {
			if f == "username" && !strings.Contains(strings.Join(granted, ","), "user.info.profile") {
				tiktokAnswer(w, http.StatusUnauthorized, "scope_not_authorized", nil)
				return
			}
			if all[f] == "" {
				tiktokAnswer(w, http.StatusBadRequest, "invalid_params", nil)
				return
			}
			user[f] = all[f]
		}
		tiktokAnswer(w, http.StatusOK, "ok", map[string]any{"user": user})
	}))
}

func tiktokAnswer(w http.ResponseWriter, status int, code string, data any) {
	oauthtest.JSON(w, status, map[string]any{"data": data, "error": map[string]string{"code": code, "message": "", "log_id": "202611220000"}})
}

// businessFake is the Accounts API: JSON both ways, every error in an envelope of status 200, and a year that counts down.
type businessFake struct {
	s    *oauthtest.Server
	mu   sync.Mutex
	ends map[string]time.Time // of refresh tokens: a year after the consent, whenever they were issued
}

const businessYear = 31536000 * time.Second

func fakeTikTokBusiness() oauthtest.Fake {
	f := &businessFake{ends: map[string]time.Time{}}
	return oauthtest.Fake{
		AccessLife: 86400e9, RefreshLife: businessYear, OwnToken: true, OwnRevoke: true,
		Refuse: businessRefuse,
		RefuseAPI: func(w http.ResponseWriter, why oauthtest.Refusal) {
			switch why {
			case oauthtest.NoScope:
				businessAnswer(w, 40001, "No permission to operate the account.", nil)
			case oauthtest.WrongObject:
				businessAnswer(w, 40002, "business_id: the account does not exist.", nil)
			default:
				businessAnswer(w, 40105, "Access token is incorrect or has been revoked.", nil)
			}
		},
		Bearer: func(r *http.Request) string {
			if r.Header.Get("Authorization") != "" {
				return ""
			}
			return r.Header.Get("Access-Token") // "Bearer " would be a part of the token
		},
		Causes: map[oauthtest.Refusal]oauth.Cause{oauthtest.WrongObject: oauth.CauseNone},
		Renews: func(r *http.Request, _ string) bool {
			return strings.HasSuffix(r.URL.Path, "/tt_user/oauth2/refresh_token/")
		},
		Routes:   f.routes,
		Probe:    "https://business-api.tiktok.com/open_api/v1.3/business/get/?business_id=oid-1&fields=%5B%22followers_count%22%5D",
		Holder:   oauth.Holder{ID: "oid-1", Handle: "plume", Name: "Plume SA"},
		Subjects: []oauth.Subject{{Platform: jauge.TikTok, ID: "oid-1", Handle: "plume", Name: "Plume SA", Avatar: "https://img.example/plume.jpg"}},
		Withhold: "video.insights",
	}
}

func businessAnswer(w http.ResponseWriter, code int, message string, data any) {
	if data == nil {
		data = map[string]any{}
	}
	oauthtest.JSON(w, http.StatusOK, map[string]any{"code": code, "message": message, "request_id": "20261122", "data": data})
}

func businessRefuse(w http.ResponseWriter, why oauthtest.Refusal) {
	switch why {
	case oauthtest.BadCode:
		businessAnswer(w, 40110, "Auth code is invalid or has expired.", nil)
	case oauthtest.BadRefresh:
		businessAnswer(w, 40105, "Refresh token is incorrect or has been revoked.", nil)
	case oauthtest.BadClient:
		businessAnswer(w, 40101, "The pair of app id and secret is not valid.", nil)
	case oauthtest.BadRedirect:
		businessAnswer(w, 40002, "redirect_uri does not match.", nil)
	case oauthtest.Broken:
		businessAnswer(w, 50000, "System error.", nil)
	case oauthtest.Down:
		businessAnswer(w, 51010, "Upstream timeout.", nil)
	case oauthtest.Slow:
		businessAnswer(w, 40100, "Too many requests.", nil)
	default:
		businessAnswer(w, 40002, "Invalid parameter.", nil)
	}
}

func (f *businessFake) routes(s *oauthtest.Server, mux *http.ServeMux) {
	const root = "business-api.tiktok.com/open_api/v1.3"
	f.s = s
	s.Redirect += "/" // none without is taken for registration
	mux.HandleFunc("POST "+root+"/tt_user/oauth2/token/", f.json("authorization_code", func(w http.ResponseWriter, b map[string]string) {
		i, why := s.Redeem(b["auth_code"], b["redirect_uri"], "")
		f.issue(w, i, why, time.Now().Add(businessYear))
	}))
	mux.HandleFunc("POST "+root+"/tt_user/oauth2/refresh_token/", f.json("refresh_token", func(w http.ResponseWriter, b map[string]string) {
		f.mu.Lock()
		ends, known := f.ends[b["refresh_token"]]
		f.mu.Unlock()
		if known && !time.Now().Before(ends) {
			businessRefuse(w, oauthtest.BadRefresh)
			return
		}
		i, why := s.Renew(b["refresh_token"])
		f.issue(w, i, why, ends)
	}))
	mux.HandleFunc("POST "+root+"/tt_user/oauth2/revoke/", f.json("", func(w http.ResponseWriter, b map[string]string) {
		if s.Scopes(b["access_token"]) == nil {
			businessAnswer(w, 40105, "Access token is incorrect or has been revoked.", nil)
			return
		}
		s.End(b["access_token"])
		businessAnswer(w, 0, "OK", nil)
	}))
	mux.HandleFunc("GET "+root+"/business/get/", s.Guard("user.info.basic", f.account))
}

// json takes requests whose body is JSON and names the client as client_id.
func (f *businessFake) json(grant string, h func(w http.ResponseWriter, body map[string]string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var b map[string]string
		app := f.s.Fake.App
		switch {
		case r.Header.Get("Content-Type") != "application/json" || json.NewDecoder(r.Body).Decode(&b) != nil || r.URL.RawQuery != "":
			businessRefuse(w, oauthtest.BadRequest)
		case b["client_id"] != app.ClientID || b["client_secret"] != app.ClientSecret.Reveal():
			businessRefuse(w, oauthtest.BadClient)
		case b["grant_type"] != grant:
			businessRefuse(w, oauthtest.BadRequest)
		default:
			h(w, b)
		}
	}
}

func (f *businessFake) issue(w http.ResponseWriter, i oauthtest.Issued, why oauthtest.Refusal, ends time.Time) {
	if why != "" {
		businessRefuse(w, why)
		return
	}
	d := map[string]any{
		"access_token": i.Access, "open_id": "oid-1", "scope": strings.Join(i.Scopes, ","), "token_type": "Bearer",
	}
	if i.ExpiresIn != nil {
		d["expires_in"] = i.ExpiresIn
	}
	if i.Refresh != "" {
		f.mu.Lock()
		f.ends[i.Refresh] = ends
		f.mu.Unlock()
		d["refresh_token"], d["refresh_token_expires_in"] = i.Refresh, int64(time.Until(ends).Seconds())
	}
	businessAnswer(w, 0, "OK", d)
}

func (f *businessFake) account(w http.ResponseWriter, r *http.Request) {
	var fields []string
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || q.Get("business_id") != "oid-1" || json.NewDecoder(bytes.NewBufferString(q.Get("fields"))).Decode(&fields) != nil {
		businessRefuse(w, oauthtest.BadRequest)
		return
	}
	all := map[string]any{"display_name": "Plume SA", "profile_image": "https://img.example/plume.jpg", "username": "plume", "followers_count": 1204}
	out := map[string]any{}
	for _, name := range fields {
		v, ok := all[name]
		if !ok {
			businessAnswer(w, 40002, fmt.Sprintf("fields: %s is not known", name), nil)
			return
		}
		out[name] = v
	}
	businessAnswer(w, 0, "OK", out)
}
