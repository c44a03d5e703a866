package schedule_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge"
)

// settle is how long a run that was let in may take to begin: it waits for the next second, and behind others.
const settle = 3 * time.Second

// TestWhateverIsParked parks, pauses, wakes, forgets to wake and restarts at random while runs take their time and
// fail: nobody is read that may not be, nobody is read twice at once, whoever is woken is read within the bound, and
// whoever may be read is read every interval, woken or not.
func TestWhateverIsParked(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { parkings(t, seed) })
		})
	}
}

// closing is when an account was closed and opened.
type closing struct{ from, to time.Time }

func parkings(t *testing.T, seed uint64) {
	d := &dice{rnd: rand.New(rand.NewPCG(seed, 2)), on: true}
	r := newRig(t)
	n := 3 + d.intN(6)
	r.group, r.cfg.Parallel = 1+d.intN(4), 1+d.intN(3)
	r.world.delay = time.Duration(d.intN(20)) * time.Second
	bound := settle + time.Duration(2*n)*(r.world.delay+settle) // everybody may be before us, and be read once more
	for i := range n {
		g := fmt.Sprintf("g%d", d.intN(3))
		r.access.grant(fmt.Sprintf("id-a%d", i), g)
		r.access.grant(fmt.Sprintf("a%d", i), g)
	}
	names := handles(n)
	r.start(names...)
	closed := map[string][]closing{}
	woken := map[string][]time.Time{}
	opened := map[string]time.Time{}
	for _, name := range names {
		opened["id-"+name] = time.Now()
	}
	for range 6 { // restarts
		stop := r.going()
		for range 12 {
			time.Sleep(time.Duration(d.intN(5400)) * time.Second)
			h := names[d.intN(n)]
			id := "id-" + h
			last := len(closed[id]) - 1
			if last < 0 || !closed[id][last].to.IsZero() {
				err := []error{gone(), paused(), &jauge.Error{Reason: jauge.ReasonScope}}[d.intN(3)]
				r.access.set(h, err)
				r.access.set(id, err)
				closed[id] = append(closed[id], closing{from: time.Now()})
				continue
			}
			r.access.set(h, nil)
			r.access.set(id, nil)
			closed[id][last].to = time.Now()
			opened[id] = time.Now()
			if d.intN(3) > 0 {
				r.s.Wake(key(id), key(h))
				woken[id] = append(woken[id], time.Now())
			}
		}
		time.Sleep(2 * time.Hour) // longer than an interval, and than any bound
		for id, at := range opened {
			c := closed[id]
			if len(c) > 0 && c[len(c)-1].to.IsZero() {
				continue
			}
			if !readBetween(r.world.readsOf(id), at.Add(-time.Second), time.Now()) {
				t.Errorf("%s may be read since %v and was not", id, at)
			}
		}
		stop()
		r.close()
		r.start(names...)
	}
	r.close()
	for id, cs := range closed {
		held(t, r.world.readsOf(id), id, cs, woken[id], bound)
	}
	r.journal.check(t)
	if len(r.world.misuse) > 0 {
		t.Error(r.world.misuse)
	}
}

// held holds an account's reads against when it was closed and woken.
func held(t *testing.T, reads []time.Time, id string, cs []closing, woken []time.Time, bound time.Duration) {
	t.Helper()
	for _, c := range cs {
		if c.to.IsZero() {
			c.to = time.Now()
		}
		if readBetween(reads, c.from.Add(settle), c.to.Add(-time.Nanosecond)) {
			t.Errorf("%s was read while it was closed from %v to %v", id, c.from, c.to)
		}
	}
	for _, at := range woken {
		if !reclosed(cs, at, bound) && !readBetween(reads, at, at.Add(bound)) {
			t.Errorf("%s was woken at %v and not read within %v", id, at, bound)
		}
	}
}

// going runs the scheduler until stop is called.
func (r *rig) going() (stop func()) {
	r.tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.s.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			r.tb.Error(err)
		}
	}
}

func readBetween(reads []time.Time, from, to time.Time) bool {
	for _, at := range reads {
		if !at.Before(from) && !at.After(to) {
			return true
		}
	}
	return false
}

// reclosed tells whether an account was closed again before a bound after an instant had passed.
func reclosed(cs []closing, at time.Time, bound time.Duration) bool {
	for _, c := range cs {
		if c.from.After(at) && c.from.Before(at.Add(bound)) {
			return true
		}
	}
	return false
}
