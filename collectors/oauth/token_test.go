package oauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge/collectors/oauth"
)

func TestReadToken(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		body string
		want oauth.Token
	}{
		"whole": {`{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","refresh_token_expires_in":86400,"scope":"x y","sub":"did:plc:1"}`, oauth.Token{
			Access: "a", Type: "Bearer", Refresh: "r", Expiry: noon.Add(time.Hour), RefreshExpiry: noon.Add(day), Scopes: []string{"x", "y"}, Subject: "did:plc:1",
		}},
		"float":                 {`{"access_token":"a","expires_in":3600.0}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"string":                {`{"access_token":"a","expires_in":"3600"}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"exponent":              {`{"access_token":"a","expires_in":3.6e3}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"no life: Life":         {`{"access_token":"a"}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"null life":             {`{"access_token":"a","expires_in":null}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"life of 0":             {`{"access_token":"a","expires_in":0}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"negative life":         {`{"access_token":"a","expires_in":-5}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"absurd life":           {`{"access_token":"a","expires_in":977616000}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"life beyond durations": {`{"access_token":"a","expires_in":1e300}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"TikTok": {`{"access_token":"a","refresh_token":"r","refresh_expires_in":"86400","open_id":"o-1","scope":"user.info.basic,video.list"}`, oauth.Token{
			Access: "a", Refresh: "r", Expiry: noon.Add(time.Hour), RefreshExpiry: noon.Add(day), Subject: "o-1", Scopes: []string{"user.info.basic", "video.list"},
		}},
		"id beyond 2^53":                    {`{"access_token":"a","user_id":17841405793187218}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour), Subject: "17841405793187218"}},
		"scopes in a list":                  {`{"access_token":"a","scope":["x","y"]}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour), Scopes: []string{"x", "y"}}},
		"scopes both":                       {`{"access_token":"a","scope":"x, y  z"}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour), Scopes: []string{"x", "y", "z"}}},
		"no scope":                          {`{"access_token":"a","scope":""}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"null refresh token":                {`{"access_token":"a","refresh_token":null,"refresh_token_expires_in":5}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"error that is empty":               {`{"access_token":"a","error":"","error_description":""}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour)}},
		"kept":                              {`{"access_token":"a","shard":7,"region":"eu","dropped":[1]}`, oauth.Token{Access: "a", Expiry: noon.Add(time.Hour), Extra: map[string]string{"shard": "7", "region": "eu"}}},
		"a refresh that does not say when":  {`{"access_token":"a","refresh_token":"r"}`, oauth.Token{Access: "a", Refresh: "r", Expiry: noon.Add(time.Hour)}},
		"a refresh with a life of no sense": {`{"access_token":"a","refresh_token":"r","refresh_token_expires_in":"soon"}`, oauth.Token{Access: "a", Refresh: "r", Expiry: noon.Add(time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Issued = noon
			got, err := oauth.ReadToken(plume(""), oauth.Answer{Status: 200, Body: []byte(c.body)}, "shard", "region")
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Extra) == 0 {
				got.Extra = nil
			}
			if d := cmp.Diff(&c.want, got); d != "" {
				t.Errorf("token (-want +got):\n%s", d)
			}
		})
	}
}

func TestReadTokenRefused(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		after  string
		body   string
		want   oauth.TokenError
	}{
		"standard":          {400, "", `{"error":"invalid_grant","error_description":"gone"}`, oauth.TokenError{Status: 400, Code: "invalid_grant", Text: "gone"}},
		"of status 200":     {200, "", `{"error":"invalid_grant","error_description":"gone","log_id":"1"}`, oauth.TokenError{Status: 200, Code: "invalid_grant", Text: "gone"}},
		"with a token":      {200, "", `{"error":"invalid_grant","access_token":"a"}`, oauth.TokenError{Status: 200, Code: "invalid_grant", Text: "OK"}},
		"Meta":              {400, "", `{"error":{"message":"expired","type":"OAuthException","code":190,"error_subcode":463}}`, oauth.TokenError{Status: 400, Code: "190/463", Text: "expired"}},
		"Meta, no subcode":  {400, "", `{"error":{"message":"m","code":190}}`, oauth.TokenError{Status: 400, Code: "190", Text: "m"}},
		"number":            {401, "", `{"code":283,"message":"no"}`, oauth.TokenError{Status: 401, Code: "283", Text: "no"}},
		"page":              {502, "", `<html>secret</html>`, oauth.TokenError{Status: 502, Text: "Bad Gateway"}},
		"nothing":           {503, "120", ``, oauth.TokenError{Status: 503, Text: "Service Unavailable", RetryAfter: 2 * time.Minute}},
		"429":               {429, "Sun, 22 Nov 2026 12:05:00 GMT", `{"error":"slow_down"}`, oauth.TokenError{Status: 429, Code: "slow_down", Text: "Too Many Requests", RetryAfter: 5 * time.Minute}},
		"past date":         {429, "Sun, 22 Nov 2026 11:05:00 GMT", `{}`, oauth.TokenError{Status: 429, Text: "Too Many Requests"}},
		"mad header":        {429, "1e30", `{}`, oauth.TokenError{Status: 429, Text: "Too Many Requests", RetryAfter: 31 * 24 * time.Hour}},
		"redirect":          {307, "", ``, oauth.TokenError{Status: 307, Text: "Temporary Redirect"}},
		"lines and control": {400, "", `{"error":"a\nb","error_description":"c\u0000d\r\ne"}`, oauth.TokenError{Status: 400, Code: "a b", Text: "c d  e"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oauth.ReadToken(plume(""), oauth.Answer{Status: c.status, Header: http.Header{"Retry-After": {c.after}}, Body: []byte(c.body)})
			got, ok := errors.AsType[*oauth.TokenError](err)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if d := cmp.Diff(&c.want, got); d != "" {
				t.Errorf("error (-want +got):\n%s", d)
			}
		})
	}
}

func TestExpiryWithoutBounds(t *testing.T) {
	for in, want := range map[string]time.Time{"": {}, "60": noon.Add(time.Minute), "0": {}, "NaN": {}, "-Inf": {}} {
		if got := (oauth.Renewal{}).Expiry(noon, in); !got.Equal(want) {
			t.Errorf("%q gives %s, want %s", in, got, want)
		}
	}
	if got := (oauth.Renewal{MaxLife: time.Hour}).Expiry(noon, "+Inf"); !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("without Life, an absurd one is cut to MaxLife: %s", got)
	}
}

// FuzzReadToken: whatever a server says, there is a token or an error, and the error is short and of one line.
func FuzzReadToken(f *testing.F) {
	for _, s := range []string{
		`{"access_token":"a","expires_in":3600.0,"refresh_token":"r","scope":"x,y"}`, `{"error":{"code":190,"error_subcode":463}}`, `{"error":"e"}`,
		`{"access_token":1,"user_id":17841405793187218,"scope":["a",2]}`, `[]`, `null`, `"x"`, ``, `{"access_token":{"a":1},"expires_in":"1e999"}`,
	} {
		f.Add(200, []byte(s))
		f.Add(400, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c := plume("")
		tok, err := oauth.ReadToken(c, oauth.Answer{Status: status, Body: body}, "k")
		if (tok == nil) == (err == nil) {
			t.Fatalf("token %v and error %v", tok, err)
		}
		if err != nil {
			if s := err.Error(); utf8.RuneCountInString(s) > 1000 || strings.ContainsAny(s, "\n\r") || !utf8.ValidString(s) {
				t.Errorf("error is long or of several lines: %q", s)
			}
			return
		}
		switch {
		case tok.Access == "" || status < 200 || status > 299 || !json.Valid(body):
			t.Errorf("%d %q gives a token", status, body)
		case !tok.Expiry.After(noon) || tok.Expiry.Sub(noon) > c.Provider.Renewal.MaxLife:
			t.Errorf("token ends at %s", tok.Expiry)
		case !tok.RefreshExpiry.IsZero() && tok.RefreshExpiry.Before(noon):
			t.Errorf("refresh token ends at %s", tok.RefreshExpiry)
		}
	})
}
