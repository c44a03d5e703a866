package providers_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

func TestTikTok(t *testing.T) { oauthtest.Run(t, named(t, "tiktok"), fakeTikTok()) }
func TestTikTokBusiness(t *testing.T) {
	oauthtest.Run(t, named(t, "tiktok-business"), fakeTikTokBusiness())
}

// TestTikTokConsentAddress: client_key, commas, and the challenge in hex, which is not that of RFC 7636.
func TestTikTokConsentAddress(t *testing.T) {
	s := newStage(t, "tiktok", fakeTikTok())
	start, _ := s.consent()
	u, err := url.Parse(start.URL)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for k, v := range u.Query() {
		got[k] = strings.Join(v, "|")
	}
	want := map[string]string{
		"client_key": s.s.Fake.App.ClientID, "response_type": "code", "redirect_uri": callbackAddress, "state": "state-1",
		"scope": "user.info.basic,user.info.profile,user.info.stats,video.list", "code_challenge_method": "S256",
		"code_challenge": "791e945149ea4ccf9bbb61f34c0329d74662d1f37d6aa4085b789f4acb8b7c7e", // sha256sum of the verifier
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("query (-want +got):\n%s", d)
	}
}

// TestTikTokCode: a code is escaped once more than the address, and is sent as it was issued.
func TestTikTokCode(t *testing.T) {
	for back, want := range map[string]string{"abc%2A2%213": "abc*2!3", "abc*2!3": "abc*2!3", "100%": "100%"} {
		for _, name := range []string{"tiktok", "tiktok-business"} {
			p := named(t, name)
			var sent string
			c := &oauth.Call{Provider: &p, App: oauth.App{ClientID: "1", ClientSecret: "secret-1"}, Redirect: callbackAddress, Now: time.Now}
			c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) {
				b := make([]byte, 4096)
				n, _ := r.Body.Read(b) // a string's reader gives all of it at once
				sent = string(b[:n])
				return answer(r, 400, `{}`), nil
			})}
			if _, err := p.Dialect.Exchange(t.Context(), c, &oauth.Start{Verifier: "v"}, url.Values{"code": {back}}); err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(sent, "code="+url.QueryEscape(want)+"&") && !strings.Contains(sent, `"auth_code":"`+want+`"`) {
				t.Errorf("%s: %s is sent as %s", name, back, sent)
			}
		}
	}
}

// TestTikTokRevokeRefused: an error with status 200 is no revocation.
func TestTikTokRevokeRefused(t *testing.T) {
	s := newStage(t, "tiktok", fakeTikTok())
	tok := s.connect()
	s.c.App.ClientSecret = "another-secret"
	if e, ok := errors.AsType[*oauth.TokenError](s.d.Revoke(t.Context(), s.c, tok)); !ok || e.Code != "invalid_client" {
		t.Errorf("revocation by another client gives %v", e)
	}
	if s.s.Scopes(tok.Access.Reveal()) == nil {
		t.Error("the token was ended")
	}
}

// TestTikTokLists: fields whose scope was not granted are not asked for, since they would fail the call.
func TestTikTokLists(t *testing.T) {
	s := newStage(t, "tiktok", fakeTikTok())
	s.s.Untick("user.info.profile")
	tok := s.connect()
	_, found, err := s.list(tok)
	if err != nil || len(found) != 1 || found[0].Handle != "" || found[0].Name != "Plume SA" {
		t.Errorf("found %+v, %v", found, err)
	}
	tok.Scopes = append(tok.Scopes, "user.info.profile") // as if it had been granted
	_, _, err = s.list(tok)
	if e, ok := errors.AsType[*jauge.Error](err); !ok || e.Status != http.StatusUnauthorized {
		t.Errorf("a field without its scope gives %v", err)
	}
}

