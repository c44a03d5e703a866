package schedule_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/schedule"
)

// access hands out grants by account; what it does not know is read publicly.
type access struct {
	mu     sync.Mutex
	grants map[string]string // by id, or handle while there is none
	closed map[string]error
	asked  int
}

func (a *access) Client(acc jauge.Account) (*http.Client, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	name := acc.ID
	if name == "" {
		name = acc.Handle
	}
	return nil, a.grants[name], a.closed[name]
}

func (a *access) grant(name, grant string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.grants == nil {
		a.grants = map[string]string{}
	}
	a.grants[name] = grant
}

// set closes an account, or opens it again with nil.
func (a *access) set(name string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed == nil {
		a.closed = map[string]error{}
	}
	a.closed[name] = err
}

func gone() error {
	return &jauge.Error{Op: "read account", Reason: jauge.ReasonAuth, Hint: "connect again"}
}

func paused() error {
	return &jauge.Error{Op: "read account", Reason: jauge.ReasonAuth, Err: jauge.ErrPaused, Hint: "resume it"}
}

// live runs the scheduler until the test ends.
func (r *rig) live() {
	r.tb.Helper()
	stop := r.going()
	r.tb.Cleanup(func() {
		stop()
		r.close()
	})
}

func (r *rig) status(handle string) schedule.AccountStatus {
	r.tb.Helper()
	all, err := r.s.Status(r.tb.Context())
	if err != nil {
		r.tb.Fatal(err)
	}
	i := slices.IndexFunc(all, func(s schedule.AccountStatus) bool { return s.Configured == handle })
	if i < 0 {
		r.tb.Fatalf("no status of %s", handle)
	}
	return all[i]
}

func TestAccountsOfDifferentGrantsAreNotReadTogether(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{true, false} {
		t.Run(fmt.Sprintf("once %v", once), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				for i, g := range []string{"", "x", "", "x", "y", "", "y", "z"} {
					r.access.grant(fmt.Sprintf("id-a%d", i), g)
					r.access.grant(fmt.Sprintf("a%d", i), g)
				}
				r.access.set("a7", gone())
				r.start(handles(8)...)
				if once {
					r.once(schedule.Filter{})
					r.close()
				} else {
					r.live()
					time.Sleep(10 * time.Second)
				}
				together := map[string]string{}
				for _, read := range r.world.reads {
					together[read.account] = strings.Join(read.with, " ")
				}
				want := map[string]string{}
				for _, g := range []string{"id-a0 id-a2 id-a5", "id-a1 id-a3", "id-a4 id-a6"} {
					for id := range strings.FieldsSeq(g) {
						want[id] = g
					}
				}
				if diff := cmp.Diff(want, together); diff != "" {
					t.Errorf("read together (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestParkedUntilWoken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why    string
		err    error
		paused bool
	}{{"auth", gone(), false}, {"paused", paused(), true}, {"scope", &jauge.Error{Reason: jauge.ReasonScope}, false}} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t).start("a", "b")
				r.live()
				time.Sleep(3 * time.Hour)
				if next, ok := r.s.Next(key("id-a")); !ok || !next.Equal(r.status("a").NextRun) || next.Sub(time.Now()) > time.Hour {
					t.Errorf("next run %v %v", next, ok)
				}
				r.access.set("id-a", c.err)
				if _, ok := r.s.Next(key("id-a")); ok { // at once, not at its next turn
					t.Error("a parked account has a next run")
				}
				r.world.forget()
				published := time.Now()
				for i := range 12 {
					r.world.publish("id-a", fmt.Sprintf("p%d", i), published.Add(time.Duration(i)*time.Hour))
				}
				time.Sleep(72 * time.Hour)
				st := r.status("a")
				if n := len(r.world.readsOf("id-a")); n != 0 || st.Parked == nil || st.Paused != c.paused || !st.NextRun.IsZero() ||
					st.Failure.Reason != "" {
					t.Errorf("%d reads of a parked account, status %+v", n, st)
				}
				if n := len(r.world.readsOf("id-b")); n != 72 {
					t.Errorf("%d reads of the other account in 72 hours", n)
				}
				if n := r.metric("jauge_accounts_parked", "plume", c.why); n != 1 || r.metric("jauge_account_parked", "id-a") != 1 ||
					r.metric("jauge_account_parked", "id-b") != 0 {
					t.Errorf("metrics: %v parked", n)
				}
				r.s.Wake(key("id-a")) // too early: nothing has changed
				time.Sleep(time.Minute)
				if n := len(r.world.readsOf("id-a")); n != 0 {
					t.Errorf("%d reads before access was back", n)
				}
				r.access.set("id-a", nil)
				r.s.Wake(key("id-a"))
				time.Sleep(3 * time.Second)
				if n := len(r.world.readsOf("id-a")); n != 1 || len(r.ladder("a")) != 12 {
					t.Errorf("%d reads after it was woken, ladder %v", n, r.ladder("a"))
				}
				if r.metric("jauge_accounts_parked", "plume", c.why) != 0 || r.status("a").Parked != nil {
					t.Errorf("status %+v", r.status("a"))
				}
				logged := r.log.String()
				if n := strings.Count(logged, "parked until") + strings.Count(logged, "is paused\""); n != 1 || strings.Count(logged, "read again") != 1 {
					t.Errorf("%d lines when it was parked\n%s", n, logged)
				}
				r.journal.check(t)
			})
		})
	}
}

func TestRefusedDuringARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		r.access.grant("id-a", "g")
		r.live()
		time.Sleep(2 * time.Hour)
		for i := range 3 {
			r.world.publish("id-a", fmt.Sprintf("p%d", i), time.Now().Add(time.Duration(i)*time.Second))
		}
		r.world.setFail(func(call, _ string) error {
			if call != "list" {
				return nil
			}
			r.access.set("id-a", gone()) // whoever holds the grant sees the refusal too
			return &jauge.Error{Op: "list posts", Reason: jauge.ReasonAuth, Status: 401}
		})
		r.world.forget()
		before := len(r.journal.of("id-a"))
		time.Sleep(48 * time.Hour)
		if n := len(r.world.readsOf("id-a")); n != 1 || len(r.journal.of("id-a")) != before+1 {
			t.Errorf("%d reads, %d pages, want one and the profile", n, len(r.journal.of("id-a"))-before)
		}
		if st := r.status("a"); st.Parked == nil || st.Failure.Reason != jauge.ReasonAuth || st.Failure.Count != 1 {
			t.Errorf("status %+v", st)
		}
		r.world.setFail(nil)
		r.access.set("id-a", nil)
		r.s.Wake(key("id-a"))
		time.Sleep(3 * time.Second)
		if st := r.status("a"); len(r.ladder("a")) != 3 || st.Failure.Reason != "" || st.Parked != nil {
			t.Errorf("status %+v, ladder %v", st, r.ladder("a"))
		}
	})
}

// TestParkedOverARestart: what is parked is not kept; it is found again, and nothing is read meanwhile.
func TestParkedOverARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		r.run(2 * time.Hour)
		r.close()
		r.world.forget()
		r.access.set("id-a", gone())
		r.start("a")
		if _, ok := r.s.Next(key("id-a")); ok || r.metric("jauge_accounts_parked", "plume", "auth") != 1 {
			t.Error("not parked after the restart")
		}
		r.access.set("id-a", nil)
		r.s.Wake(key("id-a")) // before Run
		r.run(3 * time.Second)
		if n := len(r.world.readsOf("id-a")); n != 1 {
			t.Errorf("%d reads after it was woken", n)
		}
		r.close()
	})
}

func TestOnceTellsOfParkedAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.access.set("a", gone())
		r.access.set("b", &jauge.Error{Op: "load grant", Reason: jauge.ReasonServer})
		r.start("a", "b", "c")
		defer r.close()
		sum := r.once(schedule.Filter{})
		var got []string
		for _, a := range sum.Accounts {
			got = append(got, fmt.Sprintf("%s %d %s", a.Handle, a.Pages, a.Reason))
		}
		want := []string{"a 0 auth", "b 0 server", "c 1 "}
		if diff := cmp.Diff(want, got); diff != "" || sum.Failed != 2 {
			t.Errorf("%d failed (-want +got):\n%s", sum.Failed, diff)
		}
		if err := sum.Accounts[0].Err; !strings.Contains(err.Error(), "connect again") {
			t.Errorf("no hint in %v", err)
		}
		if a, b := r.account("a"), r.account("b"); a.Failure.Reason != "" || a.Attempts != 0 || b.Failure.Reason != jauge.ReasonServer {
			t.Errorf("memory: %+v %+v", a, b)
		}
	})
}

