package pipelinetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"jauge.dev/jauge"
)

const day = 24 * time.Hour

// Generate makes a random history from a seed. It fits into the retention, versions rise strictly per account, and no
// post is read twice in one second.
func Generate(seed uint64) *History {
	h := generate(seeded(seed), 4, 18)
	h.Name = fmt.Sprintf("seed %d", seed)
	return h
}

// FromBytes makes a small history from a fuzzer's bytes.
func FromBytes(b []byte) *History {
	h := generate(fed(b), 2, 7)
	h.Name = fmt.Sprintf("bytes %x", b)
	return h
}

func generate(d dice, accounts, runs int) *History {
	h := &History{Mappings: mappings(d), Weights: map[jauge.Platform]map[jauge.Metric]float64{}}
	if d.chance(40) {
		h.Weights[pick(d, plume, galet, brume)] = map[jauge.Metric]float64{
			jauge.Likes: 0.5, jauge.Comments: 3, jauge.Shares: 4, jauge.Saves: 1, jauge.Clicks: 2.25,
		}
	}
	brands := []string{"acme", "bolt", "rival"}[:d.from(1, 3)]
	platforms := []jauge.Platform{plume, brume, galet}[:d.from(1, 3)]
	begin, err := time.Parse(time.DateOnly, pick(d, starts...))
	if err != nil {
		begin = time.Unix(0, 0)
	}
	for i := range d.from(1, accounts) {
		brand := pick(d, brands...)
		m := jauge.Member{Account: jauge.Account{
			Platform: pick(d, platforms...), ID: fmt.Sprintf("%s-%d", pick(d, "did:x", "7@a.example", "ü"), i),
			Handle: fmt.Sprintf("a%d", i), Brand: brand, Competitor: brand == "rival",
		}}
		w := newWriter(d, h.Mappings[m.Account.Platform], m, begin)
		if !d.chance(6) { // else it is in config and was never read
			for range d.from(1, runs) {
				w.run()
			}
		}
		if d.chance(12) {
			m.Gone, m.Removed = true, jauge.DayOf(w.now, time.UTC)+jauge.Day(d.from(0, 3))
		}
		h.Members = append(h.Members, m)
		h.Pages = append(h.Pages, w.pages...)
	}
	slices.SortStableFunc(h.Pages, func(a, b jauge.Page) int { return cmp.Compare(a.ObservedAt.UnixNano(), b.ObservedAt.UnixNano()) })
	return h
}

// writer makes one account's pages.
type writer struct {
	dice
	mapping jauge.Mapping
	cal     calendar
	member  jauge.Member
	begin   time.Time
	now     time.Time
	posts   []*source
	figures map[string]float64 // wire and day -> the newest figure
	fans    float64
	never   bool // no reading of it is complete
	upgrade int  // the run from which on the server offers what varies
	runs    int
	pages   []jauge.Page
}

// source is a post as its platform has it.
type source struct {
	id       string
	post     jauge.Post
	state    jauge.PostState
	counters map[string]float64
}

func newWriter(d dice, mapping jauge.Mapping, m jauge.Member, begin time.Time) *writer {
	return &writer{
		dice: d, mapping: mapping, member: m, begin: begin, now: begin.Add(d.time(0, 2*day)), cal: newCalendar(mapping.Zone),
		figures: map[string]float64{}, fans: float64(d.from(0, 500)), never: d.chance(15), upgrade: d.from(0, 8),
	}
}

// gap moves to the next run: mostly hours, sometimes days, sometimes right to the edge of a day.
func (w *writer) gap() {
	before := w.now
	switch k := w.below(100); {
	case k < 50:
		w.now = w.now.Add(w.time(20*time.Minute, 6*time.Hour))
	case k < 70:
		w.now = w.now.Add(w.time(6*time.Hour, 14*time.Hour))
	case k < 82:
		edge := w.cal.end(w.cal.day(w.now.UnixNano()))
		w.now = later(w.now.Add(20*time.Minute), time.Unix(0, edge).Add(w.time(-20*time.Second, 20*time.Second)))
	case k < 94:
		w.now = w.now.Add(w.time(20*time.Hour, 50*time.Hour))
	default:
		w.now = w.now.Add(w.time(2*day, 5*day))
	}
	if w.now.Sub(w.begin) > 50*day { // all of it must lie well within the retention
		w.now = before.Add(time.Hour)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// page stamps a page of the running run.
func (w *writer) page(start time.Time, seq int, obs []jauge.Observation) {
	if n := len(w.pages); n > 0 && !w.now.After(w.pages[n-1].ObservedAt) {
		w.now = w.pages[n-1].ObservedAt.Add(1)
	}
	w.pages = append(w.pages, jauge.Page{
		Platform: w.member.Account.Platform, Account: w.member.Account.ID, Handle: w.member.Account.Handle, API: "v1",
		Observations: obs, Run: fmt.Sprintf("%s-r%d", w.member.Account.ID, w.runs), RunStart: start.UTC(), Seq: seq,
		ObservedAt: w.now.UTC(),
	})
	w.now = w.now.Add(w.time(time.Millisecond, 9*time.Second))
}

// run writes the pages of one run.
func (w *writer) run() {
	w.gap()
	w.runs++
	start := w.now
	w.now = w.now.Add(w.time(time.Millisecond, 2*time.Second))
	if w.chance(5) {
		w.page(start, 0, []jauge.Observation{w.stateOnly()})
		return
	}
	first := len(w.pages)
	gauges := !w.chance(4)
	var batch []jauge.Observation
	if gauges {
		batch = append(batch, w.account())
	}
	if w.chance(30) && len(batch) > 0 {
		w.page(start, 0, batch)
		batch = nil
	}
	batch = append(batch, w.periods()...)
	w.publish()
	for _, o := range w.readPosts() {
		batch = append(batch, o)
		if w.chance(30) {
			w.page(start, len(w.pages)-first, batch)
			batch = nil
		}
	}
	if gauges && w.chance(5) {
		w.page(start, len(w.pages)-first, append(batch, w.account()))
		batch = nil
	}
	mark := gauges && !w.never && !w.chance(25)
	if len(batch) > 0 || len(w.pages) == first && mark || w.chance(5) {
		w.page(start, len(w.pages)-first, batch)
	}
	if mark {
		w.pages[len(w.pages)-1].Complete = true
	}
}
