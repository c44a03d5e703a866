package pipelinetest

import (
	"math"
	"slices"

	"jauge.dev/jauge"
)

type kpiKey struct {
	kpi    string
	window jauge.Window
	day    jauge.Day
}

// kpiValue is a KPI in a window: a plain number, or a ratio with its denominator's name as the basis.
type kpiValue struct {
	numerator, denominator float64
	ratio                  bool
	basis                  string
	estimated, complete    bool
}

// The words of the catalogue that are no metrics.
const (
	numberOfDays = "days"  // calendar days in the window
	atStart      = "start" // followers at the window's start
	platformsOwn = "basis" // the platform's basis
)

// term is a metric of a formula's numerator with its weight.
type term struct {
	metric jauge.Metric
	weight float64
}

// formula is a KPI of the default catalogue, spelled out.
type formula struct {
	name   string
	terms  []term
	growth bool   // the numerator is followers at the end less followers at the start
	under  string // the denominator, empty where there is none
}

func one(m jauge.Metric) []term { return []term{{m, 1}} }

// catalogue lists the KPIs; weighted are the terms of weighted_engagement_rate.
func catalogue(weighted []term) []formula {
	interactions := []term{{jauge.Likes, 1}, {jauge.Comments, 1}, {jauge.Shares, 1}, {jauge.Saves, 1}, {jauge.Clicks, 1}}
	return []formula{
		{name: "followers", terms: one(jauge.Followers)},
		{name: "follower_growth", growth: true},
		{name: "follower_growth_rate", growth: true, under: atStart},
		{name: "likes", terms: one(jauge.Likes)},
		{name: "comments", terms: one(jauge.Comments)},
		{name: "shares", terms: one(jauge.Shares)},
		{name: "engagement_rate_followers", terms: interactions, under: string(jauge.Followers)},
		{name: "weighted_engagement_rate", terms: weighted, under: platformsOwn},
		{name: "applause_rate", terms: one(jauge.Likes), under: string(jauge.PostsPublished)},
		{name: "conversation_rate", terms: one(jauge.Comments), under: string(jauge.PostsPublished)},
		{name: "amplification_rate", terms: one(jauge.Shares), under: string(jauge.PostsPublished)},
		{name: "posting_frequency", terms: one(jauge.PostsPublished), under: numberOfDays},
	}
}

func (a *account) weights() []term {
	w := map[jauge.Metric]float64{jauge.Likes: 1, jauge.Comments: 2, jauge.Shares: 3, jauge.Saves: 3, jauge.Clicks: 2}
	if own, ok := a.oracle.Weights[a.Account.Platform]; ok {
		w = own
	}
	var out []term
	for _, m := range []jauge.Metric{jauge.Likes, jauge.Comments, jauge.Shares, jauge.Saves, jauge.Clicks} {
		if w[m] != 0 {
			out = append(out, term{m, w[m]})
		}
	}
	return out
}

// evaluate computes every KPI in every window that ends on or before the running day (rule 16).
func (a *account) evaluate() map[kpiKey]kpiValue {
	out := map[kpiKey]kpiValue{}
	if a.newest == 0 {
		return out
	}
	running := a.cal.day(a.newest)
	for last := a.earliest(); last <= running; last++ {
		for _, w := range jauge.Windows() {
			in := window{first: last - jauge.Day(w.Days()) + 1, last: last}
			for _, f := range catalogue(a.weights()) {
				if v, ok := a.kpi(f, in); ok {
					out[kpiKey{f.name, w, last}] = v
				}
			}
		}
	}
	return out
}

// earliest gives a day before which nothing was read and nothing was published.
func (a *account) earliest() jauge.Day {
	day := a.cal.day(a.newest)
	for k := range a.days {
		day = min(day, k.day)
	}
	for _, r := range a.runs {
		day = min(day, a.cal.day(r.start))
	}
	for _, f := range a.figures {
		day = min(day, f.day)
	}
	return day - 1
}

// kpi evaluates one formula in one window; ok is false where it has no value.
func (a *account) kpi(f formula, in window) (v kpiValue, ok bool) {
	v.complete = a.coveredWhole(a.cal.start(in.first), a.cal.end(in.last))
	if f.growth {
		end, hasEnd := a.lastBy(jauge.Followers, a.cal.end(in.last))
		start, hasStart := a.lastBy(jauge.Followers, a.cal.start(in.first))
		if !hasEnd || !hasStart {
			return v, false
		}
		v.numerator = end - start
	} else if !a.numerator(f, in, &v) {
		return v, false
	}
	if f.under == "" {
		return v, true
	}
	v.ratio, v.basis = true, f.under
	switch f.under {
	case numberOfDays:
		v.denominator = float64(in.last - in.first + 1)
	case atStart:
		v.basis = string(jauge.Followers)
		v.denominator, _ = a.lastBy(jauge.Followers, a.cal.start(in.first))
	case platformsOwn:
		v.basis = string(a.mapping.Basis)
		v.denominator = a.under(a.mapping.Basis, in, &v)
	default:
		v.denominator = a.under(jauge.Metric(f.under), in, &v)
	}
	return v, v.denominator != 0 // rule 20
}

