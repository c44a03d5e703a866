package providers_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// TestFacebookSign: a header, and a proof that belongs to this very token.
func TestFacebookSign(t *testing.T) {
	p := named(t, "facebook")
	c := &oauth.Call{Provider: &p, App: oauth.App{ClientID: "100", ClientSecret: "app-secret"}}
	request := func(address string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := request("https://graph.facebook.com/v26.0/1/insights?metric=a,b")
	before := *first.URL
	if err := p.Dialect.Sign(c, first, &oauth.Token{Access: "EAAB-token"}); err != nil {
		t.Fatal(err)
	}
	if got := first.Header.Get("Authorization"); got != "Bearer EAAB-token" {
		t.Errorf("header is %q", got)
	}
	q := first.URL.Query()
	const proof = "294c307ff2427ed2140908ec13f483ef7f7d7819a8fc32fb535cf6ada2327ab2" // openssl dgst -sha256 -hmac app-secret
	if q.Get("appsecret_proof") != proof || q.Get("metric") != "a,b" || len(q) != 2 {
		t.Errorf("query is %v, want the proof %s beside the metric", q, proof)
	}
	if before.RawQuery != "metric=a,b" {
		t.Error("the caller's address was changed")
	}
	again := request("https://graph.facebook.com/v26.0/1/insights")
	if err := p.Dialect.Sign(c, again, &oauth.Token{Access: "page-token"}); err != nil {
		t.Fatal(err)
	}
	if got := again.URL.Query().Get("appsecret_proof"); got == proof || got == "" {
		t.Error("a page's token has the proof of another")
	}
}

// TestFacebookPages: every page has its own token, shared with its Instagram account, and it works for calls on its behalf.
func TestFacebookPages(t *testing.T) {
	s := newStage(t, "facebook", fakeFacebook())
	_, found, err := s.list(s.connect())
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{}
	for _, f := range found {
		tokens[string(f.Platform)+"/"+f.ID] = f.Token.Reveal()
	}
	want := map[string]string{}
	for key, page := range map[string]string{
		"facebook/1020304": "1020304", "instagram/" + bigID: "1020304", "facebook/1020305": "1020305", "facebook/1020306": "1020306",
	} {
		want[key] = "page-token-of-" + page + "-never-to-be-seen"
	}
	if d := cmp.Diff(want, tokens); d != "" {
		t.Errorf("tokens (-want +got):\n%s", d)
	}
	if said := fmt.Sprintf("%v %+v", found, found); strings.Contains(said, "never-to-be-seen") {
		t.Error("printing the subjects shows their tokens")
	}
}

// TestFacebookListingEnds: a listing whose cursor never moves, or never ends, is left.
func TestFacebookListingEnds(t *testing.T) {
	for name, cursor := range map[string]func(n int) string{
		"stuck":   func(int) string { return "same" },
		"endless": func(n int) string { return fmt.Sprint("c", n) },
	} {
		p := named(t, "facebook")
		calls := 0
		c := &oauth.Call{Provider: &p, Now: time.Now}
		c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) {
			if !strings.HasSuffix(r.URL.Path, "/me/accounts") {
				return answer(r, 200, `{"id":"1","name":"Ada"}`), nil
			}
			calls++
			return answer(r, 200, `{"data":[{"id":"7","name":"Plume"}],"paging":{"cursors":{"after":"`+cursor(calls)+`"},"next":"https://x"}}`), nil
		})}
		_, found, err := p.List(t.Context(), c, &oauth.Token{Access: "t"})
		if err != nil || len(found) != 1 || calls > 20 {
			t.Errorf("%s: %d subjects after %d calls, %v", name, len(found), calls, err)
		}
	}
}

// TestFacebookDeclined: what the user unticked is not among the token's scopes, though the token answer is silent.
func TestFacebookDeclined(t *testing.T) {
	s := newStage(t, "facebook", fakeFacebook())
	s.s.Untick("instagram_manage_insights")
	tok := s.connect()
	want := []string{"public_profile", "pages_show_list", "pages_read_engagement", "read_insights", "instagram_basic"}
	if d := cmp.Diff(want, tok.Scopes); d != "" {
		t.Errorf("scopes (-want +got):\n%s", d)
	}
}

