package oauth_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Two people end a grant at two replicas at the same instant: it is told once.
func TestDisconnectIsToldOnce(t *testing.T) {
	for seed := range 10 {
		synctest.Test(t, func(t *testing.T) {
			s, a := newStore(), newAuthority()
			one, two := newRig(t, s, a), newRig(t, s, a)
			g := one.connect("ann")
			two.grant()
			one.d.slow, two.d.slow = time.Second, time.Second // both are revoking before one has dropped it
			var wg sync.WaitGroup
			for i, r := range []*rig{one, two} {
				wg.Go(func() {
					time.Sleep(time.Duration(i*seed) * time.Millisecond)
					_, _ = r.v.Disconnect(t.Context(), g.ID)
				})
			}
			wg.Wait()
			if told := append(one.told(), two.told()...); len(told) != 1 || len(s.keys("grant/")) != 0 {
				t.Errorf("seed %d: told %v", seed, told)
			}
		})
	}
}
