//go:build integration

package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// blueskyMetrics are the counters that Bluesky offers, with the sum that two of them make.
var blueskyMetrics = []string{"likes", "comments", "reposts", "quotes", "saves", "shares"}

// brandsOf writes a configuration in which alder and birch belong to one brand and rowan to a competitor.
func brandsOf(platform, alder, birch, rowan string) string {
	return fmt.Sprintf(`brands:
  - name: acme
    accounts:
      - {platform: %[1]s, handle: %[2]q}
      - {platform: %[1]s, handle: %[3]q}
  - name: rival
    competitor: true
    accounts: [{platform: %[1]s, handle: %[4]q}]
`, platform, alder, birch, rowan)
}

// grove is a network with three tracked accounts and some others, and a ledger of them.
type grove struct {
	*bluesky
	alder, birch, rowan *actor
	ledger              *ledger
}

func plant(t *testing.T, seed uint64) *grove {
	t.Helper()
	n := blueskyNetwork(t, seed)
	g := &grove{bluesky: n, alder: n.join("alder"), birch: n.join("birch"), rowan: n.join("rowan")}
	for i := range 5 {
		n.join(fmt.Sprintf("fan%d", i))
	}
	g.ledger = newLedger("bluesky", map[string]string{g.alder.did: "acme", g.birch.did: "acme", g.rowan.did: "rival"}, blueskyMetrics...)
	// Posts from before anybody was watching: their likes are no activity of today, their publication counts.
	for i := range 6 {
		n.write([]*actor{g.alder, g.birch, g.rowan}[i%3], "text", time.Now().Add(-time.Duration(i*20+30)*time.Hour), nil)
	}
	return g
}

func (g *grove) tracked() []*actor { return []*actor{g.alder, g.birch, g.rowan} }

func (g *grove) config() string {
	return brandsOf("bluesky", g.alder.handle, g.birch.handle, g.rowan.handle)
}

// collect makes the truth visible, has the program read it, and compares.
func (l *ledger) collect(t *testing.T, j *jauge, w world, store reader) {
	t.Helper()
	w.settle(t)
	j.must("collect", "--once")
	l.read(w)
	l.check(t, store)
	l.checkKPIs(t, j)
}

// TestBlueskyNetwork follows random lives on a real network over three readings.
func TestBlueskyNetwork(t *testing.T) {
	for name, store := range map[string]func(*testing.T, *jauge) reader{
		"sqlite": func(_ *testing.T, j *jauge) reader { return j.sqlite() },
		"influx": func(t *testing.T, j *jauge) reader {
			b := influxEnv(t)
			j.set(b.env()...)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			wholeDay(t, 10*time.Minute)
			g := plant(t, 42)
			j := install(t, g.config(), "JAUGE_BLUESKY_BASE_URL="+g.app)
			blueskyScenario(t, g, j, store(t, j))
		})
	}
}

func blueskyScenario(t *testing.T, g *grove, j *jauge, store reader) {
	g.live(120, g.tracked()...)
	future := g.write(g.alder, "text", time.Now().Add(48*time.Hour), nil) // claims to be of the day after tomorrow
	g.settle(t)
	future.published = g.indexedAt(t, future)
	g.ledger.collect(t, j, g, store)

	// More of everything, and less: unlikes, unfollows, a deleted post, a deleted reply.
	g.live(60, g.tracked()...)
	undone := 0
	for _, p := range g.posts {
		if !p.deleted && p.author == g.birch && g.undo(p) {
			undone++
		}
	}
	if undone == 0 {
		t.Fatal("nothing of birch was ever liked: the test would not show a fall")
	}
	for fan := range g.actors[3:] {
		a := g.actors[3+fan]
		if a.follows[g.alder] != "" {
			g.unfollow(a, g.alder)
			break
		}
	}
	old, reply := g.posts[0], g.firstReplyTo(g.tracked()...)
	g.withdraw(old)
	g.withdraw(reply)
	g.ledger.collect(t, j, g, store)

	// Nothing happened: nothing may change but what tells that it was read again.
	before := dumpOf(t, store)
	j.must("collect", "--once")
	g.ledger.read(g)
	g.ledger.check(t, store)
	unchanged(t, before, dumpOf(t, store))
}

// firstReplyTo finds a reply that somebody wrote to a post of the given accounts.
func (g *grove) firstReplyTo(of ...*actor) *skeet {
	g.t.Helper()
	for _, p := range g.posts {
		for _, a := range of {
			if !p.deleted && p.parent != nil && p.parent.author == a {
				return p
			}
		}
	}
	g.t.Fatal("nobody replied to a tracked account")
	return nil
}

