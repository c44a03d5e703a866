package providers_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// FuzzAnswers: whatever a server answers to any of the calls, nothing breaks, a success has a token, and no error shows
// what was sent.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"t","expires_in":5183944}`, `{"data":[{"access_token":"t","user_id":17841400000000001,"permissions":"a,b"}]}`,
		`{"error":{"code":190,"error_subcode":463,"message":"x"}}`, `{"error_type":"OAuthException","code":400,"error_message":"x"}`,
		`{"code":0,"data":{"access_token":"t","open_id":"o"}}`, `{"code":40105}`, `{"error":"invalid_grant"}`, `{"error":{"code":"ok"},"data":{"user":{}}}`,
		`{"data":[{"id":1,"instagram_business_account":{"id":"2"}}],"paging":{"cursors":{"after":"a"},"next":"n"}}`,
		`{"data":{"is_valid":true,"expires_at":9223372036854775807}}`, `{"id":"1"}`, `[]`, `null`, `{"data":null}`, `<html>`, ``,
	} {
		f.Add(200, body)
		f.Add(400, body)
	}
	const secret, token, code = "app-secret-never-to-be-seen", "token-never-to-be-seen", "code-never-to-be-seen"
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return // no status of a final answer
		}
		for _, name := range []string{"facebook", "instagram", "threads", "tiktok", "tiktok-business"} {
			p := named(t, name)
			c := &oauth.Call{
				Provider: &p, App: oauth.App{ClientID: "1", ClientSecret: secret}, Redirect: callbackAddress, Now: time.Now,
				HTTP: &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) { return answer(r, status, body), nil })},
			}
			check := func(op string, tok *oauth.Token, err error) {
				t.Helper()
				if err == nil && (tok == nil || tok.Access == "") {
					t.Errorf("%s: %s succeeds without a token", name, op)
				}
				if err != nil && slices.ContainsFunc([]string{secret, token, code}, func(s string) bool { return strings.Contains(err.Error(), s) }) {
					t.Errorf("%s: %s shows a secret: %v", name, op, err)
				}
			}
			tok, err := p.Dialect.Exchange(t.Context(), c, &oauth.Start{Verifier: token}, url.Values{"code": {code}})
			check("exchange", tok, err)
			old := &oauth.Token{Access: token, Refresh: token, Subject: "oid-1"}
			tok, err = p.Dialect.Renew(t.Context(), c, old)
			check("renewal", tok, err)
			check("revocation", old, p.Dialect.Revoke(t.Context(), c, old))
			holder, found, err := p.List(t.Context(), c, old)
			check("listing", old, err)
			if err == nil && holder.ID == "" {
				t.Errorf("%s: a listing names nobody", name)
			}
			for _, s := range found {
				if s.ID == "" || !slices.Contains(p.Platforms, s.Platform) {
					t.Errorf("%s: %v cannot be followed", name, s)
				}
			}
			if in, ok := p.Dialect.(oauth.Inspector); ok {
				check("inspection", old, in.Inspect(t.Context(), c, &oauth.Token{Access: token}))
			}
			switch cause := p.Refused(status, http.Header{}, []byte(body)); cause {
			case oauth.CauseNone, oauth.CauseTokenRefused, oauth.CauseScope, oauth.CauseWrongObject:
			default:
				t.Errorf("%s: an API answer means %q", name, cause)
			}
		}
	})
}
