package pipelinetest

import (
	"slices"

	"jauge.dev/jauge"
)

func (a *account) tags(more ...string) []string {
	return append([]string{a.Account.Brand, string(a.Account.Platform), a.Account.ID}, more...)
}

// accountRows makes the rows of social_account, its history and the restatements.
func (a *account) accountRows(out rows) {
	for _, r := range a.runs {
		a.instantRow(out, r)
	}
	for i, f := range a.figures {
		h := newRow(jauge.SocialAccountHistory, a.readAt(f), a.tags(string(f.period), paid(f.paid))...)
		h.text("day", f.day.String())
		h.metrics(f.values)
		out.put(h)
		newer := slices.ContainsFunc(a.figures, func(g figure) bool { return same(f, g) && g.seen > f.seen })
		if !newer {
			a.figureRow(out, f)
		}
		a.restatements(out, i)
	}
}

func paid(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func (a *account) instantRow(out rows, r *run) {
	w := newRow(jauge.SocialAccount, r.start, a.tags(string(jauge.PeriodInstant), "false")...)
	w.text("day", a.cal.day(r.start).String())
	w.flag("final", true)
	w.text("handle", r.handle)
	w.text("account_state", string(r.state))
	w.text("moved_to", r.movedTo)
	w.flag("competitor", a.Account.Competitor)
	w.flag("complete_reading", r.complete)
	w.instant("observed_at", r.seen)
	w.metrics(r.values)
	out.put(w)
}

// readAt is when a figure was read: days that are read together are told apart below the second (rule 15).
func (a *account) readAt(f figure) int64 {
	return cut(f.seen) + hashed(string(f.period)+"|"+f.day.String())
}

// same tells whether two readings speak of the same figure.
func same(f, g figure) bool {
	return f.period == g.period && f.start == g.start && f.paid == g.paid
}

func (a *account) figureRow(out rows, f figure) {
	w := newRow(jauge.SocialAccount, f.start, a.tags(string(f.period), paid(f.paid))...)
	w.text("day", f.day.String())
	w.flag("final", f.final)
	w.flag("competitor", a.Account.Competitor)
	w.instant("observed_at", f.seen)
	w.metrics(f.values)
	out.put(w)
}

// restatements compares a reading, metric by metric, with the newest earlier one that bears the metric (rule 15).
func (a *account) restatements(out rows, i int) {
	f := a.figures[i]
	for m, now := range f.values {
		var before *figure
		for j := range a.figures {
			g := &a.figures[j]
			if _, bears := g.values[m]; bears && same(f, *g) && g.seen < f.seen && (before == nil || g.seen > before.seen) {
				before = g
			}
		}
		if before == nil || before.values[m] == now {
			continue
		}
		w := newRow(jauge.Restatement, a.readAt(f), a.tags(string(m))...)
		w.text("object", string(f.period))
		w.text("day", f.day.String())
		w.float("old", before.values[m])
		w.float("new", now)
		w.float("age_days", float64(cut(f.seen)-a.cal.end(f.day))/float64(24*hour))
		out.put(w)
	}
}