// unchanged compares two dumps: a reading that found nothing new adds its own rows (account rows, histories), and
// changes no other but in the instant at which it was read.
func unchanged(t *testing.T, before, after dump) {
	t.Helper()
	for _, m := range measurements() {
		want, got := map[string]row{}, map[string]row{}
		for k, r := range before[m] {
			want[k] = r.without("observed_at", "carry")
		}
		for k, r := range after[m] {
			if _, old := before[m][k]; old || (m != "social_account" && !strings.HasSuffix(m, "_history")) {
				got[k] = r.without("observed_at", "carry")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s changed though nothing had happened (-before +after):\n%s", m, diff)
		}
	}
}

// TestBlueskyAccountsChange changes handles and takes accounts away: the id stays, and no post is called deleted.
func TestBlueskyAccountsChange(t *testing.T) {
	wholeDay(t, 5*time.Minute)
	g := plant(t, 43)
	g.live(40, g.tracked()...)
	j := install(t, g.config(), "JAUGE_BLUESKY_BASE_URL="+g.app)
	store := j.sqlite()
	g.ledger.collect(t, j, g, store)

	// Alder takes another handle, and a stranger takes the one that stands in the configuration.
	old := g.alder.handle
	g.alder.handle = "new-" + old
	g.do(g.alder, "com.atproto.identity.updateHandle", object{"handle": g.alder.handle}, nil)
	g.settle(t)
	g.ledger.collect(t, j, g, store)
	g.joinAs(old)
	g.ledger.collect(t, j, g, store)

	// Birch leaves for a while, rowan is taken down.
	posts := dumpOf(t, store)["social_post"]
	g.do(g.birch, "com.atproto.server.deactivateAccount", object{}, nil)
	g.takedown(g.rowan, true)
	g.gone(t, g.birch, g.rowan)
	j.must("collect", "--once")
	for _, a := range []*actor{g.birch, g.rowan} {
		got := newest(t, store, a.did)
		if state := got.text("account_state"); state == "" || state == "live" {
			t.Errorf("account %s is away, account_state is %q", a.handle, state)
		}
		for _, gauge := range []string{"followers", "following", "posts"} {
			if v, ok := got[gauge]; ok {
				t.Errorf("account %s is away, and yet has %s = %v: absent is not zero", a.handle, gauge, v)
			}
		}
	}
	if state := newest(t, store, g.rowan.did).text("account_state"); state != "suspended" {
		t.Errorf("account_state of an account that was taken down is %q, want suspended", state)
	}
	for k, r := range dumpOf(t, store)["social_post"] {
		if r.text("account") == g.alder.did {
			continue
		}
		if diff := cmp.Diff(posts[k], r); diff != "" {
			t.Errorf("post of an account that is away changed (-before +after):\n%s", diff)
		}
	}

	// Both come back, and nothing was lost.
	g.do(g.birch, "com.atproto.server.activateAccount", nil, nil)
	g.takedown(g.rowan, false)
	g.live(20, g.tracked()...)
	g.ledger.collect(t, j, g, store)
}

// TestBlueskyPostComesBack hides a post by a takedown of the post alone, which the account outlives: the single read
// says that it is gone; when it is shown again it is live again.
func TestBlueskyPostComesBack(t *testing.T) {
	wholeDay(t, 5*time.Minute)
	g := plant(t, 44)
	g.live(20, g.tracked()...)
	j := install(t, g.config(), "JAUGE_BLUESKY_BASE_URL="+g.app)
	store := j.sqlite()
	g.ledger.collect(t, j, g, store)

	p := g.posts[0]
	likes := len(p.likes)
	g.hide(t, p, true)
	j.must("collect", "--once")
	if got := stored(t, store, p.uri); got.text("state") == "live" || got["likes"] != float64(likes) {
		t.Errorf("a post that was taken down has state %q and likes %v, want it not live with its last counters (%d likes)", got.text("state"), got["likes"], likes)
	}
	g.hide(t, p, false)
	j.must("collect", "--once")
	if got := stored(t, store, p.uri); got.text("state") != "live" {
		t.Errorf("a post that came back has state %q, want live", got.text("state"))
	}
}

// stored returns a post's row.
func stored(t *testing.T, store reader, id string) row {
	t.Helper()
	for _, r := range store.rows(t, "social_post") {
		if r.text("post_id") == id {
			return r
		}
	}
	t.Fatalf("social_post has no row of %s", id)
	return nil
}
