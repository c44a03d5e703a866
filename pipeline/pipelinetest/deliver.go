package pipelinetest

import (
	"math/rand/v2"
	"slices"

	"jauge.dev/jauge"
)

// Step is one call of the pipeline: a batch of pages, after what happened to the pipeline before it.
type Step struct {
	Pages  []jauge.Page
	Anew   bool // the pipeline was thrown away and made anew over the same store
	Forget bool // its caches were dropped
}

// Delivery is a way in which a history reaches the pipeline. All of them must leave the same rows.
type Delivery struct {
	Name  string
	Steps func(pages []jauge.Page, r *rand.Rand) []Step
}

// Deliveries lists the ways, the tidiest first.
func Deliveries() []Delivery {
	return []Delivery{
		{"in one batch", func(p []jauge.Page, _ *rand.Rand) []Step { return []Step{{Pages: p}} }},
		{"page by page", func(p []jauge.Page, _ *rand.Rand) []Step { return cutInto(p, func() int { return 1 }) }},
		{"in batches", func(p []jauge.Page, r *rand.Rand) []Step { return cutInto(p, upTo(r, 9)) }},
		{"account by account", accountByAccount},
		{"newest first", func(p []jauge.Page, r *rand.Rand) []Step {
			p = slices.Clone(p)
			slices.Reverse(p)
			return cutInto(p, upTo(r, 5))
		}},
		{"shuffled", func(p []jauge.Page, r *rand.Rand) []Step { return cutInto(shuffled(p, r), upTo(r, 9)) }},
		{"shuffled, page by page", func(p []jauge.Page, r *rand.Rand) []Step {
			return cutInto(shuffled(p, r), func() int { return 1 })
		}},
		{"shuffled in one batch", func(p []jauge.Page, r *rand.Rand) []Step { return []Step{{Pages: shuffled(p, r)}} }},
		{"duplicated", duplicated},
		{"redelivered", redelivered},
		{"made anew", func(p []jauge.Page, r *rand.Rand) []Step {
			steps := cutInto(p, upTo(r, 4))
			for i := range steps {
				steps[i].Anew = r.IntN(3) == 0
			}
			return steps
		}},
		{"shuffled, forgetting", func(p []jauge.Page, r *rand.Rand) []Step {
			steps := cutInto(shuffled(p, r), upTo(r, 4))
			for i := range steps {
				steps[i].Forget, steps[i].Anew = r.IntN(2) == 0, r.IntN(5) == 0
			}
			return steps
		}},
	}
}

func upTo(r *rand.Rand, n int) func() int { return func() int { return 1 + r.IntN(n) } }

// cutInto cuts the pages into batches.
func cutInto(pages []jauge.Page, size func() int) []Step {
	var out []Step
	for len(pages) > 0 {
		n := min(size(), len(pages))
		out = append(out, Step{Pages: pages[:n]})
		pages = pages[n:]
	}
	return out
}

func shuffled(pages []jauge.Page, r *rand.Rand) []jauge.Page {
	out := slices.Clone(pages)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// accountByAccount brings a whole account before the next one, as a backlog does.
func accountByAccount(pages []jauge.Page, r *rand.Rand) []Step {
	var keys []jauge.Key
	for _, p := range pages {
		if !slices.Contains(keys, p.Key()) {
			keys = append(keys, p.Key())
		}
	}
	var out []Step
	for _, k := range keys {
		mine := slices.DeleteFunc(slices.Clone(pages), func(p jauge.Page) bool { return p.Key() != k })
		out = append(out, cutInto(mine, upTo(r, 12))...)
	}
	return out
}

// duplicated brings most pages twice, some within one batch.
func duplicated(pages []jauge.Page, r *rand.Rand) []Step {
	var out []jauge.Page
	for i, p := range pages {
		out = append(out, p)
		if r.IntN(2) == 0 {
			out = append(out, p)
		}
		if r.IntN(3) == 0 {
			out = append(out, pages[r.IntN(i+1)])
		}
	}
	return cutInto(out, upTo(r, 7))
}

// redelivered brings everything in order, and then everything again in another order, by a new pipeline.
func redelivered(pages []jauge.Page, r *rand.Rand) []Step {
	out := cutInto(pages, upTo(r, 9))
	again := cutInto(shuffled(pages, r), upTo(r, 9))
	if len(again) > 0 {
		again[0].Anew = true
	}
	return append(out, again...)
}
