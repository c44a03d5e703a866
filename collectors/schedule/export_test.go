package schedule

import (
	"time"

	"jauge.dev/jauge"
)

// Turns does what a tick does up to the start of groups, and returns how many accounts had their turn.
func (s *Scheduler) Turns(p jauge.Platform, now time.Time) (n int) {
	l := s.lanes[p]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last.IsZero() {
		l.last = now
	}
	for _, e := range l.table.take(&l.firing, l.last, now) {
		l.enqueue(e)
	}
	l.last = now
	for b, ok := l.queue.pop(l.group); ok; b, ok = l.queue.pop(l.group) {
		n += len(b.refs)
		for _, ref := range b.refs {
			delete(l.pending, ref)
		}
	}
	return n
}
