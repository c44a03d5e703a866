package oauth_test

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// slowly lets each renewal take a while before and after the provider has done it.
func (r *rig) slowly(d time.Duration) {
	r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
		time.Sleep(d)
		tok, err := send()
		time.Sleep(d)
		return tok, err
	})
}

// writesOf counts how often a vault writes a grant.
func (r *rig) writes() int {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.saved
}

// Another replica's renewal is under way, and may bring what is needed: it is waited for. Nobody else sends, decides or
// writes anything meanwhile, whether the provider gives grace or not.
func TestLiveFenceIsWaitedFor(t *testing.T) {
	for _, grace := range []time.Duration{0, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s, a := newStore(), newAuthority()
			a.grace = grace
			one, two := newRig(t, s, a), newRig(t, s, a)
			one.p.Renewal.Grace, two.p.Renewal.Grace = grace, grace
			g := one.connect("ann")
			two.grant()
			one.slowly(12 * time.Second)
			two.d.via(func(context.Context, *oauth.Token, func() (*oauth.Token, error)) (*oauth.Token, error) {
				t.Error("the other one sends as well")
				return nil, errors.New("nothing")
			})
			time.Sleep(130 * time.Minute) // the access token is over: who asks has to wait
			go func() { _, _ = one.get("p1") }()
			synctest.Wait()
			begin, before := time.Now(), two.writes()
			if status, err := two.get("p1"); status != 200 || err != nil {
				t.Errorf("get = %d, %v", status, err)
			}
			if took := time.Since(begin); took < 23*time.Second || took > 28*time.Second {
				t.Errorf("waited %s for what took 24 s", took)
			}
			if n := two.writes() - before; n != 0 {
				t.Errorf("the other one wrote %d times", n)
			}
			if a.got().renewed != 1 || a.spent[a.firstSpent()] != 1 || len(one.told())+len(two.told()) != 0 {
				t.Errorf("renewed %d times, told %v %v", a.got().renewed, one.told(), two.told())
			}
			if one.v.Peek(g.ID).Access != two.v.Peek(g.ID).Access {
				t.Error("they have two tokens")
			}
		})
	}
}

// firstSpent is the refresh token that was seen; there is one.
func (a *authority) firstSpent() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for token := range a.spent {
		return token
	}
	return ""
}

// A replica whose clock is an hour ahead dies in a renewal: others take its fence for dead once they have watched it for as
// long as it was meant for, by their own clock.
func TestFenceOfAClockThatIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		time.Sleep(100 * time.Minute)
		if err := r.v.Propose(g.ID, "somebody", time.Now().Add(time.Hour), time.Minute); err != nil {
			t.Fatal(err)
		}
		r.run()
		time.Sleep(50 * time.Second)
		if now := r.grant(); now.State != oauth.StateOK {
			t.Errorf("too early: %s (%s)", now.State, now.Cause)
		}
		time.Sleep(45 * time.Second)
		if now := r.grant(); now.State != oauth.StateExpiring || now.Cause != oauth.CauseLostInRefresh || len(r.a.spent) != 0 {
			t.Errorf("%s (%s), sent %d", now.State, now.Cause, len(r.a.spent))
		}
	})
}

// What was sent first at a time that lies in the future is of a clock that cannot be used: the grace is not counted by it.
func TestGraceOfAClockThatIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.a.grace, r.p.Renewal.Grace = 2*time.Minute, 2*time.Minute
		g := r.connect("ann")
		time.Sleep(100 * time.Minute)
		if err := r.v.Propose(g.ID, "somebody", time.Now().Add(20*time.Minute), time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := r.a.refresh(r.v.Peek(g.ID).Refresh); err != nil { // it was carried out
			t.Fatal(err)
		}
		r.run()
		time.Sleep(25 * time.Minute)
		if r.a.got().reused != 0 {
			t.Error("a spent token was sent after the grace")
		}
		if now := r.grant(); now.Cause != oauth.CauseLostInRefresh {
			t.Errorf("%s (%s)", now.State, now.Cause)
		}
	})
}

// A second request near the end of the grace arrives after it: the last quarter is not used.
func TestGraceIsNotUsedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.p.Renewal.Grace = 4 * time.Minute
		r.connect("ann")
		begin, last := time.Time{}, time.Time{}
		r.d.via(func(context.Context, *oauth.Token, func() (*oauth.Token, error)) (*oauth.Token, error) {
			if last = time.Now(); begin.IsZero() {
				begin = last
			}
			return nil, errors.New("connection was reset")
		})
		r.run()
		time.Sleep(110 * time.Minute)
		if used := last.Sub(begin); used < time.Minute || used >= 3*time.Minute {
			t.Errorf("sent for %s of a grace of 4 minutes", used)
		}
	})
}