// TestTikTokRefused: both meanings of a 401, and what is none of the grant's business.
func TestTikTokRefused(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   oauth.Cause
	}{
		{401, `{"error":{"code":"access_token_invalid"}}`, oauth.CauseTokenRefused},
		{401, `{"error":{"code":"scope_not_authorized"}}`, oauth.CauseScope},
		{401, `{"error":{"code":"scope_permission_missed"}}`, oauth.CauseScope},
		{403, `{"error":{"code":"scope_not_authorized"}}`, oauth.CauseScope},
		{400, `{"error":{"code":"invalid_params"}}`, oauth.CauseNone},
		{401, `<html>`, oauth.CauseNone},
		{401, `{"error":{"code":"something_new"}}`, oauth.CauseNone},
	} {
		p := named(t, "tiktok")
		if got := p.Refused(tt.status, http.Header{}, []byte(tt.body)); got != tt.want {
			t.Errorf("%d %s: %q, want %q", tt.status, tt.body, got, tt.want)
		}
	}
}

// TestTikTokErrorsInSuccesses: an error with status 200 is one, in token answers and in listings.
func TestTikTokErrorsInSuccesses(t *testing.T) {
	for _, tt := range []struct {
		provider, body string
		want           jauge.Reason
	}{
		{"tiktok", `{"data":{},"error":{"code":"access_token_invalid","message":"x"}}`, jauge.ReasonAuth},
		{"tiktok", `{"data":{},"error":{"code":"scope_not_authorized"}}`, jauge.ReasonScope},
		{"tiktok", `{"data":{},"error":{"code":"rate_limit_exceeded"}}`, jauge.ReasonRateLimited},
		{"tiktok", `{"data":{},"error":{"code":"internal_error"}}`, jauge.ReasonServer},
		{"tiktok", `{"data":{},"error":{"code":"invalid_params"}}`, jauge.ReasonBadRequest},
		{"tiktok", `{"data":{},"error":{"code":"ok"}}`, jauge.ReasonDecode}, // nobody is named
		{"tiktok-business", `{"code":40105,"message":"x"}`, jauge.ReasonAuth},
		{"tiktok-business", `{"code":40001,"message":"x"}`, jauge.ReasonScope},
		{"tiktok-business", `{"code":40100,"message":"x"}`, jauge.ReasonRateLimited},
		{"tiktok-business", `{"code":50000,"message":"System error."}`, jauge.ReasonServer},
		{"tiktok-business", `{"code":40002,"message":"x"}`, jauge.ReasonBadRequest},
		{"tiktok-business", `{"code":0,"data":[]}`, jauge.ReasonDecode},
	} {
		p := named(t, tt.provider)
		c := &oauth.Call{Provider: &p, Now: time.Now}
		c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) { return answer(r, 200, tt.body), nil })}
		tok := &oauth.Token{Access: "token-1"}
		if tt.provider == "tiktok-business" {
			tok.Subject = "oid-1"
		}
		_, _, err := p.List(t.Context(), c, tok)
		if got := jauge.ReasonOf(err); got != tt.want {
			t.Errorf("%s: %s gives %q, want %q", tt.provider, tt.body, got, tt.want)
		}
	}
}

// TestBusinessCodes: an envelope's code has the meaning that the status would have had, because a refresh token that may
// be spent is not sent again, and one that is not may be.
func TestBusinessCodes(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   *oauth.TokenError // nil: the answer cannot be read
	}{
		{200, `{"code":40105,"message":"revoked"}`, &oauth.TokenError{Status: 401, Code: "40105", Text: "revoked"}},
		{200, `{"code":"40102","message":"expired"}`, &oauth.TokenError{Status: 401, Code: "40102", Text: "expired"}},
		{200, `{"code":40101,"message":"pair"}`, &oauth.TokenError{Status: 401, Code: "invalid_client", Text: "pair"}},
		{200, `{"code":40100,"message":"slow"}`, &oauth.TokenError{Status: 429, Code: "40100", Text: "slow"}},
		{200, `{"code":40002,"message":"bad"}`, &oauth.TokenError{Status: 400, Code: "40002", Text: "bad"}},
		{200, `{"code":50000,"message":"System error."}`, &oauth.TokenError{Status: 500, Code: "50000", Text: "System error."}},
		{200, `{"code":51010,"message":"upstream"}`, &oauth.TokenError{Status: 500, Code: "51010", Text: "upstream"}},
		{502, `<html>`, &oauth.TokenError{Status: 502, Text: "Bad Gateway"}},
		{429, `{"code":40100,"message":"slow"}`, &oauth.TokenError{Status: 429, Code: "40100", Text: "slow"}},
		{200, `{"code":0,"data":{}}`, nil},
		{200, `{}`, nil},
		{200, `<html>`, nil},
	} {
		p := named(t, "tiktok-business")
		c := &oauth.Call{Provider: &p, App: oauth.App{ClientID: "1", ClientSecret: "secret-1"}, Now: time.Now}
		c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) { return answer(r, tt.status, tt.body), nil })}
		_, err := p.Dialect.Renew(t.Context(), c, &oauth.Token{Access: "token-1", Refresh: "refresh-1"})
		got, ok := errors.AsType[*oauth.TokenError](err)
		if err == nil || ok != (tt.want != nil) {
			t.Errorf("%d %s gives %v", tt.status, tt.body, err)
			continue
		}
		if d := cmp.Diff(tt.want, got); tt.want != nil && d != "" {
			t.Errorf("%d %s (-want +got):\n%s", tt.status, tt.body, d)
		}
	}
}

