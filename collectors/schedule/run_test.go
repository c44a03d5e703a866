package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/schedule"
)

func TestAccountsAreSpreadAndReadOncePerInterval(t *testing.T) {
	t.Parallel()
	for _, every := range []string{"@every 1h", "0 * * * *"} {
		t.Run(every, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const n = 600
				r := newRig(t)
				r.every = every
				r.start(handles(n)...)
				defer r.close()
				time.AfterFunc(time.Hour, r.world.forget) // in the first hour every new account is read at once
				r.run(5*time.Hour + 5*time.Second)
				perMinute := map[int]int{}
				for i := range n {
					at := r.world.readsOf(fmt.Sprintf("id-a%d", i))
					if len(at) < 4 || len(at) > 5 {
						t.Fatalf("account %d was read %d times in four hours", i, len(at))
					}
					for j := 1; j < len(at); j++ {
						if d := at[j].Sub(at[j-1]); d < time.Hour-31*time.Second || d > time.Hour+31*time.Second {
							t.Errorf("account %d: %v between runs", i, d)
						}
					}
					perMinute[at[0].Minute()]++
				}
				for m := range 60 {
					if c := perMinute[m]; c > 30 { // 10 are expected
						t.Errorf("%d accounts in minute %d", c, m)
					}
				}
				r.journal.check(t)
			})
		})
	}
}

func TestMissedRunsAreCaughtUpOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 2000 // a hundred seconds' worth at the pace of catching up
		r := newRig(t)
		r.cfg.CatchUp = 5 * time.Minute
		r.start(handles(n)...)
		r.run(3 * time.Minute)
		r.close()
		time.Sleep(26 * time.Hour) // down
		r.world.forget()
		r.start(handles(n)...)
		defer r.close()
		began := time.Now()
		r.run(6 * time.Minute)
		early := 0
		for i := range n {
			at := r.world.readsOf(fmt.Sprintf("id-a%d", i))
			if len(at) != 1 {
				t.Fatalf("account %d was read %d times after the pause", i, len(at))
			}
			if at[0].Sub(began) < time.Minute {
				early++
			}
		}
		if early < n/4 || early > 3*n/4 {
			t.Errorf("%d of %d missed runs in the first minute", early, n)
		}
		if len(r.world.misuse) > 0 {
			t.Error(r.world.misuse)
		}
	})
}

func TestFirstStartReadsSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a", "b")
		defer r.close()
		r.run(20 * time.Second)
		if len(r.world.readsOf("id-a")) != 1 || len(r.world.readsOf("id-b")) != 1 {
			t.Errorf("reads %+v", r.world.reads)
		}
	})
}

func TestCrashedRunIsMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		r.once(schedule.Filter{})
		if err := r.db.Begin(t.Context(), []int64{r.account("a").Ref}, time.Now(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		r.close() // the end of that run was never recorded
		r.world.forget()
		r.start("a")
		defer r.close()
		r.run(20 * time.Second)
		if n := len(r.world.readsOf("id-a")); n != 1 {
			t.Errorf("%d runs", n)
		}
		r.journal.check(t)
	})
}

func TestGroupsShareAHostAndHostsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.group = 3
		r.start("@a@one.example", "@b@one.example", "@c@one.example", "@d@one.example", "@x@two.example")
		defer r.close()
		r.once(schedule.Filter{})
		sizes := map[string]int{}
		for _, rd := range r.world.reads {
			sizes[fmt.Sprintf("%s in %d", rd.account[len(rd.account)-11:], rd.group)]++
		}
		if sizes["one.example in 3"] != 3 || sizes["one.example in 1"] != 1 || sizes["two.example in 1"] != 1 {
			t.Errorf("groups %v", sizes)
		}
	})
}

// TestNoOverlap runs schedule, RunOnce and Backfill at once over slow accounts; the world counts two at once.
func TestNoOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.every, r.group, r.world.delay = "@every 1m", 2, 50*time.Second
		r.cfg.BackfillPages = 1
		r.start(handles(5)...)
		defer r.close()
		for i := range 30 {
			r.world.publish("id-a0", fmt.Sprintf("p%d", i), time.Now().Add(-time.Duration(i)*time.Hour))
		}
		done := make(chan error, 2)
		go func() {
			_, err := r.s.Backfill(context.Background(), time.Now().AddDate(0, 0, -30), schedule.Filter{}, nil)
			done <- err
		}()
		go func() {
			time.Sleep(90 * time.Second)
			_, err := r.s.RunOnce(context.Background(), schedule.Filter{}, nil)
			done <- err
		}()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- r.s.Run(ctx) }()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(r.world.misuse) > 0 {
			t.Error(r.world.misuse)
		}
		r.journal.check(t)
		refreshed, filled := 0, 0
		for _, rd := range r.world.reads {
			if rd.task == collectors.TaskBackfill {
				filled++
			} else if filled > 0 {
				refreshed++
			}
		}
		if filled < 6 || refreshed == 0 || r.metric("jauge_runs_total", "plume", "refresh", "overlap") == 0 {
			t.Errorf("%d backfill calls, %d refreshes after the first of them", filled, refreshed)
		}
	})
}

func TestBackPressureWaitsAndLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start(handles(8)...)
		defer r.close()
		for i := range 8 {
			r.world.publish(fmt.Sprintf("id-a%d", i), "p", time.Now())
		}
		full := errors.New("the journal is full")
		r.journal.setRefuse(func(int) error { return full })
		done := make(chan schedule.Summary, 1)
		go func() { done <- r.once(schedule.Filter{}) }()
		time.Sleep(10 * time.Minute)
		if why := r.s.Degraded(); !strings.Contains(why, full.Error()) || r.metric("jauge_append_waiting") != 1 {
			t.Errorf("degraded: %q", why)
		}
		if got := r.ladder("a0"); len(got) != 0 || !r.account("a0").Observed.IsZero() {
			t.Errorf("the memory moved without the journal: %v", got)
		}
		r.journal.mu.Lock()
		offers := r.journal.offers
		r.journal.mu.Unlock()
		if offers > 400 {
			t.Errorf("%d offers in ten minutes", offers)
		}
		r.journal.setRefuse(nil)
		sum := <-done
		if sum.Failed != 0 || r.s.Degraded() != "" || r.metric("jauge_append_waiting") != 0 {
			t.Errorf("failed %d, degraded %q", sum.Failed, r.s.Degraded())
		}
		for i := range 8 {
			if p := r.journal.of(fmt.Sprintf("id-a%d", i)); len(p) != 2 || !p[1].Complete {
				t.Errorf("account %d: %d pages", i, len(p))
			}
		}
	})
}

func TestShutdownLetsThePageEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		r.world.delay = 2 * time.Second
		for i := range 30 {
			r.world.publish("id-a", fmt.Sprintf("p%d", i), time.Now().Add(-time.Duration(i)*time.Minute))
		}
		began := time.Now()
		r.run(time.Second)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("shutdown took %v", took)
		}
		if p := r.journal.of("id-a"); len(p) != 1 || p[0].Complete {
			t.Errorf("%d pages, want the one under way and no mark", len(p))
		}
		if f := r.account("a"); !f.Unfinished || f.Failure.Reason != "" {
			t.Errorf("memory: %+v", f)
		}
		r.close()
		r.start("a")
		defer r.close()
		r.run(20 * time.Second)
		if p := r.journal.of("id-a"); !p[len(p)-1].Complete || len(r.ladder("a")) != 30 {
			t.Errorf("after the restart %d pages, %d posts", len(p), len(r.ladder("a")))
		}
		r.journal.check(t)
	})
}

func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		r.world.delay = time.Hour // heeds its context, as collectors must
		began := time.Now()
		r.run(time.Second)
		if took := time.Since(began); took > time.Second+r.cfg.Grace+time.Second {
			t.Errorf("shutdown took %v", took)
		}
		if err := r.s.Run(t.Context()); err == nil {
			t.Error("a second Run is no error")
		}
	})
}

// TestShutdownKeepsWhatWasRead: a run that is cancelled while it waits for the platform still hands in the page that
// it holds.
func TestShutdownKeepsWhatWasRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		r.world.publish("id-a", "p", time.Now())
		r.world.setFail(func(call, _ string) error {
			if call != "list" {
				return nil
			}
			<-time.After(r.cfg.Grace + 2*time.Second) // until after the run was cancelled
			return errors.New("canceled")
		})
		r.run(time.Second)
		if p := r.journal.of("id-a"); len(p) != 1 || p[0].Complete {
			t.Errorf("%d pages, want the profile, without a mark", len(p))
		}
	})
}

func TestShutdownWhileTheJournalIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		r.world.publish("id-a", "p", time.Now())
		r.journal.setRefuse(func(int) error { return errors.New("full") })
		began := time.Now()
		r.run(time.Minute)
		if took := time.Since(began); took > time.Minute+2*time.Second {
			t.Errorf("shutdown took %v", took-time.Minute)
		}
		if len(r.ladder("a")) != 0 {
			t.Error("the memory moved without the journal")
		}
	})
}

func TestRetriesStayInTheIntervalAndEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason jauge.Reason
		want   int // runs in the first hour
	}{{jauge.ReasonServer, 4}, {jauge.ReasonAuth, 1}, {jauge.ReasonNotFound, 1}} {
		t.Run(string(c.reason), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t).start("a")
				defer r.close()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- r.s.Run(ctx) }()
				time.Sleep(3 * time.Hour)
				r.world.setFail(func(call, _ string) error {
					if call == "profile" {
						return &jauge.Error{Op: "read profile", Reason: c.reason}
					}
					return nil
				})
				r.world.forget()
				st, err := r.s.Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Until(st[0].NextRun) + 59*time.Minute)
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if n := len(r.world.readsOf("id-a")); n != c.want {
					t.Errorf("%d runs in an hour, want %d", n, c.want)
				}
				if f := r.account("a"); f.Failure.Count != c.want || f.Failure.Reason != c.reason {
					t.Errorf("memory: %+v", f.Failure)
				}
			})
		})
	}
}
