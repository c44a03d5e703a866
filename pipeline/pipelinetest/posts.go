package pipelinetest

import (
	"slices"
	"time"

	"jauge.dev/jauge"
)

// post is everything that was read of one post.
type post struct {
	id        string
	slot      int64
	published int64
	known     bool // a reading bore its counters
	readings  []reading
}

// reading is one reading of a post.
type reading struct {
	at     int64 // as stored: the second of observed_at and the post's slot (rule 1)
	seen   int64 // observed_at
	state  jauge.PostState
	final  bool
	about  *jauge.Post
	atomic map[jauge.Metric]float64 // nil for a reading of the state alone
	sums   map[jauge.Metric]float64
}

// readPost takes a reading of a post. Pages come oldest first, so the first one is the first sight.
func (a *account) readPost(page jauge.Page, obs jauge.Observation) {
	i := slices.IndexFunc(a.posts, func(p *post) bool { return p.id == obs.ID })
	if i < 0 {
		i = len(a.posts)
		a.posts = append(a.posts, &post{id: obs.ID, slot: a.freeSlot(obs.ID)})
	}
	p := a.posts[i]
	r := reading{
		at: cut(page.ObservedAt.UnixNano()) + p.slot, seen: page.ObservedAt.UnixNano(), state: obs.PostState,
		final: obs.Final, about: obs.Post,
	}
	if obs.Post != nil {
		r.atomic = a.atomic(obs)
		r.sums = a.sums(page, r.atomic)
		if !p.known {
			p.known, p.published = true, obs.Post.PublishedAt.UnixNano()
		}
	}
	p.readings = append(p.readings, r)
}

// freeSlot gives the post's slot (rule 2).
func (a *account) freeSlot(id string) int64 {
	slot := hashed(id)
	for slices.ContainsFunc(a.posts, func(p *post) bool { return p.slot == slot }) {
		slot = (slot + 1) % second
	}
	return slot
}

func (a *account) atomic(obs jauge.Observation) map[jauge.Metric]float64 {
	out := map[jauge.Metric]float64{}
	for _, v := range obs.Values {
		for _, f := range a.postFields() {
			if f.Wire == v.Wire {
				out[f.Metric] = v.Value
			}
		}
	}
	return out
}

func (a *account) postFields() []jauge.Field {
	return slices.DeleteFunc(slices.Clone(a.mapping.Fields), func(f jauge.Field) bool { return f.Object != jauge.ObjectPost })
}

// parts lists the fields that enter a sum.
func (a *account) parts(sum jauge.Metric) []jauge.Field {
	return slices.DeleteFunc(a.postFields(), func(f jauge.Field) bool { return !slices.Contains(f.Into, sum) })
}

// sumNames lists the sums of the platform's posts.
func (a *account) sumNames() []jauge.Metric {
	var out []jauge.Metric
	for _, f := range a.postFields() {
		for _, s := range f.Into {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// sums adds up the parts of each sum: every part must be given, save those that vary and that the page lacks (rule 3).
func (a *account) sums(page jauge.Page, atomic map[jauge.Metric]float64) map[jauge.Metric]float64 {
	out := map[jauge.Metric]float64{}
	for _, sum := range a.sumNames() {
		total, given, missing := 0.0, 0, 0
		for _, f := range a.parts(sum) {
			v, ok := atomic[f.Metric]
			switch {
			case ok:
				total += v
				given++
			case !f.Varies || pageBears(page, f.Wire):
				missing++
			}
		}
		if given > 0 && missing == 0 {
			out[sum] = total
		}
	}
	return out
}

func pageBears(page jauge.Page, wire string) bool {
	return slices.ContainsFunc(page.Observations, func(o jauge.Observation) bool {
		return o.Object == jauge.ObjectPost && slices.ContainsFunc(o.Values, func(v jauge.WireValue) bool { return v.Wire == wire })
	})
}

// newest gives the newest reading and the newest one with counters.
func (p *post) newest() (any, counters reading) {
	for _, r := range p.readings {
		if r.seen >= any.seen {
			any = r
		}
		if r.atomic != nil && r.seen >= counters.seen {
			counters = r
		}
	}
	return any, counters
}

func (p *post) format() jauge.Format {
	_, r := p.newest()
	return r.about.Format
}

func (p *post) deleted() bool {
	r, _ := p.newest()
	return r.state == jauge.PostDeleted
}

// postRows makes the rows of social_post and its history.
func (a *account) postRows(out rows) {
	for _, p := range a.posts {
		for _, r := range p.readings {
			h := newRow(jauge.SocialPostHistory, r.at, a.tags()...)
			h.text("post_id", p.id)
			h.text("state", string(r.state))
			h.metrics(r.atomic)
			h.metrics(r.sums)
			out.put(h)
		}
		if !p.known {
			continue
		}
		newest, r := p.newest()
		w := newRow(jauge.SocialPost, cut(p.published)+p.slot, a.tags(string(r.about.Format))...)
		w.text("post_id", p.id)
		w.text("permalink", r.about.Permalink)
		w.text("excerpt", r.about.Excerpt)
		w.text("language", r.about.Language)
		w.instant("published_at", p.published)
		w.instant("observed_at", r.seen)
		w.text("state", string(newest.state))
		w.flag("final", r.final)
		w.metrics(r.atomic)
		w.metrics(r.sums)
		out.put(w)
	}
}

// left tells whether the post had left the re-read ladder at an instant.
func (p *post) left(at int64, ladder time.Duration) bool { return p.published+int64(ladder) <= at }
