package pipeline

import (
	"encoding/json"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// apply takes a page's readings into the account and adds the raw rows that follow. Days that change are touched;
// readings that are not the newest ask for the days to be made anew (slow). A page from beyond the history's retention
// is counted and changes nothing: ok is false.
func (p *Pipeline) apply(a *account, n *normal, out *rows) (ok bool) {
	version := n.page.ObservedAt.UnixNano()
	if a.newest > 0 && version < a.newest-int64(p.cfg.HistoryRetention) {
		p.met.tooOld.WithLabelValues(string(a.key.Platform)).Add(float64(len(n.readings) + len(n.figures)))
		return false
	}
	if a.newest > 0 && version > a.newest {
		a.touchSpan(a.newest, version) // windows that ended since then have rows too
	}
	a.newest = max(a.newest, version)
	for i := range n.figures {
		f := &n.figures[i]
		if f.period == jauge.PeriodInstant {
			p.applyInstant(a, n.page, f, out)
		} else {
			p.applyFigure(a, f, out)
		}
	}
	for i := range n.readings {
		p.applyReading(a, &n.readings[i], out)
	}
	a.touch(a.running())
	return true
}

// applyReading takes one reading of a post.
func (p *Pipeline) applyReading(a *account, r *reading, out *rows) {
	po := a.posts[r.post]
	if po == nil {
		p.applyUnknown(a, r, out)
		return
	}
	instant := seconds(r.version) + po.slot()
	out.history = append(out.history, a.historyRow(po, r, instant, out))
	known := instant <= po.newest
	if known {
		a.slowFrom(dayOf(instant, a.plat.zone))
	}
	if r.vals == nil {
		if !known {
			po.newest = instant
			if po.state != r.state {
				if po.state == string(jauge.PostDeleted) && dayOf(po.last, a.plat.zone) < a.from {
					a.slowFrom(dayOf(po.last, a.plat.zone)) // it is waited for again
				}
				po.state = r.state
				out.main = append(out.main, a.stateRow(po))
				a.touch(a.running())
			}
		}
		return
	}
	if r.version < po.version {
		return
	}
	if !known {
		po.newest, po.state = instant, r.state
		if dayOf(po.last, a.plat.zone) < a.from {
			a.slowFrom(dayOf(po.last, a.plat.zone))
		}
		if r.info.PublishedAt.UnixNano() != po.pub || string(r.info.Format) != po.format {
			a.slowFrom(dayOf(min(po.pub, r.info.PublishedAt.UnixNano()), a.plat.zone))
		}
	}
	p.advance(a, po, r, instant, !a.slow)
	if string(r.info.Format) != po.format {
		out.deletes = append(out.deletes, jauge.Record{Schema: postSchema, Time: po.time, Tags: a.postTags(po.format)})
		po.format, po.has, po.texts = string(r.info.Format), 0, 0
		back := jauge.Record{Schema: postSchema, Time: po.time, Tags: a.postTags(po.format)}
		out.deletes = slices.DeleteFunc(out.deletes, func(d jauge.Record) bool { return d.Key() == back.Key() })
	}
	po.pub = r.info.PublishedAt.UnixNano()
	out.main = append(out.main, a.postRow(po, r, out))
}

// advance makes a reading the post's newest counters; gain says whether differences are added to days (else the days
// are made anew from the history anyway).
func (p *Pipeline) advance(a *account, po *post, r *reading, instant int64, gain bool) {
	if po.last != 0 && po.last < a.newest-int64(p.cfg.HistoryRetention)+int64(24*time.Hour) && po.last < instant {
		po.carry = carryOf(a.plat, po)
	}
	for i, v := range r.vals {
		prev, ok := po.before(i)
		if math.IsNaN(v) {
			if ok && prev.at == po.last && po.vals != nil && !math.IsNaN(po.vals[i]) {
				if po.older == nil {
					po.older = map[int]point{}
				}
				po.older[i] = prev
			}
			continue
		}
		a.borne[i] = min(a.borne[i], instant)
		delete(po.older, i)
		if !gain {
			continue
		}
		if ok {
			a.gain(po.format, i, prev.at, instant, v-prev.val)
		} else if from, zero := a.fromZero(po.pub, instant); zero {
			a.gain(po.format, i, from, instant, v)
		}
	}
	po.version, po.vals = r.version, r.vals
	po.last = max(po.last, instant)
}

// applyUnknown takes a reading of a post that has no row yet.
func (p *Pipeline) applyUnknown(a *account, r *reading, out *rows) {
	_, orphan := a.orphans[r.post]
	id := strings.Clone(r.post) // or the whole page would be kept with it
	if r.vals == nil {
		po := &post{id: id, time: a.freeSlot(r.post)}
		instant := seconds(r.version) + po.slot()
		a.orphans[id] = point{at: max(instant, a.orphans[id].at)}
		out.history = append(out.history, a.historyRow(po, r, instant, out))
		return
	}
	pub := r.info.PublishedAt.UnixNano()
	po := &post{id: id, pub: pub, format: string(r.info.Format), state: r.state}
	po.time = seconds(pub) + a.freeSlot(r.post)
	instant := seconds(r.version) + po.slot()
	po.newest = instant
	a.newFormat(po)
	a.addPost(po)
	a.touch(dayOf(pub, a.plat.zone))
	if orphan {
		a.slowFrom(dayOf(min(pub, instant), a.plat.zone))
		delete(a.orphans, r.post)
	} else if from, zero := a.fromZero(pub, instant); zero && dayOf(from, a.plat.zone) < a.from {
		a.slowFrom(dayOf(from, a.plat.zone))
	}
	out.history = append(out.history, a.historyRow(po, r, instant, out))
	p.advance(a, po, r, instant, !a.slow)
	out.main = append(out.main, a.postRow(po, r, out))
}

// newFormat touches the covered days that get a row because a post of their format is known now.
func (a *account) newFormat(po *post) {
	old, known := a.formats[po.format]
	if known && old <= po.pub {
		return
	}
	first, last, ok := a.covered()
	if !ok || po.pub > last {
		return
	}
	if known {
		last = min(last, old)
	}
	from := max(first, po.pub)
	if from > last {
		return
	}
	if d := dayOf(from, a.plat.zone); d < a.from {
		a.slowFrom(d)
	}
	a.touchSpan(from, last)
}

// applyInstant takes the account's gauges or state as read in a run.
func (p *Pipeline) applyInstant(a *account, pg *jauge.Page, f *figure, out *rows) {
	i, found := a.runAt(f.start)
	if !found {
		a.insertRun(i, f.start)
	}
	rn := &a.runs[i]
	if found && i > 0 && f.version <= rn.version {
		a.touchSpan(a.runs[i-1].time, f.start)
	}
	if found && f.version < rn.version {
		a.touch(dayOf(f.start, a.plat.zone))
		return
	}
	replace := found && len(f.vals) < len(rn.vals)
	if found && f.vals == nil {
		f.vals, replace = rn.vals, false
	}
	rn.version, rn.vals = f.version, f.vals
	rn.setGauges()
	vs := append([]jauge.Value{
		jauge.TextValue(accountCol.day, dayOf(f.start, a.plat.zone).String()),
		jauge.FlagValue(accountCol.final, true), jauge.TextValue(accountCol.handle, pg.Handle),
		jauge.FlagValue(accountCol.competitor, p.competitor(a.key)), jauge.FlagValue(accountCol.complete, rn.complete),
		jauge.IntValue(accountCol.observed, f.version),
	}, f.vals...)
	if f.state != "" {
		vs = append(vs, jauge.TextValue(accountCol.state, string(f.state)))
	}
	if f.movedTo != "" {
		vs = append(vs, jauge.TextValue(accountCol.movedTo, f.movedTo))
	}
	out.main = append(out.main, jauge.Record{
		Schema: accountSchema, Time: f.start, Tags: a.accountTags(jauge.PeriodInstant, false), Values: sorted(vs),
		Replace: replace,
	})
	a.touch(dayOf(f.start, a.plat.zone))
}

// insertRun makes a run known at position i. A run that comes late may change which first readings count from 0.
func (a *account) insertRun(i int, start int64) {
	late := i < len(a.runs) || a.readAfter(start)
	a.runs = append(a.runs, run{})
	copy(a.runs[i+1:], a.runs[i:])
	a.runs[i] = run{time: start}
	a.runs[i].setGauges()
	if late {
		from := start
		if c := a.completeUpTo(start); c != 0 {
			from = c
		}
		a.slowFrom(dayOf(from, a.plat.zone))
	}
}

// readAfter tells whether any reading is known from after a run's start.
func (a *account) readAfter(start int64) bool {
	for _, po := range a.posts {
		if po.newest >= seconds(start) {
			return true
		}
	}
	return false
}

func (r *run) setGauges() {
	for i := range r.gauges {
		r.gauges[i] = math.NaN()
		for _, v := range r.vals {
			if v.Col == accountMetricCols[gaugeMetrics[i]] {
				r.gauges[i] = v.Float()
			}
		}
	}
}

// applyMark makes a run a complete reading.
func (p *Pipeline) applyMark(a *account, start int64, out *rows) {
	i, found := a.runAt(start)
	if !found {
		a.insertRun(i, start)
	}
	prev := a.completeUpTo(start - 1)
	later := sort.Search(len(a.runs), func(j int) bool { return a.runs[j].time > start })
	from := start
	if prev != 0 {
		from = prev
	}
	if a.runs[i].complete || later < len(a.runs) {
		a.slowFrom(dayOf(from, a.plat.zone))
	}
	a.runs[i].complete = true
	to := start
	if prev == 0 { // the first one known: coverage now begins here and reaches to the next
		for _, r := range a.runs[later:] {
			if r.complete {
				to = r.time
				break
			}
		}
	}
	a.touchSpan(from, to)
	out.main = append(out.main, jauge.Record{
		Schema: accountSchema, Time: start, Tags: a.accountTags(jauge.PeriodInstant, false),
		Values: sorted([]jauge.Value{
			jauge.TextValue(accountCol.day, dayOf(start, a.plat.zone).String()),
			jauge.FlagValue(accountCol.final, true), jauge.FlagValue(accountCol.competitor, p.competitor(a.key)),
			jauge.FlagValue(accountCol.complete, true),
		}),
	})
}

// carried is a counter's reading, written down beside a post's newest ones.
type carried struct {
	At    int64   `json:"at"` // Unix nanoseconds
	Value float64 `json:"value"`
}

// carryOf writes a post's newest counters down, by metric, so that the differences to the next reading can still be
// taken when the history has let go of them.
func carryOf(pl *platform, po *post) string {
	c := map[jauge.Metric]carried{}
	for i, at := range pl.atoms {
		if pt, ok := po.before(i); ok {
			c[at.metric] = carried{pt.at, pt.val}
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return string(b)
}
