package oauth

import (
	"maps"
	"slices"
	"sync"

	"jauge.dev/jauge"
)

// entry is a record at a revision. Its record is never changed: a change makes another one.
type entry struct {
	rec *record
	rev uint64
}

// place is where an account is found: a grant, and the number of its follow.
type spot struct {
	grant string
	nr    int
}

// view holds the grants in memory, as the store had them when it was read or written last.
type view struct {
	mu       sync.RWMutex
	grants   map[string]entry
	accounts map[string]spot // by platform/id and by platform/handle; nil after a change
}

func newView() *view { return &view{grants: map[string]entry{}} }

func (w *view) get(id string) (entry, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	e, ok := w.grants[id]
	return e, ok
}

// put keeps an entry unless a newer one is known.
func (w *view) put(e entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have, ok := w.grants[e.rec.ID]; ok && have.rev >= e.rev {
		return
	}
	w.grants[e.rec.ID] = e
	w.accounts = nil
}

// drop forgets a grant, unless it is known at a newer revision than the one that is gone.
func (w *view) drop(id string, rev uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have, ok := w.grants[id]; ok && have.rev <= rev {
		delete(w.grants, id)
		w.accounts = nil
	}
}

// all gives the entries in the order of their ids: that in which they were made.
func (w *view) all() []entry {
	w.mu.RLock()
	defer w.mu.RUnlock()
	out := make([]entry, 0, len(w.grants))
	for _, id := range slices.Sorted(maps.Keys(w.grants)) {
		out = append(out, w.grants[id])
	}
	return out
}

// find finds the follow of an account: by its id, or where that is unknown or leads nowhere by its handle.
func (w *view) find(a jauge.Account) (entry, *followRecord, bool) {
	w.mu.RLock()
	if w.accounts == nil {
		w.mu.RUnlock()
		w.index()
		w.mu.RLock()
	}
	defer w.mu.RUnlock()
	s, ok := spot{}, false
	if a.ID != "" {
		s, ok = w.accounts[followKey(a.Platform, a.ID)]
	}
	if !ok && a.Handle != "" {
		s, ok = w.accounts[handleKey(a.Platform, a.Handle)]
	}
	if !ok {
		return entry{}, nil, false
	}
	e := w.grants[s.grant]
	if e.rec == nil || s.nr >= len(e.rec.Follows) {
		return entry{}, nil, false
	}
	return e, &e.rec.Follows[s.nr], true
}

// index makes the map of accounts anew. Where several grants open one account, one that works goes before one that does
// not, and the one chosen last before the others; ids go before handles.
func (w *view) index() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.accounts != nil {
		return
	}
	ids, handles := map[string]spot{}, map[string]spot{}
	better := func(m map[string]spot, key string, s spot, f *followRecord, r *record) {
		have, ok := m[key]
		if ok {
			other := w.grants[have.grant].rec
			if a, b := r.State.Parked(), other.State.Parked(); a != b {
				ok = a
			} else {
				ok = !f.Added.After(other.Follows[have.nr].Added)
			}
		}
		if !ok {
			m[key] = s
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.grants)) {
		r := w.grants[id].rec
		for i := range r.Follows {
			f := &r.Follows[i]
			better(ids, f.key(), spot{id, i}, f, r)
			if f.Handle != "" {
				better(handles, handleKey(f.Platform, f.Handle), spot{id, i}, f, r)
			}
		}
	}
	maps.Copy(handles, ids)
	w.accounts = handles
}