// TestBusinessYear: renewing does not move the end of the refresh token, which is a year after the consent.
func TestBusinessYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "tiktok-business", fakeTikTokBusiness())
		tok := s.connect()
		end := tok.RefreshExpiry
		if d := time.Until(end); d != businessYear {
			t.Fatalf("refresh token ends in %s", d)
		}
		for range 12 {
			time.Sleep(30 * 24 * time.Hour) // fake time
			next, err := s.d.Renew(t.Context(), s.c, tok)
			if err != nil {
				t.Fatal(err)
			}
			if !next.RefreshExpiry.Equal(end) {
				t.Fatalf("a renewal moves the end from %s to %s", end, next.RefreshExpiry)
			}
			tok = next
		}
		time.Sleep(time.Until(end))
		_, err := s.d.Renew(t.Context(), s.c, tok)
		if e, ok := errors.AsType[*oauth.TokenError](err); !ok || s.p.Dead[e.Code] == oauth.CauseNone {
			t.Errorf("after the year: %v", err)
		}
	})
}

// TestBusinessEndThatAnswersMove: an answer that repeats the token with a whole year, or says nothing, does not move it.
func TestBusinessEndThatAnswersMove(t *testing.T) {
	end := time.Now().Add(time.Hour).UTC()
	for body, want := range map[string]time.Time{
		`{"code":0,"data":{"access_token":"a","refresh_token":"refresh-1","refresh_token_expires_in":31536000}}`: end,
		`{"code":0,"data":{"access_token":"a","refresh_token":"refresh-2"}}`:                                     end,
		`{"code":0,"data":{"access_token":"a"}}`:                                                                 end,
	} {
		p := named(t, "tiktok-business")
		c := &oauth.Call{Provider: &p, App: oauth.App{ClientID: "1", ClientSecret: "secret-1"}, Now: time.Now}
		c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) { return answer(r, 200, body), nil })}
		tok, err := p.Dialect.Renew(t.Context(), c, &oauth.Token{Access: "token-1", Refresh: "refresh-1", RefreshExpiry: end})
		if err != nil {
			t.Fatal(err)
		}
		if !tok.RefreshExpiry.Equal(want) || tok.Refresh == "" {
			t.Errorf("%s: refresh token %t ends at %s, want %s", body, tok.Refresh != "", tok.RefreshExpiry, want)
		}
	}
}

// TestBusinessCallback: the code comes as auth_code or as code, to an address that ends in a slash.
func TestBusinessCallback(t *testing.T) {
	for _, as := range []string{"code", "auth_code"} {
		s := newStage(t, "tiktok-business", fakeTikTokBusiness())
		start, back := s.consent()
		if !strings.Contains(start.URL, url.QueryEscape(callbackAddress+"/")) {
			t.Errorf("consent page is asked at %s", start.URL)
		}
		code := back.Get("code")
		back.Del("code")
		back.Set(as, code)
		tok, err := s.d.Exchange(t.Context(), s.c, start, back)
		if err != nil || tok.Subject != "oid-1" {
			t.Errorf("%s: %v, %+v", as, err, tok)
		}
	}
	p := named(t, "tiktok-business")
	_, err := p.Dialect.Exchange(context.Background(), &oauth.Call{Provider: &p, Now: time.Now}, &oauth.Start{}, url.Values{"error": {"access_denied"}})
	if kindOf(err) != oauth.FlowDenied {
		t.Errorf("denied consent gives %v", err)
	}
}
