package pipeline

import (
	"math"

	"jauge.dev/jauge"
)

func (r *reader) posts(from int64) error {
	r.a.postsFrom = from
	return r.readPosts(jauge.Query{Measurement: jauge.SocialPost, Match: r.match(), From: at(from)})
}

// postsBefore loads older posts too, back to an instant.
func (r *reader) postsBefore(from int64) error {
	if from >= r.a.postsFrom {
		return nil
	}
	q := jauge.Query{Measurement: jauge.SocialPost, Match: r.match(), From: at(from), To: at(r.a.postsFrom)}
	r.a.postsFrom = from
	return r.readPosts(q)
}

func (r *reader) readPosts(q jauge.Query) error {
	for rec, err := range r.p.store.Read(r.ctx, q) {
		if err != nil {
			return err
		}
		r.addRow(&rec)
	}
	return nil
}

func (r *reader) addRow(rec *jauge.Record) {
	a := r.a
	po := &post{
		id: rec.Text("post_id"), time: rec.Time, format: rec.Tag("format"), state: rec.Text("state"),
		carry: rec.Text("carry"), vals: a.nans(),
	}
	if po.id == "" {
		return
	}
	po.stored = po.state
	po.pub, _ = rec.Int("published_at")
	po.version, _ = rec.Int("observed_at")
	if po.version != 0 {
		po.last = seconds(po.version) + po.slot()
		po.newest = po.last
	}
	po.has = a.plat.bears(rec)
	po.texts = textsOf(&jauge.Post{
		Permalink: rec.Text("permalink"), Excerpt: rec.Text("excerpt"), Language: rec.Text("language"), PublishedAt: at(po.pub),
	}, rec.Flag("final"), po.carry)
	for i, at := range a.plat.atoms {
		if v, ok := rec.Float(string(at.metric)); ok {
			po.vals[i] = v
			a.borne[i] = min(a.borne[i], po.last)
		}
	}
	twin := a.posts[po.id]
	if twin != nil && twin.time == po.time && twin.format == po.format {
		return
	}
	if twin != nil { // a crash came between writing a moved row and deleting the old one
		if twin.version > po.version {
			a.stale = append(a.stale, *rec)
			return
		}
		a.stale = append(a.stale, jauge.Record{
			Schema: postSchema, Time: twin.time, Tags: a.postTags(twin.format),
			Values: []jauge.Value{jauge.TextValue(postCol.id, twin.id)},
		})
		a.removePost(twin)
	}
	a.addPost(po)
}

