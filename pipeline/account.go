package pipeline

import (
	"math"
	"slices"
	"sort"

	"jauge.dev/jauge"
)

// post is what the pipeline remembers of a post: its newest counters and where its rows stand.
type post struct {
	id      string
	time    int64 // of its row: publication cut to the second, plus the slot; fixed at first sight
	pub     int64 // publication instant
	format  string
	state   string
	stored  string    // state as the row has it
	version int64     // observed_at of the newest counters; 0: none stored yet
	last    int64     // instant of the newest reading that bore counters
	newest  int64     // instant of the newest reading of any kind
	vals    []float64 // of the newest counters, NaN where absent
	older   map[int]point
	has     uint64 // which numbers its row has
	texts   uint64 // fingerprint of what else its row has, 0: no row
	carry   string // a reading beyond the history's retention that a difference still needs
}

// point is a value and the instant of its reading.
type point struct {
	at  int64
	val float64
}

func (p *post) slot() int64 { return p.time - seconds(p.time) }

// before finds the newest reading that bore an atom.
func (p *post) before(i int) (point, bool) {
	if p.vals != nil && !math.IsNaN(p.vals[i]) {
		return point{p.last, p.vals[i]}, true
	}
	pt, ok := p.older[i]
	return pt, ok
}

// run is an instant row of an account.
type run struct {
	time     int64 // the run's start
	version  int64
	complete bool
	gauges   [3]float64 // followers, following, posts; NaN where absent
	vals     []jauge.Value
}

var gaugeMetrics = [3]jauge.Metric{jauge.Followers, jauge.Following, jauge.Posts}

// dayFormat names a daily row of an account.
type dayFormat struct {
	day    jauge.Day
	format string
}

// cell holds what the posts of a format gained in a day.
type cell struct {
	sum       []float64 // one for each atom, NaN: no value
	estimated bool
	final     bool
	stored    uint64  // fingerprint of the row as the store has it, 0: none
	width     int     // how many fields that row has
	published float64 // of a frozen day, as stored
}

type figureKey struct {
	period jauge.Period
	paid   bool
	start  int64
}

// account is what the pipeline keeps of an account between batches; all of it can be read back from the store.
type account struct {
	key   jauge.Key
	brand string
	plat  *platform

	posts     map[string]*post
	slots     map[int64]string
	postsFrom int64            // posts whose row time is not before this are loaded
	orphans   map[string]point // readings in the history of posts without a row: at = newest instant
	pubs      map[dayFormat]float64
	formats   map[string]int64 // format -> earliest publication known

	runs     []run // ascending by time
	rowsFrom int64 // figures from here on are loaded
	earlier  int64 // a complete reading before runs, 0: none

	cells     map[dayFormat]*cell
	from      jauge.Day // cells from this day on follow from the readings; earlier ones are as stored
	baseDay   jauge.Day // cells from this day on are in memory
	recentKey dayFormat
	recent    *cell // the cell that was asked for last: the counters of a reading ask for the same

	borne  []int64 // earliest known instant at which any post bore the atom
	newest int64   // newest observed_at

	figures  map[figureKey]*figure
	tags     map[string][]string // by format
	counted  []jauge.Value       // scratch
	restated []figureKey         // figures whose restatements are to be made anew

	touched map[jauge.Day]struct{} // days to be written and evaluated in this batch
	loaded  bool                   // read back for this batch: what a crash left undone is done now
	slow    bool                   // the batch held readings that are not the newest: days are made anew from the history
	need    jauge.Day              // from this day on
	loading bool                   // differences that begin before the exact days are left out
	fresh   bool                   // nothing is in the store yet
	mends   []jauge.Record         // rows that the history shows to be out of date
	stale   []jauge.Record         // rows that a crash left behind
}

func newAccount(key jauge.Key, plat *platform) *account {
	a := &account{
		key: key, plat: plat, posts: map[string]*post{}, slots: map[int64]string{}, postsFrom: math.MaxInt64, rowsFrom: math.MaxInt64,
		orphans: map[string]point{}, pubs: map[dayFormat]float64{}, formats: map[string]int64{},
		cells: map[dayFormat]*cell{}, borne: make([]int64, len(plat.atoms)), figures: map[figureKey]*figure{}, tags: map[string][]string{},
		touched: map[jauge.Day]struct{}{},
	}
	for i := range a.borne {
		a.borne[i] = math.MaxInt64
	}
	return a
}

func (a *account) touch(d jauge.Day) { a.touched[d] = struct{}{} }

func (a *account) touchSpan(from, to int64) {
	for d := dayOf(from, a.plat.zone); d <= dayOf(to, a.plat.zone); d++ {
		a.touch(d)
	}
}

// touchLoaded has everything checked that was read back: all exact days, and the roll-ups over them.
func (a *account) touchLoaded(retention int64) {
	if a.fresh {
		return
	}
	a.loaded = true
	for d := max(a.from, a.frozen(retention)); d <= a.running(); d++ {
		a.touch(d)
	}
}

