package pipeline

import (
	"math"
	"slices"
	"sort"

	"jauge.dev/jauge"
)

var windows = jauge.Windows()

// entry is a KPI's value as a row has it.
type entry struct {
	num, den float64 // den is NaN where the KPI is no ratio
	flags    uint8
}

const (
	entryPresent uint8 = 1 << iota
	entryEstimated
	entryComplete
	entryStale // the stored row was computed by another version of the formula
)

func (e entry) has(f uint8) bool { return e.flags&f != 0 }

func (e entry) same(o entry) bool {
	return e.flags == o.flags && e.num == o.num && (e.den == o.den || (math.IsNaN(e.den) && math.IsNaN(o.den)))
}

// block holds the KPIs of one account or roll-up for windows that end on one day: one entry per window and KPI.
type block []entry

// windowScope gives a formula the numbers of one account in one window.
type windowScope struct {
	p         *Pipeline
	a         *account
	from, to  jauge.Day
	vals      []float64 // atoms, then sums, added up over the window
	published float64
	daysEst   uint64 // bit by bit like vals: a day that entered is estimated
	estimated bool   // a number that was asked for is an estimate
}

// window folds the days' totals; totals begins with the day base.
func (p *Pipeline) window(a *account, totals []dayTotal, base, from, to jauge.Day) *windowScope {
	s := &windowScope{p: p, a: a, from: from, to: to, vals: a.plat.nans(), published: math.NaN()}
	for d := max(from, base); d <= to && int(d-base) < len(totals); d++ {
		t := &totals[d-base]
		if !math.IsNaN(t.published) {
			s.published = plus(s.published, t.published)
		}
		for i, v := range t.vals {
			if !math.IsNaN(v) {
				s.vals[i] = plus(s.vals[i], v)
			}
		}
		s.daysEst |= t.estimated
	}
	return s
}

func (s *windowScope) days() float64 { return float64(s.to - s.from + 1) }

func (s *windowScope) sum(m jauge.Metric) operand {
	v := math.NaN()
	pl := s.a.plat
	if m == jauge.PostsPublished {
		v = s.published
		s.estimated = s.estimated || s.daysEst&publishedBit != 0
	} else if i := pl.position(m); i >= 0 {
		v = s.vals[i]
		s.estimated = s.estimated || s.daysEst&(1<<i) != 0
	}
	if len(s.a.figures) > 0 {
		v = s.withFigures(m, v)
	}
	if !math.IsNaN(v) {
		return operand{val: v}
	}
	if varies, offered := pl.offers[m]; m != jauge.PostsPublished && (!offered || varies) {
		return operand{status: dropped}
	}
	return operand{status: absent, metric: m, why: "no day of the window has a value"}
}

// withFigures adds the platform's own figures of the account. People are not added up: a window takes its own
// figure, and only without one the days' sum, marked as an estimate.
func (s *windowScope) withFigures(m jauge.Metric, v float64) float64 {
	info, _ := jauge.LookupMetric(m)
	zone := s.a.plat.zone
	if info.Fold == jauge.FoldUnique {
		own := map[int]jauge.Period{1: jauge.PeriodDay, 7: jauge.PeriodWeek, 28: jauge.PeriodDays28}[int(s.days())]
		if f, ok := s.figure(own, startOf(s.from, zone), m); ok {
			return f
		}
	}
	n := 0
	for d := s.from; d <= s.to; d++ {
		if f, ok := s.figure(jauge.PeriodDay, startOf(d, zone), m); ok {
			v = plus(v, f)
			n++
		}
	}
	s.estimated = s.estimated || (info.Fold == jauge.FoldUnique && n > 0)
	return v
}

func (s *windowScope) figure(period jauge.Period, start int64, m jauge.Metric) (float64, bool) {
	v, found := 0.0, false
	for _, paid := range [2]bool{false, true} {
		f := s.a.figures[figureKey{period, paid, start}]
		if f == nil {
			continue
		}
		for _, x := range f.vals {
			if x.Col == accountMetricCols[m] {
				v, found = v+x.Float(), true
			}
		}
	}
	return v, found
}

// gauge is the newest reading at or before the window's boundary and at most 24 hours older (DOMAIN rule 6).
func (s *windowScope) gauge(m jauge.Metric, atStart bool) operand {
	boundary, why := startOf(s.to+1, s.a.plat.zone), "no reading within the 24 hours before the window's end"
	if atStart {
		boundary, why = startOf(s.from, s.a.plat.zone), "no reading within the 24 hours before the window's start"
	}
	g := slices.Index(gaugeMetrics[:], m)
	if _, offered := s.a.plat.offers[m]; !offered || g < 0 {
		return operand{status: dropped}
	}
	runs := s.a.runs
	i := sort.Search(len(runs), func(i int) bool { return runs[i].time > boundary })
	for i--; i >= 0 && boundary-runs[i].time <= dayNanos; i-- {
		if v := runs[i].gauges[g]; !math.IsNaN(v) {
			return operand{val: v}
		}
	}
	return operand{status: absent, metric: m, why: why}
}

func (s *windowScope) weighted() operand {
	o := operand{status: dropped}
	for _, w := range s.a.plat.weights {
		x := s.sum(w.metric)
		x.val *= w.weight
		o = add(o, x, 1)
	}
	return o
}

