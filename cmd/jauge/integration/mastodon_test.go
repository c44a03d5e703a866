//go:build integration

package integration_test

import (
	"fmt"
	"testing"
	"time"
)

// mastodonMetrics are the counters that this server offers; quotes it does not count, so they are in no row.
var mastodonMetrics = []string{"likes", "comments", "reposts", "shares"}

// instance is a server with three tracked accounts and some others, and a ledger of them.
type instance struct {
	*mastodon
	alder, birch, rowan *person
	ledger              *ledger
}

func found(t *testing.T, seed uint64) *instance {
	t.Helper()
	m := mastodonServer(t, seed)
	i := &instance{mastodon: m, alder: m.join("alder"), birch: m.join("birch"), rowan: m.join("rowan")}
	for n := range 4 {
		m.join(fmt.Sprintf("fan%d", n))
	}
	i.ledger = newLedger("mastodon", map[string]string{m.account(i.alder): "acme", m.account(i.birch): "acme", m.account(i.rowan): "rival"}, mastodonMetrics...)
	for _, p := range i.tracked() {
		m.write(p, "text", nil)
	}
	return i
}

func (i *instance) tracked() []*person { return []*person{i.alder, i.birch, i.rowan} }

func (i *instance) config() string {
	return brandsOf("mastodon", i.handle(i.alder), i.handle(i.birch), i.handle(i.rowan))
}

// TestMastodonServer follows random lives on the server over three readings.
func TestMastodonServer(t *testing.T) {
	wholeDay(t, 10*time.Minute)
	i := found(t, 42)
	j := install(t, i.config(), "JAUGE_MASTODON_BASE_URL="+i.url)
	store := j.sqlite()

	i.live(200, i.tracked()...) // more than a page of 40 for some account
	i.ledger.collect(t, j, i, store)

	i.live(60, i.tracked()...)
	for _, s := range i.toots {
		for who, on := range s.likes {
			if s.author == i.birch && on {
				i.like(who, s, false)
			}
		}
	}
	for _, p := range i.people[3:] {
		i.follow(p, i.alder, !p.follows[i.alder])
	}
	i.withdraw(i.unboosted(i.alder))
	i.ledger.collect(t, j, i, store)

	before := dumpOf(t, store)
	j.must("collect", "--once")
	i.ledger.read(i)
	i.ledger.check(t, store)
	unchanged(t, before, dumpOf(t, store))
}

// unboosted finds a status that nobody boosted: what this server does with the boosts of a deleted one is its own.
func (i *instance) unboosted(of *person) *toot {
	i.t.Helper()
	for _, s := range i.toots {
		if s.author == of && !s.deleted && count(s.boosts) == 0 {
			return s
		}
	}
	i.t.Fatal("every status was boosted")
	return nil
}

// TestMastodonFaults lets the server fail in every way that it knows; the figures are exact nonetheless.
func TestMastodonFaults(t *testing.T) {
	wholeDay(t, 10*time.Minute)
	i := found(t, 45)
	t.Cleanup(func() { i.clearFaults(t) })
	i.live(150, i.tracked()...)
	i.settle(t)
	j := install(t, i.config(), "JAUGE_MASTODON_BASE_URL="+i.url, "JAUGE_HTTP_ATTEMPT_TIMEOUT=2s")

	slow := object{"type": "ratelimit", "headers": object{"Retry-After": "1"}}
	for _, path := range []string{"/api/v1/accounts/lookup", "/api/v1/accounts/*/statuses"} {
		i.fault(t, path, 1, slow)
		i.fault(t, path, 1, object{"type": "status", "status": 503})
		i.fault(t, path, 1, object{"type": "malformed"})
		i.fault(t, path, 1, object{"type": "timeout"})
	}
	i.fault(t, "/.well-known/webfinger", 1, object{"type": "status", "status": 500})
	i.fault(t, "/api/v1/accounts/"+i.alder.id, 1, object{"type": "status", "status": 502})
	began := time.Now()
	j.must("collect", "--once")
	t.Logf("a reading through nine or ten faults took %s; %d rules were not used", time.Since(began).Round(time.Millisecond), i.faultsLeft(t))
	if left := i.faultsLeft(t); left > 5 {
		t.Errorf("%d of 10 fault rules never met a call: the test would show nothing", left)
	}
	i.clearFaults(t)
	i.ledger.read(i)
	i.ledger.check(t, j.sqlite())
	i.ledger.checkKPIs(t, j)
}

// TestMastodonSuspended suspends an account: that is a state of the account, its posts are not deleted.
func TestMastodonSuspended(t *testing.T) {
	wholeDay(t, 5*time.Minute)
	i := found(t, 46)
	i.live(30, i.tracked()...)
	j := install(t, i.config(), "JAUGE_MASTODON_BASE_URL="+i.url)
	store := j.sqlite()
	i.ledger.collect(t, j, i, store)

	moderator := i.join("moderator")
	i.do(moderator, "POST", "/api/v1/admin/accounts/"+i.birch.id+"/action", object{"type": "suspend"}, nil)
	j.must("collect", "--once")
	if state := newest(t, store, i.account(i.birch)).text("account_state"); state != "suspended" {
		t.Errorf("account_state is %q, want suspended", state)
	}
	for _, r := range store.rows(t, "social_post") {
		if r.text("state") != "live" {
			t.Errorf("post %s has state %q: a suspended account deletes nothing", r.text("post_id"), r.text("state"))
		}
	}
	i.do(moderator, "POST", "/api/v1/admin/accounts/"+i.birch.id+"/unsuspend", nil, nil)
	i.ledger.collect(t, j, i, store)
}
