package schedule_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/schedule"
)

func TestOnceReadsStampsAndMarks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a", "b")
		defer r.close()
		now := time.Now()
		for i := range 12 {
			r.world.publish("id-a", fmt.Sprintf("p%d", i), now.Add(-time.Duration(i)*24*time.Hour))
		}
		sum := r.once(schedule.Filter{})
		if len(sum.Accounts) != 2 || sum.Failed != 0 {
			t.Fatalf("summary %+v", sum)
		}
		a := sum.Accounts[0]
		if a.Pages != 4 || a.Posts != 12 || a.New != 12 || !a.Complete || a.ID != "id-a" || a.State != jauge.AccountLive {
			t.Errorf("summary of a: %+v", a)
		}
		pages := r.journal.of("id-a")
		for i, p := range pages {
			if p.Seq != i || p.Complete != (i == 3) || p.Run == "" || p.Run != pages[0].Run || !p.RunStart.Equal(pages[0].RunStart) {
				t.Errorf("page %d: seq %d complete %v run %q start %v", i, p.Seq, p.Complete, p.Run, p.RunStart)
			}
		}
		f := r.account("a")
		if !f.Newest.Equal(now) || !f.LastComplete.Equal(pages[0].RunStart) || f.LastSuccess.IsZero() || f.Unfinished ||
			!f.Observed.Equal(pages[3].ObservedAt) {
			t.Errorf("memory: %+v", f)
		}
		r.world.publish("id-a", "new", now.Add(time.Millisecond))
		r.world.remove("id-a", "p3")
		sum = r.once(schedule.Filter{Account: "@A"})
		if a := sum.Accounts[0]; len(sum.Accounts) != 1 || a.New != 1 || a.Deleted != 1 || !a.Complete {
			t.Errorf("second summary: %+v", a)
		}
		if got := r.ladder("a"); slices.Contains(got, "p3") || len(got) != 12 {
			t.Errorf("ladder: %v", got)
		}
		r.journal.check(t)
		if n := r.metric("jauge_posts_known", "plume"); n != 13 {
			t.Errorf("known %v, want 13", n)
		}
		if n := r.metric("jauge_accounts", "plume", "live"); n != 2 {
			t.Errorf("live accounts %v, want 2", n)
		}
	})
}

func TestOneFailsTheRestGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.world.fail = func(call, account string) error {
			switch {
			case call == "resolve" && account == "nobody":
				return &jauge.Error{Op: "resolve handle", Reason: jauge.ReasonNotFound}
			case call == "list" && account == "id-b":
				return &jauge.Error{Op: "list posts", Reason: jauge.ReasonServer, Status: 502}
			}
			return nil
		}
		r.start("a", "b", "c", "nobody")
		defer r.close()
		for _, id := range []string{"id-a", "id-b", "id-c"} {
			r.world.publish(id, "p", time.Now())
		}
		sum := r.once(schedule.Filter{})
		var got []string
		for _, a := range sum.Accounts {
			got = append(got, fmt.Sprintf("%s %d %v %s", a.Handle, a.Pages, a.Complete, a.Reason))
		}
		want := []string{"a 2 true ", "b 1 false server", "c 2 true ", "nobody 0 false not_found"}
		if diff := cmp.Diff(want, got); diff != "" || sum.Failed != 2 {
			t.Errorf("failed %d (-want +got):\n%s", sum.Failed, diff)
		}
		if p := r.journal.of("id-b"); len(p) != 1 || p[0].Complete {
			t.Errorf("a run that failed keeps its pages without a mark: %+v", p)
		}
		if f := r.account("b"); f.Failure.Reason != jauge.ReasonServer || f.Failure.Count != 1 || !f.LastSuccess.IsZero() {
			t.Errorf("memory of b: %+v", f)
		}
		if f := r.account("nobody"); f.Failure.Reason != jauge.ReasonNotFound || !f.NextTry.After(time.Now()) {
			t.Errorf("memory of nobody: %+v", f)
		}
		st, err := r.s.Status(t.Context())
		if err != nil || len(st) != 4 || st[1].Failure.Reason != jauge.ReasonServer || st[0].NextRun.Before(time.Now()) {
			t.Errorf("status %+v %v", st, err)
		}
	})
}

func TestFilterThatMatchesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		for _, f := range []schedule.Filter{{Account: "x"}, {Platform: "nowhere"}, {Platform: plume, Account: "x"}} {
			if _, err := r.s.RunOnce(t.Context(), f, nil); err == nil {
				t.Errorf("filter %v: no error", f)
			}
		}
	})
}

// TestRunsNeverMeetInASecond reads one account three times as fast as it can.
func TestRunsNeverMeetInASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		began := time.Now()
		for range 3 {
			r.once(schedule.Filter{})
		}
		r.journal.check(t)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("three runs took %v", took)
		}
	})
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		r.once(schedule.Filter{})
		ahead := time.Now().Add(time.Hour)
		if _, err := r.db.Advance(t.Context(), jauge.Advance{Ref: r.account("a").Ref, Observed: ahead}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.once(schedule.Filter{})
		r.once(schedule.Filter{})
		pages := r.journal.of("id-a")
		last := pages[len(pages)-1]
		if !last.RunStart.After(ahead) || last.RunStart.Sub(ahead) > 3*time.Second || time.Since(began) > 3*time.Second {
			t.Errorf("run at %v after one at %v, took %v", last.RunStart, ahead, time.Since(began))
		}
		r.journal.check(t)
	})
}

func TestEmptyCompleteReadingHasItsMark(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		r.world.mute = true
		sum := r.once(schedule.Filter{})
		pages := r.journal.of("id-a")
		if len(pages) != 1 || !pages[0].Complete || !sum.Accounts[0].Complete {
			t.Errorf("pages %+v", pages)
		}
	})
}

func TestPageNeverTakenFailsItsRunAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		r.journal.setRefuse(func(n int) error {
			if n == 1 {
				return &jauge.Error{Op: "append page", Reason: jauge.ReasonBadRequest, Err: errors.New("too large")}
			}
			return nil
		})
		r.world.publish("id-a", "p", time.Now())
		sum := r.once(schedule.Filter{})
		if sum.Failed != 1 || len(r.journal.of("id-a")) != 0 || len(r.ladder("a")) != 0 {
			t.Errorf("summary %+v, ladder %v", sum, r.ladder("a"))
		}
		if sum = r.once(schedule.Filter{}); sum.Failed != 0 || len(r.ladder("a")) != 1 {
			t.Errorf("second run: %+v, ladder %v", sum, r.ladder("a"))
		}
	})
}
