package schedule

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"jauge.dev/jauge"
)

// Directory tells which brand an account belongs to, from memory: resolved accounts alone, those taken out of config
// included. It is safe for concurrent use; an account costs about 250 bytes.
type Directory struct {
	mu      sync.RWMutex
	members []jauge.Member
	places  []place // of members
	byKey   map[jauge.Key]int32
	byBrand map[string][]int32
	sorted  map[string][]jauge.Member // made when asked for, dropped when a member of the brand changes
}

func newDirectory() *Directory {
	d := &Directory{}
	d.fill(nil, nil)
	return d
}

// Lookup finds an account that is, or was, in config.
func (d *Directory) Lookup(k jauge.Key) (jauge.Member, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	i, ok := d.byKey[k]
	if !ok {
		return jauge.Member{}, false
	}
	return d.members[i], true
}

// Brand lists the accounts that are, or were last, listed under a brand, by platform and id. The caller must not
// change the list.
func (d *Directory) Brand(name string) []jauge.Member {
	d.mu.RLock()
	out, ok := d.sorted[name]
	d.mu.RUnlock()
	if ok {
		return out
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if out, ok := d.sorted[name]; ok {
		return out
	}
	out = make([]jauge.Member, 0, len(d.byBrand[name]))
	for _, i := range d.byBrand[name] {
		out = append(out, d.members[i])
	}
	slices.SortFunc(out, func(a, b jauge.Member) int {
		return cmp.Or(cmp.Compare(a.Account.Platform, b.Account.Platform), cmp.Compare(a.Account.ID, b.Account.ID))
	})
	if len(out) > 0 { // a name that nobody has is not remembered
		d.sorted[name] = out
	}
	return out
}

func memberOf(f *jauge.Followed) jauge.Member {
	m := jauge.Member{Account: f.Account}
	if m.Account.Handle == "" {
		m.Account.Handle = f.Configured
	}
	if !f.Removed.IsZero() {
		m.Gone, m.Removed = true, jauge.DayOf(f.Removed, time.UTC)
	}
	return m
}

// fill replaces everything.
func (d *Directory) fill(members []jauge.Member, places []place) {
	byKey := make(map[jauge.Key]int32, len(members))
	byBrand := map[string][]int32{}
	for i, m := range members {
		byKey[m.Account.Key()] = int32(i)                                     //nolint:gosec // accounts are fewer
		byBrand[m.Account.Brand] = append(byBrand[m.Account.Brand], int32(i)) //nolint:gosec // accounts are fewer
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.members, d.places, d.byKey, d.byBrand, d.sorted = members, places, byKey, byBrand, map[string][]jauge.Member{}
}

// place finds where an account stands in its platform's table.
func (d *Directory) place(k jauge.Key) (place, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	i, ok := d.byKey[k]
	if !ok {
		return place{}, false
	}
	return d.places[i], true
}

// put adds or changes one member.
func (d *Directory) put(m jauge.Member, p place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, known := d.byKey[m.Account.Key()]
	if known {
		was := d.members[i]
		d.places[i] = p
		if was == m {
			return
		}
		delete(d.sorted, was.Account.Brand)
		if was.Account.Brand != m.Account.Brand {
			old := d.byBrand[was.Account.Brand]
			d.byBrand[was.Account.Brand] = slices.DeleteFunc(old, func(j int32) bool { return j == i })
			d.byBrand[m.Account.Brand] = append(d.byBrand[m.Account.Brand], i)
		}
		d.members[i] = m
	} else {
		i = int32(len(d.members)) //nolint:gosec // accounts are fewer
		d.members, d.places, d.byKey[m.Account.Key()] = append(d.members, m), append(d.places, p), i
		d.byBrand[m.Account.Brand] = append(d.byBrand[m.Account.Brand], i)
	}
	delete(d.sorted, m.Account.Brand)
}

// rename changes the handle of a member.
func (d *Directory) rename(k jauge.Key, handle string) {
	m, ok := d.Lookup(k)
	p, known := d.place(k)
	if !ok || !known {
		return
	}
	m.Account.Handle = handle
	d.put(m, p)
}
