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

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// lost makes the next n renewals lose their answers, after the provider carried them out.
func (r *rig) lose(n int) {
	r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
		t, err := send()
		if n--; n >= 0 && err == nil {
			return nil, errors.New("connection was reset")
		}
		return t, err
	})
}

// refuse makes the next n renewals fail with an error, without the provider having done anything.
func (r *rig) refuse(n int, why error) {
	r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
		if n--; n >= 0 {
			return nil, why
		}
		return send()
	})
}

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

// A request finds a token that is due, or dead, and renews it on the way: all that come at once wait for the same.
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

func TestLostAnswer(t *testing.T) {
	for name, code := range map[string]error{
		"broken connection": errors.New("connection was reset"), "timeout": context.DeadlineExceeded,
		"502":        &oauth.TokenError{Status: 502, Text: "bad gateway"},
		"504":        &oauth.TokenError{Status: 504},
		"500":        &oauth.TokenError{Status: 500, Code: "server_error"},
		"unreadable": errors.New("read token answer: it is no JSON"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, a := newStore(), newAuthority()
				r := newRig(t, s, a)
				g := r.connect("ann")
				r.refuse(1, code)
				stop := r.run()
				time.Sleep(97 * time.Minute)
				if now := r.grant(); now.State != oauth.StateExpiring || now.Cause != oauth.CauseLostInRefresh {
					t.Errorf("grant is %s (%s)", now.State, now.Cause)
				}
				if status, err := r.get("p1"); status != 200 || err != nil {
					t.Errorf("the access token is not used any more: %d, %v", status, err)
				}
				stop()
				again := newRig(t, s, a)
				again.run()
				time.Sleep(30 * time.Minute)
				if now := again.grant(); now.State != oauth.StateRevoked || now.Cause != oauth.CauseLostInRefresh {
					t.Errorf("grant is %s (%s)", now.State, now.Cause)
				}
				_, err := again.get("p1")
				if jauge.ReasonOf(err) != jauge.ReasonAuth || !strings.Contains(err.Error(), "the answer to a renewal was lost") {
					t.Errorf("get: %v", err)
				}
				time.Sleep(24 * time.Hour)
				if len(a.spent) != 0 || a.got().renewed != 0 { // refuse() never asks the authority
					t.Errorf("it was sent again: %v", a.spent)
				}
				want := []string{"ok>expiring/lost_in_refresh", "expiring>revoked/lost_in_refresh"}
				if diff := cmp.Diff(want, append(r.told(), again.told()...)); diff != "" {
					t.Error(diff)
				}
				g2, _, err := again.v.Complete(t.Context(), map[string][]string{"state": {again.begin("b")}, "code": {a.code("ann")}}, "b")
				if err != nil || g2.ID != g.ID || g2.State != oauth.StateOK {
					t.Errorf("reconnected: %+v, %v", g2, err)
				}
				noSecrets(t, "the log", r.log.String()+again.log.String())
			})
		})
	}
}

func TestLostAnswerOfTokenThatDiesByRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.connect("ann")
		r.lose(1)
		r.run()
		time.Sleep(97 * time.Minute)
		r.a.revokeLogin("ann")
		if status, err := r.get("p1"); status != 401 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		if now := r.grant(); now.State != oauth.StateRevoked || now.Cause != oauth.CauseLostInRefresh {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		if r.a.got().reused != 0 {
			t.Error("a spent token was sent again")
		}
	})
}

func TestGraceAllowsToAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.p.Renewal.Grace = time.Minute
		r.connect("ann")
		r.refuse(2, errors.New("connection was reset"))
		r.run()
		time.Sleep(97 * time.Minute)
		if now := r.grant(); now.State != oauth.StateOK || r.a.got().renewed != 1 {
			t.Errorf("grant is %s (%s) after %d renewals", now.State, now.Cause, r.a.got().renewed)
		}
		want := []string{"ok>refresh_failed_transient/network", "refresh_failed_transient>ok/"}
		if diff := cmp.Diff(want, r.told()); diff != "" {
			t.Error(diff)
		}
		r.refuse(1000, errors.New("connection was reset"))
		time.Sleep(100 * time.Minute)
		if now := r.grant(); now.Cause != oauth.CauseLostInRefresh {
			t.Errorf("after the grace: %s (%s)", now.State, now.Cause)
		}
	})
}

