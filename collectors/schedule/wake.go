package schedule

import (
	"math/rand/v2"
	"time"

	"jauge.dev/jauge"
)

// wakeBurst is how many accounts of a platform are woken at once before they are spread.
const wakeBurst = 100

// place is where an account stands in its platform's table.
type place struct {
	ref   int64
	phase phase
}

func placeOf(f *jauge.Followed) place {
	return place{f.Ref, phaseOf(f.Account.Platform, f.Configured)}
}

// Wake looks at accounts again that were parked or paused, and reads them as soon as there is room: whoever holds the
// grants calls it when one is connected anew. An account that was never resolved is named by its handle; a key
// without an account wakes all that are parked of the platform. An account that is being read is read once more, one
// that Access still refuses stays parked, one that is not followed is left out. Many are spread over time.
//
// It returns at once, may be called by any goroutine and before Run, and does nothing without Run.
func (s *Scheduler) Wake(accounts ...jauge.Key) {
	now := time.Now().UTC()
	for _, k := range accounts {
		l := s.lanes[k.Platform]
		switch {
		case l == nil:
		case k.Account == "":
			s.wakeParked(l, now)
		default:
			l.wake(s.placesOf(k), now)
		}
	}
	s.nudge()
}

// nudge has Run look at once at what is due.
func (s *Scheduler) nudge() {
	select {
	case s.kick <- struct{}{}:
	default: // one is on its way
	}
}

func (s *Scheduler) wakeParked(l *lane, now time.Time) {
	s.mu.Lock()
	var refs []int64
	for ref := range s.parked {
		refs = append(refs, ref)
	}
	s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ref := range refs { // of all platforms: those of others are not in the table
		if e, ok := l.table.byRef(ref); ok {
			l.rouse(e, now)
		}
	}
}

// placesOf finds an account by its id, else by its handle.
func (s *Scheduler) placesOf(k jauge.Key) place {
	if p, ok := s.dir.place(k); ok {
		return p
	}
	return place{phase: phaseOf(k.Platform, k.Account)}
}

// wake makes an appointment for an account, at once or soon.
func (l *lane) wake(p place, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.table.find(p); ok {
		l.rouse(e, now)
	}
}

// rouse wakes an account of the table. The lane is locked.
func (l *lane) rouse(e entry, now time.Time) {
	l.woken[e.ref] = struct{}{}
	switch l.pending[e.ref].what {
	case waitsTurn: // its run heeds it, or, where that has begun, is made once more
		return
	case waitsLater:
		l.later.drop(e.ref)
	}
	l.put(l.pace(now), e)
}

// pace spreads accounts that are woken one by one: a burst at once, the rest at the pace of catching up.
func (l *lane) pace(now time.Time) time.Time {
	if idle := now.Add(-wakeBurst * catchUpPace); l.paced.Before(idle) {
		l.paced = idle
	}
	next := l.paced.Add(catchUpPace)
	if next.Sub(now) > l.s.cfg.CatchUp {
		return now.Add(rand.N(l.s.cfg.CatchUp + 1))
	}
	l.paced = next
	if next.Before(now) {
		return now
	}
	return next
}

// Next returns when an account is read next, in UTC, give or take a tick; false where it is parked, paused or not
// followed. An account that was never resolved is named by its handle.
func (s *Scheduler) Next(k jauge.Key) (time.Time, bool) {
	l := s.lanes[k.Platform]
	if l == nil {
		return time.Time{}, false
	}
	f := jauge.Followed{Account: jauge.Account{Platform: k.Platform}, Configured: k.Account}
	if m, ok := s.dir.Lookup(k); ok {
		f.Account = m.Account
	}
	if s.ask(&f).parked() {
		return time.Time{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.table.find(s.placesOf(k))
	if !ok {
		return time.Time{}, false
	}
	return l.nextOf(e, time.Now().UTC()), true
}

// next is when an account is read next, whether it stands in the table already or not.
func (l *lane) next(f *jauge.Followed, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := placeOf(f)
	if e, ok := l.table.find(at); ok {
		return l.nextOf(e, now)
	}
	return l.nextAt(at.phase, now)
}

// nextOf is when an account of the table is read next. The lane is locked.
func (l *lane) nextOf(e entry, now time.Time) time.Time {
	switch t := l.pending[e.ref]; t.what {
	case waitsTurn:
		return now
	case waitsLater:
		if t.at.After(now) {
			return t.at
		}
		return now
	}
	return l.nextAt(e.phase, now)
}
