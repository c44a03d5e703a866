package oauth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

func (r *rig) refuse(n int, why error) {
	r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
		if n--; n >= 0 {
			return nil, why
		}
		return send()
	})
}

func (r *rig) lose(n int) {
	r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
		t, err := send()
		if n--; n >= 0 && err == nil {
			return nil, errors.New("connection was reset")
		}
		return t, err
	})
}

func TestLostAnswer(t *testing.T) {
	for name, code := range map[string]error{
		"broken connection": errors.New("connection was reset"), "timeout": context.DeadlineExceeded,
		"502":                    &oauth.TokenError{Status: 502, Text: "bad gateway"},
		"504":                    &oauth.TokenError{Status: 504},
		"500":                    &oauth.TokenError{Status: 500, Code: "server_error"},
		"200, the server failed": &oauth.TokenError{Status: 200, Code: "internal_error"},
		"400, the server failed": &oauth.TokenError{Status: 400, Code: "server_error"},
		"unreadable":             errors.New("read token answer: it is no JSON"),
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