func (s *windowScope) basis() operand {
	info, ok := jauge.LookupMetric(s.a.plat.basis)
	if !ok {
		return operand{status: absent, why: "the platform has no basis: set one in config"}
	}
	if info.Fold == jauge.FoldLast {
		return s.gauge(info.Name, false)
	}
	return s.sum(info.Name)
}

// evaluate brings the account's KPIs up to date for every window that a touched day may have changed, and notes for
// the roll-ups what changed.
func (p *Pipeline) evaluate(a *account, b *brand, out *rows) {
	ends := a.ends()
	if len(ends) == 0 {
		return
	}
	base := ends[0] - baseDays
	totals := a.totals(base, ends[len(ends)-1])
	first, last, covered := a.covered()
	who := b.index(a.key)
	for _, end := range ends {
		for wi, w := range windows {
			from := end - jauge.Day(w.Days()) + 1 //nolint:gosec // at most 28
			s := p.window(a, totals, base, from, end)
			complete := covered && first <= startOf(from, a.plat.zone) && last >= startOf(end+1, a.plat.zone)
			for ki := range p.kpis {
				p.evaluateOne(b, who, a, s, cellOf{end, int16(wi), int16(ki)}, complete, out)
			}
		}
	}
	p.met.evaluations.Add(float64(len(ends) * len(windows) * len(p.kpis)))
}

// cellOf names a KPI in a window.
type cellOf struct {
	day    jauge.Day
	window int16
	kpi    int16
}

func (p *Pipeline) evaluateOne(b *brand, who int32, a *account, s *windowScope, c cellOf, complete bool, out *rows) {
	k := &p.kpis[c.kpi]
	s.estimated = false
	res := k.eval(s)
	var e entry
	if res.why == "" {
		e = entry{num: res.num, den: res.den, flags: entryPresent}
		if s.estimated {
			e.flags |= entryEstimated
		}
		if complete {
			e.flags |= entryComplete
		}
	}
	if p.put(b, who, c, e, p.basisOf(k, a.plat), out) || a.loaded {
		b.changed[c] |= a.plat.bit
	}
}

func (p *Pipeline) basisOf(k *kpi, pl *platform) string {
	if k.basis == identBasis {
		return string(pl.basis)
	}
	return k.basis
}

// put makes an entry the newest; a row is written only where it differs from the stored one.
func (p *Pipeline) put(b *brand, who int32, c cellOf, e entry, basis string, out *rows) bool {
	bl := b.block(c.day, who, len(windows)*len(p.kpis), e.has(entryPresent))
	if bl == nil {
		return false
	}
	slot := &bl[int(c.window)*len(p.kpis)+int(c.kpi)]
	if slot.same(e) {
		return false
	}
	old := *slot
	*slot = e
	key := b.keys[who]
	rec := jauge.Record{
		Schema: kpiSchema, Time: c.day.Label().UnixNano(),
		Tags: append(out.room.list(5), b.name, string(key.Platform), key.Account, p.kpis[c.kpi].Name, string(windows[c.window])),
	}
	if !e.has(entryPresent) {
		if old.has(entryPresent) {
			out.deletes = append(out.deletes, rec)
		}
		return true
	}
	val := e.num
	rec.Values = out.room.fields(len(kpiSchema.Columns))
	rec.Values = append(rec.Values, jauge.TextValue(kpiCol.day, p.dayText(c.day)))
	if !math.IsNaN(e.den) {
		val = e.num / e.den
	}
	rec.Values = append(rec.Values, jauge.FloatValue(kpiCol.value, val), jauge.FloatValue(kpiCol.numerator, e.num))
	if !math.IsNaN(e.den) {
		rec.Values = append(rec.Values, jauge.FloatValue(kpiCol.denominator, e.den), jauge.TextValue(kpiCol.basis, basis))
	}
	rec.Values = append(rec.Values, jauge.FlagValue(kpiCol.estimated, e.has(entryEstimated)),
		jauge.FlagValue(kpiCol.complete, e.has(entryComplete)), jauge.TextValue(kpiCol.version, p.kpis[c.kpi].version))
	rec.Replace = old.has(entryPresent) && !math.IsNaN(old.den) && math.IsNaN(e.den)
	out.main = append(out.main, rec)
	return true
}

// daysWritten bounds how many days' texts are kept.
const daysWritten = 128

// dayText writes a day; the KPIs of a few days make up most rows.
func (p *Pipeline) dayText(d jauge.Day) string {
	s, ok := p.days[d]
	if !ok {
		if len(p.days) >= daysWritten {
			clear(p.days)
		}
		s = d.String()
		p.days[d] = s
	}
	return s
}

// ends lists the last days of all windows that touched days enter, up to the running day, ascending.
func (a *account) ends() []jauge.Day {
	running := a.running()
	set := map[jauge.Day]struct{}{}
	for d := range a.touched {
		for e := d; e <= d+baseDays && e <= running; e++ {
			set[e] = struct{}{}
		}
	}
	out := make([]jauge.Day, 0, len(set))
	for d := range set {
		out = append(out, d)
	}
	slices.Sort(out)
	return out
}
