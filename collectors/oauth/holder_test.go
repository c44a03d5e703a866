package oauth_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// Two people connect the same login for the first time, at the same instant, at two replicas: it is one grant, with the
// newest consent, and nothing is left of the other. The store may lose outcomes meanwhile.
func TestFirstConnectsAtTheSameInstant(t *testing.T) {
	for seed := range 20 {
		synctest.Test(t, func(t *testing.T) {
			s, a := newStore(), newAuthority()
			rigs := []*rig{newRig(t, s, a), newRig(t, s, a), newRig(t, s, a)}
			a.serve(func(*http.Request, string) *http.Response {
				time.Sleep(time.Second) // all are asked whose they are before one is a grant
				return nil
			})
			var mu sync.Mutex
			ids := map[string]bool{}
			var wg sync.WaitGroup
			for i := range 6 {
				r := rigs[i%3]
				callback := url.Values{"state": {r.begin("b")}, "code": {a.code("ann")}}
				wg.Go(func() {
					time.Sleep(time.Duration(i*seed) * time.Millisecond)
					g, _, err := r.v.Complete(t.Context(), callback, "b")
					if err != nil {
						if seed%2 == 0 { // else Run finishes it
							t.Errorf("complete: %v", err)
						}
						return
					}
					mu.Lock()
					defer mu.Unlock()
					ids[g.ID] = true
				})
			}
			if seed%2 == 1 {
				for _, r := range rigs {
					r.store.mu.Lock()
					r.store.unknown = 0.2
					r.store.mu.Unlock()
				}
			}
			wg.Wait()
			for _, r := range rigs {
				r.store.mu.Lock()
				r.store.unknown = 0
				r.store.mu.Unlock()
				r.run()
			}
			a.serve(nil)
			time.Sleep(10 * time.Minute)
			if keys := s.keys("grant/"); len(keys) != 1 || len(ids) > 1 {
				t.Fatalf("seed %d: %d grants stored, %d given out", seed, len(keys), len(ids))
			}
			g := rigs[0].grant()
			if len(ids) == 1 && !ids[g.ID] || g.State != oauth.StateOK || g.Holder.ID != "ann" {
				t.Errorf("grant = %+v", g)
			}
			if _, err := rigs[0].v.Disconnect(t.Context(), g.ID); err != nil {
				t.Fatal(err)
			}
			if left := s.keys("holder/"); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
			a.serve(nil)
			if again := rigs[1].connect("ann"); again.ID == g.ID || len(s.keys("grant/")) != 1 {
				t.Errorf("connected again: %s", again.ID)
			}
		})
	}
}

// What names a login outlives its grant only by accident (a daemon that died between two writes): then it is taken over.
func TestNameOfALoginThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		r := newRig(t, s, a)
		first := r.connect("ann")
		for _, key := range s.keys("grant/") {
			if err := s.DropSealed(t.Context(), key, s.recs[key].Rev); err != nil {
				t.Fatal(err)
			}
		}
		again := newRig(t, s, a)
		if g := again.connect("ann"); g.ID == first.ID || g.State != oauth.StateOK {
			t.Errorf("grant = %+v", g)
		}
		bob := again.connect("bob")
		if bob.Holder.ID != "bob" || len(s.keys("grant/")) != 2 || len(s.keys("holder/")) != 2 {
			t.Errorf("grants %v, names %v", s.keys("grant/"), s.keys("holder/"))
		}
	})
}
