package pipelinetest

import (
	"math"
	"math/big"
	"slices"

	"jauge.dev/jauge"
)

type dayFormat struct {
	day    jauge.Day
	format jauge.Format
}

type dayRow struct {
	values    map[jauge.Metric]float64
	estimated bool
}

// difference is what a counter gained over [from, to).
type difference struct {
	from, to int64
	gain     float64
}

// share is what a day gets of a difference.
type share struct {
	day       jauge.Day
	value     float64
	estimated bool
}

// differences gives what a post's counter gained between its readings (rule 6).
func (a *account) differences(p *post, m jauge.Metric) []difference {
	var bearing []reading
	for _, r := range p.readings {
		if _, ok := r.atomic[m]; ok {
			bearing = append(bearing, r)
		}
	}
	slices.SortFunc(bearing, func(x, y reading) int { return int(min(1, max(-1, x.at-y.at))) })
	var out []difference
	for i, r := range bearing {
		switch {
		case i > 0:
			before := bearing[i-1]
			out = append(out, difference{before.at, r.at, r.atomic[m] - before.atomic[m]})
		case a.countsFromZero(p, r):
			out = append(out, difference{min(p.published, r.at), r.at, r.atomic[m]})
		}
	}
	return out
}

// countsFromZero tells whether a first reading is activity since publication, not a baseline.
func (a *account) countsFromZero(p *post, r reading) bool {
	published := min(p.published, r.at)
	if a.cal.day(published) == a.cal.day(r.at) {
		return true
	}
	own := int64(math.MinInt64)
	for _, run := range a.runs {
		if cut(run.start) <= r.at {
			own = max(own, run.start)
		}
	}
	previous := int64(math.MinInt64)
	for _, start := range a.complete() {
		if start < own {
			previous = max(previous, start)
		}
	}
	return previous != math.MinInt64 && published > previous
}

// split gives each day its part of a difference (rule 7).
func (a *account) split(d difference) []share {
	if d.from == d.to {
		return []share{{day: a.cal.day(d.to), value: d.gain}}
	}
	first, last := a.cal.day(d.from), a.cal.day(d.to)
	estimated := first != last && d.to-d.from > 12*hour && d.gain != 0
	var out []share
	var overlaps []int64
	for day := first; day <= last; day++ {
		overlap := min(d.to, a.cal.end(day)) - max(d.from, a.cal.start(day))
		if overlap > 0 {
			out, overlaps = append(out, share{day: day, estimated: estimated}), append(overlaps, overlap)
		}
	}
	if d.gain == math.Trunc(d.gain) {
		splitWhole(out, overlaps, d)
		return out
	}
	left := d.gain
	for i := range out[1:] {
		out[i].value = d.gain * float64(overlaps[i]) / float64(d.to-d.from)
		left -= out[i].value
	}
	out[len(out)-1].value = left
	return out
}

// splitWhole splits by the largest remainder on the magnitude, ties to the earlier day.
func splitWhole(out []share, overlaps []int64, d difference) {
	magnitude, _ := big.NewFloat(math.Abs(d.gain)).Int(nil)
	length := big.NewInt(d.to - d.from)
	left := new(big.Int).Set(magnitude)
	remainders := make([]*big.Int, len(out))
	order := make([]int, len(out))
	for i := range out {
		product := new(big.Int).Mul(magnitude, big.NewInt(overlaps[i]))
		whole, remainder := new(big.Int).QuoRem(product, length, new(big.Int))
		out[i].value, _ = new(big.Float).SetInt(whole).Float64()
		left.Sub(left, whole)
		remainders[i], order[i] = remainder, i
	}
	slices.SortStableFunc(order, func(i, j int) int { return remainders[j].Cmp(remainders[i]) })
	for _, i := range order[:left.Int64()] {
		out[i].value++
	}
	if d.gain < 0 {
		for i := range out {
			out[i].value = 0 - out[i].value
		}
	}
}

// daily makes what all posts gained on each day, by format.
func (a *account) daily() map[dayFormat]*dayRow {
	days := map[dayFormat]*dayRow{}
	at := func(day jauge.Day, format jauge.Format) *dayRow {
		k := dayFormat{day, format}
		if days[k] == nil {
			days[k] = &dayRow{values: map[jauge.Metric]float64{}}
		}
		return days[k]
	}
	for _, p := range a.posts {
		if !p.known {
			continue
		}
		for _, f := range a.postFields() {
			for _, d := range a.differences(p, f.Metric) {
				for _, s := range a.split(d) {
					row := at(s.day, p.format())
					row.values[f.Metric] += s.value
					row.estimated = row.estimated || s.estimated
				}
			}
		}
		if p.format() != jauge.FormatReply { // rule 9
			at(a.cal.day(p.published), p.format()).values[jauge.PostsPublished]++
		}
	}
	a.fillCovered(at)
	for _, row := range days {
		a.sumDay(row)
	}
	return days
}

// fillCovered writes the zeros of covered days (rules 9 to 11).
func (a *account) fillCovered(at func(jauge.Day, jauge.Format) *dayRow) {
	c := a.complete()
	if len(c) == 0 {
		return
	}
	for day := a.cal.day(c[0]); day <= a.cal.day(c[len(c)-1]); day++ {
		if !a.covered(a.cal.start(day), a.cal.end(day)) {
			continue
		}
		for _, p := range a.posts {
			if !p.known || p.published >= a.cal.end(day) {
				continue
			}
			row := at(day, p.format())
			row.values[jauge.PostsPublished] += 0
			for _, f := range a.postFields() {
				if !f.Varies || a.borneBefore(f.Metric, a.cal.end(day)) {
					row.values[f.Metric] += 0
				}
			}
		}
	}
}

// borneBefore tells whether any post of the account bore the metric before an instant.
func (a *account) borneBefore(m jauge.Metric, at int64) bool {
	return slices.ContainsFunc(a.posts, func(p *post) bool {
		return slices.ContainsFunc(p.readings, func(r reading) bool {
			_, bears := r.atomic[m]
			return bears && r.at < at
		})
	})
}

// sumDay adds up the sums of a day from their parts (rule 8): a part that does not vary must be there.
func (a *account) sumDay(row *dayRow) {
	for _, sum := range a.sumNames() {
		total, given, missing := 0.0, 0, 0
		for _, f := range a.parts(sum) {
			v, ok := row.values[f.Metric]
			switch {
			case ok:
				total += v
				given++
			case !f.Varies:
				missing++
			}
		}
		if given > 0 && missing == 0 {
			row.values[sum] = total
		}
	}
}

// final tells whether a day will change no more (rule 12). A day that is not over can.
func (a *account) final(day jauge.Day) bool {
	end := a.cal.end(day)
	if a.newest < end {
		return false
	}
	for _, p := range a.posts {
		if !p.known || p.published >= end || p.deleted() || p.left(a.newest, a.oracle.LadderEnd) {
			continue
		}
		if !slices.ContainsFunc(p.readings, func(r reading) bool { return r.atomic != nil && r.at >= end }) {
			return false
		}
	}
	return true
}

func (a *account) dailyRows(out rows) {
	for k, d := range a.days {
		w := newRow(jauge.SocialPostDaily, a.cal.start(k.day), a.tags(string(k.format))...)
		w.text("day", k.day.String())
		w.flag("final", a.final(k.day))
		w.flag("estimated", d.estimated)
		w.metrics(d.values)
		out.put(w)
	}
}
