package pipeline

import (
	"context"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// applyFigure takes a period figure: a day's reach, a month's views. A figure that changes a stored one, or comes
// late, has its restatements made anew from all its readings; the others only add a row.
func (p *Pipeline) applyFigure(a *account, f *figure, out *rows) {
	k := figureKey{f.period, f.paid, f.start}
	day := dayOf(f.start, a.plat.zone)
	object := string(f.period) + "|" + day.String()
	out.history = append(out.history, jauge.Record{
		Schema: accountHistorySchema, Time: seconds(f.version) + hashNanos(object),
		Tags:   a.accountTags(f.period, f.paid),
		Values: append([]jauge.Value{jauge.TextValue(accountHistoryDay, day.String())}, historyValues(f.vals)...),
	})
	old := a.figures[k]
	if old != nil && (f.version <= old.version || !slices.Equal(f.vals, old.vals)) {
		a.restated = append(a.restated, k)
	}
	a.touch(day)
	if f.period != jauge.PeriodDay {
		a.touch(dayOf(f.start, a.plat.zone) + jauge.Day(periodDays(f.period)-1)) //nolint:gosec // at most 28
	}
	if old != nil && f.version < old.version {
		return
	}
	replace := old != nil && slices.ContainsFunc(old.vals, func(v jauge.Value) bool {
		return !slices.ContainsFunc(f.vals, func(w jauge.Value) bool { return w.Col == v.Col })
	})
	a.figures[k] = f
	out.main = append(out.main, jauge.Record{
		Schema: accountSchema, Time: f.start, Tags: a.accountTags(f.period, f.paid), Replace: replace,
		Values: sorted(append([]jauge.Value{
			jauge.TextValue(accountCol.day, day.String()), jauge.FlagValue(accountCol.final, f.final),
			jauge.FlagValue(accountCol.competitor, p.competitor(a.key)), jauge.IntValue(accountCol.observed, f.version),
		}, f.vals...)),
	})
}

func periodDays(p jauge.Period) int {
	switch p {
	case jauge.PeriodWeek:
		return 7
	case jauge.PeriodDays28:
		return 28
	case jauge.PeriodInstant, jauge.PeriodHour, jauge.PeriodDay, jauge.PeriodMonth, jauge.PeriodLifetime:
	}
	return 1
}

// metricShift is how far the metrics stand further on in social_account than in its history.
var metricShift = accountMetricCols[jauge.Followers] - metricColumns(accountHistorySchema)[jauge.Followers]

func historyValues(vs []jauge.Value) []jauge.Value {
	out := make([]jauge.Value, len(vs))
	for i, v := range vs {
		out[i] = jauge.FloatValue(v.Col-metricShift, v.Float())
	}
	return out
}

// restate makes the restatements of the account's changed figures anew from all readings of each, and adds what
// differs from what is stored. The history must have been written.
func (p *Pipeline) restate(ctx context.Context, a *account, out *rows) error {
	slices.SortFunc(a.restated, func(x, y figureKey) int { return int(x.start - y.start) })
	for _, k := range slices.Compact(a.restated) {
		if err := p.restateFigure(ctx, a, k, out); err != nil {
			return err
		}
	}
	a.restated = nil
	return nil
}

func (p *Pipeline) restateFigure(ctx context.Context, a *account, k figureKey, out *rows) error {
	day := dayOf(k.start, a.plat.zone)
	object := string(k.period) + "|" + day.String()
	type series struct {
		paid string
		col  int
	}
	want := map[string]jauge.Record{}
	last := map[series]float64{}
	match := map[string][]string{
		"platform": {string(a.key.Platform)}, "account": {a.key.Account}, "day": {day.String()},
		"period": {string(k.period)},
	}
	for r, err := range p.store.Read(ctx, jauge.Query{Measurement: jauge.SocialAccountHistory, Match: match}) {
		if err != nil {
			return err
		}
		for _, v := range r.Values {
			c := accountHistorySchema.Columns[v.Col]
			if c.Type != jauge.Float {
				continue
			}
			s := series{r.Tag("paid"), v.Col}
			old, seen := last[s]
			last[s] = v.Float()
			if !seen || old == v.Float() {
				continue
			}
			rec := a.restatement(c.Name, string(k.period), object, day, r.Time, old, v.Float())
			want[rec.Key()] = rec
		}
	}
	delete(match, "period")
	match["object"] = []string{string(k.period)}
	return p.replaceRows(ctx, jauge.Query{Measurement: jauge.Restatement, Match: match}, want, out)
}

func (a *account) restatement(metric, period, object string, day jauge.Day, at int64, old, now float64) jauge.Record {
	return jauge.Record{
		Schema: restatementSchema, Time: seconds(at) + hashNanos(object),
		Tags: []string{a.brand, string(a.key.Platform), a.key.Account, metric},
		Values: []jauge.Value{
			jauge.TextValue(restatementCol.object, period), jauge.TextValue(restatementCol.day, day.String()),
			jauge.FloatValue(restatementCol.old, old), jauge.FloatValue(restatementCol.new, now),
			jauge.FloatValue(restatementCol.age, ageDays(a.plat.zone, day, at)),
		},
	}
}

// replaceRows makes the rows that a query finds be those of want: what differs is written, what is too much goes.
func (p *Pipeline) replaceRows(ctx context.Context, q jauge.Query, want map[string]jauge.Record, out *rows) error {
	for r, err := range p.store.Read(ctx, q) {
		if err != nil {
			return err
		}
		key := r.Key()
		w, ok := want[key]
		if !ok {
			out.deletes = append(out.deletes, r)
			continue
		}
		if slices.Equal(w.Values, r.Values) {
			delete(want, key)
		}
	}
	for _, r := range want {
		out.main = append(out.main, r)
	}
	return nil
}

const dayNanos = int64(24 * time.Hour)
