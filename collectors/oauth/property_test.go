package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// What may happen to a vault at a step of a renewal.
const (
	dieBeforeSend = iota
	dieAfterSend  // before the answer
	dieAfterAnswer
	dieAfterSave
	steps
)

// chaos is one strict provider, one store, and vaults that come and go over them.
type chaos struct {
	t      *testing.T
	rnd    *rand.Rand
	mu     sync.Mutex
	s      *memStore
	a      *authority
	vault  []*rig
	deadly float64 // how likely a renewal ends with the death of its vault
	kills  int
	lost   int // answers that the network lost
	sent   int // requests that reached the provider
}

func (c *chaos) draw(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.Float64() < p
}

func (c *chaos) wait(longest time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rnd.Int64N(int64(longest)))
}

// spawn makes a vault that fails at random: by its network, its store, and by dying.
func (c *chaos) spawn() *rig {
	r := makeRig(c.t, c.s, c.a, func(_ *rig, cfg *oauth.Config, _ *oauth.Deps) { cfg.Every = 10 * time.Second })
	r.store.rnd = rand.New(rand.NewPCG(uint64(c.wait(time.Hour)), 7))
	r.p.Renewal.Grace = c.a.grace
	if err := r.v.Open(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	r.store.unknown, r.store.stale = 0.1, 0.1
	die := func(step int) error {
		if !c.draw(c.deadly / steps) {
			return nil
		}
		c.mu.Lock()
		c.kills++
		c.mu.Unlock()
		r.store.kill()
		return fmt.Errorf("killed at step %d", step)
	}
	r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
		if r.store.isDead() {
			return nil, errors.New("a dead vault sends nothing")
		}
		if err := die(dieBeforeSend); err != nil {
			return nil, err
		}
		if c.draw(0.1) {
			return nil, fmt.Errorf("dial: %w", oauth.ErrNotSent)
		}
		if c.draw(0.05) {
			return nil, &oauth.TokenError{Status: 429, RetryAfter: 3 * time.Second}
		}
		time.Sleep(c.wait(2 * time.Second))
		if c.draw(0.03) {
			c.mu.Lock()
			c.lost++
			c.mu.Unlock()
			return nil, errors.New("connection was reset on the way there")
		}
		t, err := send()
		c.mu.Lock()
		c.sent++
		c.mu.Unlock()
		time.Sleep(c.wait(2 * time.Second))
		if derr := die(dieAfterSend); derr != nil {
			return nil, derr
		}
		if c.draw(0.03) {
			c.mu.Lock()
			c.lost++
			c.mu.Unlock()
			return nil, errors.New("connection was reset on the way back")
		}
		if die(dieAfterAnswer) != nil {
			return t, err // it has the token, and no store to keep it in
		}
		r.store.mu.Lock()
		r.store.after = func() { _ = die(dieAfterSave) } // the next write is the token's
		r.store.mu.Unlock()
		return t, err
	})
	return r
}

// bury ends a vault that was killed: nothing that it still tries has any effect.
func (r *rig) bury() {
	r.store.kill()
	r.v.Close()
}

// Three replicas, fifty goroutines, one store, one provider that takes a refresh token sent twice for theft: whatever
// dies or fails at whatever step, no token is sent twice, and the grant either has its newest token or is said to be lost.
func TestChaos(t *testing.T) {
	kills, renewals, lostGrants := 0, 0, 0
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			c := &chaos{t: t, rnd: rand.New(rand.NewPCG(seed, 3)), s: newStore(), a: newAuthority(), deadly: 0.1}
			c.a.life = 3 * time.Minute
			first := newRig(t, c.s, c.a)
			id := first.connect("ann").ID
			for range 3 {
				c.vault = append(c.vault, c.spawn())
			}
			for range 40 {
				c.round()
				if g := first.grant(); g.State == oauth.StateRevoked {
					if g.Cause != oauth.CauseLostInRefresh {
						t.Errorf("seed %d: grant is %s (%s)", seed, g.State, g.Cause)
					}
					lostGrants++
					if first.connect("ann").ID != id {
						t.Errorf("seed %d: connected anew under another id", seed)
					}
				}
				time.Sleep(time.Minute)
			}
			for _, r := range c.vault {
				r.bury()
			}
			time.Sleep(10 * time.Minute)
			c.check(first, seed)
			kills += c.kills
			renewals += c.a.got().renewed
		})
	}
	t.Logf("%d renewals, %d kills, %d grants lost", renewals, kills, lostGrants)
	if kills < 15 || renewals < 200 || lostGrants < 10 {
		t.Errorf("too little happened: %d renewals, %d kills, %d grants lost", renewals, kills, lostGrants)
	}
}

