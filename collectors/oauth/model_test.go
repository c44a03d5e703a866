package oauth_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

const day = 24 * time.Hour

// withRenewal sets how the provider's tokens live on.
func withRenewal(renewal oauth.Renewal) option {
	return func(r *rig, _ *oauth.Config, _ *oauth.Deps) { r.p.Renewal = renewal }
}

// extending exchanges access tokens for longer ones, as Meta does: there is no refresh token.
func (r *rig) extending(same bool) (calls func() int) {
	n := 0
	r.d.via(func(_ context.Context, old *oauth.Token, _ func() (*oauth.Token, error)) (*oauth.Token, error) {
		r.a.mu.Lock()
		defer r.a.mu.Unlock()
		n++
		f := r.a.access[old.Access.Reveal()]
		if f == nil || f.dead || !time.Now().Before(r.a.ends[old.Access.Reveal()]) {
			return nil, &oauth.TokenError{Status: 400, Code: "invalid_grant", Text: "the token has ended"}
		}
		if !same {
			t := r.a.issue(f)
			t.Refresh = ""
			return t, nil
		}
		t := &oauth.Token{Access: old.Access, Expiry: time.Now().Add(r.a.life)}
		r.a.ends[old.Access.Reveal()] = t.Expiry
		return t, nil
	})
	return func() int {
		r.a.mu.Lock()
		defer r.a.mu.Unlock()
		return n
	}
}

// failing makes the next n renewals fail before whatever they went through.
func (r *rig) failing(n int, why error) {
	r.d.mu.Lock()
	before := r.d.renew
	r.d.mu.Unlock()
	r.d.via(func(ctx context.Context, old *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
		if n--; n >= 0 {
			return nil, why
		}
		return before(ctx, old, send)
	})
}

// Without a refresh token the access token itself is exchanged, from a least age on, until somebody takes it away. Meta may
// answer with the same token and a later end.
func TestExtend(t *testing.T) {
	for name, same := range map[string]bool{"another token": false, "the same token": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				a.life, a.bare = 60*day, true
				r := newRig(t, newStore(), a, withRenewal(oauth.Renewal{Model: oauth.Extend, Share: 0.5, MinAge: day, MaxLife: 90 * day}))
				calls := r.extending(same)
				g := r.connect("ann")
				live := func(days int) { // a reading a day
					for range days {
						time.Sleep(day)
						if status, err := r.get("p1"); status != 200 || err != nil {
							t.Fatalf("get = %d, %v", status, err)
						}
					}
				}
				live(29)
				if calls() != 0 {
					t.Errorf("extended %d times too early", calls())
				}
				live(2)
				now := r.v.Peek(g.ID)
				if calls() != 1 || now.Intent || time.Until(now.Expiry) < 58*day {
					t.Errorf("extended %d times, ends in %s, intent %v", calls(), time.Until(now.Expiry), now.Intent)
				}
				live(365)
				if calls() != 13 {
					t.Errorf("extended %d times in a year and a month", calls())
				}
				if len(r.told()) != 0 {
					t.Errorf("told %v", r.told())
				}
			})
		})
	}
}

// A token that may be extended only from a day on is taken away within that day: that is seen at the first refusal.
func TestExtendedTokenThatIsTakenAway(t *testing.T) {
	for _, after := range []time.Duration{10 * time.Second, 5 * time.Hour, 2 * day} {
		synctest.Test(t, func(t *testing.T) {
			a := newAuthority()
			a.life, a.bare = 60*day, true
			r := newRig(t, newStore(), a, withRenewal(oauth.Renewal{Model: oauth.Extend, Share: 0.5, MinAge: day}))
			r.extending(false)
			r.connect("ann")
			time.Sleep(after)
			a.revokeLogin("ann")
			if status, _ := r.get("p1"); status != 401 {
				t.Errorf("get = %d", status)
			}
			if now := r.grant(); now.State != oauth.StateRevoked || now.Cause != oauth.CauseTokenRefused {
				t.Errorf("after %s: %s (%s)", after, now.State, now.Cause)
			}
		})
	}
}