// TestWokenWhileItIsRead: what changed during a run is not known to it.
func TestWokenWhileItIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.world.delay = 10 * time.Second
		r.start("a")
		r.live()
		time.Sleep(2 * time.Second)
		r.s.Wake(key("id-a"), key("a"), key("nobody"), jauge.Key{Platform: "nowhere", Account: "a"})
		time.Sleep(time.Minute)
		if n := len(r.world.readsOf("id-a")); n != 2 {
			t.Errorf("%d reads, want one more", n)
		}
		if len(r.world.misuse) > 0 {
			t.Error(r.world.misuse)
		}
	})
}

// TestManyWoken: thousands that come back one by one are not read all in the same second, and all soon.
func TestManyWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1500
		r := newRig(t)
		for _, h := range handles(n) {
			r.access.set(h, gone())
		}
		r.start(handles(n)...)
		r.live()
		time.Sleep(time.Minute)
		for _, h := range handles(n) {
			r.access.set(h, nil)
			if h != "a7" {
				r.s.Wake(key(h)) // never resolved: by its handle
			}
		}
		time.Sleep(5 * time.Second)
		if early := len(r.world.reads); early < 100 || early > 300 {
			t.Errorf("%d reads at once", early)
		}
		time.Sleep(r.cfg.CatchUp)
		for i := range n {
			if got := len(r.world.readsOf(fmt.Sprintf("id-a%d", i))); got != 1 && i != 7 {
				t.Fatalf("account %d was read %d times", i, got)
			}
		}
		r.s.Wake(jauge.Key{Platform: plume}) // whoever is left
		time.Sleep(3 * time.Second)
		if got := len(r.world.readsOf("id-a7")); got != 1 {
			t.Errorf("the last one was read %d times", got)
		}
	})
}

// TestConnectedAccountsComeAndGo follows accounts by their ids while it runs.
func TestConnectedAccountsComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		r.live()
		r.world.setFail(func(call, handle string) error {
			if call == "resolve" && handle != "a" {
				return fmt.Errorf("%s was resolved", handle)
			}
			return nil
		})
		follow := func(list ...schedule.Configured) {
			t.Helper()
			if _, err := r.s.Sync(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
		config := schedule.Configured{Platform: plume, Handle: "a", Brand: "acme"}
		page := schedule.Configured{Platform: plume, ID: "7", Handle: "A page", Brand: "acme"}
		time.Sleep(time.Hour)
		follow(config, page, schedule.Configured{Platform: plume, ID: "id-a", Handle: "a", Brand: "other"})
		time.Sleep(48 * time.Hour)
		if n := len(r.world.readsOf("7")); n < 48 || n > 49 {
			t.Errorf("%d reads in 48 hours", n)
		}
		if m, ok := r.s.Directory().Lookup(key("id-a")); !ok || m.Account.Brand != "acme" || len(r.s.Directory().Brand("acme")) != 2 {
			t.Errorf("member %+v %v", m, ok)
		}
		page.Brand = "other"
		follow(config, page)
		if m, _ := r.s.Directory().Lookup(key("7")); m.Account.Brand != "other" {
			t.Errorf("member %+v", m)
		}
		follow(config)
		r.world.forget()
		if _, ok := r.s.Next(key("7")); ok {
			t.Error("a removed account has a next run")
		}
		time.Sleep(24 * time.Hour)
		if n := len(r.world.readsOf("7")); n != 0 {
			t.Errorf("%d reads after it was removed", n)
		}
		follow(config, page)
		time.Sleep(time.Minute)
		if n := len(r.world.readsOf("7")); n != 1 {
			t.Errorf("%d reads after it was put back", n)
		}
		if _, err := r.s.Sync(t.Context(), []schedule.Configured{{Platform: plume}}); err == nil {
			t.Error("an account without handle and id was taken")
		}
		for _, f := range r.world.reads {
			if f.task != collectors.TaskRefresh {
				t.Errorf("task %s", f.task)
			}
		}
	})
}
