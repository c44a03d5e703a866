package pages

import (
	"container/list"
	"sync"
)

// ended remembers sessions that were logged out, so that a copy of their cookie is worth nothing: on this replica, and
// as long as it runs. A session is sealed and kept by the browser alone, so more cannot be had without a store.
type ended struct {
	mu    sync.Mutex
	ids   map[string]bool
	order *list.List // oldest first
}

const mostEnded = 4096

func newEnded() *ended { return &ended{ids: map[string]bool{}, order: list.New()} }

func (e *ended) add(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ids[id] {
		return
	}
	e.ids[id] = true
	e.order.PushBack(id)
	if e.order.Len() > mostEnded {
		oldest, _ := e.order.Remove(e.order.Front()).(string)
		delete(e.ids, oldest)
	}
}

func (e *ended) has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ids[id]
}
