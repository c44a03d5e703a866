package oauth_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

func TestAccessTokenIsTriedBeforeTheGrantIsCondemned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.connect("ann")
		r.refuse(1000, &oauth.TokenError{Status: 400, Code: "invalid_grant"})
		r.run()
		time.Sleep(97 * time.Minute)
		if now := r.grant(); now.State != oauth.StateExpiring || now.Cause != oauth.CauseInvalidGrant {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		time.Sleep(30 * time.Minute)
		if now := r.grant(); now.State != oauth.StateRevoked || now.Cause != oauth.CauseInvalidGrant {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
	})
}

func TestRevocationAtTheProviderIsSeenInOneRun(t *testing.T) {
	for _, after := range []time.Duration{10 * time.Second, 30 * time.Minute, 97 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, newStore(), newAuthority())
			r.connect("ann")
			time.Sleep(after)
			r.a.revokeLogin("ann")
			if _, err := r.get("p1"); err == nil {
				_, err = r.get("p1")
				if jauge.ReasonOf(err) != jauge.ReasonAuth {
					t.Errorf("second get: %v", err)
				}
			}
			if now := r.grant(); now.State != oauth.StateRevoked {
				t.Errorf("after %s: grant is %s (%s)", after, now.State, now.Cause)
			}
			if n := r.metric("jauge_grants", "plume", "revoked"); n != 1 {
				t.Errorf("metric says %v", n)
			}
		})
	}
}

func TestRefusalOfOneCallCondemnsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.connect("ann")
		r.a.serve(func(req *http.Request, _ string) *http.Response {
			if strings.HasSuffix(req.URL.Path, "figures") {
				return answer(req, 401, `{}`)
			}
			return nil
		})
		for range 20 {
			if status, err := r.get("p1"); status != 401 || err != nil {
				t.Fatalf("get = %d, %v", status, err)
			}
		}
		if now := r.grant(); now.State != oauth.StateOK {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		time.Sleep(2 * time.Minute)
		for range 20 {
			_, _ = r.get("p1")
		}
		if r.a.got().renewed > 1 {
			t.Errorf("renewed %d times", r.a.got().renewed)
		}
	})
}

func TestScopeErrorMakesNoRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.p.Refused = func(status int, _ http.Header, body []byte) oauth.Cause {
			switch {
			case strings.Contains(string(body), "scope_not_authorized"):
				return oauth.CauseScope
			case strings.Contains(string(body), "not_yours"):
				return oauth.CauseWrongObject
			case status == 401:
				return oauth.CauseTokenRefused
			}
			return oauth.CauseNone
		}
		g := r.connect("ann")
		if _, err := r.v.Follow(t.Context(), g.ID, []string{"plume/p1", "plume/p2"}, "brand"); err != nil {
			t.Fatal(err)
		}
		body := `{"error":"scope_not_authorized"}`
		r.a.serve(func(req *http.Request, _ string) *http.Response {
			if strings.HasSuffix(req.URL.Path, "figures") {
				return answer(req, 401, body)
			}
			return nil
		})
		time.Sleep(30 * time.Minute)
		if status, err := r.get("p1"); status != 401 || err != nil {
			t.Fatalf("get = %d, %v", status, err)
		}
		body = `{"error":"not_yours"}`
		if status, err := r.get("p2"); status != 401 || err != nil {
			t.Fatalf("get = %d, %v", status, err)
		}
		_, err := r.get("p1")
		if jauge.ReasonOf(err) != jauge.ReasonScope {
			t.Errorf("get: %v", err)
		}
		if _, err := r.get("p2"); jauge.ReasonOf(err) != jauge.ReasonAuth {
			t.Errorf("get: %v", err)
		}
		if now := r.grant(); now.State != oauth.StateOK || now.Follows[0].State != oauth.StateScope || now.Follows[1].State != oauth.StateWrongObject {
			t.Errorf("grant = %+v", now)
		}
		if r.a.got().renewed != 0 {
			t.Errorf("renewed %d times", r.a.got().renewed)
		}
		want := []string{"plume/p1:>scope_missing", "plume/p2:>wrong_object"}
		if diff := cmp.Diff(want, r.told()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAccountThatIsNoLongerOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		r, other := newRig(t, s, a), newRig(t, s, a)
		r.connect("ann")
		all := a.subjects
		a.mu.Lock()
		a.subjects = a.subjects[1:]
		before := a.requests
		a.mu.Unlock()
		r.run()
		other.run()
		time.Sleep(26 * time.Hour)
		if now := r.grant(); now.State != oauth.StateOK || now.Follows[0].State != oauth.StateWrongObject {
			t.Errorf("grant = %+v", now)
		}
		a.mu.Lock()
		if n := a.requests - before; n > 2 {
			t.Errorf("listed %d times in a day", n)
		}
		a.subjects = all
		a.mu.Unlock()
		time.Sleep(26 * time.Hour)
		if now := r.grant(); now.Follows[0].State != "" {
			t.Errorf("it is offered again: %+v", now.Follows[0])
		}
		if told := append(r.told(), other.told()...); len(told) != 2 {
			t.Errorf("told %v", told)
		}
	})
}

func TestTokenIsNotSentToAnotherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.connect("ann")
		seen := map[string]string{}
		r.a.serve(func(req *http.Request, _ string) *http.Response {
			seen[req.URL.Host] = req.Header.Get("Authorization")
			if req.URL.Host == "api.plume.test" && strings.HasSuffix(req.URL.Path, "figures") {
				resp := answer(req, 302, "")
				resp.Header.Set("Location", "https://evil.test/figures")
				return resp
			}
			return answer(req, 200, `{}`)
		})
		if _, err := r.get("p1"); err != nil {
			t.Fatal(err)
		}
		if seen["api.plume.test"] == "" || seen["evil.test"] != "" {
			t.Errorf("tokens at %v", seen)
		}
	})
}
