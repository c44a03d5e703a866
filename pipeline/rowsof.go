package pipeline

import (
	"math"
	"time"

	"jauge.dev/jauge"
)

func (a *account) postTags(format string) []string {
	return []string{a.brand, string(a.key.Platform), a.key.Account, format}
}

func (a *account) accountTags(period jauge.Period, paid bool) []string {
	p := "false"
	if paid {
		p = "true"
	}
	return []string{a.brand, string(a.key.Platform), a.key.Account, string(period), p}
}

// counters appends the numbers of a reading to a row's fields. A part of a sum that its server does not offer drops
// out (rule 3).
func (a *account) counters(vs []jauge.Value, outs []output, r *reading) []jauge.Value {
	drop := func(i int) bool { return a.plat.atoms[i].varies && r.bears&(1<<i) == 0 }
	for _, o := range outs {
		v := math.NaN()
		if len(o.parts) == 1 {
			v = r.vals[o.parts[0]]
		} else {
			v = total(r.vals, o.parts, drop)
		}
		if !math.IsNaN(v) {
			vs = append(vs, jauge.FloatValue(o.col, v))
		}
	}
	return vs
}

// historyRow is a post at one reading.
func (a *account) historyRow(po *post, r *reading, instant int64) jauge.Record {
	vs := make([]jauge.Value, 0, 2+len(a.plat.historyOut))
	vs = append(vs, jauge.TextValue(postHistoryCol.id, po.id), jauge.TextValue(postHistoryCol.state, r.state))
	if r.vals != nil {
		vs = a.counters(vs, a.plat.historyOut, r)
	}
	return jauge.Record{
		Schema: postHistorySchema, Time: instant, Tags: []string{a.brand, string(a.key.Platform), a.key.Account},
		Values: vs,
	}
}

// postRow is a post with its newest counters. Where the stored row has a number that this one lacks, it replaces it.
func (a *account) postRow(po *post, r *reading) jauge.Record {
	vs := make([]jauge.Value, 0, 9+len(a.plat.postOut))
	vs = append(vs, jauge.TextValue(postCol.id, po.id))
	if r.info.Permalink != "" {
		vs = append(vs, jauge.TextValue(postCol.permalink, r.info.Permalink))
	}
	if r.info.Excerpt != "" {
		vs = append(vs, jauge.TextValue(postCol.excerpt, r.info.Excerpt))
	}
	if r.info.Language != "" {
		vs = append(vs, jauge.TextValue(postCol.language, r.info.Language))
	}
	vs = append(vs,
		jauge.IntValue(postCol.published, r.info.PublishedAt.UnixNano()), jauge.IntValue(postCol.observed, r.version),
		jauge.TextValue(postCol.state, po.state), jauge.FlagValue(postCol.final, r.final))
	if po.carry != "" {
		vs = append(vs, jauge.TextValue(postCol.carry, po.carry))
	}
	rec := jauge.Record{
		Schema: postSchema, Time: po.time, Tags: a.postTags(po.format), Values: a.counters(vs, a.plat.postOut, r),
	}
	has := a.plat.bears(&rec)
	rec.Replace, po.has = po.has&^has != 0, has
	return rec
}

// bears tells, bit by bit, which numbers a post's row has.
func (p *platform) bears(r *jauge.Record) (has uint64) {
	for i, o := range p.postOut {
		if _, ok := r.Get(o.col); ok {
			has |= 1 << i
		}
	}
	return has
}

// stateRow changes a post's state and nothing else.
func (a *account) stateRow(po *post) jauge.Record {
	return jauge.Record{
		Schema: postSchema, Time: po.time, Tags: a.postTags(po.format),
		Values: []jauge.Value{jauge.TextValue(postCol.state, po.state)},
	}
}

// dayValues fills vals with what the posts of a format gained in a day, one for each atom, and tells how many were
// published; NaN where there is nothing to say (rule 10).
func (a *account) dayValues(k dayFormat, c *cell, vals []float64) (published float64) {
	first, known := a.formats[k.format]
	covered := known && first < startOf(k.day+1, a.plat.zone) && a.coversDay(k.day)
	copy(vals, c.sum)
	if covered {
		end := startOf(k.day+1, a.plat.zone)
		for i, v := range vals {
			if math.IsNaN(v) && (!a.plat.atoms[i].varies || a.borne[i] < end) {
				vals[i] = 0
			}
		}
	}
	if n, ok := a.pubs[k]; ok && (n > 0 || covered) {
		return n
	}
	if covered {
		return 0
	}
	return math.NaN()
}

// dailyRow is the row of a day and format; ok is false where there is nothing to say.
func (a *account) dailyRow(k dayFormat, c *cell) (rec jauge.Record, ok bool) {
	vals := make([]float64, len(c.sum))
	published := a.dayValues(k, c, vals)
	vs := make([]jauge.Value, 0, 4+len(a.plat.dailyOut))
	vs = append(vs, jauge.TextValue(dailyCol.day, k.day.String()), jauge.FlagValue(dailyCol.final, c.final),
		jauge.FlagValue(dailyCol.estimated, c.estimated))
	empty := len(vs)
	if !math.IsNaN(published) {
		vs = append(vs, jauge.FloatValue(dailyCol.published, published))
	}
	for _, o := range a.plat.dailyOut {
		if v := total(vals, o.parts, a.plat.varies); !math.IsNaN(v) {
			vs = append(vs, jauge.FloatValue(o.col, v))
		}
	}
	return jauge.Record{
		Schema: dailySchema, Time: startOf(k.day, a.plat.zone), Tags: a.postTags(k.format), Values: vs,
	}, len(vs) > empty
}

// fingerprint tells rows with different fields apart.
func fingerprint(r *jauge.Record) uint64 {
	h := uint64(14695981039346656037)
	mix := func(x uint64) {
		for range 8 {
			h = (h ^ (x & 0xff)) * 1099511628211
			x >>= 8
		}
	}
	for _, v := range r.Values {
		mix(uint64(v.Col)) //nolint:gosec // a small position
		mix(uint64(v.Int()))
		for i := 0; i < len(v.Str); i++ {
			h = (h ^ uint64(v.Str[i])) * 1099511628211
		}
	}
	if h == 0 {
		return 1
	}
	return h
}

func (p *Pipeline) competitor(k jauge.Key) bool {
	m, _ := p.dir.Lookup(k)
	return m.Account.Competitor
}

// ageDays is how long after the end of a day a reading came, in units of 24 hours.
func ageDays(zone *time.Location, day jauge.Day, at int64) float64 {
	return float64(seconds(at)-startOf(day+1, zone)) / float64(dayNanos)
}
