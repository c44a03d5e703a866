package pipeline

import (
	"context"
	"math"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// brand holds the KPI rows of a brand's accounts and roll-ups for the days at hand.
type brand struct {
	name    string
	from    jauge.Day // blocks from this day on are known
	who     map[jauge.Key]int32
	keys    []jauge.Key
	blocks  map[blockKey]block
	changed map[cellOf]uint32 // what this batch changed in accounts, with the platforms of these
	used    uint64
}

type blockKey struct {
	day jauge.Day
	who int32
}

func newBrand(name string) *brand {
	return &brand{
		name: name, from: math.MaxInt32, who: map[jauge.Key]int32{}, blocks: map[blockKey]block{},
		changed: map[cellOf]uint32{},
	}
}

func (b *brand) index(k jauge.Key) int32 {
	i, ok := b.who[k]
	if !ok {
		i = int32(len(b.keys)) //nolint:gosec // accounts of a brand
		b.who[k] = i
		b.keys = append(b.keys, k)
	}
	return i
}

// block finds the entries of a day; one that is not there is made only to hold a value.
func (b *brand) block(d jauge.Day, who int32, size int, create bool) block {
	k := blockKey{d, who}
	bl := b.blocks[k]
	if bl == nil && create {
		bl = make(block, size)
		for i := range bl {
			bl[i].den = math.NaN()
		}
		b.blocks[k] = bl
	}
	return bl
}

func (b *brand) size(kpis int) int {
	return 512 + len(b.blocks)*(96+24*len(windows)*kpis) + len(b.keys)*128
}

// loadBrand makes sure that a brand's KPI rows from a day on are in memory.
func (p *Pipeline) loadBrand(ctx context.Context, name string, from jauge.Day) (*brand, error) {
	b := p.brands[name]
	if b == nil {
		b = newBrand(name)
	}
	if from < b.from {
		if err := p.barrier(ctx); err != nil {
			return nil, err
		}
		if err := p.readBrand(ctx, b, from); err != nil {
			return nil, err
		}
		b.from = from
	}
	p.brands[name] = b
	p.clock++
	b.used = p.clock
	return b, nil
}

// readBrand reads the rows of the members and roll-ups, named one by one: stores find accounts by their keys.
func (p *Pipeline) readBrand(ctx context.Context, b *brand, from jauge.Day) error {
	accounts, platforms := []string{jauge.All}, []string{jauge.All}
	for _, m := range p.dir.Brand(b.name) {
		if m.Account.ID != "" {
			accounts = append(accounts, m.Account.ID)
		}
	}
	for name := range p.platforms { // all of them: a brand that its last account has left keeps none else
		platforms = append(platforms, string(name))
	}
	for chunk := range slices.Chunk(accounts, 100) {
		q := jauge.Query{Measurement: jauge.SocialKPI, From: from.Label(), Match: map[string][]string{
			"brand": {b.name}, "platform": platforms, "account": chunk,
		}}
		if b.from != math.MaxInt32 {
			q.To = b.from.Label()
		}
		for r, err := range p.store.Read(ctx, q) {
			if err != nil {
				return err
			}
			p.addKPIRow(b, &r)
		}
	}
	return nil
}

func (p *Pipeline) addKPIRow(b *brand, r *jauge.Record) {
	ki := slices.IndexFunc(p.kpis, func(k kpi) bool { return k.Name == r.Tag("kpi") })
	wi := slices.Index(windows, jauge.Window(r.Tag("window")))
	if ki < 0 || wi < 0 {
		return
	}
	e := entry{flags: entryPresent, den: math.NaN()}
	e.num, _ = r.Float("numerator")
	if d, ok := r.Float("denominator"); ok {
		e.den = d
	}
	if r.Flag("estimated") {
		e.flags |= entryEstimated
	}
	if r.Flag("complete") {
		e.flags |= entryComplete
	}
	if r.Text("version") != p.kpis[ki].version {
		e.flags |= entryStale
	}
	key := jauge.Key{Platform: jauge.Platform(r.Tag("platform")), Account: r.Tag("account")}
	d := dayOf(r.Time, time.UTC)
	b.block(d, b.index(key), len(windows)*len(p.kpis), true)[wi*len(p.kpis)+ki] = e
}

// rollUp brings a brand's roll-ups up to date with what changed in its accounts.
func (p *Pipeline) rollUp(b *brand, out *rows) {
	if len(b.changed) == 0 {
		return
	}
	members := p.dir.Brand(b.name)
	for c := range b.changed {
		if p.kpis[c.kpi].Name != string(jauge.Followers) {
			continue
		}
		for ki := range p.kpis { // it may be the denominator of what has several bases
			if p.kpis[ki].basis == identBasis {
				b.changed[cellOf{c.day, c.window, int16(ki)}] |= 0 //nolint:gosec // few KPIs
			}
		}
	}
	for c, set := range b.changed {
		for name, pl := range p.platforms {
			if set&pl.bit != 0 {
				p.rollUpCell(b, members, c, name, out)
			}
		}
		p.rollUpCell(b, members, c, jauge.All, out)
	}
	clear(b.changed)
}

func (p *Pipeline) rollUpCell(b *brand, members []jauge.Member, c cellOf, platform jauge.Platform, out *rows) {
	e, basis := p.rollUpOne(b, members, c, platform)
	p.put(b, b.index(jauge.Key{Platform: platform, Account: jauge.All}), c, e, basis, out)
}

// rollUpOne adds up the members' numerators and denominators (rule 21).
func (p *Pipeline) rollUpOne(b *brand, members []jauge.Member, c cellOf, platform jauge.Platform) (entry, string) {
	k := &p.kpis[c.kpi]
	followers := -1
	basis := k.basis
	if k.basis == identBasis {
		basis, followers = p.commonBasis(members, c, platform)
	}
	e := entry{den: math.NaN(), flags: entryPresent | entryComplete}
	n := 0
	for _, m := range members {
		if (platform != jauge.All && m.Account.Platform != platform) || (m.Gone && m.Removed <= c.day) {
			continue
		}
		x, ok := b.entry(p, m.Account.Key(), c)
		den := x.den
		if ok && followers >= 0 {
			var f entry
			f, ok = b.entry(p, m.Account.Key(), cellOf{c.day, c.window, int16(followers)})
			den = f.num
			x.flags &= f.flags | entryEstimated
		}
		if !ok {
			e.flags &^= entryComplete
			continue
		}
		n++
		e.num += x.num
		switch {
		case k.basis == identDays:
			e.den = den // the days of the window, however many accounts
		case !math.IsNaN(den):
			e.den = plus(e.den, den)
		}
		e.flags |= x.flags & entryEstimated
		if !x.has(entryComplete) {
			e.flags &^= entryComplete
		}
	}
	if n == 0 || (k.den != nil && (math.IsNaN(e.den) || e.den == 0)) {
		return entry{}, ""
	}
	return e, basis
}

// entry finds a member's value; a member without one, or not yet resolved, has none.
func (b *brand) entry(p *Pipeline, key jauge.Key, c cellOf) (entry, bool) {
	who, ok := b.who[key]
	if !ok || key.Account == "" {
		return entry{}, false
	}
	bl := b.blocks[blockKey{c.day, who}]
	if bl == nil {
		return entry{}, false
	}
	e := bl[int(c.window)*len(p.kpis)+int(c.kpi)]
	return e, e.has(entryPresent)
}

// commonBasis is the basis that all members share; where they differ it is followers, and the position of
// that KPI is returned, else -1.
func (p *Pipeline) commonBasis(members []jauge.Member, c cellOf, platform jauge.Platform) (string, int) {
	common := ""
	for _, m := range members {
		pl := p.platforms[m.Account.Platform]
		if pl == nil || (platform != jauge.All && m.Account.Platform != platform) || (m.Gone && m.Removed <= c.day) {
			continue
		}
		if common != "" && common != string(pl.basis) {
			return string(jauge.Followers), slices.IndexFunc(p.kpis, func(k kpi) bool { return k.Name == string(jauge.Followers) })
		}
		common = string(pl.basis)
	}
	return common, -1
}
