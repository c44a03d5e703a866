//go:build integration

package integration_test

import (
	"testing"
	"time"
)

// TestBlueskyWorldIsTrue acts on the network and waits until the AppView shows exactly what the test keeps beside:
// without this, what the other tests compare with would be a guess.
func TestBlueskyWorldIsTrue(t *testing.T) {
	n := blueskyNetwork(t, 7)
	a, b := n.join("alder"), n.join("birch")
	for _, name := range []string{"fan", "fen", "fin"} {
		n.join(name)
	}
	n.write(a, "text", time.Now(), nil)
	n.live(60, a, b)
	n.settle(t)
	for range 5 {
		n.undo(n.some(a, b))
	}
	n.withdraw(n.some(a))
	for _, p := range n.posts { // a deleted reply and a deleted quote lower somebody's counters
		if !p.deleted && (p.parent != nil || p.quoted != nil) {
			n.withdraw(p)
			break
		}
	}
	n.settle(t)
}

// TestMastodonWorldIsTrue does the same on the Mastodon server.
func TestMastodonWorldIsTrue(t *testing.T) {
	i := found(t, 8)
	i.live(80, i.tracked()...)
	i.settle(t)
	i.withdraw(i.unboosted(i.alder))
	i.settle(t)
}
