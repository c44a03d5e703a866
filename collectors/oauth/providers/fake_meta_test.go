package providers_test

import (
	"net/http"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

// graphError is the error of all of Meta's Graph APIs: HTTP 400 nearly always, told apart by code and subcode.
func graphError(w http.ResponseWriter, status, code, sub int, message string) {
	e := map[string]any{"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbCdEf123"}
	if sub != 0 {
		e["error_subcode"] = sub
	}
	oauthtest.JSON(w, status, map[string]any{"error": e})
}

// graphRefuse answers a token request that is refused.
func graphRefuse(w http.ResponseWriter, why oauthtest.Refusal) {
	switch why {
	case oauthtest.BadCode:
		graphError(w, 400, 100, 36009, "This authorization code has been used.")
	case oauthtest.BadRedirect:
		graphError(w, 400, 100, 36008, "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request")
	case oauthtest.BadClient:
		graphError(w, 400, 1, 0, "Error validating client secret.")
	case oauthtest.BadRefresh:
		graphError(w, 400, 190, 463, "Error validating access token: Session has expired on Thursday, 20-Nov-26 10:00:00 PST.")
	case oauthtest.Broken:
		graphError(w, 500, 1, 0, "An unknown error occurred")
	case oauthtest.Down:
		graphError(w, 503, 2, 0, "Service temporarily unavailable")
	case oauthtest.Slow:
		graphError(w, 400, 4, 0, "Application request limit reached")
	default:
		graphError(w, 400, 100, 0, "Invalid parameter")
	}
}

// graphRefuseAPI answers an API request that is refused.
func graphRefuseAPI(w http.ResponseWriter, why oauthtest.Refusal) {
	switch why {
	case oauthtest.TokenExpired:
		graphError(w, 400, 190, 463, "Error validating access token: Session has expired on Thursday, 20-Nov-26 10:00:00 PST.")
	case oauthtest.NoScope:
		graphError(w, 403, 200, 0, "(#200) Provide valid permissions")
	case oauthtest.WrongObject:
		graphError(w, 400, 190, 492, "Error validating access token: Session does not match current stored session. The user lost the role on the Page.")
	default:
		graphError(w, 400, 190, 458, "Error validating access token: The user has not authorized application 100.")
	}
}

// longLivedFake is the server of Instagram Login and of Threads: a short token for a code, a long one for a short one, and
// another for one that is a day old at least.
type longLivedFake struct {
	prefix, tokenHost, graphHost, version string
	// answer makes the body of the answer to a code.
	answer func(access string, scopes []string) any
	// refuse answers a code that is refused.
	refuse func(w http.ResponseWriter, why oauthtest.Refusal)
	me     string
	scope  string
}

func (f longLivedFake) fake(platform jauge.Platform) oauthtest.Fake {
	return oauthtest.Fake{
		AccessLife: 60 * 24 * time.Hour, OwnToken: true, Refuse: graphRefuse, RefuseAPI: graphRefuseAPI,
		Renews: func(r *http.Request, _ string) bool { return strings.HasSuffix(r.URL.Path, "/refresh_access_token") },
		Routes: f.routes,
		Probe:  "https://" + f.graphHost + "/" + f.version + "/me/insights?metric=views",
	}
}

func (f longLivedFake) routes(s *oauthtest.Server, mux *http.ServeMux) {
	mux.HandleFunc("POST "+f.tokenHost+"/oauth/access_token", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" || r.PostForm.Get("grant_type") != "authorization_code" {
			f.refuse(w, oauthtest.BadRequest)
			return
		}
		if !s.Client(r) {
			f.refuse(w, oauthtest.BadClient)
			return
		}
		i, why := s.Redeem(r.PostForm.Get("code"), r.PostForm.Get("redirect_uri"), r.PostForm.Get("code_verifier"))
		if why != "" {
			f.refuse(w, why)
			return
		}
		i = s.Short(i, time.Hour)
		oauthtest.JSON(w, http.StatusOK, f.answer(i.Access, i.Scopes))
	})
	// Only GET is served here: ServeMux answers 405 to all else.
	mux.HandleFunc("GET "+f.graphHost+"/access_token", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("grant_type") != f.prefix+"_exchange_token":
			graphRefuse(w, oauthtest.BadRequest)
		case q.Get("client_secret") != s.Fake.App.ClientSecret.Reveal():
			graphRefuse(w, oauthtest.BadClient)
		default:
			i, why := s.Extend(q.Get("access_token"))
			f.long(s, w, i, why)
		}
	})
	mux.HandleFunc("GET "+f.graphHost+"/refresh_access_token", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		token := q.Get("access_token")
		switch {
		case q.Get("grant_type") != f.prefix+"_refresh_token" || q.Has("client_secret"):
			graphRefuse(w, oauthtest.BadRequest)
		case s.Scopes(token) != nil && s.Age(token) < 24*time.Hour:
			graphError(w, 400, 10, 0, "The token is not old enough to be refreshed")
		default:
			i, why := s.Extend(token)
			f.long(s, w, i, why)
		}
	})
	mux.HandleFunc("GET "+f.graphHost+"/"+f.version+"/me", s.Guard(f.scope, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("access_token") {
			graphRefuse(w, oauthtest.BadRequest)
			return
		}
		_, _ = w.Write([]byte(f.me)) // a recorder takes everything
	}))
	mux.HandleFunc("GET "+f.graphHost+"/"+f.version+"/me/insights", s.Guard(f.scope, func(w http.ResponseWriter, _ *http.Request) {
		oauthtest.JSON(w, http.StatusOK, map[string]any{"data": []any{}})
	}))
}

