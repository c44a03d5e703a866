package pipeline

import (
	"context"
	"math"
	"slices"

	"jauge.dev/jauge"
)

// Explanation tells how a KPI's value in a window comes about, or why there is none.
type Explanation struct {
	Account   jauge.Account
	KPI       string
	Formula   string
	Window    jauge.Window
	Day       jauge.Day // last day of the window
	Value     float64   // NaN where there is none
	Numerator float64
	// Denominator is NaN where the KPI is no ratio.
	Denominator float64
	Basis       string
	Why         string // why there is no value; empty where there is one
	Complete    bool
	Estimated   bool
	// Covered is the time between the first and the last complete reading, Unix nanoseconds; 0 where there are none.
	CoveredFrom, CoveredTo int64
}

// Explain evaluates an account's KPIs for the windows that end on a day, from what is stored. Day 0 is the account's
// running day. It writes nothing.
func (p *Pipeline) Explain(ctx context.Context, acc jauge.Account, day jauge.Day, ws []jauge.Window) ([]Explanation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var need *jauge.Day
	if day != 0 {
		d := day - baseDays
		need = &d
	}
	a, err := p.load(ctx, acc.Key(), need, nil, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if day == 0 {
		day = a.running()
	}
	first, last, covered := a.covered()
	base := day - baseDays
	totals := a.totals(base, day)
	var out []Explanation
	for _, w := range ws {
		from := day - jauge.Day(w.Days()) + 1 //nolint:gosec // at most 28
		s := p.window(a, totals, base, from, day)
		for i := range p.kpis {
			s.estimated = false
			k := &p.kpis[i]
			res := k.eval(s)
			e := Explanation{
				Account: acc, KPI: k.Name, Formula: k.Formula, Window: w, Day: day, Value: math.NaN(),
				Numerator: math.NaN(), Denominator: math.NaN(), Why: res.reason(),
			}
			if res.why == "" {
				e.Value, e.Numerator, e.Denominator = res.val, res.num, res.den
				if k.den != nil {
					e.Basis = p.basisOf(k, a.plat)
				}
			}
			e.Estimated = s.estimated
			e.Complete = covered && first <= startOf(from, a.plat.zone) && last >= startOf(day+1, a.plat.zone)
			if covered {
				e.CoveredFrom, e.CoveredTo = first, last
			}
			out = append(out, e)
		}
	}
	return slices.Clip(out), nil
}
