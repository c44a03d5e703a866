package pipeline

import (
	"maps"
	"math"
	"slices"

	"jauge.dev/jauge"
)

// writeDays brings the touched days' rows up to date: those that changed go into out.main, those that should not be
// there into out.deletes. Days that became final are touched by it.
func (p *Pipeline) writeDays(a *account, out *rows) {
	a.ensureCells()
	p.finalise(a)
	frozen := a.frozen(int64(p.cfg.HistoryRetention))
	for _, k := range a.cellKeys() {
		if _, ok := a.touched[k.day]; !ok {
			continue
		}
		c := a.cells[k]
		if k.day < frozen {
			p.writePublished(a, k, c, out)
			continue
		}
		rec, ok := a.dailyRow(k, c)
		if !ok {
			if c.stored != 0 {
				out.deletes = append(out.deletes, rec)
				c.stored = 0
			}
			continue
		}
		if h := fingerprint(&rec); h != c.stored {
			rec.Replace = c.stored != 0 && k.day >= a.from && c.width > len(rec.Values)
			c.stored, c.width = h, len(rec.Values)
			out.main = append(out.main, rec)
		}
	}
}

// writePublished writes what alone may change on a frozen day: how many posts were published on it.
func (p *Pipeline) writePublished(a *account, k dayFormat, c *cell, out *rows) {
	n, ok := a.pubs[k]
	if !ok || (c.stored != 0 && c.published == n) {
		return
	}
	rec := jauge.Record{Schema: dailySchema, Time: startOf(k.day, a.plat.zone), Tags: a.postTags(k.format)}
	rec.Values = append(rec.Values, jauge.TextValue(dailyCol.day, k.day.String()))
	if c.stored == 0 {
		rec.Values = append(rec.Values, jauge.FlagValue(dailyCol.final, true), jauge.FlagValue(dailyCol.estimated, false))
		c.final = true
	}
	rec.Values = append(rec.Values, jauge.FloatValue(dailyCol.published, n))
	c.stored, c.published = 1, n
	out.main = append(out.main, rec)
}

// ensureCells makes a cell for each format on each touched day, so that zeros can be written.
func (a *account) ensureCells() {
	for d := range a.touched {
		covered := a.coversDay(d)
		end := startOf(d+1, a.plat.zone)
		for f, first := range a.formats {
			if (covered && first < end) || a.pubs[dayFormat{d, f}] > 0 {
				a.cell(d, f)
			}
		}
	}
}

func (a *account) cellKeys() []dayFormat {
	return slices.SortedFunc(maps.Keys(a.cells), func(x, y dayFormat) int {
		if x.day != y.day {
			return int(x.day - y.day)
		}
		if x.format < y.format {
			return -1
		}
		if x.format > y.format {
			return 1
		}
		return 0
	})
}

// finalise tells of each exact day whether anything can still change it (rule 12): only posts that are still re-read
// and were not read since can. A post that came back makes days open again.
func (p *Pipeline) finalise(a *account) {
	type wait struct{ pub, last int64 }
	var waiting []wait
	ladder, today := int64(p.cfg.LadderEnd), startOf(a.running(), a.plat.zone)
	for _, po := range a.posts {
		if a.onLadder(po, ladder) && po.last < today && po.pub < today {
			waiting = append(waiting, wait{po.pub, po.last})
		}
	}
	known := map[jauge.Day]bool{}
	for k, c := range a.cells {
		if k.day >= a.running() {
			continue
		}
		final, ok := known[k.day]
		if k.day < a.from {
			final = true // every post that is still re-read was read since
		} else if !ok {
			end := startOf(k.day+1, a.plat.zone)
			final = !slices.ContainsFunc(waiting, func(w wait) bool { return w.pub < end && w.last < end })
			known[k.day] = final
		}
		if c.final != final {
			c.final = final
			a.touch(k.day)
		}
	}
}

// dayTotal is what all formats together gained in a day.
type dayTotal struct {
	vals      []float64 // atoms, then sums; NaN where no row has a value
	published float64   // NaN where none
	estimated uint64    // bit by bit like vals, and publishedBit: a row with that number is estimated
	rows      bool
}

// publishedBit stands for posts_published among the bits of dayTotal.estimated.
const publishedBit = 1 << 63

// totals folds the cells of the days [from, to] over formats; the result has one entry a day.
func (a *account) totals(from, to jauge.Day) []dayTotal {
	if to < from {
		return nil
	}
	out := make([]dayTotal, to-from+1)
	for i := range out {
		out[i] = dayTotal{vals: a.plat.nans(), published: math.NaN()}
	}
	vals := a.nans()
	for k, c := range a.cells {
		if k.day < from || k.day > to {
			continue
		}
		t := &out[k.day-from]
		published := a.dayValues(k, c, vals)
		some := !math.IsNaN(published)
		bit := uint64(0)
		if c.estimated {
			bit = 1
		}
		if some {
			t.published = plus(t.published, published)
			t.estimated |= bit * publishedBit
		}
		for i, v := range vals {
			if !math.IsNaN(v) {
				t.vals[i] = plus(t.vals[i], v)
				t.estimated |= bit << i
				some = true
			}
		}
		for i, sm := range a.plat.sums {
			if v := total(vals, sm.parts, a.plat.varies); !math.IsNaN(v) {
				t.vals[len(vals)+i] = plus(t.vals[len(vals)+i], v)
				t.estimated |= bit << (len(vals) + i)
			}
		}
		t.rows = t.rows || some
	}
	for i := range out {
		if t := &out[i]; !t.rows && a.coversDay(from+jauge.Day(i)) { //nolint:gosec // few days
			t.published = 0
			for j, at := range a.plat.atoms {
				if !at.varies {
					t.vals[j] = 0
				}
			}
			for j, sm := range a.plat.sums {
				t.vals[len(vals)+j] = total(t.vals, sm.parts, a.plat.varies)
			}
		}
	}
	return out
}

// plus adds a number to one that may be absent.
func plus(sum, v float64) float64 {
	if math.IsNaN(sum) {
		return v
	}
	return sum + v
}
