package providers_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

const graph = "graph.facebook.com/v26.0"

// facebookFake is the Graph API with "Require App Secret" switched on.
type facebookFake struct {
	s     *oauthtest.Server
	mu    sync.Mutex
	short map[string]bool // tokens of two hours
	sixty int             // exchanges that asked for a system user's 60 days
	debug map[string]any  // what debug_token says of any token
	read  func(token string)
}

// fakeFacebook is a person with three pages, one of them with an Instagram account.
func fakeFacebook() oauthtest.Fake {
	f, _ := newFacebookFake()
	return f
}

func newFacebookFake() (oauthtest.Fake, *facebookFake) {
	f := &facebookFake{short: map[string]bool{}}
	return oauthtest.Fake{
		AccessLife: 5183944e9, OwnToken: true, OwnRevoke: true, Refuse: graphRefuse, RefuseAPI: graphRefuseAPI,
		// The exchange of a short token belongs to connecting.
		Renews: func(_ *http.Request, form string) bool {
			q, err := url.ParseQuery(form)
			f.mu.Lock()
			defer f.mu.Unlock()
			return err == nil && q.Get("grant_type") == "fb_exchange_token" && !f.short[q.Get("fb_exchange_token")]
		},
		Routes:   f.routes,
		Probe:    "https://" + graph + "/1020304/insights?metric=page_media_view&period=day",
		Holder:   oauth.Holder{ID: "10290000000000003", Name: "Ada Encre"},
		Withhold: "instagram_manage_insights",
		Subjects: []oauth.Subject{
			{Platform: jauge.Facebook, ID: "1020304", Handle: "plume", Name: "Plume SA", Avatar: "https://img.example/page.jpg"},
			{Platform: jauge.Instagram, ID: bigID, Handle: "plume.ig", Name: "plume.ig", Avatar: "https://img.example/ig.jpg"},
			{Platform: jauge.Facebook, ID: "1020305", Name: "Encrier"},
			{Platform: jauge.Facebook, ID: "1020306", Name: "Buvard"},
		},
	}, f
}

// proven lets only requests through that carry their token in a header, and the proof that belongs to it.
func (f *facebookFake) proven(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		mac := hmac.New(sha256.New, []byte(f.s.Fake.App.ClientSecret.Reveal()))
		mac.Write([]byte(oauthtest.Bearer(r)))
		switch {
		case q.Has("access_token"):
			http.Error(w, "a token in an address is a token in a log", http.StatusTeapot)
		case q.Get("appsecret_proof") != hex.EncodeToString(mac.Sum(nil)):
			graphError(w, 400, 100, 0, "Invalid appsecret_proof provided in the API argument")
		default:
			h(w, r)
		}
	}
}

func (f *facebookFake) routes(s *oauthtest.Server, mux *http.ServeMux) {
	f.s = s
	mux.HandleFunc("POST "+graph+"/oauth/access_token", f.token)
	mux.HandleFunc("GET "+graph+"/debug_token", f.inspect)
	mux.HandleFunc("GET "+graph+"/me", f.proven(s.Guard("", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.FormValue("fields"), "instagram_business_account") { // a page's token: me is the page
			fmt.Fprint(w, facebookPlume(""))
			return
		}
		fmt.Fprint(w, `{"id":"10290000000000003","name":"Ada Encre"}`)
	})))
	mux.HandleFunc("GET "+graph+"/me/permissions", f.proven(s.Guard("", f.permissions)))
	mux.HandleFunc("DELETE "+graph+"/me/permissions", f.proven(s.Guard("", func(w http.ResponseWriter, r *http.Request) {
		s.End(oauthtest.Bearer(r))
		fmt.Fprint(w, `{"success":true}`)
	})))
	mux.HandleFunc("GET "+graph+"/me/accounts", f.proven(s.Guard("pages_show_list", f.accounts)))
	mux.HandleFunc("GET "+graph+"/anything", f.proven(func(w http.ResponseWriter, r *http.Request) { // with a page's token
		f.read(oauthtest.Bearer(r))
		fmt.Fprint(w, `{"data":[]}`)
	}))
	mux.HandleFunc("GET "+graph+"/1020304/insights", f.proven(s.Guard("read_insights", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":[]}`)
	})))
}

