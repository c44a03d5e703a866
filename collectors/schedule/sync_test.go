package schedule_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/schedule"
)

func key(id string) jauge.Key { return jauge.Key{Platform: plume, Account: id} }

func TestDirectoryFollowsConfigAndResolution(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("b", "a")
		defer r.close()
		dir := r.s.Directory()
		if _, ok := dir.Lookup(key("id-a")); ok || len(dir.Brand("acme")) != 0 {
			t.Error("an unresolved account is in the directory")
		}
		r.once(schedule.Filter{})
		m, ok := dir.Lookup(key("id-a"))
		if !ok || m.Gone || m.Account.Brand != "acme" || m.Account.Handle != "a" {
			t.Errorf("member %+v %v", m, ok)
		}
		if b := dir.Brand("acme"); len(b) != 2 || b[0].Account.ID != "id-a" || b[1].Account.ID != "id-b" {
			t.Errorf("brand %+v", b)
		}
		changes := r.sync("a")
		today := jauge.DayOf(time.Now(), time.UTC)
		m, ok = dir.Lookup(key("id-b"))
		if len(changes) != 1 || !ok || !m.Gone || m.Removed != today || len(dir.Brand("acme")) != 2 {
			t.Errorf("changes %v, member %+v %v", changes, m, ok)
		}
		if _, err := r.s.Sync(t.Context(), []schedule.Configured{
			{Platform: plume, Handle: "a", Brand: "other"}, {Platform: plume, Handle: "b", Brand: "acme"},
		}); err != nil {
			t.Fatal(err)
		}
		if b := dir.Brand("acme"); len(b) != 1 || b[0].Account.ID != "id-b" || b[0].Gone {
			t.Errorf("brand acme %+v", b)
		}
		if b := dir.Brand("other"); len(b) != 1 || b[0].Account.ID != "id-a" {
			t.Errorf("brand other %+v", b)
		}
		if _, err := r.s.Sync(t.Context(), []schedule.Configured{{Platform: "nowhere", Handle: "a"}}); err == nil {
			t.Error("an unknown platform was taken")
		}
	})
}

func TestAccountTakenOutWhileItIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.group = 2
		r.start("a", "b")
		defer r.close()
		for i := range 30 {
			r.world.publish("id-a", fmt.Sprintf("p%d", i), time.Now().Add(-time.Duration(i)*time.Hour))
		}
		slow := make(chan struct{})
		r.world.setFail(func(call, account string) error {
			if call == "list" && account == "id-a" && slow != nil {
				<-slow
			}
			return nil
		})
		done := make(chan schedule.Summary, 1)
		go func() { done <- r.once(schedule.Filter{}) }()
		synctest.Wait()
		r.sync("b")
		close(slow)
		sum := <-done
		if len(r.journal.of("id-a")) > 1 || sum.Accounts[0].Complete || sum.Accounts[0].Err == nil {
			t.Errorf("%d pages of the removed account, %+v", len(r.journal.of("id-a")), sum.Accounts[0])
		}
		if !sum.Accounts[1].Complete {
			t.Errorf("the other account: %+v", sum.Accounts[1])
		}
		r.world.forget()
		r.run(3 * time.Hour)
		if len(r.world.readsOf("id-a")) != 0 || len(r.world.readsOf("id-b")) < 2 {
			t.Errorf("afterwards: %d and %d reads", len(r.world.readsOf("id-a")), len(r.world.readsOf("id-b")))
		}
	})
}

func TestAddedWhileRunning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		time.AfterFunc(30*time.Minute, func() { r.sync("a", "b") })
		r.run(30*time.Minute + time.Second)
		if n := len(r.world.readsOf("id-b")); n != 1 {
			t.Errorf("%d reads of the added account at once", n)
		}
	})
}

func TestHandleThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		r.once(schedule.Filter{})
		r.world.mu.Lock()
		r.world.ids["a"] = "id-thief"
		r.world.mu.Unlock()
		time.Sleep(25 * time.Hour)
		sum := r.once(schedule.Filter{})
		f := r.account("a")
		if sum.Accounts[0].ID != "id-a" || f.Account.ID != "id-a" || f.Elsewhere != "id-thief" {
			t.Errorf("summary %+v, memory %+v", sum.Accounts[0], f)
		}
		if !strings.Contains(r.log.String(), "leads to another account") {
			t.Errorf("no warning in %s", r.log)
		}
		r.world.setFail(func(call, _ string) error {
			if call == "resolve" {
				return &jauge.Error{Op: "resolve", Reason: jauge.ReasonNotFound}
			}
			return nil
		})
		time.Sleep(25 * time.Hour)
		if sum := r.once(schedule.Filter{}); sum.Failed != 0 || !strings.Contains(r.log.String(), "leads to nobody") {
			t.Errorf("summary %+v", sum)
		}
	})
}

func TestRespeltAccountGoesOnInTheSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("old")
		defer r.close()
		r.world.ids["new"] = "id-old"
		r.world.publish("id-old", "p", time.Now())
		r.once(schedule.Filter{})
		r.sync("new")
		if m, _ := r.s.Directory().Lookup(key("id-old")); !m.Gone {
			t.Errorf("member before it was resolved again: %+v", m)
		}
		r.world.forget()
		r.run(3*time.Hour + time.Minute)
		if n := len(r.world.readsOf("id-old")); n < 3 {
			t.Errorf("%d reads under the new handle", n)
		}
		if m, _ := r.s.Directory().Lookup(key("id-old")); m.Gone || len(r.ladder("new")) != 1 {
			t.Errorf("member %+v, ladder %v", m, r.ladder("new"))
		}
		r.journal.check(t)
	})
}

func TestUnresolvedHandleBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		tries := 0
		r.world.fail = func(call, _ string) error {
			if call == "resolve" {
				tries++
				return &jauge.Error{Op: "resolve", Reason: jauge.ReasonNotFound}
			}
			return nil
		}
		r.start("a")
		defer r.close()
		r.run(48 * time.Hour)
		if tries < 5 || tries > 14 {
			t.Errorf("%d tries in two days", tries)
		}
	})
}

func TestBackfillGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.BackfillPages = 2
		r.start("a")
		defer r.close()
		for i := range 60 {
			r.world.publish("id-a", fmt.Sprintf("p%02d", i), time.Now().AddDate(0, 0, -5*i))
		}
		lists := 0
		r.world.setFail(func(call, _ string) error {
			if lists++; call == "list" && lists == 8 {
				return &jauge.Error{Op: "list", Reason: jauge.ReasonServer}
			}
			return nil
		})
		since := time.Now().AddDate(0, 0, -250)
		fill := func(since time.Time) schedule.AccountSummary {
			t.Helper()
			sum, err := r.s.Backfill(t.Context(), since, schedule.Filter{}, nil)
			if err != nil || len(sum.Accounts) != 1 {
				t.Fatalf("%+v %v", sum, err)
			}
			return sum.Accounts[0]
		}
		first := fill(since)
		if first.Err == nil || first.Complete || first.Pages == 0 {
			t.Fatalf("first: %+v", first)
		}
		second := fill(since)
		if second.Err != nil || !second.Complete || second.New+first.New != 51 || second.Posts >= 51 {
			t.Errorf("first %+v, second %+v", first, second)
		}
		if again := fill(since); again.Pages != 0 || !again.Complete {
			t.Errorf("done already: %+v", again)
		}
		if deeper := fill(time.Now().AddDate(-2, 0, 0)); deeper.New != 9 || !deeper.Complete {
			t.Errorf("deeper: %+v", deeper)
		}
		if got := r.ladder("a"); len(got) != 18 { // younger than 90 days
			t.Errorf("%d posts on the ladder", len(got))
		}
		f := r.account("a")
		if !f.LastRun.IsZero() || !f.LastComplete.IsZero() || !f.LastSuccess.IsZero() || f.Unfinished {
			t.Errorf("a backfill counts as a run: %+v", f)
		}
		for _, p := range r.journal.of("id-a") {
			if p.Complete {
				t.Error("a backfill's page bears the mark of a complete reading")
			}
		}
		r.journal.check(t)
		if _, err := r.s.Backfill(t.Context(), time.Now().Add(time.Hour), schedule.Filter{}, nil); err == nil {
			t.Error("a date in the future was taken")
		}
	})
}

func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*schedule.Config){
		"parallel": func(c *schedule.Config) { c.Parallel = 0 },
		"spec":     func(c *schedule.Config) { c.Every = map[jauge.Platform]string{plume: "sometimes"} },
		"too fast": func(c *schedule.Config) { c.Every = map[jauge.Platform]string{plume: "@every 1s"} },
		"nowhere":  func(c *schedule.Config) { c.Every = map[jauge.Platform]string{"nowhere": "@hourly"} },
		"ladder":   func(c *schedule.Config) { c.Ladder = schedule.Ladder{{time.Hour, time.Second}} },
	} {
		cfg := schedule.Default()
		change(&cfg)
		if _, err := schedule.New(cfg, schedule.Deps{}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestAccountSeriesAreSwitchedOffAboveTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.AccountMetrics = 2
		r.start("a", "b")
		defer r.close()
		r.once(schedule.Filter{})
		series := func() (n int) {
			families, err := r.reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if strings.HasPrefix(f.GetName(), "jauge_account_") {
					n += len(f.GetMetric())
				}
			}
			return n
		}
		if n := series(); n != 6 {
			t.Errorf("%d series of accounts, want 6", n)
		}
		r.sync("a", "b", "c")
		if n := series(); n != 0 {
			t.Errorf("%d series of accounts above the limit", n)
		}
		if r.metric("jauge_runs_total", "plume", "backfill", "failed") != 0 {
			t.Error("no series at 0 from the start")
		}
	})
}

func TestProgressIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a", "b")
		defer r.close()
		events := map[schedule.EventKind]int{}
		if _, err := r.s.RunOnce(context.Background(), schedule.Filter{}, func(e schedule.Event) { events[e.Kind]++ }); err != nil {
			t.Fatal(err)
		}
		if events[schedule.EventPage] != 2 || events[schedule.EventEnded] != 2 {
			t.Errorf("events %v", events)
		}
	})
}
