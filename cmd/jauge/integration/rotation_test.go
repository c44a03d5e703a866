//go:build integration

package integration_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestRefreshByReplicas lets three daemons on one cluster keep three grants alive for two minutes, each with single-use
// refresh tokens and access tokens of seconds: one refresh each time, never a token twice.
func TestRefreshByReplicas(t *testing.T) {
	t.Parallel()
	server := authorizationServer(t)
	long := server.client(native, object{"access_life": 20})
	t.Run("20 seconds", func(t *testing.T) { t.Parallel(); keptAlive(t, long, 20*time.Second, 2*time.Minute, "alder") })
	short := server.client(native, object{"access_life": 5})
	t.Run("5 seconds", func(t *testing.T) {
		t.Parallel()
		keptAlive(t, short, 5*time.Second, 2*time.Minute, "alder", "birch", "rowan")
	})
}

func keptAlive(t *testing.T, app *client, life, length time.Duration, users ...string) {
	app = app.in(t)
	r := replicate(t, 3, app)
	for i, user := range users {
		r.here[i%3].connected(app, "x", user)
	}
	began := time.Now()
	pause(t, length)
	for _, user := range users {
		done := app.of(user)
		least := int(time.Since(began)/life) - 2
		if len(done) < least {
			t.Errorf("%s was refreshed %d times in %s, want %d at least: %s", user, len(done), length, least, app)
		}
		// Never earlier than the model wants: with a share of the life, the number of refreshes has a ceiling too.
		if most := int(time.Since(began)/(life/2)) + 2; len(done) > most {
			t.Errorf("%s was refreshed %d times in %s, want %d at most", user, len(done), length, most)
		}
		chain(t, app, user)
		for i := range r.here {
			r.up[i].poll(15*time.Second, "a replica to call the grant ok", func() (bool, string) {
				a, err := r.state(i, user)
				return err == nil && a.State == "ok", fmt.Sprintf("replica %d: %+v %v", i, a, err)
			})
		}
		t.Logf("%s: %d refreshes in %s", user, len(done), length)
	}
	app.noReuse()
	for _, e := range app.events("token") {
		if e.Status != http.StatusOK {
			t.Errorf("a token request was refused: %s %s", e.GrantType, e.Error)
		}
	}
	for _, d := range r.up {
		d.stop()
	}
}

// chain demands that each refresh traded in what the one before it was given.
func chain(t *testing.T, app *client, user string) {
	t.Helper()
	last := ""
	for _, e := range app.events("token") {
		if e.Account != user || e.Status != http.StatusOK {
			continue
		}
		if e.GrantType == "refresh_token" && e.RefreshToken != last {
			t.Errorf("%s: a refresh at %s traded in another token than the newest", user, e.At.Format(time.RFC3339Nano))
		}
		last = e.Issued.RefreshToken
	}
}

// TestKilledWhileRefreshing kills replicas at 30 random moments, some of them while the answer to a refresh is under
// way. Afterwards each grant either works with its newest token, or is reported as lost; a spent token is never sent
// again.
func TestKilledWhileRefreshing(t *testing.T) {
	t.Parallel()
	const kills = 30
	app := authorizationServer(t).client(native, object{"access_life": 4})
	r := replicate(t, 3, app, "JAUGE_VAULT_TIMEOUT=2s")
	users := []string{"alder", "birch", "rowan", "hazel", "maple", "cedar"}
	for _, user := range users {
		r.here[0].connected(app, "x", user)
	}
	random := rand.New(rand.NewPCG(4, uint64(time.Now().UnixNano())))
	lost, midway := 0, 0
	for n := range kills {
		which := []int{random.IntN(3)}
		if n%3 == 0 { // all at once, in the middle of a refresh
			which = []int{0, 1, 2}
			seen := len(app.refreshes())
			app.fault("delay", object{"ms": 700})
			r.up[0].poll(90*time.Second, "a refresh", func() (bool, string) { return len(app.refreshes()) > seen, app.String() })
			midway++
		} else {
			pause(t, time.Duration(random.IntN(2500))*time.Millisecond)
		}
		r.kill(which...)
		if n%10 == 9 {
			lost += survey(t, r, app, users)
		}
	}
	app.noReuse()
	for _, user := range users {
		chainOrLost(t, app, user)
	}
	if lost == 0 {
		t.Errorf("%d refreshes were killed midway, and no grant was reported as lost: the test shows nothing", midway)
	}
	t.Logf("%d kills, %d of them midway in a refresh; %d refreshes were done, %d grants reported as lost and connected again", kills, midway, len(app.refreshes()), lost)
}

// survey waits until each grant is either refreshed anew or reported as lost, and connects the lost ones again.
func survey(t *testing.T, r *replicas, app *client, users []string) (lost int) {
	t.Helper()
	r.ready()
	before := map[string]int{}
	for _, user := range users {
		before[user] = len(app.of(user))
	}
	for _, user := range users {
		gone := false
		r.up[1].poll(2*time.Minute, user+" to be refreshed or reported as lost", func() (bool, string) {
			a, err := r.state(1, user)
			gone = err == nil && a.State == "revoked"
			if gone && a.Cause != "lost_in_refresh" {
				t.Fatalf("%s is revoked, cause %q: nobody revoked it, it can only be lost\n%s", user, a.Cause, app)
			}
			return gone || len(app.of(user)) > before[user], fmt.Sprintf("%+v %v; %d refreshes; %s", a, err, before[user], app)
		})
		if !gone {
			continue
		}
		lost++
		if n := len(app.of(user)); n != before[user] {
			t.Errorf("%s is reported as lost, and was refreshed meanwhile", user)
		}
		r.here[2].connected(app, "x", user)
		a, err := r.state(0, user)
		if err != nil || a.State != "ok" {
			t.Errorf("%s was connected again and is %+v, %v", user, a, err)
		}
	}
	return lost
}

// chainOrLost is chain, but that a new consent may begin a new chain.
func chainOrLost(t *testing.T, app *client, user string) {
	t.Helper()
	var issued []string
	for _, e := range app.events("token") {
		if e.Account != user || e.Status != http.StatusOK {
			continue
		}
		if e.GrantType == "refresh_token" && !slices.Contains(issued, e.RefreshToken) {
			t.Errorf("%s: a refresh at %s traded in a token that was never issued to this user", user, e.At.Format(time.RFC3339Nano))
		}
		issued = append(issued, e.Issued.RefreshToken)
	}
}