// TestFacebookFlowErrors: Meta has no invalid_grant, and throttles by 400.
func TestFacebookFlowErrors(t *testing.T) {
	for _, tt := range []struct {
		body string
		want oauth.FlowKind
	}{
		{`{"error":{"code":100,"error_subcode":36007,"message":"This authorization code has expired."}}`, oauth.FlowBadCode},
		{`{"error":{"code":100,"message":"Error validating verification code."}}`, oauth.FlowBadCode},
		{`{"error":{"code":191,"message":"Error validating redirect_uri: it must match."}}`, oauth.FlowBadRedirect},
		{`{"error":{"code":1,"message":"Error validating client secret."}}`, oauth.FlowProvider},
		{`{"error":{"code":4,"message":"Application request limit reached"}}`, oauth.FlowProvider},
	} {
		for _, name := range []string{"facebook", "instagram", "threads"} {
			p := named(t, name)
			c := &oauth.Call{Provider: &p, App: oauth.App{ClientID: "1", ClientSecret: "secret-1"}, Redirect: callbackAddress, Now: time.Now}
			c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) { return answer(r, 400, tt.body), nil })}
			_, err := p.Dialect.Exchange(t.Context(), c, &oauth.Start{}, map[string][]string{"code": {"code-1"}})
			if got := kindOf(err); got != tt.want {
				t.Errorf("%s: %s gives %q, want %q", name, tt.body, got, tt.want)
			}
		}
	}
	p := named(t, "facebook")
	for body, want := range map[string]oauth.TokenError{
		`{"error":{"code":1,"message":"Error validating client secret."}}`:                           {Status: 400, Code: "invalid_client"},
		`{"error":{"code":101,"message":"Error validating application."}}`:                           {Status: 400, Code: "invalid_client"},
		`{"error":{"code":17,"error_subcode":2446079,"message":"User request limit reached"}}`:       {Status: 429, Code: "17/2446079"},
		`{"error":{"code":80001,"message":"There have been too many calls to this Page account"}}`:   {Status: 429, Code: "80001"},
		`{"error":{"code":190,"error_subcode":460,"message":"The user changed the password"}}`:       {Status: 400, Code: "190/460"},
		`{"error":{"code":2,"message":"Service temporarily unavailable","is_transient":true}}`:       {Status: 400, Code: "2"},
		`{"error":{"code":"unknown","message":"Something that nobody has seen before, in a text."}}`: {Status: 400, Code: "unknown"},
	} {
		c := &oauth.Call{Provider: &p, App: oauth.App{ClientID: "1", ClientSecret: "secret-1"}, Now: time.Now}
		c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) { return answer(r, 400, body), nil })}
		_, err := p.Dialect.Renew(t.Context(), c, &oauth.Token{Access: "token-1"})
		e, ok := errors.AsType[*oauth.TokenError](err)
		if !ok || e.Status != want.Status || e.Code != want.Code {
			t.Errorf("%s gives %+v, want %d %s", body, e, want.Status, want.Code)
		}
	}
}

// TestFacebookInspect: what a pasted token is, when it ends and what it may do.
func TestFacebookInspect(t *testing.T) {
	issued, ends := time.Unix(1790000000, 0).UTC(), time.Unix(1795000000, 0).UTC()
	scopes := []any{"pages_read_engagement", "read_insights"}
	for _, tt := range []struct {
		name  string
		debug map[string]any
		want  oauth.Token
		code  string         // of a TokenError
		flow  oauth.FlowKind // of a FlowError
	}{
		{
			name: "system user, for ever",
			debug: map[string]any{
				"app_id": "100", "type": "SYSTEM_USER", "is_valid": true, "issued_at": 1790000000, "expires_at": 0, "data_access_expires_at": 0,
				"scopes": scopes, "user_id": "122100000000000001",
			},
			want: oauth.Token{
				Access: "pasted-token", Issued: issued, Scopes: []string{"pages_read_engagement", "read_insights"}, Subject: "122100000000000001",
				Extra: map[string]string{"kind": "SYSTEM_USER"},
			},
		},
		{
			name: "user, with an end of its data",
			debug: map[string]any{
				"app_id": 100, "type": "USER", "is_valid": true, "issued_at": 1790000000, "expires_at": 1795000000, "data_access_expires_at": 1797000000,
				"scopes": scopes, "user_id": "1029",
			},
			want: oauth.Token{
				Access: "pasted-token", Issued: issued, Expiry: ends, Scopes: []string{"pages_read_engagement", "read_insights"}, Subject: "1029",
				Extra: map[string]string{"kind": "USER", "data_access_expires_at": "1797000000"},
			},
		},
		{
			name:  "user, with an absurd end",
			debug: map[string]any{"is_valid": true, "issued_at": int64(1) << 62, "expires_at": int64(1) << 62},
			want: oauth.Token{
				Access: "pasted-token", Expiry: time.Unix(1793000000, 0).UTC().Add(60 * 24 * time.Hour), Extra: map[string]string{"kind": "USER"},
			},
		},
		{
			name:  "page",
			debug: map[string]any{"app_id": "100", "type": "PAGE", "is_valid": true, "expires_at": 0, "scopes": scopes, "profile_id": "1020304", "user_id": "1029"},
			want: oauth.Token{
				Access: "pasted-token", Scopes: []string{"pages_read_engagement", "read_insights"}, Subject: "1020304", Extra: map[string]string{"kind": "PAGE"},
			},
		},
		{
			name: "worth nothing",
			debug: map[string]any{"app_id": "100", "is_valid": false, "error": map[string]any{
				"code": 190, "subcode": 463, "message": "Error validating access token pasted-token: Session has expired",
			}},
			code: "190/463",
		},
		{name: "worth nothing, no word of it", debug: map[string]any{"is_valid": false}, code: "190"},
		{name: "of another app", debug: map[string]any{"app_id": "200", "is_valid": true, "expires_at": 0}, flow: oauth.FlowBadInput},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, server := newFacebookFake()
			f.App = oauth.App{ClientID: "100", ClientSecret: "app-secret"}
			server.debug = tt.debug
			s := newStage(t, "facebook", f)
			s.c.Now = func() time.Time { return time.Unix(1793000000, 1) }
			tok := &oauth.Token{Access: "pasted-token"}
			err := s.d.(oauth.Inspector).Inspect(t.Context(), s.c, tok)
			if e, ok := errors.AsType[*oauth.TokenError](err); (tt.code != "") != ok || ok && e.Code != tt.code {
				t.Errorf("error is %v, want code %q", err, tt.code)
			}
			if kindOf(err) != tt.flow {
				t.Errorf("error is %v, want kind %q", err, tt.flow)
			}
			if err != nil {
				if strings.Contains(err.Error(), "pasted-token") {
					t.Errorf("the token is shown: %v", err)
				}
				return
			}
			if d := cmp.Diff(tt.want, *tok); d != "" {
				t.Errorf("token (-want +got):\n%s", d)
			}
		})
	}
}

