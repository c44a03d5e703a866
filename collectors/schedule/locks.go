package schedule

import (
	"context"
	"slices"
	"sync"
)

// locks lets one run at a time have an account; who comes first is served first. Only accounts that are in use cost
// memory.
type locks struct {
	mu   sync.Mutex
	held map[int64][]chan struct{} // who waits for it
}

// acquire waits until all accounts are free and takes them; they are taken in order, so that two groups never wait
// for each other. On error nothing is held.
func (l *locks) acquire(ctx context.Context, refs []int64) error {
	refs = slices.Clone(refs)
	slices.Sort(refs)
	for i, ref := range refs {
		if err := l.one(ctx, ref); err != nil {
			l.release(refs[:i])
			return err
		}
	}
	return nil
}

func (l *locks) one(ctx context.Context, ref int64) error {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[int64][]chan struct{}{}
	}
	if _, busy := l.held[ref]; !busy {
		l.held[ref] = nil
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.held[ref] = append(l.held[ref], turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	i := slices.Index(l.held[ref], turn)
	if i >= 0 {
		l.held[ref] = slices.Delete(l.held[ref], i, i+1)
	}
	l.mu.Unlock()
	if i < 0 { // the turn came at the same moment
		l.release([]int64{ref})
	}
	return context.Cause(ctx)
}

// try takes an account if it is free.
func (l *locks) try(ref int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, busy := l.held[ref]; busy {
		return false
	}
	if l.held == nil {
		l.held = map[int64][]chan struct{}{}
	}
	l.held[ref] = nil
	return true
}

func (l *locks) release(refs []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ref := range refs {
		waiting := l.held[ref]
		if len(waiting) == 0 {
			delete(l.held, ref)
			continue
		}
		l.held[ref] = waiting[1:]
		close(waiting[0])
	}
}