// A write of which the store did not say that it was done, and was: it is found by its stamp, and not made again.
func TestWriteThatWasDoneIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.connect("ann")
		r.store.mu.Lock()
		r.store.silent = 1
		r.store.mu.Unlock()
		before := r.writes()
		if err := r.v.Pause(t.Context(), "plume", "p1", true); err != nil {
			t.Fatal(err)
		}
		if n := r.writes() - before; n != 1 {
			t.Errorf("written %d times", n)
		}
		if g := r.grant(); !g.Follows[0].Paused {
			t.Error("not paused")
		}
	})
}

// The same of a renewal: the token is written once, and the intent before it.
func TestRenewalWithWritesThatWereDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		was := r.v.Peek(g.ID)
		time.Sleep(100 * time.Minute)
		r.store.mu.Lock()
		r.store.silent = 2
		r.store.mu.Unlock()
		before := r.writes()
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Fatalf("get = %d, %v", status, err)
		}
		if now := r.v.Peek(g.ID); now.Access == was.Access || now.Intent || r.writes()-before != 2 || r.a.got().renewed != 1 {
			t.Errorf("written %d times, renewed %d times, intent %v", r.writes()-before, r.a.got().renewed, now.Intent)
		}
	})
}

// The mark of a used authorization was written, and the store did not say so: the callback goes on, and no other does.
func TestClaimThatWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		callback := url.Values{"state": {r.begin("b")}, "code": {r.a.code("ann")}}
		r.store.mu.Lock()
		r.store.silent = 1
		r.store.mu.Unlock()
		if _, _, err := r.v.Complete(t.Context(), callback, "b"); err != nil {
			t.Errorf("complete: %v", err)
		}
		if _, _, err := r.v.Complete(t.Context(), callback, "b"); kindOf(err) != oauth.FlowUnknownState {
			t.Errorf("again: %v", err)
		}
	})
}

// A lost answer is told once, and as what it is: there is no state between that says that it is tried again.
func TestLostAnswerIsNeverCalledTransient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		r.lose(1)
		time.Sleep(100 * time.Minute)
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		now := r.v.Peek(g.ID)
		if now.Doomed != oauth.CauseLostInRefresh || now.Doubt || now.Intent || !now.NextTry.IsZero() {
			t.Errorf("right after it: %+v", now)
		}
		if ok, lost := r.metric("jauge_grant_refreshes_total", "plume", "transient"), r.metric("jauge_grant_refreshes_total", "plume", "lost"); ok != 0 || lost != 1 {
			t.Errorf("counted as transient %v times, as lost %v", ok, lost)
		}
	})
}

// What is followed, paused and dropped while a renewal is on its way stays so: a renewal changes the token alone.
func TestChangesDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		one, two := newRig(t, s, a), newRig(t, s, a)
		g := one.connect("ann")
		was := one.v.Peek(g.ID)
		one.slowly(3 * time.Second)
		time.Sleep(100 * time.Minute)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = one.get("p1") })
		synctest.Wait()
		if _, err := two.v.Follow(t.Context(), g.ID, []string{"plume/p1", "plume/p2"}, "other"); err != nil {
			t.Fatal(err)
		}
		if err := two.v.Pause(t.Context(), "plume", "p2", true); err != nil {
			t.Fatal(err)
		}
		if err := two.v.Unfollow(t.Context(), "plume", "p1"); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		time.Sleep(10 * time.Second)
		now := one.grant()
		if len(now.Follows) != 1 || now.Follows[0].ID != "p2" || !now.Follows[0].Paused || now.Follows[0].Brand != "other" {
			t.Errorf("follows = %+v", now.Follows)
		}
		if one.v.Peek(g.ID).Access == was.Access || a.got().renewed != 1 {
			t.Error("it was not renewed")
		}
	})
}

// Who asked goes away in the middle of a renewal: it is finished all the same.
func TestRequestThatGoesAwayDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		was := r.v.Peek(g.ID)
		r.slowly(3 * time.Second)
		time.Sleep(130 * time.Minute)
		hc, _, err := r.v.Client(account("p1"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := get(ctx, hc, "https://api.plume.test/figures"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("get: %v", err)
		}
		time.Sleep(10 * time.Second)
		if now := r.v.Peek(g.ID); now.Access == was.Access || now.Intent || now.Doomed != "" {
			t.Errorf("the renewal went with who asked for it: intent %v, %s", now.Intent, now.Doomed)
		}
	})
}
