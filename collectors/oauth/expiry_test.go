package oauth_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge/collectors/oauth"
)

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