func (a *account) under(m jauge.Metric, in window, v *kpiValue) float64 {
	d := a.value(m, in)
	if !d.has {
		return 0
	}
	v.estimated = v.estimated || d.estimated
	return d.value
}

// numerator adds up the terms: a metric that is never offered counts as nothing, one that is offered and has no value
// leaves the KPI without one (rule 18).
func (a *account) numerator(f formula, in window, v *kpiValue) bool {
	some := false
	for _, t := range f.terms {
		got := a.value(t.metric, in)
		switch {
		case got.has:
			v.numerator += t.weight * got.value
			v.estimated = v.estimated || got.estimated
			some = true
		case a.offered(t.metric):
			return false
		}
	}
	return some
}

// offered tells whether the mapping promises the metric: some field that bears it, or enters it, does not vary.
func (a *account) offered(m jauge.Metric) bool {
	return m == jauge.PostsPublished || slices.ContainsFunc(a.mapping.Fields, func(f jauge.Field) bool {
		return !f.Varies && (f.Metric == m || slices.Contains(f.Into, m))
	})
}

// window is a stretch of days, both included.
type window struct{ first, last jauge.Day }

// windowValue is a metric's value in a window.
type windowValue struct {
	value          float64
	has, estimated bool
}

// value folds a metric over a window (rule 17).
func (a *account) value(m jauge.Metric, in window) windowValue {
	info, _ := jauge.LookupMetric(m)
	switch info.Fold {
	case jauge.FoldLast:
		v, ok := a.lastBy(m, a.cal.end(in.last))
		return windowValue{value: v, has: ok}
	case jauge.FoldUnique:
		if v, ok := a.ownFigure(m, in); ok {
			return windowValue{value: v, has: true}
		}
		v := a.sum(m, in)
		v.estimated = v.has
		return v
	default:
		return a.sum(m, in)
	}
}

// lastBy gives the newest instant reading that bears the metric at or before an instant, at most 24 h older.
func (a *account) lastBy(m jauge.Metric, at int64) (float64, bool) {
	newest, value := int64(math.MinInt64), 0.0
	for _, r := range a.runs {
		if v, bears := r.values[m]; bears && r.start <= at && r.start > newest {
			newest, value = r.start, v
		}
	}
	if newest == math.MinInt64 || at-newest > 24*hour {
		return 0, false
	}
	return value, true
}

// ownFigure gives the platform's own figure of the window.
func (a *account) ownFigure(m jauge.Metric, in window) (float64, bool) {
	switch in.last - in.first + 1 {
	case 1:
		return a.figure(jauge.PeriodDay, m, in.first)
	case 28:
		return a.figure(jauge.PeriodDays28, m, in.first)
	}
	return 0, false
}

// figure gives the newest reading of a period figure, as stored: a metric that it lacks has no value.
func (a *account) figure(period jauge.Period, m jauge.Metric, first jauge.Day) (float64, bool) {
	seen, value, ok := int64(0), 0.0, false
	for _, f := range a.figures {
		if f.period == period && f.day == first && !f.paid && f.seen > seen {
			seen = f.seen
			value, ok = f.values[m]
		}
	}
	return value, ok
}

// sum adds the days that have a value: what posts gained, the platform's own day figures, and 0 for a covered day
// without any post.
func (a *account) sum(m jauge.Metric, in window) windowValue {
	var out windowValue
	add := func(v float64, estimated bool) {
		out.value += v
		out.has = true
		out.estimated = out.estimated || estimated
	}
	for day := in.first; day <= in.last; day++ {
		rows := 0
		for k, d := range a.days {
			if k.day != day {
				continue
			}
			rows++
			if v, ok := d.values[m]; ok {
				add(v, d.estimated)
			}
		}
		if rows == 0 && a.covered(a.cal.start(day), a.cal.end(day)) && a.ofPosts(m) {
			add(0, false)
		}
		if v, ok := a.figure(jauge.PeriodDay, m, day); ok {
			add(v, false)
		}
	}
	return out
}

// ofPosts tells whether the metric is one that posts bear and that the platform promises.
func (a *account) ofPosts(m jauge.Metric) bool {
	return m == jauge.PostsPublished || slices.ContainsFunc(a.postFields(), func(f jauge.Field) bool {
		return !f.Varies && (f.Metric == m || slices.Contains(f.Into, m))
	})
}

func (a *account) kpiRows(out rows) {
	for k, v := range a.kpis {
		putKPI(out, k, v, a.tags()...)
	}
}

func putKPI(out rows, k kpiKey, v kpiValue, tags ...string) {
	w := newRow(jauge.SocialKPI, int64(k.day)*24*hour, append(slices.Clone(tags), k.kpi, string(k.window))...)
	w.text("day", k.day.String())
	w.float("numerator", v.numerator)
	w.flag("estimated", v.estimated)
	w.flag("complete", v.complete)
	if v.ratio {
		w.float("value", v.numerator/v.denominator)
		w.float("denominator", v.denominator)
		w.text("basis", v.basis)
	} else {
		w.float("value", v.numerator)
	}
	out.put(w)
}
