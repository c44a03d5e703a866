package providers_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

// TestRefused: what API answers mean for a grant, beside those that every provider's suite sees.
func TestRefused(t *testing.T) {
	google := func(reason string) string {
		return `{"error":{"code":403,"errors":[{"domain":"youtube.quota","reason":"` + reason + `"}]}}`
	}
	for _, c := range []struct {
		provider string
		status   int
		body     string
		want     oauth.Cause
	}{
		{"youtube", 403, google("quotaExceeded"), oauth.CauseNone},
		{"youtube", 403, google("rateLimitExceeded"), oauth.CauseNone},
		{"youtube", 403, google("accessNotConfigured"), oauth.CauseNone},
		{"youtube", 403, google("forbidden"), oauth.CauseNone},
		{"youtube", 403, google("insufficientPermissions"), oauth.CauseScope},
		{"youtube", 401, google("youtubeSignupRequired"), oauth.CauseWrongObject},
		{"youtube", 401, google("authError"), oauth.CauseTokenRefused},
		{"youtube", 403, `{"error":{"status":"UNAUTHENTICATED"}}`, oauth.CauseTokenRefused},
		{"youtube", 401, `<html>`, oauth.CauseTokenRefused},
		{"youtube", 403, `<html>`, oauth.CauseNone},
		{"youtube", 400, `{"error":{"errors":[{"reason":"badRequest"}]}}`, oauth.CauseNone},
		{"linkedin", 401, `{"serviceErrorCode":401,"message":"Empty oauth2_access_token","status":401}`, oauth.CauseTokenRefused},
		{"linkedin", 403, `{"status":403,"serviceErrorCode":100,"code":"ACCESS_DENIED","message":"Unpermitted fields present in PARAMETER: [/shares[0]]"}`, oauth.CauseNone},
		{"linkedin", 403, `{"status":403,"code":"ACCESS_DENIED","message":"Not enough permissions to access: organizationAcls.FINDER-roleAssignee.20260601"}`, oauth.CauseScope},
		{"linkedin", 403, `{"status":403,"serviceErrorCode":100,"message":"no role"}`, oauth.CauseWrongObject},
		{"linkedin", 403, `<html>`, oauth.CauseNone},
		{"linkedin", 400, `{"status":400,"code":"VERSION_MISSING"}`, oauth.CauseNone},
		{"pinterest", 401, `{"code":2,"message":"Authentication failed."}`, oauth.CauseTokenRefused},
		{"pinterest", 403, `{"code":3,"message":"Missing: ['pins:read']"}`, oauth.CauseScope},
		{"pinterest", 403, `{"code":29,"message":"You are not permitted to access that resource."}`, oauth.CauseNone},
		{"pinterest", 400, `{"code":1,"message":"Missing: start_date"}`, oauth.CauseNone},
	} {
		if got := named(t, c.provider).Refused(c.status, nil, []byte(c.body)); got != c.want {
			t.Errorf("%s: %d %s means %q, want %q", c.provider, c.status, c.body, got, c.want)
		}
	}
	if named(t, "x").Refused != nil {
		t.Error("X's refusals are read: the rule that 401 is about the token was enough")
	}
}

// answering is a call of a provider's API that answers by path and query; everything else is not found.
func answering(t *testing.T, provider string, scopes []string, answers map[string]string) (oauth.Holder, []oauth.Subject, error) {
	t.Helper()
	p := oauthtest.Filled(named(t, provider))
	srv := oauthtest.NewServer(&p, oauthtest.Fake{Routes: func(_ *oauthtest.Server, mux *http.ServeMux) {
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			body, ok := answers[r.URL.RequestURI()]
			if !ok {
				t.Errorf("nobody expects %s", r.URL.RequestURI())
				w.WriteHeader(http.StatusNotFound)
			}
			fmt.Fprint(w, body)
		})
	}}, "")
	return p.List(t.Context(), &oauth.Call{Provider: &p, Now: time.Now, HTTP: srv.HTTP()}, &oauth.Token{Scopes: scopes})
}

