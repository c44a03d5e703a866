package pipelinetest

import (
	"slices"
	"time"

	"jauge.dev/jauge"
)

// Oracle recomputes what should be stored, from everything that was ever read and from nothing else.
type Oracle struct {
	Mappings map[jauge.Platform]jauge.Mapping
	Members  []jauge.Member
	// Weights are those of weighted_engagement_rate; a platform that is not in it has the default ones.
	Weights   map[jauge.Platform]map[jauge.Metric]float64
	LadderEnd time.Duration // age from which on a post is read no more
	// Retention is how far back readings are taken, counted from the account's newest one (rule 5). The rows are a
	// function of the set of pages only while no day falls out of it: older days stay as they once were.
	Retention time.Duration
}

// Rows gives every row that should be stored once the pages have been processed, by Record.Key. The pages may come in
// any order and more than once.
func (o *Oracle) Rows(pages []jauge.Page) map[string]jauge.Record {
	out := rows{}
	var all []*account
	for _, m := range o.Members {
		a := o.account(m, pages)
		all = append(all, a)
		a.accountRows(out)
		a.postRows(out)
		a.days = a.daily()
		a.dailyRows(out)
		a.kpis = a.evaluate()
		a.kpiRows(out)
	}
	o.rollups(all, out)
	return out
}

// account is everything that was read of one account.
type account struct {
	jauge.Member
	oracle  *Oracle
	mapping jauge.Mapping
	cal     calendar
	newest  int64 // the newest reading's instant
	runs    []*run
	figures []figure
	posts   []*post

	days map[dayFormat]*dayRow
	kpis map[kpiKey]kpiValue
}

// run is one reading of the account itself: its instant row.
type run struct {
	start, seen int64
	handle      string
	state       jauge.AccountState
	movedTo     string
	values      map[jauge.Metric]float64
	complete    bool
}

// figure is one reading of a period figure.
type figure struct {
	period jauge.Period
	start  int64
	day    jauge.Day
	seen   int64
	final  bool
	paid   bool
	values map[jauge.Metric]float64
}

// account collects the readings of one account, oldest first.
func (o *Oracle) account(m jauge.Member, pages []jauge.Page) *account {
	mapping := o.Mappings[m.Account.Platform]
	a := &account{Member: m, oracle: o, mapping: mapping, cal: newCalendar(mapping.Zone)}
	mine := a.own(pages)
	marked := map[string]bool{}
	for _, p := range mine {
		marked[p.Run] = marked[p.Run] || p.Complete
	}
	for _, p := range mine {
		for _, obs := range p.Observations {
			switch {
			case obs.Object == jauge.ObjectPost:
				a.readPost(p, obs)
			case obs.Period == jauge.PeriodInstant:
				a.readRun(p, obs, marked[p.Run])
			default:
				a.readFigure(p, obs)
			}
		}
	}
	for _, p := range a.posts {
		for _, r := range p.readings {
			a.newest = max(a.newest, r.at)
		}
	}
	for _, r := range a.runs {
		a.newest = max(a.newest, r.seen)
	}
	for _, f := range a.figures {
		a.newest = max(a.newest, f.seen)
	}
	return a
}

// own picks the account's pages, each version once, oldest first, less those beyond the retention (rules 1 and 5).
func (a *account) own(pages []jauge.Page) []jauge.Page {
	byVersion := map[int64]jauge.Page{}
	newest := time.Time{}
	for _, p := range pages {
		if p.Key() != a.Account.Key() {
			continue
		}
		byVersion[p.ObservedAt.UnixNano()] = p
		if len(p.Observations) > 0 && p.ObservedAt.After(newest) {
			newest = p.ObservedAt
		}
	}
	var out []jauge.Page
	for _, p := range byVersion {
		if !p.ObservedAt.Before(newest.Add(-a.oracle.Retention)) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y jauge.Page) int { return x.ObservedAt.Compare(y.ObservedAt) })
	return out
}

// readRun takes a reading of the account as it is; the newest of a run wins (rule 14).
func (a *account) readRun(p jauge.Page, obs jauge.Observation, complete bool) {
	r := &run{
		start: p.RunStart.UnixNano(), seen: p.ObservedAt.UnixNano(), handle: p.Handle, state: obs.State,
		movedTo: obs.MovedTo, values: a.accountValues(obs), complete: complete,
	}
	i := slices.IndexFunc(a.runs, func(x *run) bool { return x.start == r.start })
	if i >= 0 {
		a.runs[i] = r
		return
	}
	a.runs = append(a.runs, r)
}

// readFigure takes a reading of a period figure (rule 15).
func (a *account) readFigure(p jauge.Page, obs jauge.Observation) {
	a.figures = append(a.figures, figure{
		period: obs.Period, start: obs.Start.UnixNano(), day: a.cal.day(obs.Start.UnixNano()),
		seen: p.ObservedAt.UnixNano(), final: obs.Final, paid: obs.Paid, values: a.accountValues(obs),
	})
}

func (a *account) accountValues(obs jauge.Observation) map[jauge.Metric]float64 {
	out := map[jauge.Metric]float64{}
	for _, v := range obs.Values {
		for _, f := range a.mapping.Fields {
			if f.Object == jauge.ObjectAccount && f.Wire == v.Wire {
				out[f.Metric] = v.Value
			}
		}
	}
	return out
}

// complete lists the starts of the complete readings, in order.
func (a *account) complete() []int64 {
	var out []int64
	for _, r := range a.runs {
		if r.complete {
			out = append(out, r.start)
		}
	}
	slices.Sort(out)
	return out
}

// covered tells whether an instant's neighbourhood from..to overlaps covered time by more than an instant (rule 10).
func (a *account) covered(from, to int64) bool {
	c := a.complete()
	if len(c) == 0 {
		return false
	}
	return max(from, c[0]) < min(to, c[len(c)-1])
}

// coveredWhole tells whether from..to lies within covered time (rule 19).
func (a *account) coveredWhole(from, to int64) bool {
	c := a.complete()
	return len(c) > 0 && c[0] <= from && to <= c[len(c)-1]
}