func (a *account) nans() []float64 {
	out := make([]float64, len(a.plat.atoms))
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// removePost forgets what addPost counted.
func (a *account) removePost(p *post) {
	delete(a.posts, p.id)
	delete(a.formats, p.format)
	for _, other := range a.posts {
		if t, ok := a.formats[other.format]; other.format == p.format && (!ok || other.pub < t) {
			a.formats[p.format] = other.pub
		}
	}
	if p.format != string(jauge.FormatReply) {
		a.pubs[dayFormat{dayOf(p.pub, a.plat.zone), p.format}]--
	}
}

// accountRows loads instants and period figures back to an instant, and finds whether a complete reading lies before.
func (r *reader) accountRows(from int64) error {
	a := r.a
	if a.fresh || from >= a.rowsFrom {
		return nil
	}
	q := jauge.Query{Measurement: jauge.SocialAccount, Match: r.match(), From: at(from)}
	if a.rowsFrom != math.MaxInt64 {
		q.To = at(a.rowsFrom)
	}
	later := a.runs
	a.runs = nil
	for rec, err := range r.p.store.Read(r.ctx, q) {
		if err != nil {
			return err
		}
		r.addAccountRow(&rec)
	}
	a.runs = append(a.runs, later...)
	known := a.rowsFrom != math.MaxInt64
	a.rowsFrom = from
	if known && (a.earlier == 0 || a.earlier < from) {
		return nil
	}
	return r.completeBefore(from)
}

// completeBefore finds the newest complete reading before an instant.
func (r *reader) completeBefore(to int64) error {
	a := r.a
	a.earlier = 0
	for {
		n := 0
		for rec, err := range r.p.store.Read(r.ctx, jauge.Query{
			Measurement: jauge.SocialAccount, Match: r.match("period", string(jauge.PeriodInstant)), To: at(to),
			Desc: true, Limit: completeStep, Columns: []string{"complete_reading"},
		}) {
			if err != nil {
				return err
			}
			n++
			to = rec.Time
			if rec.Flag("complete_reading") {
				a.earlier = rec.Time
				return nil
			}
		}
		if n < completeStep {
			return nil
		}
	}
}

func (r *reader) addAccountRow(rec *jauge.Record) {
	a := r.a
	var vals []jauge.Value
	for _, v := range rec.Values {
		if accountSchema.Columns[v.Col].Type == jauge.Float {
			vals = append(vals, v)
		}
	}
	version, _ := rec.Int("observed_at")
	if rec.Tag("period") == string(jauge.PeriodInstant) {
		rn := run{time: rec.Time, version: version, complete: rec.Flag("complete_reading"), vals: vals}
		rn.setGauges()
		a.runs = append(a.runs, rn)
		return
	}
	f := &figure{
		version: version, start: rec.Time, period: jauge.Period(rec.Tag("period")), paid: rec.Tag("paid") == "true",
		final: rec.Flag("final"), vals: vals,
	}
	a.figures[figureKey{f.period, f.paid, f.start}] = f
}

// oldFormats finds formats that only posts older than those loaded have.
func (r *reader) oldFormats() error {
	a := r.a
	older := false
	q := jauge.Query{Measurement: jauge.SocialPost, Match: r.match(), To: at(a.postsFrom), Limit: 1, Columns: []string{"published_at"}}
	for _, err := range r.p.store.Read(r.ctx, q) {
		if err != nil {
			return err
		}
		older = true
	}
	if !older {
		return nil
	}
	for _, f := range allFormats {
		q.Match = r.match("format", string(f))
		for rec, err := range r.p.store.Read(r.ctx, q) {
			if err != nil {
				return err
			}
			pub, _ := rec.Int("published_at")
			if t, ok := a.formats[string(f)]; !ok || pub < t {
				a.formats[string(f)] = pub
			}
		}
	}
	return nil
}

var allFormats = []jauge.Format{
	jauge.FormatText, jauge.FormatImage, jauge.FormatCarousel, jauge.FormatVideo, jauge.FormatShort, jauge.FormatStory,
	jauge.FormatLive, jauge.FormatLink, jauge.FormatQuote, jauge.FormatPoll, jauge.FormatReply, jauge.FormatArticle,
	jauge.FormatOther,
}

// daily loads the stored days: those before the exact ones as they are, the others to know what is written already.
func (r *reader) daily() error {
	a := r.a
	for rec, err := range r.p.store.Read(r.ctx, jauge.Query{
		Measurement: jauge.SocialPostDaily, Match: r.match(), From: at(startOf(a.baseDay, a.plat.zone)),
	}) {
		if err != nil {
			return err
		}
		a.addDaily(&rec)
	}
	return nil
}

func (a *account) addDaily(rec *jauge.Record) {
	d := dayOf(rec.Time, a.plat.zone)
	c := a.cell(d, rec.Tag("format"))
	c.stored, c.width = fingerprint(rec), len(rec.Values)
	c.published, _ = rec.Float(string(jauge.PostsPublished))
	if d >= a.from {
		return
	}
	c.estimated, c.final = rec.Flag("estimated"), rec.Flag("final")
	for i, at := range a.plat.atoms {
		if v, ok := rec.Float(string(at.metric)); ok {
			c.sum[i] = v
		}
	}
}