// A failure that spends nothing, or that the provider may be asked again after, is tried again.
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

// The token endpoint says that the grant is over; its access token still works: it is used until its end.
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

// A refusal of one account condemns nothing while the login itself is allowed in.
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

// Another replica renewed the token, and the old one is refused from then on: it is not renewed again.
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

// anyGrant is the id of the one grant as a vault has it in memory.
func (a *authority) anyGrant(t *testing.T, r *rig) string {
	t.Helper()
	_, id, err := r.v.Client(jauge.Account{Platform: "plume", ID: "p1"})
	if err != nil || id == "" {
		t.Fatalf("client: %q, %v", id, err)
	}
	return id
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

func TestExpiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.life = 60 * 24 * time.Hour
		s := newStore()
		var told []string
		// look lets two replicas run for a while, and gives the grant then.
		look := func() (*rig, oauth.Grant) {
			r, other := newRig(t, s, a), newRig(t, s, a)
			r.p.Renewal, other.p.Renewal = oauth.Renewal{Model: oauth.Static}, oauth.Renewal{Model: oauth.Static}
			stop, stopOther := r.run(), other.run()
			time.Sleep(time.Minute)
			g := r.grant()
			stop()
			stopOther()
			told = append(append(told, r.told()...), other.told()...)
			return r, g
		}
		r := newRig(t, s, a)
		r.p.Renewal = oauth.Renewal{Model: oauth.Static}
		g := r.connect("ann")
		if got := time.Until(g.ExpiresAt).Round(time.Hour); got != a.life {
			t.Errorf("it ends in %s", got)
		}
		time.Sleep(45 * 24 * time.Hour)
		r, now := look()
		if now.State != oauth.StateOK {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		if left := r.metric("jauge_grant_expiry_seconds", "plume", g.ID); left < 14.9*86400 || left > 15.1*86400 {
			t.Errorf("metric says %v s", left)
		}
		time.Sleep(24*time.Hour + time.Minute)
		if _, now = look(); now.State != oauth.StateExpiring || now.Cause != oauth.CauseEndsSoon {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		time.Sleep(14 * 24 * time.Hour)
		if _, now = look(); now.State != oauth.StateRevoked || now.Cause != oauth.CauseExpired {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		want := []string{"ok>expiring/ends_soon", "expiring>revoked/expired"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Error(diff)
		}
	})
}

// LinkedIn: the refresh token stays, and its end does not move. Pinterest: both are new each time.
func TestRefreshTokensThatEnd(t *testing.T) {
	for name, c := range map[string]struct {
		reusable bool
		model    oauth.Model
		fixed    bool
		want     oauth.State
	}{
		"stays":          {reusable: true, model: oauth.Reusable, fixed: true, want: oauth.StateExpiring},
		"new, same end":  {model: oauth.Rotating, fixed: true, want: oauth.StateExpiring},
		"new, later end": {model: oauth.Rotating, want: oauth.StateOK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				a.life, a.refLife, a.reusable = 5*24*time.Hour, 60*24*time.Hour, c.reusable
				r := newRig(t, newStore(), a)
				r.p.Renewal.Model = c.model
				begin := time.Now()
				r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
					tok, err := send()
					if tok != nil && c.fixed {
						tok.RefreshExpiry = begin.Add(a.refLife)
					}
					return tok, err
				})
				r.connect("ann")
				for day := range 50 {
					time.Sleep(24 * time.Hour)
					if status, err := r.get("p1"); status != 200 || err != nil {
						t.Fatalf("get = %d, %v", status, err)
					}
					if now := r.grant(); day < 30 && now.State != oauth.StateOK {
						t.Errorf("day %d: %s (%s)", day, now.State, now.Cause)
					}
				}
				r.run()
				time.Sleep(time.Minute)
				if now := r.grant(); now.State != c.want {
					t.Errorf("ten days before the end: %s (%s)", now.State, now.Cause)
				}
			})
		})
	}
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

