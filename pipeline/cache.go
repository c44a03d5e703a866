package pipeline

import (
	"cmp"
	"maps"
	"slices"
	"sort"

	"jauge.dev/jauge"
)

// trim lets go of days, runs and posts of an account that no window needs any more.
func (p *Pipeline) trim(a *account) {
	from := a.running()
	ladder := int64(p.cfg.LadderEnd)
	for _, po := range a.posts {
		if a.onLadder(po, ladder) && po.last != 0 {
			from = min(from, dayOf(po.last, a.plat.zone))
		}
	}
	if from-baseDays < a.baseDay+7 {
		return
	}
	a.recent = nil
	for k, c := range a.cells {
		if k.day < from-baseDays {
			delete(a.cells, k)
		} else if k.day < from && k.day >= a.from {
			a.dayValues(k, c, c.sum) // as stored from now on: zeros included
		}
	}
	a.from, a.baseDay = from, from-baseDays
	a.rowsFrom = startOf(a.baseDay, a.plat.zone) - rowsReach
	a.dropRuns(a.rowsFrom)
	a.dropPosts(startOf(a.baseDay, a.plat.zone), ladder)
	for k, f := range a.figures {
		if f.start < a.rowsFrom {
			delete(a.figures, k)
		}
	}
	a.fresh = false
	for k := range a.pubs {
		if startOf(k.day, a.plat.zone) < a.postsFrom {
			delete(a.pubs, k)
		}
	}
}

func (a *account) dropRuns(before int64) {
	i := sort.Search(len(a.runs), func(i int) bool { return a.runs[i].time >= before })
	for _, r := range a.runs[:i] {
		if r.complete {
			a.earlier = r.time
		}
	}
	a.runs = slices.Clone(a.runs[i:])
}

func (a *account) dropPosts(before int64, ladder int64) {
	limit := min(before, a.newest-ladder-dayNanos)
	a.postsFrom = max(a.postsFrom, startOf(dayOf(limit, a.plat.zone), a.plat.zone)) // whole days, for pubs
	maps.DeleteFunc(a.posts, func(_ string, po *post) bool { return po.time < a.postsFrom })
	maps.DeleteFunc(a.slots, func(_ int64, id string) bool { return a.posts[id] == nil })
}

// evict keeps the cache within its bound: first by dropping days of KPI rows that are no longer worked on, then by
// dropping what was used longest ago. Everything can be read back.
func (p *Pipeline) evict() {
	all := p.cached()
	if all > p.cfg.CacheBytes {
		for _, b := range p.brands {
			p.trimBrand(b)
		}
		all = p.cached()
	}
	p.met.cacheBytes.Set(float64(all))
	if all <= p.cfg.CacheBytes {
		return
	}
	type item struct {
		used  uint64
		bytes int
		drop  func()
	}
	items := make([]item, 0, len(p.accounts)+len(p.brands))
	for k, c := range p.accounts {
		items = append(items, item{c.used, c.size(), func() { delete(p.accounts, k) }})
	}
	for name, b := range p.brands {
		items = append(items, item{b.used, b.size(len(p.kpis)), func() { delete(p.brands, name) }})
	}
	slices.SortFunc(items, func(x, y item) int { return cmp.Compare(x.used, y.used) })
	for _, it := range items {
		if all <= p.cfg.CacheBytes*3/4 {
			return
		}
		it.drop()
		all -= it.bytes
	}
}

// cached estimates what is kept in memory, in bytes.
func (p *Pipeline) cached() (all int) {
	for _, c := range p.accounts {
		all += c.size()
	}
	for _, b := range p.brands {
		all += b.size(len(p.kpis))
	}
	return all
}

// trimBrand drops the KPI rows of days that are no longer worked on.
func (p *Pipeline) trimBrand(b *brand) {
	newest := jauge.Day(0)
	for k := range b.blocks {
		newest = max(newest, k.day)
	}
	if newest-b.from < 20 {
		return
	}
	b.from = newest - 10
	for k := range b.blocks {
		if k.day < b.from {
			delete(b.blocks, k)
		}
	}
}
