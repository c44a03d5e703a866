package schedule_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/collectors/schedule"
)

const day = 24 * time.Hour

func TestNextDue(t *testing.T) {
	t.Parallel()
	published := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		age  time.Duration
		want time.Duration // after the reading; 0: never
	}{
		{-48 * time.Hour, time.Hour}, // published in the future, its author says
		{0, time.Hour}, {day - 1, time.Hour},
		{day, 6 * time.Hour}, {7*day - 1, 6 * time.Hour},
		{7 * day, day}, {30*day - 1, day},
		{30 * day, 7 * day}, {83*day - 1, 7 * day}, {84 * day, 6 * day}, {90*day - 1, 1}, {90 * day, 0}, {5000 * day, 0},
	} {
		read := published.Add(c.age)
		got := schedule.NextDue(published, read)
		if c.want == 0 && got.IsZero() {
			continue
		}
		if got.Sub(read) != c.want {
			t.Errorf("age %v: due at %v, want %v after the reading", c.age, got, c.want)
		}
	}
	if got := (schedule.Ladder{}).Next(published, published); !got.IsZero() {
		t.Errorf("an empty ladder: %v", got)
	}
}

// TestLadderInUse follows one post down a short ladder with hourly runs, among newer ones that keep it off the first
// listing page, and counts how often it was asked for at what age.
func TestLadderInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.Ladder = schedule.Ladder{{day, time.Hour}, {3 * day, 6 * time.Hour}, {6 * day, day}}
		r.start("a")
		defer r.close()
		born := time.Now().Add(-6 * time.Hour)
		r.world.publish("id-a", "old", born)
		for i := range 10 {
			r.world.publish("id-a", fmt.Sprintf("p%d", i), born.Add(time.Duration(i+1)*30*time.Minute))
		}
		r.run(8 * day)
		asked := map[string]int{}
		for _, rd := range r.world.reads {
			for _, d := range rd.due {
				if d.ID != "old" {
					continue
				}
				if d.Rank != 10 {
					t.Fatalf("rank %d, want 10", d.Rank)
				}
				switch age := rd.at.Sub(born); {
				case age < day:
					asked["first"]++
				case age < 3*day:
					asked["second"]++
				case age < 6*day:
					asked["third"]++
				default:
					asked["after"]++
				}
			}
		}
		// The first reading of each rung comes at the pace of the one before, and one more comes as the ladder ends.
		for _, c := range []struct {
			rung     string
			min, max int
		}{{"first", 16, 18}, {"second", 7, 9}, {"third", 3, 5}, {"after", 0, 0}} {
			if n := asked[c.rung]; n < c.min || n > c.max {
				t.Errorf("%s rung: asked for %d times, want %d to %d", c.rung, n, c.min, c.max)
			}
		}
		if got := r.ladder("a"); len(got) != 0 {
			t.Errorf("still on the ladder after 8 days: %v", got)
		}
	})
}

func TestPostOfTheFutureDoesNotStopListing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).start("a")
		defer r.close()
		r.world.publish("id-a", "future", time.Now().Add(1000*time.Hour))
		r.once(schedule.Filter{})
		if f := r.account("a"); f.Newest.After(time.Now().Add(time.Second)) {
			t.Errorf("newest %v lies in the future", f.Newest)
		}
		posts, err := r.db.Due(t.Context(), r.account("a").Ref, time.Now().Add(time.Hour))
		if err != nil || len(posts) != 1 {
			t.Errorf("due within the hour: %v %v", posts, err)
		}
	})
}