// TestFacebookInspectRefused: our own app is refused, or nobody answers.
func TestFacebookInspectRefused(t *testing.T) {
	f, _ := newFacebookFake()
	s := newStage(t, "facebook", f)
	s.c.App.ClientSecret = "another-secret"
	tok := &oauth.Token{Access: "pasted-token"}
	err := s.d.(oauth.Inspector).Inspect(t.Context(), s.c, tok)
	if e, ok := errors.AsType[*oauth.TokenError](err); !ok || e.Code != "190" {
		t.Errorf("wrong secret of the app gives %v", err)
	}
	s.c.HTTP = &http.Client{Transport: tripFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("no way") })}
	err = s.d.(oauth.Inspector).Inspect(t.Context(), s.c, tok)
	if err == nil || strings.Contains(err.Error(), "pasted-token") {
		t.Errorf("no connection gives %v", err)
	}
}

// TestFacebookStaticTokens: a page's token lists the page itself and is not exchanged, a system user's is exchanged for one
// of 60 days again, and neither is ended by us.
func TestFacebookStaticTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, server := newFacebookFake()
		s := newStage(t, "facebook", f)
		tok := s.connect()
		tok.Extra = map[string]string{"kind": "PAGE"}
		holder, found, err := s.list(tok)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(oauth.Holder{ID: "1020304", Handle: "plume", Name: "Plume SA"}, holder); d != "" {
			t.Errorf("holder (-want +got):\n%s", d)
		}
		if len(found) != 2 || found[0].Platform != jauge.Facebook || found[1].Platform != jauge.Instagram || found[0].Token != "" {
			t.Errorf("found %+v", found)
		}
		if _, err := s.d.Renew(t.Context(), s.c, tok); !errors.Is(err, oauth.ErrNotSent) {
			t.Errorf("renewal of a page's token gives %v", err)
		}
		if err := s.d.Revoke(t.Context(), s.c, tok); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("revocation of a pasted token gives %v", err)
		}
		if _, _, err := s.list(tok); err != nil {
			t.Errorf("the pasted token was ended after all: %v", err)
		}
		tok.Extra = map[string]string{"kind": "SYSTEM_USER"}
		time.Sleep(24 * time.Hour)
		next, err := s.d.Renew(t.Context(), s.c, tok)
		if err != nil || server.sixty != 1 || next.Extra["kind"] != "SYSTEM_USER" {
			t.Errorf("renewal of a system user's token: %v, asked for 60 days %d times, %v", err, server.sixty, next)
		}
	})
}

// TestFacebookWithoutSecret: a token that was pasted works without a registered client, and then without a proof.
func TestFacebookWithoutSecret(t *testing.T) {
	p := named(t, "facebook")
	var asked []*http.Request
	c := &oauth.Call{Provider: &p, Now: time.Now}
	c.HTTP = &http.Client{Transport: tripFunc(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r)
		return answer(r, 200, `{"data":{"app_id":"9","is_valid":true,"type":"USER","expires_at":0}}`), nil
	})}
	tok := &oauth.Token{Access: "pasted-token"}
	if err := p.Dialect.(oauth.Inspector).Inspect(t.Context(), c, tok); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || asked[0].Header.Get("Authorization") != "Bearer pasted-token" || asked[0].URL.Query().Has("appsecret_proof") {
		t.Errorf("asked %v", asked)
	}
}