// slowFrom asks for the days from d on to be made anew.
func (a *account) slowFrom(d jauge.Day) {
	if !a.slow || d < a.need {
		a.need = d
	}
	a.slow = true
}

// running is the day of the account's newest reading.
func (a *account) running() jauge.Day { return dayOf(a.newest, a.plat.zone) }

// covered returns the first and the last complete reading, false unless there are two.
func (a *account) covered() (first, last int64, ok bool) {
	first, last = a.earlier, a.earlier
	for i := range a.runs {
		if !a.runs[i].complete {
			continue
		}
		if first == 0 {
			first = a.runs[i].time
		}
		last = a.runs[i].time
	}
	return first, last, first != 0 && first < last
}

// coversDay tells whether a day overlaps covered time by more than an instant.
func (a *account) coversDay(d jauge.Day) bool {
	first, last, ok := a.covered()
	return ok && min(last, startOf(d+1, a.plat.zone)) > max(first, startOf(d, a.plat.zone))
}

// runAt finds the instant row at a time.
func (a *account) runAt(time int64) (int, bool) {
	i := sort.Search(len(a.runs), func(i int) bool { return a.runs[i].time >= time })
	return i, i < len(a.runs) && a.runs[i].time == time
}

// completeBefore finds the newest complete reading that began before the run that made the reading at an instant: the
// newest row at or before it, compared by the second, since a reading's instant is known by the second.
func (a *account) completeBefore(instant int64) int64 {
	i := sort.Search(len(a.runs), func(i int) bool { return seconds(a.runs[i].time) > seconds(instant) })
	if i == 0 {
		return 0
	}
	for j := i - 2; j >= 0; j-- {
		if a.runs[j].complete {
			return a.runs[j].time
		}
	}
	return a.earlier
}

// completeUpTo finds the newest complete reading that began at or before a time.
func (a *account) completeUpTo(time int64) int64 {
	for _, r := range slices.Backward(a.runs) {
		if r.complete && r.time <= time {
			return r.time
		}
	}
	return a.earlier
}

// fromZero tells whether a first reading counts from 0 at publication, and from when.
func (a *account) fromZero(pub, instant int64) (int64, bool) {
	if pub > instant {
		pub = instant
	}
	if dayOf(pub, a.plat.zone) == dayOf(instant, a.plat.zone) {
		return pub, true
	}
	c := a.completeBefore(instant)
	return pub, c != 0 && pub > c
}

// cell finds or makes the cell of a day and format.
func (a *account) cell(d jauge.Day, format string) *cell {
	k := dayFormat{d, format}
	if a.recent != nil && a.recentKey == k {
		return a.recent
	}
	c := a.cells[k]
	if c == nil {
		c = &cell{sum: make([]float64, len(a.plat.atoms))}
		for i := range c.sum {
			c.sum[i] = math.NaN()
		}
		a.cells[k] = c
	}
	a.recentKey, a.recent = k, c
	return c
}

// gain adds a difference of one atom to the days that it spans.
func (a *account) gain(format string, i int, from, to int64, diff float64) {
	if d := dayOf(from, a.plat.zone); d < a.from && !a.loading {
		a.slowFrom(d)
	}
	split(a.plat.zone, from, to, diff, func(d jauge.Day, share float64, estimated bool) {
		if d < a.from {
			return
		}
		c := a.cell(d, format)
		if math.IsNaN(c.sum[i]) {
			c.sum[i] = 0
		}
		c.sum[i] += share
		c.estimated = c.estimated || estimated
		a.touch(d)
	})
}

// addPost makes a post known: its slot, its publication, its format.
func (a *account) addPost(p *post) {
	a.posts[p.id] = p
	a.slots[p.slot()] = p.id
	if t, ok := a.formats[p.format]; !ok || p.pub < t {
		a.formats[p.format] = p.pub
	}
	if p.format != string(jauge.FormatReply) {
		a.pubs[dayFormat{dayOf(p.pub, a.plat.zone), p.format}]++
	}
}

// freeSlot finds a post's nanoseconds within the second (rule 2).
func (a *account) freeSlot(id string) int64 {
	s := hashNanos(id)
	for n := 0; n <= len(a.slots); n++ {
		if owner, taken := a.slots[s]; !taken || owner == id {
			return s
		}
		s = (s + 1) % 1e9
	}
	return s
}

// onLadder tells whether a post will still be re-read.
func (a *account) onLadder(p *post, ladder int64) bool {
	return p.state != string(jauge.PostDeleted) && p.pub+ladder > a.newest
}

// size estimates the memory that the account takes, in bytes.
func (a *account) size() int {
	n := len(a.plat.atoms)
	return 2048 + len(a.posts)*(420+8*n) + len(a.runs)*120 + len(a.cells)*(140+8*n) + len(a.pubs)*64 + len(a.figures)*256
}
