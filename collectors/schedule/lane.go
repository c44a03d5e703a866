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
	pending map[int64]wait
	last    time.Time // up to here turns were taken
	running int       // groups
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
		switch l.pending[e.ref] {
		case waitsLater: // comes anyway, soon
		case waitsTurn:
			l.s.metrics.run(l.platform.Name, collectors.TaskRefresh, outcomeOverlap)
		default:
			l.pending[e.ref] = waitsTurn
			l.queue.push(e)
		}
	}
	l.last = now // also where the clock was set back: then turns are taken again, and skipped as too early
	for _, e := range l.later.due(now) {
		l.pending[e.ref] = waitsTurn
		l.queue.push(e)
	}
	l.pump(ctx)
	l.mu.Unlock()
}

// pump starts groups while there are some waiting and slots free. The lane is locked.
func (l *lane) pump(ctx context.Context) {
	for !l.closed && l.running < l.s.cfg.Parallel {
		refs := l.queue.pop(l.group)
		if refs == nil {
			return
		}
		l.running++
		l.s.groups.Go(func() {
			retries := l.s.scheduled(ctx, l, refs)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.running--
			for _, ref := range refs {
				delete(l.pending, ref)
			}
			for _, a := range retries {
				l.pending[a.ref] = waitsLater
				l.later.put(a.at, a.entry)
			}
			l.pump(ctx)
		})
	}
}

// scheduled runs a group whose turn has come and returns the retries that it asks for.
func (s *Scheduler) scheduled(ctx context.Context, l *lane, refs []int64) []appointment {
	res, err := s.runGroup(ctx, l, work{task: collectors.TaskRefresh, refs: refs, scheduled: true})
	if err != nil {
		if !errors.Is(err, errStopping) && ctx.Err() == nil {
			s.log.Error("group of accounts could not be run", "platform", l.platform.Name, "accounts", len(refs), "error", err)
		}
		return nil
	}
	var out []appointment
	for _, a := range res {
		if at, ok := s.retryAt(l, a); ok {
			out = append(out, appointment{at, entry{ref: a.f.Ref, host: l.hostOf(a.f.Configured)}})
		}
	}
	return out
}

func (l *lane) hostOf(configured string) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.hostIDs[hostOf(configured)]
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
	return at, at.Before(l.nextTurn(a.f.Configured, now))
}

// nextTurn is when an account's next regular run begins, give or take a tick.
func (l *lane) nextTurn(configured string, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := phaseOf(l.platform.Name, configured)
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