// token serves codes and exchanges. The real one takes GET as well; what is secret must not stand in an address here.
func (f *facebookFake) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" {
		graphRefuse(w, oauthtest.BadRequest)
		return
	}
	if !f.s.Client(r) {
		graphRefuse(w, oauthtest.BadClient)
		return
	}
	var (
		i   oauthtest.Issued
		why oauthtest.Refusal
		q   = r.PostForm
	)
	switch q.Get("grant_type") {
	case "fb_exchange_token":
		if q.Get("set_token_expires_in_60_days") == "true" {
			f.mu.Lock()
			f.sixty++
			f.mu.Unlock()
		}
		i, why = f.s.Extend(q.Get("fb_exchange_token"))
	case "authorization_code":
		if i, why = f.s.Redeem(q.Get("code"), q.Get("redirect_uri"), q.Get("code_verifier")); why == "" {
			i = f.s.Short(i, 2*time.Hour)
			f.mu.Lock()
			f.short[i.Access] = true
			f.mu.Unlock()
		}
	default:
		why = oauthtest.BadRequest
	}
	if why != "" {
		graphRefuse(w, why)
		return
	}
	a := map[string]any{"access_token": i.Access, "token_type": "bearer"} // no scope: /me/permissions tells
	if i.ExpiresIn != nil {
		a["expires_in"] = i.ExpiresIn
	}
	oauthtest.JSON(w, http.StatusOK, a)
}

func (f *facebookFake) permissions(w http.ResponseWriter, r *http.Request) {
	granted := f.s.Scopes(oauthtest.Bearer(r))
	list := []map[string]string{{"permission": "public_profile", "status": "granted"}}
	for _, p := range f.s.Provider.Scopes {
		status := "granted"
		if !slices.Contains(granted, p) {
			status = "declined"
		}
		list = append(list, map[string]string{"permission": p, "status": status})
	}
	oauthtest.JSON(w, http.StatusOK, map[string]any{"data": list})
}

func facebookPlume(token string) string {
	return `{"id":"1020304","name":"Plume SA","username":"plume","access_token":"` + token + `","tasks":["ANALYZE","ADVERTISE"],
		"picture":{"data":{"url":"https://img.example/page.jpg"}},
		"instagram_business_account":{"id":"17841400000000001","username":"plume.ig","profile_picture_url":"https://img.example/ig.jpg"}}`
}

// pageToken is the token of a page, made of the user's: neither ends by itself.
func (f *facebookFake) pageToken(page string, r *http.Request) string {
	token := "page-token-of-" + page + "-never-to-be-seen"
	f.s.Lend(token, oauthtest.Bearer(r))
	return token
}

// accounts lists three pages on three pages of the listing: the second one is empty, and every next holds the token.
func (f *facebookFake) accounts(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("limit") == "" || !strings.Contains(r.FormValue("fields"), "access_token") {
		graphRefuse(w, oauthtest.BadRequest)
		return
	}
	next := func(after string) string {
		return `"paging":{"cursors":{"before":"MA","after":"` + after + `"},"next":"https://` + graph + `/me/accounts?pretty=0&access_token=` +
			oauthtest.Bearer(r) + `&after=` + after + `"}`
	}
	switch r.FormValue("after") {
	case "":
		fmt.Fprint(w, `{"data":[`+facebookPlume(f.pageToken("1020304", r))+`,{"id":1020305,"name":"Encrier","access_token":"`+f.pageToken("1020305", r)+`"}],`+next("MQ")+`}`)
	case "MQ":
		fmt.Fprint(w, `{"data":[],`+next("Mg")+`}`)
	case "Mg":
		fmt.Fprint(w, `{"data":[{"id":"1020306","name":"Buvard","access_token":"`+f.pageToken("1020306", r)+`"}],"paging":{"cursors":{"before":"Mg","after":"Mw"}}}`)
	default:
		graphRefuse(w, oauthtest.BadRequest)
	}
}

// inspect is debug_token: the app asks, by its own token.
func (f *facebookFake) inspect(w http.ResponseWriter, r *http.Request) {
	app := f.s.Fake.App
	if oauthtest.Bearer(r) != app.ClientID+"|"+app.ClientSecret.Reveal() {
		graphError(w, 400, 190, 0, "Invalid OAuth access token signature.")
		return
	}
	if r.URL.Query().Get("input_token") == "" {
		graphRefuse(w, oauthtest.BadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	oauthtest.JSON(w, http.StatusOK, map[string]any{"data": f.debug})
}
