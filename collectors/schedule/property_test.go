package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/schedule"
)

// dice fails this and that, with a probability that can be set to nothing.
type dice struct {
	mu  sync.Mutex
	rnd *rand.Rand
	on  bool
}

func (d *dice) roll(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.on && d.rnd.IntN(n) == 0
}

func (d *dice) intN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.IntN(n)
}

func (d *dice) set(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on = on
}

// TestWhateverFails lets everything fail at random, restarts in the middle, and holds the memory against the journal
// after every step: it never claims what was not acknowledged, and in the end no post is missing from the ladder.
func TestWhateverFails(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { history(t, seed) })
		})
	}
}

func history(t *testing.T, seed uint64) {
	d := &dice{rnd: rand.New(rand.NewPCG(seed, 1)), on: true}
	r := newRig(t)
	fl := &flaky{fail: func(string) error {
		if d.roll(12) {
			return errMemory // where it is Advance: as if killed between the journal and the memory
		}
		return nil
	}}
	r.st, r.group = fl, 1+d.intN(3)
	r.world.fail = func(call, _ string) error {
		if d.roll(12) {
			return &jauge.Error{Op: call, Reason: jauge.ReasonServer}
		}
		return nil
	}
	r.journal.refuse = func(int) error {
		switch {
		case d.roll(6):
			return errors.New("not now")
		case d.roll(40):
			return &jauge.Error{Op: "append", Reason: jauge.ReasonBadRequest}
		}
		return nil
	}
	names := handles(3)
	r.start(names...)
	published := 0
	for range 25 {
		for range d.intN(8) {
			published++
			id := fmt.Sprintf("id-a%d", d.intN(3))
			r.world.publish(id, fmt.Sprintf("p%d", published), time.Now().Add(-time.Duration(d.intN(1000))*time.Millisecond))
		}
		time.Sleep(time.Duration(1+d.intN(200)) * time.Minute)
		step(t, r, d)
		claims(t, r, names)
		if d.intN(4) == 0 {
			r.close()
			r.start(names...)
		}
	}
	d.set(false)
	r.once(schedule.Filter{})
	claims(t, r, names)
	for _, n := range names {
		got := r.ladder(n)
		for _, p := range r.world.posts["id-"+n] {
			if !slices.Contains(got, p.id) {
				t.Errorf("%s: post %s is not on the ladder", n, p.id)
			}
		}
	}
	r.journal.check(t)
	if len(r.world.misuse) > 0 {
		t.Error(r.world.misuse)
	}
	r.close()
}

// step reads everything once, or cuts such a reading short.
func step(t *testing.T, r *rig, d *dice) {
	t.Helper()
	ctx := context.Background()
	if d.intN(3) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(d.intN(3000))*time.Millisecond)
		defer cancel()
	}
	_, err := r.s.RunOnce(ctx, schedule.Filter{}, nil)
	if err != nil && !errors.Is(err, errMemory) && ctx.Err() == nil {
		t.Errorf("run: %v", err)
	}
}

// claims holds the memory against the journal.
func claims(t *testing.T, r *rig, names []string) {
	t.Helper()
	for _, n := range names {
		f := r.account(n)
		if f.Account.ID == "" {
			continue
		}
		pages := r.journal.of(f.Account.ID)
		acknowledged := map[string]bool{}
		stamps, marks := []time.Time{{}}, []time.Time{{}}
		for _, p := range pages {
			stamps = append(stamps, p.ObservedAt)
			if p.Complete {
				marks = append(marks, p.RunStart)
			}
			for _, o := range p.Observations {
				acknowledged[o.ID] = true
			}
		}
		if !slices.ContainsFunc(stamps, f.Observed.Equal) {
			t.Errorf("%s: the memory has a stamp %v that no page bears", n, f.Observed)
		}
		if !slices.ContainsFunc(marks, f.LastComplete.Equal) {
			t.Errorf("%s: the memory has a complete reading at %v that no page bears", n, f.LastComplete)
		}
		for _, id := range r.ladder(n) {
			if !acknowledged[id] {
				t.Errorf("%s: the memory knows post %s, which no page bears", n, id)
			}
		}
	}
}
