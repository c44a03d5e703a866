package pipeline

import (
	"math"
	"time"

	"jauge.dev/jauge"
)

// postTags gives the tags of posts of a format; rows share them.
func (a *account) postTags(format string) []string {
	t := a.tags[format]
	if t == nil {
		t = []string{a.brand, string(a.key.Platform), a.key.Account, format}
		a.tags[format] = t
	}
	return t
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
		v := r.vals[o.parts[0]]
		if len(o.parts) > 1 {
			v = total(r.vals, o.parts, drop)
		}
		if !math.IsNaN(v) {
			vs = append(vs, jauge.FloatValue(o.col, v))
		}
	}
	return vs
}

// historyRow is a post at one reading.
func (a *account) historyRow(po *post, r *reading, instant int64, out *rows) jauge.Record {
	vs := out.room.fields(2 + len(a.plat.historyOut))
	vs = append(vs, jauge.TextValue(postHistoryCol.id, po.id), jauge.TextValue(postHistoryCol.state, r.state))
	if r.vals != nil {
		vs = a.counters(vs, a.plat.historyOut, r)
	}
	return jauge.Record{Schema: postHistorySchema, Time: instant, Tags: a.postTags(anyFormat)[:3], Values: vs}
}

const anyFormat = string(jauge.FormatOther) // history rows have no format: the tags before it are theirs

// postRow is a post with its newest counters. Where the stored row has a number that this one lacks, it replaces it;
// texts that the stored row has already are left out.
func (a *account) postRow(po *post, r *reading, out *rows) jauge.Record {
	a.counted = a.counters(a.counted[:0], a.plat.postOut, r)
	counters := a.counted
	rec := jauge.Record{Schema: postSchema, Time: po.time, Tags: a.postTags(po.format), Values: counters}
	has, texts := a.plat.bears(&rec), textsOf(r.info, r.final, po.carry)
	rec.Replace = po.has&^has != 0
	var vs []jauge.Value
	if rec.Replace || texts != po.texts {
		vs = a.texts(out.room.fields(postTexts+len(counters)), po, r)
	} else {
		vs = append(out.room.fields(2+len(counters)), jauge.IntValue(postCol.observed, r.version), jauge.TextValue(postCol.state, po.state))
	}
	rec.Values = append(vs, counters...)
	po.has, po.texts, po.stored = has, texts, po.state
	return rec
}

// postTexts is how many fields beside counters a post's row has at most.
const postTexts = 9

// texts appends what a post's row holds beside counters.
func (a *account) texts(vs []jauge.Value, po *post, r *reading) []jauge.Value {
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
	return vs
}

// textsOf tells apart what posts' rows hold beside counters.
func textsOf(info *jauge.Post, final bool, carry string) uint64 {
	h := newHash()
	for _, s := range [...]string{info.Permalink, info.Excerpt, info.Language, carry} {
		h.text(s)
	}
	h.number(uint64(info.PublishedAt.UnixNano())) //nolint:gosec // bits
	if final {
		h.number(1)
	}
	return h.sum()
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
	h := newHash()
	for _, v := range r.Values {
		h.number(uint64(v.Col))   //nolint:gosec // a small position
		h.number(uint64(v.Int())) //nolint:gosec // bits
		h.text(v.Str)
	}
	return h.sum()
}

// hash64 is FNV-1a over whole words; it never comes to 0, which stands for nothing.
type hash64 uint64

func newHash() *hash64 {
	h := hash64(14695981039346656037)
	return &h
}

func (h *hash64) number(n uint64) {
	*h = (*h ^ hash64(n)) * 1099511628211
	*h ^= *h >> 29
}

func (h *hash64) text(s string) {
	for i := 0; i < len(s); i++ {
		*h = (*h ^ hash64(s[i])) * 1099511628211
	}
	h.number(uint64(len(s)))
}

func (h *hash64) sum() uint64 { return max(uint64(*h), 1) }

func (p *Pipeline) competitor(k jauge.Key) bool {
	m, _ := p.dir.Lookup(k)
	return m.Account.Competitor
}

// ageDays is how long after the end of a day a reading came, in units of 24 hours.
func ageDays(zone *time.Location, day jauge.Day, at int64) float64 {
	return float64(seconds(at)-startOf(day+1, zone)) / float64(dayNanos)
}