// The same before a provider that answers a token sent twice in the same way for five minutes: whoever dies, another one
// asks again within them, and no token is ever sent later.
func TestChaosWithGrace(t *testing.T) {
	kills, renewals, lostGrants, again := 0, 0, 0, 0
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			c := &chaos{t: t, rnd: rand.New(rand.NewPCG(seed, 11)), s: newStore(), a: newAuthority(), deadly: 0.4}
			c.a.life, c.a.grace = 20*time.Minute, 5*time.Minute
			first := newRig(t, c.s, c.a)
			first.connect("ann")
			for range 3 {
				c.vault = append(c.vault, c.spawn())
			}
			for range 60 {
				c.round()
				if g := first.grant(); g.State == oauth.StateRevoked {
					if g.Cause != oauth.CauseLostInRefresh {
						t.Errorf("seed %d: grant is %s (%s)", seed, g.State, g.Cause)
					}
					lostGrants++
					first.connect("ann")
				}
				time.Sleep(time.Minute)
			}
			for _, r := range c.vault {
				r.bury()
			}
			if c.a.got().reused != 0 {
				t.Errorf("seed %d: the provider saw %d thefts", seed, c.a.got().reused)
			}
			kills += c.kills
			renewals += c.a.got().renewed
			for _, n := range c.a.spent {
				again += n - 1
			}
		})
	}
	t.Logf("%d renewals, %d kills, %d sent again, %d grants lost", renewals, kills, again, lostGrants)
	if kills < 10 || again < 5 || lostGrants > 1 { // one where a store lost outcomes for all of the grace
		t.Errorf("%d renewals, %d kills, %d sent again, %d grants lost", renewals, kills, again, lostGrants)
	}
}

// round lets fifty goroutines ask at once, and replaces the vaults that died.
func (c *chaos) round() {
	var wg sync.WaitGroup
	for i := range 50 {
		r := c.vault[i%len(c.vault)]
		wg.Go(func() {
			_, _ = r.v.Grants(c.t.Context())
			_, _ = r.get("p1")
		})
	}
	wg.Wait()
	for i, r := range c.vault {
		if r.store.isDead() {
			r.bury()
			c.vault[i] = c.spawn()
		}
	}
}

// check holds the invariants against what the provider saw.
func (c *chaos) check(r *rig, seed uint64) {
	c.t.Helper()
	c.a.mu.Lock()
	defer c.a.mu.Unlock()
	for token, n := range c.a.spent {
		if n > 1 {
			c.t.Errorf("seed %d: %s was sent %d times", seed, token, n)
		}
	}
	if c.a.reused != 0 {
		c.t.Errorf("seed %d: the provider saw %d thefts", seed, c.a.reused)
	}
	_, id, err := r.v.Client(account("p1"))
	if err != nil && id == "" {
		c.t.Fatal(err)
	}
	now := r.v.Peek(id)
	f := c.a.families[now.Refresh]
	newest := f != nil && f.refresh == now.Refresh
	lost := now.Doomed == oauth.CauseLostInRefresh || now.Ended == oauth.CauseLostInRefresh || now.Intent
	if !newest && !lost {
		c.t.Errorf("seed %d: the grant has a token that is spent, and nobody knows: %+v", seed, now)
	}
	noSecrets(c.t, "the log", r.log.String())
}

// Renewals that all go well, over a store that loses outcomes: each token is renewed exactly once when it is due.
func TestOneRenewalEachTime(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			c := &chaos{t: t, rnd: rand.New(rand.NewPCG(seed, 5)), s: newStore(), a: newAuthority()}
			c.a.life = time.Hour
			first := newRig(t, c.s, c.a)
			first.connect("ann")
			for i := range 3 {
				r := newRig(t, c.s, c.a)
				r.store.rnd = rand.New(rand.NewPCG(seed, uint64(i)))
				r.store.unknown, r.store.stale = 0.3, 0.3
				r.d.via(func(_ context.Context, _ *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error) {
					time.Sleep(c.wait(3 * time.Second))
					return send()
				})
				c.vault = append(c.vault, r)
			}
			for n := range 20 {
				time.Sleep(2 * time.Hour)
				c.round()
				if c.a.got().renewed != n+1 || c.a.got().reused != 0 {
					t.Fatalf("seed %d: %d renewals after %d ends, %d reused", seed, c.a.got().renewed, n+1, c.a.got().reused)
				}
			}
			told := 0
			for _, r := range c.vault {
				told += len(r.told())
			}
			if told != 0 {
				t.Errorf("seed %d: %d alerts of a grant that was always fine", seed, told)
			}
		})
	}
}
