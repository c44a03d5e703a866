package pipeline

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// How far back an account is read when it is not in memory.
const (
	baseDays     = 28                 // days before the first exact one, as stored: the longest window
	lookBack     = 8 * 24 * time.Hour // readings before the first exact day: the ladder's longest step and a day
	rowsReach    = 3 * dayNanos       // account rows before the first day in memory: gauges at a window's start
	completeStep = 256
)

// reader loads one account from the store.
type reader struct {
	p    *Pipeline
	ctx  context.Context //nolint:containedctx // lives for one load
	a    *account
	hist []hist
}

// hist is one reading in the history.
type hist struct {
	po    *post
	at    int64
	state string
	vals  []float64 // nil for a reading of the state alone
}

func (r *reader) match(more ...string) map[string][]string {
	m := map[string][]string{"platform": {string(r.a.key.Platform)}, "account": {r.a.key.Account}}
	for i := 0; i+1 < len(more); i += 2 {
		m[more[i]] = append(m[more[i]], more[i+1])
	}
	return m
}

func at(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// load reads an account. Days from need on will be exact at least (all of them if need lies before tracking);
// readings that the batch holds again tell by probe which difference they end or begin, so that its days are exact too.
func (p *Pipeline) load(ctx context.Context, key jauge.Key, need *jauge.Day, probe []reading, pubMin int64) (*account, error) {
	plat := p.platforms[key.Platform]
	for tries := 0; ; tries++ {
		a := newAccount(key, plat)
		a.brand = p.brandOf(key)
		r := &reader{p: p, ctx: ctx, a: a}
		if err := r.all(need, pubMin); err != nil {
			return nil, err
		}
		first, ok := r.firstDay(probe)
		for i := range a.stale { // a post's format changed, and its days may not have been made anew
			pub, known := a.posts[a.stale[i].Text("post_id")]
			if known {
				d := dayOf(pub.pub, plat.zone)
				ok, first = true, min(first, d)
			}
		}
		if !ok || first >= a.from || tries > 2 || a.fresh || a.from <= r.frozen() {
			p.met.loads.Inc()
			return a, nil
		}
		need = &first
	}
}

func (r *reader) all(need *jauge.Day, pubMin int64) error {
	a := r.a
	if err := r.newest(); err != nil {
		return err
	}
	if a.fresh {
		a.postsFrom = math.MinInt64
		a.from, a.baseDay = math.MinInt32, math.MinInt32
		return nil
	}
	from := a.running()
	if need != nil {
		from = min(from, *need)
	}
	posts := min(a.newest-int64(r.p.cfg.LadderEnd)-dayNanos, pubMin, startOf(from-baseDays, a.plat.zone))
	if err := r.posts(startOf(dayOf(posts, a.plat.zone), a.plat.zone)); err != nil {
		return err
	}
	for _, po := range a.posts {
		if a.onLadder(po, int64(r.p.cfg.LadderEnd)) && po.last != 0 {
			from = min(from, dayOf(po.last, a.plat.zone))
		}
	}
	a.from = max(from, r.frozen())
	a.baseDay = a.from - baseDays
	if err := r.postsBefore(startOf(a.baseDay, a.plat.zone)); err != nil {
		return err
	}
	if err := r.accountRows(startOf(a.baseDay, a.plat.zone) - rowsReach); err != nil {
		return err
	}
	if err := r.firstBorne(); err != nil {
		return err
	}
	if err := r.history(startOf(a.from, a.plat.zone) - int64(lookBack)); err != nil {
		return err
	}
	if err := r.oldFormats(); err != nil {
		return err
	}
	r.compute()
	return r.daily()
}

// frozen is the first day that is not frozen (rule 13).
func (r *reader) frozen() jauge.Day { return r.a.frozen(int64(r.p.cfg.HistoryRetention)) }

func (a *account) frozen(retention int64) jauge.Day { return dayOf(a.newest-retention, a.plat.zone) }

// newest finds the newest row; an account without any is fresh.
func (r *reader) newest() error {
	for rec, err := range r.p.store.Read(r.ctx, jauge.Query{
		Measurement: jauge.SocialAccount, Match: r.match("period", string(jauge.PeriodInstant)), Desc: true, Limit: 1,
	}) {
		if err != nil {
			return err
		}
		v, _ := rec.Int("observed_at")
		r.a.newest = max(v, rec.Time)
	}
	for rec, err := range r.p.store.Read(r.ctx, jauge.Query{
		Measurement: jauge.SocialPostHistory, Match: r.match(), Desc: true, Limit: 1,
	}) {
		if err != nil {
			return err
		}
		r.a.newest = max(r.a.newest, rec.Time)
	}
	r.a.fresh = r.a.newest == 0
	return nil
}

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

// history loads the readings from an instant on. Where one of the exact days may rest on a reading from before, all
// readings are loaded.
func (r *reader) history(from int64) error {
	if err := r.readHistory(from); err != nil {
		return err
	}
	oldest := r.a.newest - int64(r.p.cfg.HistoryRetention)
	if from > oldest && r.uncertain(from) {
		r.hist = r.hist[:0]
		return r.readHistory(oldest)
	}
	return nil
}

func (r *reader) readHistory(from int64) error {
	var unknown []string
	var strays []jauge.Record
	for rec, err := range r.p.store.Read(r.ctx, jauge.Query{
		Measurement: jauge.SocialPostHistory, Match: r.match(), From: at(from),
	}) {
		if err != nil {
			return err
		}
		id := rec.Text("post_id")
		if r.a.posts[id] == nil {
			strays = append(strays, rec)
			if !slices.Contains(unknown, id) {
				unknown = append(unknown, id)
			}
			continue
		}
		r.addHistory(&rec)
	}
	if len(unknown) == 0 {
		return nil
	}
	for chunk := range slices.Chunk(unknown, 50) {
		m := r.match()
		m["post_id"] = chunk
		if err := r.readPosts(jauge.Query{Measurement: jauge.SocialPost, Match: m}); err != nil {
			return err
		}
	}
	for i := range strays {
		id := strays[i].Text("post_id")
		if r.a.posts[id] == nil {
			r.a.orphans[id] = point{at: max(strays[i].Time, r.a.orphans[id].at)}
			continue
		}
		r.addHistory(&strays[i])
	}
	slices.SortStableFunc(r.hist, func(x, y hist) int {
		switch {
		case x.at < y.at:
			return -1
		case x.at > y.at:
			return 1
		}
		return 0
	})
	return nil
}

func (r *reader) addHistory(rec *jauge.Record) {
	h := hist{po: r.a.posts[rec.Text("post_id")], at: rec.Time, state: rec.Text("state")}
	for i, at := range r.a.plat.atoms {
		if v, ok := rec.Float(string(at.metric)); ok {
			if h.vals == nil {
				h.vals = r.a.nans()
			}
			h.vals[i] = v
			r.a.borne[i] = min(r.a.borne[i], h.at)
		}
	}
	r.hist = append(r.hist, h)
}

// uncertain tells whether a difference in the exact days, or one still to come, may begin with a reading from before
// those that are loaded: a counter of an old post whose first loaded reading lies in the exact days, or that none of
// them bears though older ones may.
func (r *reader) uncertain(from int64) bool {
	a := r.a
	if len(a.runs) > 0 && a.runs[0].time >= from && a.earlier == 0 {
		return false // the account itself is not known from before
	}
	exact := startOf(a.from, a.plat.zone)
	first := map[*post][]int64{} // per atom, the first loaded reading that bears it
	for _, h := range r.hist {
		if h.vals == nil || h.po.pub >= from {
			continue
		}
		f := first[h.po]
		if f == nil {
			f = make([]int64, len(a.plat.atoms))
			first[h.po] = f
		}
		for i, v := range h.vals {
			if f[i] == 0 && !math.IsNaN(v) {
				f[i] = h.at
			}
		}
	}
	for po, f := range first {
		for i, at := range f {
			if at >= exact || (at == 0 && math.IsNaN(po.vals[i]) && a.borne[i] < from) {
				return true
			}
		}
	}
	for _, po := range a.posts {
		for i, v := range po.vals {
			if first[po] == nil && math.IsNaN(v) && a.borne[i] < from && po.pub < from && a.onLadder(po, int64(r.p.cfg.LadderEnd)) {
				return true
			}
		}
	}
	return false
}

// firstBorne finds when an atom was first borne by any post, for those atoms that a loaded row lacks or that not every
// server offers.
func (r *reader) firstBorne() error {
	a := r.a
	lacks := make([]bool, len(a.plat.atoms))
	for _, po := range a.posts {
		for i, v := range po.vals {
			lacks[i] = lacks[i] || math.IsNaN(v)
		}
	}
	for i, atom := range a.plat.atoms {
		if !lacks[i] && !atom.varies {
			continue
		}
		for rec, err := range r.p.store.Read(r.ctx, jauge.Query{
			Measurement: jauge.SocialPostHistory, Match: r.match(), Columns: []string{string(atom.metric)}, Limit: 1,
		}) {
			if err != nil {
				return err
			}
			a.borne[i] = min(a.borne[i], rec.Time)
		}
	}
	return nil
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

// compute takes the differences of all loaded readings that reach the exact days.
func (r *reader) compute() {
	a := r.a
	r.addCarried()
	a.loading = true
	defer func() { a.loading = false }()
	seq := map[*post][]point{} // per post and atom: newest value so far
	for _, h := range r.hist {
		if h.at >= h.po.newest {
			h.po.newest, h.po.state = h.at, stateOr(h.state, h.po.state)
		}
		if h.vals == nil {
			continue
		}
		last := seq[h.po]
		if last == nil {
			last = make([]point, len(a.plat.atoms))
			seq[h.po] = last
		}
		for i, v := range h.vals {
			if math.IsNaN(v) {
				continue
			}
			if last[i].at != 0 {
				a.gain(h.po.format, i, last[i].at, h.at, v-last[i].val)
			} else if from, zero := a.fromZero(h.po.pub, h.at); zero {
				a.gain(h.po.format, i, from, h.at, v)
			}
			last[i] = point{h.at, v}
		}
	}
	for _, po := range a.posts {
		if po.state != po.stored && po.version != 0 {
			a.mends = append(a.mends, a.stateRow(po))
			po.stored = po.state
		}
	}
	for po, last := range seq {
		for i, pt := range last {
			if pt.at == 0 || (!math.IsNaN(po.vals[i]) && pt.at <= po.last) {
				continue
			}
			if po.older == nil {
				po.older = map[int]point{}
			}
			po.older[i] = pt
		}
	}
	clear(a.touched)
}

func stateOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// addCarried puts the readings that the history has let go of before the others.
func (r *reader) addCarried() {
	var old []hist
	for _, po := range r.a.posts {
		if po.carry == "" {
			continue
		}
		var c carried
		if json.Unmarshal([]byte(po.carry), &c) != nil || slices.ContainsFunc(r.hist, func(h hist) bool {
			return h.po == po && h.at <= c.At
		}) {
			continue
		}
		h := hist{po: po, at: c.At, vals: r.a.nans()}
		for i, at := range r.a.plat.atoms {
			if v, ok := c.Values[string(at.metric)]; ok {
				h.vals[i] = v
			}
		}
		old = append(old, h)
	}
	r.hist = append(old, r.hist...)
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

// firstDay finds the earliest day on which a difference begins that one of the given readings ends or begins.
func (r *reader) firstDay(probe []reading) (jauge.Day, bool) {
	found, first := false, jauge.Day(math.MaxInt32)
	for _, rd := range probe {
		po := r.a.posts[rd.post]
		if po == nil {
			continue
		}
		instant := seconds(rd.version) + po.slot()
		prev := instant
		if from, zero := r.a.fromZero(po.pub, instant); zero {
			prev = from
		}
		for i := range r.a.plat.atoms {
			last := int64(math.MaxInt64)
			for _, h := range r.hist {
				if h.po == po && h.at < instant && h.vals != nil && !math.IsNaN(h.vals[i]) {
					last = h.at
				}
			}
			prev = min(prev, last)
		}
		found, first = true, min(first, dayOf(prev, r.a.plat.zone))
	}
	return first, found
}
