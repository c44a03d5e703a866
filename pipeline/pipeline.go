package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"

	"jauge.dev/jauge"
)

// Pipeline turns pages into rows. One goroutine computes; another may write what was computed before (Run).
type Pipeline struct {
	cfg   Config
	store Store
	dir   Directory
	log   *slog.Logger
	met   *metrics

	platforms map[jauge.Platform]*platform
	kpis      []kpi

	mu       sync.Mutex // guards all below: one batch, move or recomputation at a time
	accounts map[jauge.Key]*cached
	brands   map[string]*brand
	clock    uint64
	void     map[runKey]bool // runs of which a page is a dead letter
	buried   func(context.Context) ([]Letter, error)
	barrier  func(context.Context) error // waits until all that was computed is written
	unknown  map[string]bool             // wire names logged already
	days     map[jauge.Day]string        // as text

	spare chan rows // space of rows that have been written
}

type cached struct {
	*account
	used uint64
}

type runKey struct {
	key jauge.Key
	run string
}

// New makes a pipeline. All mistakes of mappings and formulas are start-up errors.
func New(cfg Config, deps Deps) (*Pipeline, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Pipeline{
		cfg: cfg, store: deps.Store, dir: deps.Directory, log: deps.Log, platforms: map[jauge.Platform]*platform{},
		void: map[runKey]bool{}, unknown: map[string]bool{}, days: map[jauge.Day]string{}, spare: make(chan rows, spareBatches),
		barrier: func(context.Context) error { return nil },
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	for name, m := range cfg.Mappings {
		pl, err := newPlatform(name, m, cfg.Bases[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		pl.weights = weightsOf(cfg.Weights[name])
		p.platforms[name] = pl
	}
	var err error
	if p.kpis, err = compileKPIs(cfg.KPIs, cfg.Weights, cfg.Bases); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i, name := range slices.Sorted(maps.Keys(p.platforms)) {
		p.platforms[name].bit = 1 << i
	}
	p.met = newMetrics(deps.Registerer, slices.Sorted(maps.Keys(p.platforms)))
	p.Forget()
	return p, nil
}

// Forget drops all that is kept in memory; it is read back when it is needed.
func (p *Pipeline) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
}

func (p *Pipeline) forget() {
	p.accounts, p.brands = map[jauge.Key]*cached{}, map[string]*brand{}
}

func (p *Pipeline) brandOf(k jauge.Key) string {
	if m, ok := p.dir.Lookup(k); ok && m.Account.Brand != "" {
		return m.Account.Brand
	}
	return "unknown"
}

type weight struct {
	metric jauge.Metric
	weight float64
}

// weightsOf lists the default weights with what config changes, in the catalogue's order.
func weightsOf(changed map[jauge.Metric]float64) []weight {
	w := DefaultWeights()
	maps.Copy(w, changed)
	var out []weight
	for _, m := range jauge.Metrics() {
		if v, ok := w[m.Name]; ok && v != 0 {
			out = append(out, weight{m.Name, v})
		}
	}
	return out
}

// Process takes pages, in the order of their accounts. When it returns without an error everything that follows from
// them is in the store; an error means that the same call is to be repeated. The letters are pages that could not be
// normalised, and marks of complete readings that such pages void.
func (p *Pipeline) Process(ctx context.Context, msgs []Message) ([]Letter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := p.compute(ctx, msgs)
	if err == nil {
		err = p.writeBatch(ctx, b)
	}
	if err != nil {
		p.forget()
		return nil, err
	}
	p.evict()
	p.reuse(b)
	return b.letters, nil
}

// batch is the work on some messages.
type batch struct {
	rows    rows
	letters []Letter
	pages   map[jauge.Key][]*normal
	order   []jauge.Key
}

// compute does everything but the last write.
func (p *Pipeline) compute(ctx context.Context, msgs []Message) (*batch, error) {
	b := &batch{rows: p.newRows(), pages: map[jauge.Key][]*normal{}}
	for i := range msgs {
		p.take(ctx, b, &msgs[i])
	}
	var accounts []*account
	for _, key := range b.order {
		a, err := p.account(ctx, key, b.pages[key])
		if err != nil {
			return nil, err
		}
		for _, n := range b.pages[key] {
			if p.apply(a, n, &b.rows) && n.page.Complete {
				if err := p.mark(ctx, a, n.page, b); err != nil {
					return nil, err
				}
			}
		}
		accounts = append(accounts, a)
	}
	accounts, err := p.remake(ctx, b, accounts)
	if err != nil {
		return nil, err
	}
	return b, p.derive(ctx, b, accounts)
}

// take normalises a message; what cannot be normalised becomes a letter and voids its run's mark.
func (p *Pipeline) take(_ context.Context, b *batch, m *Message) {
	pg := &m.Page
	err := m.Err
	var n *normal
	if err == nil {
		pl := p.platforms[pg.Platform]
		if pl == nil {
			err = fmt.Errorf("%w: platform %q is unknown", errPage, pg.Platform)
		} else {
			n, err = pl.normalise(pg, func(wire string) { p.unknownWire(pg.Platform, wire) })
		}
	}
	if err != nil {
		b.letters = append(b.letters, Letter{Page: *pg, Reason: err.Error(), Raw: m.Raw})
		p.void[runKey{pg.Key(), pg.Run}] = true
		p.met.rejects(pg.Platform).Inc()
		return
	}
	p.met.pages(pg.Platform).Inc()
	if _, ok := b.pages[pg.Key()]; !ok {
		b.order = append(b.order, pg.Key())
	}
	b.pages[pg.Key()] = append(b.pages[pg.Key()], n)
}

func (p *Pipeline) unknownWire(pl jauge.Platform, wire string) {
	p.met.unknownWires(pl).Inc()
	if k := string(pl) + " " + wire; !p.unknown[k] && len(p.unknown) < 1000 {
		p.unknown[k] = true
		p.log.Warn("wire name is not in the mapping", "platform", pl, "wire", wire)
	}
}

// mark makes the page's run a complete reading, unless a page of it is a dead letter: then the mark becomes one too,
// and counts when both have been replayed.
func (p *Pipeline) mark(ctx context.Context, a *account, pg *jauge.Page, b *batch) error {
	k := runKey{a.key, pg.Run}
	if p.void[k] && p.buried != nil {
		inBatch := slices.ContainsFunc(b.letters, func(l Letter) bool { return l.Page.Key() == a.key && l.Page.Run == pg.Run })
		if !inBatch {
			if err := p.readVoid(ctx); err != nil {
				return err
			}
		}
	}
	if !p.void[k] {
		p.applyMark(a, pg.RunStart.UnixNano(), &b.rows)
		return nil
	}
	only := *pg
	only.Observations = nil
	b.letters = append(b.letters, Letter{Page: only, Reason: "mark of a complete reading: a page of its run is a dead letter"})
	return nil
}

// readVoid learns from the dead letters which runs are void.
func (p *Pipeline) readVoid(ctx context.Context) error {
	letters, err := p.buried(ctx)
	if err != nil {
		return fmt.Errorf("list dead letters: %w", err)
	}
	clear(p.void)
	for i := range letters {
		if l := &letters[i]; !markOnly(&l.Page) {
			p.void[runKey{l.Page.Key(), l.Page.Run}] = true
		}
	}
	return nil
}

func markOnly(pg *jauge.Page) bool { return pg.Complete && len(pg.Observations) == 0 }

// account finds or loads an account, with all posts and days that the pages may change.
func (p *Pipeline) account(ctx context.Context, key jauge.Key, pages []*normal) (*account, error) {
	p.clock++
	c := p.accounts[key]
	if c == nil {
		if err := p.barrier(ctx); err != nil {
			return nil, err
		}
		a, err := p.load(ctx, key, nil, nil, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		a.touchLoaded(int64(p.cfg.HistoryRetention))
		c = &cached{account: a}
		p.accounts[key] = c
	}
	c.used = p.clock
	published, figures := c.oldest(pages)
	if published != math.MaxInt64 {
		if err := p.reach(ctx, c.account, dayOf(published, c.plat.zone)); err != nil {
			return nil, err
		}
	}
	if figures < c.rowsFrom && !c.fresh {
		if err := p.barrier(ctx); err != nil {
			return nil, err
		}
		if err := (&reader{p: p, ctx: ctx, a: c.account}).accountRows(figures); err != nil {
			return nil, err
		}
	}
	return c.account, nil
}

// oldest finds the earliest publication of the posts that are new to the account, or read again, and the earliest
// period figure.
func (a *account) oldest(pages []*normal) (published, figures int64) {
	published, figures = math.MaxInt64, math.MaxInt64
	for _, n := range pages {
		for i := range n.figures {
			figures = min(figures, n.figures[i].start)
		}
		for i := range n.readings {
			r := &n.readings[i]
			if po := a.posts[r.post]; r.info != nil && (po == nil || r.version <= po.version) {
				published = min(published, r.info.PublishedAt.UnixNano())
			}
		}
	}
	return published, figures
}

// reach makes sure that a day, and the days that windows ending on it hold, are in memory with their posts.
func (p *Pipeline) reach(ctx context.Context, a *account, d jauge.Day) error {
	d -= baseDays
	if a.baseDay <= d {
		return nil
	}
	if err := p.barrier(ctx); err != nil {
		return err
	}
	r := &reader{p: p, ctx: ctx, a: a}
	if err := r.postsBefore(startOf(d, a.plat.zone)); err != nil {
		return err
	}
	if err := r.accountRows(startOf(d, a.plat.zone) - rowsReach); err != nil {
		return err
	}
	old := a.baseDay
	a.baseDay = d
	for rec, err := range p.store.Read(ctx, jauge.Query{
		Measurement: jauge.SocialPostDaily, Match: r.match(),
		From: at(startOf(d, a.plat.zone)), To: at(startOf(old, a.plat.zone)),
	}) {
		if err != nil {
			return err
		}
		a.addDaily(&rec)
	}
	return nil
}

// remake reads those accounts anew from the store whose batch held readings that were not the newest.
func (p *Pipeline) remake(ctx context.Context, b *batch, accounts []*account) ([]*account, error) {
	if !slices.ContainsFunc(accounts, func(a *account) bool { return a.slow || len(a.restated) > 0 }) {
		return accounts, nil
	}
	if err := p.barrier(ctx); err != nil {
		return nil, err
	}
	deletes := b.rows.deletes
	b.rows.deletes = nil // they come last: a row that was moved shows after a crash that its days are to be made anew
	if err := p.writeBatch(ctx, b); err != nil {
		return nil, err
	}
	b.rows = rows{deletes: deletes, room: b.rows.room}
	for i, a := range accounts {
		if err := p.restate(ctx, a, &b.rows); err != nil {
			return nil, err
		}
		if !a.slow {
			continue
		}
		made, err := p.remakeOne(ctx, b, a)
		if err != nil {
			return nil, err
		}
		accounts[i] = made
		p.accounts[a.key].account = made
	}
	return accounts, nil
}

func (p *Pipeline) remakeOne(ctx context.Context, b *batch, a *account) (*account, error) {
	p.met.remakes.Inc()
	var probe []reading
	oldest := int64(math.MaxInt64)
	for _, n := range b.pages[a.key] {
		probe = append(probe, n.readings...)
	}
	for d := range a.touched {
		oldest = min(oldest, startOf(d, a.plat.zone))
	}
	need := a.need
	made, err := p.load(ctx, a.key, &need, probe, oldest)
	if err != nil {
		return nil, err
	}
	made.newest = max(made.newest, a.newest)
	for d := range a.touched {
		made.touch(d)
	}
	made.touchLoaded(int64(p.cfg.HistoryRetention))
	for i := range probe {
		if probe[i].info == nil {
			continue
		}
		made.touch(dayOf(probe[i].info.PublishedAt.UnixNano(), made.plat.zone))
		po := made.posts[probe[i].post]
		if first, last, ok := made.covered(); ok && po != nil && po.pub == made.formats[po.format] && po.pub <= last {
			made.touchSpan(max(first, po.pub, made.newest-int64(p.cfg.HistoryRetention)), last)
		}
	}
	if len(made.touched) > 0 {
		if err := p.reach(ctx, made, slices.Min(slices.Collect(maps.Keys(made.touched)))); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// derive makes days, KPIs and roll-ups of what the batch touched.
func (p *Pipeline) derive(ctx context.Context, b *batch, accounts []*account) error {
	touched := map[string]*brand{}
	for _, a := range accounts {
		if len(a.touched) > 0 {
			if err := p.reach(ctx, a, slices.Min(slices.Collect(maps.Keys(a.touched)))); err != nil {
				return err
			}
		}
		p.writeDays(a, &b.rows)
		b.rows.deletes = append(b.rows.deletes, a.stale...)
		b.rows.main = append(b.rows.main, a.mends...)
		a.stale, a.mends = nil, nil
		ends := a.ends()
		if len(ends) > 0 {
			br, err := p.loadBrand(ctx, a.brand, ends[0])
			if err != nil {
				return err
			}
			p.evaluate(a, br, &b.rows)
			touched[br.name] = br
		}
		clear(a.touched)
		a.slow, a.loaded = false, false
		p.trim(a)
	}
	for _, name := range slices.Sorted(maps.Keys(touched)) {
		p.rollUp(touched[name], &b.rows)
	}
	return nil
}

// writeBatch stores a batch's rows: readings first, since everything else can be made from them again.
func (p *Pipeline) writeBatch(ctx context.Context, b *batch) error {
	if err := b.note(p.writePart(ctx, b.rows.history, nil)); err != nil {
		return err
	}
	return b.note(p.writePart(ctx, b.rows.main, b.rows.deletes))
}

// note makes letters of the pages of which the store will never take a row; any other error is passed on.
func (b *batch) note(err error) error {
	if rejected, ok := errors.AsType[*jauge.RejectedError](err); ok {
		b.letters = append(b.letters, b.rejected(rejected)...)
		return nil
	}
	return err
}

// writePart writes rows, then deletes others. The old row of a post that moved goes last of all: as long as it is
// there, its days are made anew.
func (p *Pipeline) writePart(ctx context.Context, write, deletes []jauge.Record) error {
	var rejected error
	if len(write) > 0 {
		err := p.store.Write(ctx, write)
		if _, ok := errors.AsType[*jauge.RejectedError](err); ok {
			rejected = err
		} else if err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
		p.met.records.Add(float64(len(write)))
	}
	for _, moved := range []bool{false, true} {
		part := slices.DeleteFunc(slices.Clone(deletes), func(d jauge.Record) bool { return (d.Schema == postSchema) != moved })
		if len(part) == 0 {
			continue
		}
		if err := p.store.Delete(ctx, part); err != nil {
			return fmt.Errorf("delete rows: %w", err)
		}
	}
	return rejected
}

// rejected makes letters of the pages whose rows the store will never take.
func (b *batch) rejected(e *jauge.RejectedError) []Letter {
	var out []Letter
	seen := map[jauge.Key]bool{}
	for i := range e.Rows {
		key := jauge.Key{Platform: jauge.Platform(e.Rows[i].Tag("platform")), Account: e.Rows[i].Tag("account")}
		if seen[key] {
			continue
		}
		seen[key] = true
		for _, n := range b.pages[key] {
			out = append(out, Letter{Page: *n.page, Reason: "store rejected rows: " + e.Reasons[i]})
		}
	}
	return out
}