// A client that asks in its own name gets a new token whenever it wants one, and also the same one again.
func TestReissuedTokens(t *testing.T) {
	for name, same := range map[string]bool{"another token": false, "the same token": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				a.bare = true
				r := newRig(t, newStore(), a, withRenewal(oauth.Renewal{Model: oauth.Reissue, Share: 0.2}))
				calls := r.extending(same)
				g := r.connect("ann")
				if !g.ExpiresAt.IsZero() {
					t.Errorf("it ends %s, though it can be had again", g.ExpiresAt)
				}
				r.run()
				time.Sleep(10 * time.Hour)
				if n := calls(); n != 6 {
					t.Errorf("renewed %d times in ten hours", n)
				}
				r.failing(3, &oauth.TokenError{Status: 502})
				time.Sleep(100 * time.Minute)
				if status, err := r.get("p1"); status != 200 || err != nil {
					t.Errorf("get = %d, %v", status, err)
				}
				if now := r.grant(); now.State == oauth.StateRevoked {
					t.Errorf("grant is %s (%s)", now.State, now.Cause)
				}
			})
		})
	}
}

// inspecting is a dialect that knows what a pasted token is.
type inspecting struct {
	*plumage
	kind   string
	expiry time.Duration // 0: it does not end
}

func (d *inspecting) Inspect(_ context.Context, _ *oauth.Call, t *oauth.Token) error {
	if d.expiry != 0 {
		t.Expiry = time.Now().Add(d.expiry)
	}
	t.Extra = map[string]string{"kind": d.kind}
	return nil
}

// A system user's token of 60 days is pasted once and extended from then on; a page's is not, and one that does not end
// needs nothing.
func TestPastedTokenIsExtended(t *testing.T) {
	cases := map[string]struct {
		kind   string
		expiry time.Duration
		model  oauth.Model
		calls  int
		state  oauth.State
	}{
		"system user":            {"SYSTEM_USER", 60 * day, oauth.Extend, 3, oauth.StateOK},
		"system user, no end":    {"SYSTEM_USER", 0, oauth.Extend, 0, oauth.StateOK},
		"page":                   {"PAGE", 60 * day, oauth.Extend, 0, oauth.StateRevoked},
		"provider with refreshs": {"", 60 * day, oauth.Rotating, 0, oauth.StateRevoked},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				a.life, a.bare = c.expiry, true
				r := newRig(t, newStore(), a, func(r *rig, _ *oauth.Config, _ *oauth.Deps) {
					r.p.Renewal = oauth.Renewal{Model: c.model, Share: 0.5, MinAge: day}
					r.p.Dialect = &inspecting{r.d, c.kind, c.expiry}
				})
				calls := r.extending(false)
				tok, err := a.exchange(a.code("ann"))
				if err != nil {
					t.Fatal(err)
				}
				g, _, err := r.v.Static(t.Context(), "plume", "", tok.Access)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.v.Follow(t.Context(), g.ID, []string{"plume/p1"}, ""); err != nil {
					t.Fatal(err)
				}
				for range 100 {
					time.Sleep(day)
					_, _ = r.get("p1")
				}
				if now := r.grant(); now.State != c.state || calls() != c.calls {
					t.Errorf("%s (%s), extended %d times, want %s and %d", now.State, now.Cause, calls(), c.state, c.calls)
				}
				if _, err := r.v.Disconnect(t.Context(), g.ID); err != nil || a.got().revokes != 0 {
					t.Errorf("disconnect: %v, %d revocations of what is not ours", err, a.got().revokes)
				}
			})
		})
	}
}

// What a dialect remembers is sealed, kept for each provider, shared by those who share the store, and can be forgotten.
func TestRecallAndRemember(t *testing.T) {
	s, a := newStore(), newAuthority()
	one, two := newRig(t, s, a), newRig(t, s, a)
	var seen []string
	list := func(r *rig, set []byte, write bool) {
		plain := r.p.List
		r.p.List = func(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
			had, err := c.Recall(ctx, "https://house.test")
			if err != nil {
				return oauth.Holder{}, nil, err
			}
			seen = append(seen, fmt.Sprintf("%q", had))
			if write {
				if err := c.Remember(ctx, "https://house.test", set); err != nil {
					return oauth.Holder{}, nil, err
				}
			}
			return plain(ctx, c, t)
		}
	}
	list(one, []byte("tok-app-secret"), true)
	list(two, nil, true)
	g := one.connect("ann")
	for _, r := range []*rig{two, two} {
		if err := r.v.Test(t.Context(), g.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := fmt.Sprint(seen), `["" "tok-app-secret" ""]`; got != want {
		t.Errorf("recalled %s, want %s", got, want)
	}
	if left := s.keys("app/"); len(left) != 0 {
		t.Errorf("not forgotten: %v", left)
	}
	if err := one.v.Test(t.Context(), g.ID); err != nil {
		t.Fatal(err)
	}
	kept := s.keys("app/plume/")
	if len(kept) != 1 {
		t.Fatalf("kept %v", kept)
	}
	noSecrets(t, "the store", string(s.value(kept[0])))
}
