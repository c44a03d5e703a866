package oauth_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// dropAccess makes the API refuse an access token, while its refresh token is good.
func (a *authority) dropAccess(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.access, token)
}

// The API refuses an access token before its end, as we know it, has come: taken away, or by another clock. Whoever meets
// that first, the refresh token is tried before anything is said of the grant.
func TestRefusedAccessTokenIsRenewedFirst(t *testing.T) {
	for name, meet := range map[string]func(t *testing.T, r *rig, id string){
		"a request": func(t *testing.T, r *rig, _ string) {
			if status, err := r.get("p1"); status != 200 || err != nil {
				t.Errorf("get = %d, %v", status, err)
			}
		},
		"a test": func(t *testing.T, r *rig, id string) {
			if err := r.v.Test(t.Context(), id); err != nil {
				t.Errorf("test: %v", err)
			}
		},
		"the page that lists": func(t *testing.T, r *rig, id string) {
			if s, err := r.v.Subjects(t.Context(), id); err != nil || len(s) != 2 {
				t.Errorf("subjects: %v, %v", s, err)
			}
		},
		"the daily listing": func(_ *testing.T, r *rig, _ string) {
			stop := r.run()
			time.Sleep(26 * time.Hour)
			stop()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				a.life = 10 * day
				r := newRig(t, newStore(), a)
				g := r.connect("ann")
				time.Sleep(time.Hour)
				a.dropAccess(r.v.Peek(g.ID).Access)
				meet(t, r, g.ID)
				if now := r.grant(); now.State != oauth.StateOK || a.got().renewed != 1 || len(r.told()) != 0 {
					t.Errorf("%s (%s), renewed %d times, told %v", now.State, now.Cause, a.got().renewed, r.told())
				}
			})
		})
	}
}

// The token endpoint is down while the API refuses the access token: that condemns nothing.
func TestRefusedAccessTokenWhileNothingCanBeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		time.Sleep(30 * time.Minute)
		r.a.dropAccess(r.v.Peek(g.ID).Access)
		r.refuse(1, &oauth.TokenError{Status: 429, RetryAfter: time.Minute})
		if err := r.v.Test(t.Context(), g.ID); err == nil {
			t.Error("a refused token passes")
		}
		if now := r.grant(); now.State != oauth.StateTransient {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		time.Sleep(2 * time.Minute)
		if err := r.v.Test(t.Context(), g.ID); err != nil {
			t.Errorf("test: %v", err)
		}
		if now := r.grant(); now.State != oauth.StateOK {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
	})
}

// Tokens of 20 seconds, and an API whose clock is 5 seconds ahead: what it refuses is renewed, not condemned.
func TestClockOfTheAPIIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.life = 20 * time.Second
		r := newRig(t, newStore(), a)
		r.connect("ann")
		a.serve(func(req *http.Request, _ string) *http.Response {
			a.mu.Lock()
			defer a.mu.Unlock()
			if time.Until(a.ends[bearer(req)]) < 5*time.Second {
				return answer(req, 401, `{}`)
			}
			return nil
		})
		for range 100 {
			time.Sleep(15500 * time.Millisecond) // due by our clock at 16 seconds
			if status, err := r.get("p1"); status != 200 || err != nil {
				t.Fatalf("get = %d, %v", status, err)
			}
		}
		if now := r.grant(); now.State != oauth.StateOK || a.got().reused != 0 || len(r.told()) != 0 {
			t.Errorf("%s (%s), told %v", now.State, now.Cause, r.told())
		}
	})
}

// One replica renews, and the provider refuses the old token from the answer on: another replica that lists at that very
// moment waits for the new one and condemns nothing.
func TestListingWhileAnotherRenews(t *testing.T) {
	for _, model := range []oauth.Model{oauth.Rotating, oauth.Extend} {
		listWhileAnotherRenews(t, model)
	}
}

func listWhileAnotherRenews(t *testing.T, model oauth.Model) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		renewal := withRenewal(oauth.Renewal{Model: model, Share: 0.2})
		one, two := newRig(t, s, a, renewal), newRig(t, s, a, renewal)
		g := one.connect("ann")
		two.grant()
		one.d.via(func(_ context.Context, old *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
			tok, err := send()
			a.dropAccess(old.Access.Reveal())
			time.Sleep(10 * time.Second)
			return tok, err
		})
		time.Sleep(100 * time.Minute)
		go func() { _, _ = one.get("p1") }()
		synctest.Wait()
		if err := two.v.Test(t.Context(), g.ID); err != nil {
			t.Errorf("test: %v", err)
		}
		if told := append(one.told(), two.told()...); len(told) != 0 || a.got().renewed != 1 || two.grant().State != oauth.StateOK {
			t.Errorf("told %v, renewed %d times", told, a.got().renewed)
		}
	})
}

// The API says that a right is missing, and the token endpoint that all were granted: renewing is no news of it.
func TestRenewalDoesNotForgetMissingRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.scopes = []string{"read", "insights"}
		r := newRig(t, newStore(), a)
		r.p.Refused = func(int, http.Header, []byte) oauth.Cause { return oauth.CauseScope }
		g := r.connect("ann")
		a.serve(func(req *http.Request, _ string) *http.Response { return answer(req, 403, `{}`) })
		time.Sleep(time.Hour)
		if err := r.v.Test(t.Context(), g.ID); jauge.ReasonOf(err) != jauge.ReasonScope {
			t.Errorf("test: %v", err)
		}
		r.run()
		time.Sleep(10 * time.Hour)
		if now := r.grant(); now.State != oauth.StateScope || a.got().renewed == 0 || len(r.told()) != 1 {
			t.Errorf("%s, renewed %d times, told %v", now.State, a.got().renewed, r.told())
		}
	})
}

// Somebody consents once more and leaves out a right, or with another account: the grant that there is lives on. At some
// providers, revoking the new token would end everything that the login has given.
func TestFailedReconnectLeavesTheOldGrant(t *testing.T) {
	for name, c := range map[string]struct {
		login string
		want  oauth.FlowKind
	}{"left out a right": {"ann", oauth.FlowScope}, "another account": {"bob", oauth.FlowWrongAccount}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newAuthority())
				r.p.Refused = func(int, http.Header, []byte) oauth.Cause { return oauth.CauseScope }
				r.connect("ann")
				r.d.expect = "ann"
				if c.want == oauth.FlowScope {
					r.a.serve(func(req *http.Request, _ string) *http.Response { return answer(req, 403, `{}`) })
				}
				_, _, err := r.v.Complete(t.Context(), url.Values{"state": {r.begin("b")}, "code": {r.a.code(c.login)}}, "b")
				if kindOf(err) != c.want {
					t.Errorf("complete: %v", err)
				}
				r.a.serve(nil)
				if status, err := r.get("p1"); status != 200 || err != nil || r.a.got().revokes != 0 {
					t.Errorf("get = %d, %v after %d revocations", status, err, r.a.got().revokes)
				}
			})
		})
	}
}
