package schedule

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"jauge.dev/jauge"
)

// phase is an account's place within the interval between two firings of its platform's schedule, as a share of 2³².
type phase uint32

// entry is an account in the table: 16 bytes.
type entry struct {
	phase phase
	host  uint32
	ref   int64
}

// table holds a platform's accounts in the order of their phases.
type table struct {
	entries []entry
	hosts   []string
	hostIDs map[string]uint32
}

func lookupKey(handle string) string {
	return strings.ToLower(strings.TrimPrefix(strings.TrimSpace(handle), "@"))
}

// phaseOf spreads accounts evenly. It depends on the handle that config gives alone: an account has its place before
// it is resolved, and keeps it over restarts.
func phaseOf(p jauge.Platform, configured string) phase {
	h := fnv.New64a()
	_, _ = h.Write([]byte(string(p) + "/" + lookupKey(configured)))
	x := h.Sum64() // its upper bits barely depend on the last letters: mix
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return phase(x >> 32) //nolint:gosec // 32 bits are left
}

// hostOf tells which server an account lives on, as far as its handle or id does ("@acme@mastodon.example"): accounts
// of one server share batches, those of different ones are read in parallel.
func hostOf(f *jauge.Followed) string {
	for _, name := range []string{lookupKey(f.Configured), lookupKey(f.Account.ID)} {
		if i := strings.LastIndexByte(name, '@'); i >= 0 {
			return name[i+1:]
		}
	}
	return ""
}

func (t *table) add(f *jauge.Followed) entry {
	host := hostOf(f)
	id, ok := t.hostIDs[host]
	if !ok {
		if t.hostIDs == nil {
			t.hostIDs = map[string]uint32{}
		}
		id = uint32(len(t.hosts)) //nolint:gosec // one per account at most
		t.hosts, t.hostIDs[host] = append(t.hosts, host), id
	}
	p := placeOf(f)
	e := entry{p.phase, id, p.ref}
	t.entries = append(t.entries, e)
	return e
}

func (t *table) sort() {
	t.entries = slices.Clip(t.entries)
	slices.SortFunc(t.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.phase, b.phase), cmp.Compare(a.ref, b.ref))
	})
}

// replace gives an account another key in its place; the key's former place, if there is one, is given up.
func (t *table) replace(from, to int64) {
	t.entries = slices.DeleteFunc(t.entries, func(e entry) bool { return e.ref == to })
	for i := range t.entries {
		if t.entries[i].ref == from {
			t.entries[i].ref = to
			return
		}
	}
}

// find returns the entry of an account; without a key, that of any account in the same place.
func (t *table) find(p place) (entry, bool) {
	i := sort.Search(len(t.entries), func(i int) bool { return t.entries[i].phase >= p.phase })
	for ; i < len(t.entries) && t.entries[i].phase == p.phase; i++ {
		if p.ref == 0 || t.entries[i].ref == p.ref {
			return t.entries[i], true
		}
	}
	return entry{}, false
}

// byRef returns the entry of an account whose place is not at hand.
func (t *table) byRef(ref int64) (entry, bool) {
	i := slices.IndexFunc(t.entries, func(e entry) bool { return e.ref == ref })
	if i < 0 {
		return entry{}, false
	}
	return t.entries[i], true
}

// upTo counts the entries whose phase is at most p.
func (t *table) upTo(p phase) int {
	return sort.Search(len(t.entries), func(i int) bool { return t.entries[i].phase > p })
}

// take returns the accounts whose turn came after last and up to now, each once however long that is.
func (t *table) take(f *firing, last, now time.Time) []entry {
	if !now.After(last) {
		return nil
	}
	from, to := f.window(last), f.window(now)
	i, j := t.upTo(from.phase(last)), t.upTo(to.phase(now))
	switch {
	case from.start.Equal(to.start):
		return t.entries[i:j]
	case from.end.Equal(to.start) && i >= j:
		return slices.Concat(t.entries[i:], t.entries[:j])
	}
	return t.entries
}

// window is the interval between two firings.
type window struct{ start, end time.Time }

func (w window) phase(t time.Time) phase {
	share := float64(t.Sub(w.start)) / float64(w.end.Sub(w.start))
	return phase(min(math.MaxUint32, max(0, share*(1<<32))))
}

// at is the first instant that belongs to a phase.
func (w window) at(p phase) time.Time {
	return w.start.Add(time.Duration(math.Ceil(float64(p) / (1 << 32) * float64(w.end.Sub(w.start)))))
}

func (w window) length() time.Duration { return w.end.Sub(w.start) }

// firing knows the intervals of a schedule. It is used under its lane's lock.
type firing struct {
	spec cron.Schedule
	last window
}

// window returns the interval that an instant lies in. Intervals of "@every" begin at multiples of it, so that they
// are the same after a restart.
func (f *firing) window(t time.Time) window {
	if !t.Before(f.last.start) && t.Before(f.last.end) {
		return f.last
	}
	f.last = f.find(t.UTC())
	return f.last
}

func (f *firing) find(t time.Time) window {
	if d, ok := f.spec.(cron.ConstantDelaySchedule); ok {
		start := t.Truncate(d.Delay)
		return window{start, start.Add(d.Delay)}
	}
	end := f.spec.Next(t)
	if end.IsZero() { // a date that never comes
		end = t.AddDate(100, 0, 0)
	}
	for _, back := range []time.Duration{time.Hour, 25 * time.Hour, 8 * 24 * time.Hour, 366 * 24 * time.Hour} {
		start := f.spec.Next(t.Add(-back))
		if start.IsZero() || start.After(t) {
			continue
		}
		for range 100_000 { // at most one firing a minute is possible, and the short look back comes first
			next := f.spec.Next(start)
			if next.IsZero() || next.After(t) {
				break
			}
			start = next
		}
		return window{start, end}
	}
	return window{t.AddDate(-1, 0, 0), end}
}

// before returns the interval that ends where another begins.
func (f *firing) before(w window) window { return f.find(w.start.Add(-time.Nanosecond)) }