func (f longLivedFake) long(s *oauthtest.Server, w http.ResponseWriter, i oauthtest.Issued, why oauthtest.Refusal) {
	if why != "" {
		graphRefuse(w, why)
		return
	}
	a := map[string]any{"access_token": i.Access, "token_type": "bearer"}
	if i.ExpiresIn != nil {
		a["expires_in"] = i.ExpiresIn
	}
	oauthtest.JSON(w, http.StatusOK, a)
}

// instagramRefuse answers a code that is refused, in the way of api.instagram.com.
func instagramRefuse(w http.ResponseWriter, why oauthtest.Refusal) {
	text := map[oauthtest.Refusal]string{
		oauthtest.BadCode:     "Matching code was not found or was already used.",
		oauthtest.BadRedirect: "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request",
		oauthtest.BadClient:   "Invalid platform app",
	}[why]
	if text == "" {
		text = "Invalid request"
	}
	oauthtest.JSON(w, 400, map[string]any{"error_type": "OAuthException", "code": 400, "error_message": text})
}

const bigID = "17841400000000001" // beyond 2^53: a float would make 17841400000000000 of it

// fakeInstagram answers a code flat, with user_id as a number and permissions as a list.
func fakeInstagram() oauthtest.Fake {
	f := longLivedFake{
		prefix: "ig", tokenHost: "api.instagram.com", graphHost: "graph.instagram.com", version: "v26.0", scope: "instagram_business_basic",
		answer: func(access string, scopes []string) any {
			return map[string]any{"access_token": access, "user_id": 17841400000000001, "permissions": scopes}
		},
		refuse: instagramRefuse,
		me:     `{"id":9988776655443322110,"user_id":"17841400000000001","username":"plume","name":"Plume SA","account_type":"BUSINESS","profile_picture_url":"https://img.example/plume.jpg"}`,
	}
	return f.instagram()
}

// fakeInstagramWrapped answers in lists, with permissions as a text.
func fakeInstagramWrapped() oauthtest.Fake {
	f := longLivedFake{
		prefix: "ig", tokenHost: "api.instagram.com", graphHost: "graph.instagram.com", version: "v26.0", scope: "instagram_business_basic",
		answer: func(access string, scopes []string) any {
			return map[string]any{"data": []any{map[string]any{"access_token": access, "user_id": bigID, "permissions": strings.Join(scopes, ",")}}}
		},
		refuse: instagramRefuse,
		me:     `{"data":[{"id":"9988776655443322110","user_id":17841400000000001,"username":"plume","name":"Plume SA","profile_picture_url":"https://img.example/plume.jpg"}]}`,
	}
	return f.instagram()
}

func (f longLivedFake) instagram() oauthtest.Fake {
	out := f.fake(jauge.Instagram)
	out.Holder = oauth.Holder{ID: bigID, Handle: "plume", Name: "Plume SA"}
	out.Subjects = []oauth.Subject{{Platform: jauge.Instagram, ID: bigID, Handle: "plume", Name: "Plume SA", Avatar: "https://img.example/plume.jpg"}}
	out.Withhold = "instagram_business_manage_insights"
	return out
}

// fakeThreads tells nobody what was agreed to.
func fakeThreads() oauthtest.Fake {
	f := longLivedFake{
		prefix: "th", tokenHost: "graph.threads.net", graphHost: "graph.threads.net", version: "v1.0", scope: "threads_basic",
		answer: func(access string, _ []string) any {
			return map[string]any{"access_token": access, "user_id": "24700000000000001"}
		},
		refuse: graphRefuse,
		me:     `{"id":"24700000000000001","username":"plume","name":"Plume SA","threads_profile_picture_url":"https://img.example/plume.jpg"}`,
	}
	out := f.fake(jauge.Threads)
	out.Holder = oauth.Holder{ID: "24700000000000001", Handle: "plume", Name: "Plume SA"}
	out.Subjects = []oauth.Subject{{Platform: jauge.Threads, ID: "24700000000000001", Handle: "plume", Name: "Plume SA", Avatar: "https://img.example/plume.jpg"}}
	out.Withhold = "-"
	return out
}
