package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

func TestRenewedBeforeItEndsAndNotSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		r := newRig(t, s, a)
		g := r.connect("ann")
		stop := r.run()
		time.Sleep(95 * time.Minute) // of two hours, with a share of 0.2: due at 96
		if a.got().renewed != 0 {
			t.Errorf("renewed %d times too early", a.got().renewed)
		}
		stop()
		again := newRig(t, s, a) // a restart is no reason
		again.run()
		time.Sleep(30 * time.Second)
		if a.got().renewed != 0 {
			t.Errorf("renewed %d times by a restart", a.got().renewed)
		}
		time.Sleep(10 * time.Minute)
		if a.got().renewed != 1 {
			t.Errorf("renewed %d times, want 1", a.got().renewed)
		}
		time.Sleep(24 * time.Hour)
		if a.got().renewed != 15 && a.got().renewed != 16 { // each 96 minutes, seen every 15 seconds
			t.Errorf("renewed %d times in a day", a.got().renewed)
		}
		if now := again.grant(); now.State != oauth.StateOK || now.Holder.ID != "ann" || len(now.Follows) != 1 || now.ID != g.ID {
			t.Errorf("grant = %+v", now)
		}
		if status, err := again.get("p1"); status != 200 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		if len(again.told())+len(r.told()) != 0 {
			t.Errorf("told %v %v", r.told(), again.told())
		}
		if n := again.metric("jauge_grant_refreshes_total", "plume", "ok"); int(n) != a.got().renewed {
			t.Errorf("metric says %v", n)
		}
	})
}

func TestRequestsRenewOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		rigs := []*rig{newRig(t, s, a), newRig(t, s, a), newRig(t, s, a)}
		rigs[0].connect("ann")
		for _, r := range rigs {
			r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
				time.Sleep(time.Second)
				return send()
			})
			r.grant() // sees what the first one connected
		}
		for round := range 5 {
			time.Sleep(3 * time.Hour)
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					if status, err := rigs[i%3].get("p1"); status != 200 || err != nil {
						t.Errorf("get = %d, %v", status, err)
					}
				})
			}
			wg.Wait()
			if a.got().renewed != round+1 || a.got().reused != 0 {
				t.Errorf("renewed %d times, reused %d", a.got().renewed, a.got().reused)
			}
		}
	})
}

func TestRenewalThatMayBeRepeated(t *testing.T) {
	cases := map[string]struct {
		err   error
		set   func(p *oauth.Provider)
		cause oauth.Cause
	}{
		"not sent":   {err: fmt.Errorf("dial: %w", oauth.ErrNotSent), cause: oauth.CauseNetwork},
		"429":        {err: &oauth.TokenError{Status: 429, RetryAfter: 2 * time.Minute}, cause: oauth.CauseRateLimited},
		"our client": {err: &oauth.TokenError{Status: 401, Code: "invalid_client"}, cause: oauth.CauseAppGone},
		"undone 503": {
			err: &oauth.TokenError{Status: 503}, cause: oauth.CauseServer,
			set: func(p *oauth.Provider) { p.Renewal.Undone = []int{503} },
		},
		"reusable, lost": {
			err: errors.New("reset"), cause: oauth.CauseNetwork, set: func(p *oauth.Provider) { p.Renewal.Model = oauth.Reusable },
		},
		"reusable, 502": {
			err: &oauth.TokenError{Status: 502}, cause: oauth.CauseServer, set: func(p *oauth.Provider) { p.Renewal.Model = oauth.Reusable },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newAuthority())
				if c.set != nil {
					c.set(r.p)
				}
				r.connect("ann")
				r.refuse(1, c.err)
				r.run()
				time.Sleep(96*time.Minute + 14*time.Second)
				if now := r.grant(); now.State != oauth.StateTransient || now.Cause != c.cause {
					t.Errorf("grant is %s (%s), want cause %s", now.State, now.Cause, c.cause)
				}
				if status, err := r.get("p1"); status != 200 || err != nil {
					t.Errorf("get = %d, %v", status, err)
				}
				time.Sleep(time.Minute)
				if name == "429" && r.a.got().renewed != 0 {
					t.Error("it was asked again before its time")
				}
				time.Sleep(2 * time.Minute)
				if now := r.grant(); now.State != oauth.StateOK || r.a.got().renewed != 1 {
					t.Errorf("grant is %s (%s) after %d renewals", now.State, now.Cause, r.a.got().renewed)
				}
				if len(r.told()) != 2 {
					t.Errorf("told %v", r.told())
				}
			})
		})
	}
}

func TestProviderDownForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.connect("ann")
		tries := 0
		r.d.via(func(_ context.Context, _ *oauth.Token, _ func() (*oauth.Token, error)) (*oauth.Token, error) {
			tries++
			return nil, fmt.Errorf("dial: %w", oauth.ErrNotSent)
		})
		r.run()
		time.Sleep(3 * time.Hour)
		_, err := r.get("p1")
		e, ok := errors.AsType[*jauge.Error](err)
		if !ok || e.Reason != jauge.ReasonNetwork || !e.Reason.Temporary() || e.RetryAfter <= 0 {
			t.Errorf("get with a dead token: %v", err)
		}
		if tries < 5 || tries > 30 {
			t.Errorf("%d tries in 84 minutes", tries)
		}
		if now := r.grant(); now.State != oauth.StateTransient {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		r.d.via(nil)
		time.Sleep(30 * time.Minute)
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
	})
}

func TestRefreshTokenIsNeverReplacedByNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.reusable = true
		r := newRig(t, newStore(), a)
		r.p.Renewal.Model = oauth.Reusable
		g := r.connect("ann")
		was := r.v.Peek(g.ID)
		r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
			tok, err := send()
			tok.Refresh, tok.Expiry = "", time.Now().Add(31*365*24*time.Hour)
			return tok, err
		})
		r.p.Renewal.Life = time.Hour
		time.Sleep(100 * time.Minute)
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Fatalf("get = %d, %v", status, err)
		}
		now := r.v.Peek(g.ID)
		if now.Refresh != was.Refresh || now.Access == was.Access {
			t.Error("the refresh token is gone, or the access token is not new")
		}
		if left := time.Until(now.Expiry); left != time.Hour {
			t.Errorf("believes that it lives %s", left)
		}
	})
}

func TestNewTokenIsDurableBeforeItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		was := r.v.Peek(g.ID)
		time.Sleep(100 * time.Minute)
		r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
			r.store.kill()
			return send()
		})
		used := make(chan string, 100)
		r.a.serve(func(req *http.Request, _ string) *http.Response {
			used <- strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
			return nil
		})
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		if got := <-used; got != was.Access {
			t.Error("another token was used while the store did not answer")
		}
		time.Sleep(10 * time.Minute)
		if r.v.Peek(g.ID).Access != was.Access {
			t.Error("the vault took over a token that is not durable")
		}
		r.store.mu.Lock()
		r.store.dead = false
		r.store.mu.Unlock()
		time.Sleep(time.Minute)
		if now := r.v.Peek(g.ID); now.Access == was.Access || now.Intent {
			t.Error("the new token was given up")
		}
		if r.a.got().renewed != 1 || r.a.got().reused != 0 {
			t.Errorf("renewed %d times, reused %d", r.a.got().renewed, r.a.got().reused)
		}
	})
}

func TestRefusedTokenThatAnotherReplicaReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		one, two := newRig(t, s, a), newRig(t, s, a)
		one.connect("ann")
		two.grant()
		time.Sleep(100 * time.Minute)
		if status, err := one.get("p1"); status != 200 || err != nil {
			t.Fatalf("get = %d, %v", status, err)
		}
		a.mu.Lock()
		delete(a.access, two.v.Peek(two.d.a.anyGrant(t, two)).Access) // X and others drop the old one at once
		a.mu.Unlock()
		if status, err := two.get("p1"); status != 200 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		if a.got().renewed != 1 || a.got().reused != 0 {
			t.Errorf("renewed %d times, reused %d", a.got().renewed, a.got().reused)
		}
	})
}

func (a *authority) anyGrant(t *testing.T, r *rig) string {
	t.Helper()
	_, id, err := r.v.Client(jauge.Account{Platform: "plume", ID: "p1"})
	if err != nil || id == "" {
		t.Fatalf("client: %q, %v", id, err)
	}
	return id
}