func TestBelieve(t *testing.T) {
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		r          oauth.Renewal
		says, want time.Duration // 0: no end
	}{
		"as said":             {oauth.Renewal{Life: time.Hour, MaxLife: 24 * time.Hour}, 2 * time.Hour, 2 * time.Hour},
		"nothing said":        {oauth.Renewal{Life: time.Hour}, 0, time.Hour},
		"no end":              {oauth.Renewal{}, 0, 0},
		"negative":            {oauth.Renewal{Life: time.Hour}, -time.Hour, time.Hour},
		"negative, no life":   {oauth.Renewal{}, -time.Hour, 0},
		"too long":            {oauth.Renewal{Life: time.Hour, MaxLife: 24 * time.Hour}, 25 * time.Hour, time.Hour},
		"too long, no life":   {oauth.Renewal{MaxLife: 24 * time.Hour}, 25 * time.Hour, 24 * time.Hour},
		"absurd, nothing set": {oauth.Renewal{}, 31 * 365 * 24 * time.Hour, 0},
	} {
		expiry := time.Time{}
		if c.says != 0 {
			expiry = at.Add(c.says)
		}
		var want time.Time
		if c.want != 0 {
			want = at.Add(c.want)
		}
		if got := c.r.Believe(at, expiry); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// A token is not used before the store has it.
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

// A winner that was taken for dead comes back with a token: it is kept, since nobody else has one.
func TestLateWinnerKeepsItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		slow, other := newRig(t, s, a), newRig(t, s, a)
		g := slow.connect("ann")
		other.grant()
		slow.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
			tok, err := send()
			time.Sleep(10 * time.Minute) // longer than any lease: the machine was suspended
			return tok, err
		})
		time.Sleep(100 * time.Minute)
		go func() { _, _ = slow.get("p1") }()
		synctest.Wait()
		time.Sleep(2 * time.Minute)
		if status, err := other.get("p1"); status != 200 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		if now := other.grant(); now.State != oauth.StateExpiring || now.Cause != oauth.CauseLostInRefresh {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		time.Sleep(10 * time.Minute)
		if now := other.grant(); now.State != oauth.StateOK {
			t.Errorf("grant is %s (%s)", now.State, now.Cause)
		}
		time.Sleep(60 * time.Minute)
		if status, err := other.get("p1"); status != 200 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		if other.v.Peek(g.ID).Access != slow.v.Peek(g.ID).Access && a.got().reused != 0 {
			t.Errorf("reused %d", a.got().reused)
		}
	})
}

// A human connects again while a renewal is under way: his token stays.
func TestReconnectDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.connect("ann")
		r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
			tok, err := send()
			time.Sleep(5 * time.Second)
			return tok, err
		})
		time.Sleep(100 * time.Minute)
		go func() { _, _ = r.get("p1") }()
		synctest.Wait()
		g, _, err := r.v.Complete(t.Context(), map[string][]string{"state": {r.begin("b")}, "code": {r.a.code("ann")}}, "b")
		if err != nil {
			t.Fatal(err)
		}
		fresh := r.v.Peek(g.ID)
		time.Sleep(time.Minute)
		if now := r.v.Peek(g.ID); now.Access != fresh.Access || now.Refresh != fresh.Refresh || now.Intent {
			t.Error("the renewal overwrote the new consent")
		}
	})
}

// Disconnected while a renewal is under way: the token that it brings is revoked, not kept.
func TestDisconnectDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
			tok, err := send()
			time.Sleep(5 * time.Second)
			return tok, err
		})
		time.Sleep(100 * time.Minute)
		go func() { _, _ = r.get("p1") }()
		synctest.Wait()
		if _, err := r.v.Disconnect(t.Context(), g.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if keys := r.store.keys("grant/"); len(keys) != 0 || r.a.got().revokes != 2 {
			t.Errorf("%v left, %d revocations", keys, r.a.got().revokes)
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
