package pipeline

import (
	"context"
	"math"
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