func TestListsOfNobody(t *testing.T) {
	for _, c := range []struct {
		provider string
		scopes   []string
		answers  map[string]string
		flow     oauth.FlowKind // else the reason counts
		reason   jauge.Reason
	}{
		{"youtube", nil, map[string]string{"/youtube/v3/channels?part=snippet&mine=true&maxResults=50": `{"pageInfo":{"totalResults":0}}`}, oauth.FlowWrongAccount, ""},
		{"x", nil, map[string]string{"/2/users/me?user.fields=profile_image_url": `{"errors":[{"type":"https://api.x.com/2/problems/resource-not-found"}]}`}, "", jauge.ReasonNotFound},
		{"pinterest", nil, map[string]string{"/v5/user_account": `{"username":"plume"}`}, "", jauge.ReasonDecode},
		{"linkedin", []string{"r_basicprofile"}, map[string]string{"/v2/me": `{}`}, "", jauge.ReasonDecode},
		{"linkedin", []string{"r_member_postAnalytics"}, nil, "", jauge.ReasonScope},
	} {
		_, found, err := answering(t, c.provider, c.scopes, c.answers)
		if f, ok := errors.AsType[*oauth.FlowError](err); len(found) != 0 || ok != (c.flow != "") || ok && f.Kind != c.flow || !ok && jauge.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, %v", c.provider, found, err)
		}
	}
}

// TestLinkedInPagesAlone: an app that was given no profile scope learns who it is from the roles; what is asked follows
// what was granted.
func TestLinkedInPagesAlone(t *testing.T) {
	roles := "/rest/organizationAcls?q=roleAssignee&role=ADMINISTRATOR&state=APPROVED&count=100&start="
	element := func(n int) string {
		return fmt.Sprintf(`{"organization":"urn:li:organization:%d","roleAssignee":"urn:li:person:yrZC"}`, n)
	}
	var first []string
	for n := range 100 {
		first = append(first, element(1000+n))
	}
	batch := func(from, to int) string {
		var ids []string
		for n := from; n < to; n++ {
			ids = append(ids, fmt.Sprint(n))
		}
		return "/rest/organizations?ids=List(" + strings.Join(ids, ",") + ")"
	}
	holder, found, err := answering(t, "linkedin", []string{"rw_organization_admin"}, map[string]string{
		roles + "0":       `{"elements":[` + strings.Join(first, ",") + `]}`,
		roles + "100":     `{"elements":[` + element(1100) + `,` + element(1000) + `,{"organization":"urn:li:organization:1),(2"}]}`,
		batch(1000, 1050): `{"results":{"1000":{"localizedName":"Plume"}}}`,
		batch(1050, 1100): `{}`,
		batch(1100, 1101): `{}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(oauth.Holder{ID: "urn:li:person:yrZC"}, holder); d != "" {
		t.Errorf("holder (-want +got):\n%s", d)
	}
	if len(found) != 101 || found[0].Name != "Plume" || found[100].ID != "urn:li:organization:1100" {
		t.Errorf("%d pages: %v", len(found), found)
	}
}

// TestPagesAreBounded: a listing that never ends is left.
func TestPagesAreBounded(t *testing.T) {
	p := oauthtest.Filled(named(t, "youtube"))
	asked := 0
	srv := oauthtest.NewServer(&p, oauthtest.Fake{Routes: func(_ *oauthtest.Server, mux *http.ServeMux) {
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			asked++
			fmt.Fprintf(w, `{"nextPageToken":"again","items":[{"id":"UC%d"}]}`, asked)
		})
	}}, "")
	_, found, err := p.List(t.Context(), &oauth.Call{Provider: &p, Now: time.Now, HTTP: srv.HTTP()}, &oauth.Token{})
	if err != nil || asked > 100 || len(found) != asked {
		t.Errorf("%d requests, %d channels, %v", asked, len(found), err)
	}
}

// TestYouTubeInTesting is a consent screen that was never published: Google gives a week, and says so.
func TestYouTubeInTesting(t *testing.T) {
	f := fakeGoogle()
	f.RefreshLife = 7 * 24 * time.Hour
	answer := f.Answer
	f.Answer = func(i oauthtest.Issued) any {
		a, ok := answer(i).(map[string]any)
		if ok && i.Refresh != "" {
			a["refresh_token_expires_in"] = i.RefreshIn
		}
		return a
	}
	oauthtest.Run(t, named(t, "youtube"), f)
}
