package pipeline

import (
	"encoding/json"
	"math"
	"slices"

	"jauge.dev/jauge"
)

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
		var c map[jauge.Metric]carried
		if po.carry == "" || json.Unmarshal([]byte(po.carry), &c) != nil {
			continue
		}
		for i, at := range r.a.plat.atoms {
			v, ok := c[at.metric]
			if !ok || slices.ContainsFunc(r.hist, func(h hist) bool {
				return h.po == po && h.at <= v.At && h.vals != nil && !math.IsNaN(h.vals[i])
			}) {
				continue
			}
			h := hist{po: po, at: v.At, vals: r.a.nans()}
			h.vals[i] = v.Value
			old = append(old, h)
		}
	}
	r.hist = append(old, r.hist...)
}
