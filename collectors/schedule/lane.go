package schedule

import (
	"context"
	"errors"
	"sync"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// tickEvery is the cron schedule of a lane's ticks.
type tickEvery time.Duration

// Next returns the next multiple of the tick.
func (t tickEvery) Next(now time.Time) time.Time {
	return now.Truncate(time.Duration(t)).Add(time.Duration(t))
}

// wait says what a pending account waits for.
type wait uint8

const (
	waitsLater wait = iota + 1 // for an instant of its own
	waitsTurn                  // in the queue, or running
)

// pending is what an account waits for, and until when.
type pending struct {
	what wait
	at   time.Time // of waitsLater
}

// lane is the scheduled work of one platform.
type lane struct {
	s         *Scheduler
	platform  collectors.Platform
	collector collectors.Collector
	group     int

	mu      sync.Mutex
	firing  firing
	table   table
	queue   queue
	later   later
	pending map[int64]pending
	woken   map[int64]struct{} // to be looked at anew, although read lately or refused
	paced   time.Time          // up to here accounts were woken
	last    time.Time          // up to here turns were taken
	running int                // groups
	closed  bool
}

// start begins to count turns now and returns how often to tick: often enough to spread the work, seldom enough for
// groups to fill.
func (l *lane) start(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = now
	every := l.firing.window(now).length() / 60
	return min(longestTick, max(time.Second, every.Truncate(time.Second)))
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// tick queues the accounts whose turn has come and starts groups.
func (l *lane) tick(ctx context.Context, now time.Time) {
	l.mu.Lock()
	for _, e := range l.table.take(&l.firing, l.last, now) {
		switch l.pending[e.ref].what {
		case waitsLater: // comes anyway, soon
		case waitsTurn:
			l.s.metrics.run(l.platform.Name, collectors.TaskRefresh, outcomeOverlap)
		default:
			l.enqueue(e)
		}
	}
	l.last = now // also where the clock was set back: then turns are taken again, and skipped as too early
	for _, e := range l.later.due(now) {
		l.enqueue(e)
	}
	l.pump(ctx)
	l.mu.Unlock()
}

// enqueue lets an account wait for a free slot. The lane is locked.
func (l *lane) enqueue(e entry) {
	l.pending[e.ref] = pending{what: waitsTurn}
	l.queue.push(e)
}

// put makes an appointment. The lane is locked.
func (l *lane) put(at time.Time, e entry) {
	l.pending[e.ref] = pending{waitsLater, at}
	l.later.put(at, e)
}

// pump starts groups while there are some waiting and slots free. The lane is locked.
func (l *lane) pump(ctx context.Context) {
	for !l.closed && l.running < l.s.cfg.Parallel {
		b, ok := l.queue.pop(l.group)
		if !ok {
			return
		}
		l.running++
		l.s.groups.Go(func() {
			refs := l.part(ctx, b)
			retries := l.s.scheduled(ctx, l, refs, l.takeWoken(refs))
			l.mu.Lock()
			defer l.mu.Unlock()
			l.running--
			l.ended(refs, retries)
			l.pump(ctx)
		})
	}
}

// part gives back to the queue what cannot be read in one call with the first account.
func (l *lane) part(ctx context.Context, b batch) []int64 {
	if b.parted {
		return b.refs
	}
	parts := l.s.parts(ctx, b.refs)
	if len(parts) > 1 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.queue.putBack(b.host, parts[1:])
		l.pump(ctx)
	}
	return parts[0]
}

// takeWoken takes out who of a group that begins was woken until now: who is woken from here on is read once more.
func (l *lane) takeWoken(refs []int64) map[int64]struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out map[int64]struct{}
	for _, ref := range refs {
		if _, ok := l.woken[ref]; !ok {
			continue
		}
		if out == nil {
			out = map[int64]struct{}{}
		}
		out[ref] = struct{}{}
		delete(l.woken, ref)
	}
	return out
}

// ended lets the accounts of a group that has ended wait for their next turn, retry, or, where they were woken
// meanwhile, for a free slot. The lane is locked.
func (l *lane) ended(refs []int64, retries []appointment) {
	for _, ref := range refs {
		delete(l.pending, ref)
	}
	for _, a := range retries {
		l.put(a.at, a.entry)
	}
	for _, ref := range refs {
		if _, ok := l.woken[ref]; !ok {
			continue
		}
		if l.pending[ref].what == waitsLater {
			l.later.drop(ref)
		}
		if e, ok := l.table.byRef(ref); ok {
			l.enqueue(e)
		} else {
			delete(l.woken, ref)
			delete(l.pending, ref)
		}
	}
}

// scheduled runs a group whose turn has come and returns the retries that it asks for.
func (s *Scheduler) scheduled(ctx context.Context, l *lane, refs []int64, woken map[int64]struct{}) []appointment {
	res, err := s.runGroup(ctx, l, work{task: collectors.TaskRefresh, refs: refs, scheduled: true, woken: woken})
	if err != nil && !errors.Is(err, errStopping) && ctx.Err() == nil {
		s.log.Error("group of accounts could not be run", "platform", l.platform.Name, "accounts", len(refs), "error", err)
	}
	var out []appointment
	for _, a := range res {
		if at, ok := s.retryAt(l, a); ok {
			out = append(out, appointment{at, entry{ref: a.f.Ref, host: l.hostOf(&a.f)}})
		}
	}
	return out
}

func (l *lane) hostOf(f *jauge.Followed) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.hostIDs[hostOf(f)]
}

// retryAt says when a failed run is tried again: within the account's interval, a bounded number of times, and only
// where that may help without anybody's help.
func (s *Scheduler) retryAt(l *lane, a *account) (time.Time, bool) {
	tries := a.f.Failure.Count // before this failure
	if a.err == nil || s.stopped() || tries >= s.cfg.Retries || !jauge.ReasonOf(a.err).Temporary() {
		return time.Time{}, false
	}
	wait := s.cfg.RetryAfter << (2 * tries)
	if e, ok := errors.AsType[*jauge.Error](a.err); ok {
		wait = max(wait, e.RetryAfter)
	}
	now := time.Now().UTC()
	at := now.Add(jitter(wait))
	return at, at.Before(l.nextTurn(&a.f, now))
}

// nextTurn is when an account's next regular run begins, give or take a tick.
func (l *lane) nextTurn(f *jauge.Followed, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nextAt(phaseOf(l.platform.Name, f.Configured), now)
}

// nextAt is when a phase comes next. The lane is locked.
func (l *lane) nextAt(p phase, now time.Time) time.Time {
	w := l.firing.window(now)
	if at := w.at(p); at.After(now) {
		return at
	}
	next := l.firing.find(w.end)
	return next.at(p)
}

// lastTurn is when an account's turn came last. The lane is locked.
func (l *lane) lastTurn(p phase, now time.Time) time.Time {
	w := l.firing.window(now)
	if at := w.at(p); !at.After(now) {
		return at
	}
	prev := l.firing.before(w)
	return prev.at(p)
}
