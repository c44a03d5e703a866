package rest

import (
	"container/list"
	"sync"
	"time"
)

// idleAfter is how long a state is kept that nobody asks for.
const idleAfter = time.Hour

// idleMap holds one state per key and forgets those that nobody asked for: after an hour, and the longest unused
// first where there would be more than bound. A state that a call still holds goes on working for that call.
type idleMap[V any] struct {
	mu    sync.Mutex
	bound int
	fresh func(key string) V
	byKey map[string]*list.Element
	used  *list.List // of *idleEntry[V], last used first
}

type idleEntry[V any] struct {
	key   string
	value V
	used  time.Time
}

func newIdleMap[V any](bound int, fresh func(key string) V) *idleMap[V] {
	return &idleMap[V]{bound: bound, fresh: fresh, byKey: map[string]*list.Element{}, used: list.New()}
}

func (m *idleMap[V]) get(key string) V {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byKey[key]
	if ok {
		m.used.MoveToFront(e)
	} else {
		e = m.used.PushFront(&idleEntry[V]{key: key, value: m.fresh(key)})
		m.byKey[key] = e
	}
	entry := e.Value.(*idleEntry[V]) //nolint:forcetypeassert // only this type is put in
	entry.used = now
	m.trim(now)
	return entry.value
}

// trim forgets what is idle or too much. The states of the list's end are the longest unused.
func (m *idleMap[V]) trim(now time.Time) {
	for e := m.used.Back(); e != nil; e = m.used.Back() {
		entry := e.Value.(*idleEntry[V]) //nolint:forcetypeassert // only this type is put in
		if len(m.byKey) <= m.bound && now.Sub(entry.used) < idleAfter {
			return
		}
		m.used.Remove(e)
		delete(m.byKey, entry.key)
	}
}

// all gives the states at hand.
func (m *idleMap[V]) all() []V {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trim(time.Now())
	out := make([]V, 0, len(m.byKey))
	for e := m.used.Front(); e != nil; e = e.Next() {
		out = append(out, e.Value.(*idleEntry[V]).value) //nolint:forcetypeassert // only this type is put in
	}
	return out
}
