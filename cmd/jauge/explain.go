package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/configs"
	"jauge.dev/jauge/pipeline"
)

var explainColumns = []string{
	"brand", "platform", "account", "handle", "kpi", "window", "day", "value", "numerator", "denominator", "basis",
	"estimated", "complete", "formula", "why",
}

// explain prints how the KPIs of every matching account come about, or why they have no value.
func (c *cli) explain(ctx context.Context, cfg *configs.Config, st store, f *kpiFlags, q jauge.Query) error {
	accounts, err := accountsIn(ctx, st, f)
	if err != nil {
		return err
	}
	p, err := pipeline.New(pipelineConfig(cfg, c.platforms, st.HistoryRetention()), pipeline.Deps{
		Store: st, Directory: directoryOf(accounts),
	})
	if err != nil {
		return err
	}
	windows := jauge.Windows()
	if f.window != "" {
		windows = []jauge.Window{jauge.Window(f.window)}
	}
	var day jauge.Day // 0: the account's running day
	if !q.To.IsZero() {
		day = jauge.DayOf(q.To.Add(-1), time.UTC)
	}
	out, err := newPrinter(c.stdout, *f.format, explainColumns)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		es, err := p.Explain(ctx, a, day, windows)
		if err != nil {
			return fmt.Errorf("explain %s: %w", a.Key(), err)
		}
		for i := range es {
			if f.kpi != "" && f.kpi != es[i].KPI {
				continue
			}
			if err := out.row(explainCells(&es[i])); err != nil {
				return err
			}
		}
	}
	return out.end()
}

func explainCells(e *pipeline.Explanation) []any {
	return []any{
		e.Account.Brand, string(e.Account.Platform), e.Account.ID, orNil(e.Account.Handle), e.KPI, string(e.Window),
		e.Day.String(), numberOrNil(e.Value), numberOrNil(e.Numerator), numberOrNil(e.Denominator), orNil(e.Basis),
		e.Estimated, e.Complete, e.Formula, orNil(e.Why),
	}
}

// numberOrNil makes a number that is none an absent cell.
func numberOrNil(v float64) any {
	if math.IsNaN(v) {
		return nil
	}
	return v
}

// accountsIn finds the accounts that the store holds and that match, newest reading first.
func accountsIn(ctx context.Context, st store, f *kpiFlags) ([]jauge.Account, error) {
	q := jauge.Query{
		Measurement: jauge.SocialAccount, Columns: []string{"handle", "competitor"}, Desc: true, From: time.Now().Add(-newestWithin),
		Match: map[string][]string{"period": {string(jauge.PeriodInstant)}},
	}
	for tag, v := range map[string]string{"brand": f.brand, "platform": f.platform} {
		if v != "" && v != jauge.All {
			q.Match[tag] = []string{v}
		}
	}
	var out []jauge.Account
	seen := map[jauge.Key]bool{}
	for r, err := range st.Read(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("list accounts: %w", err)
		}
		a := jauge.Account{
			Platform: jauge.Platform(r.Tag("platform")), ID: r.Tag("account"), Brand: r.Tag("brand"), Handle: r.Text("handle"),
			Competitor: r.Flag("competitor"),
		}
		if !seen[a.Key()] && sameAccount(f.account, a.ID, a.Handle) {
			out = append(out, a)
		}
		seen[a.Key()] = true
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no account that matches was read in the last %d days: see jauge accounts", int(newestWithin.Hours()/24)) //nolint:mnd // hours of a day
	}
	return out, nil
}

// directory tells the brands of a fixed list of accounts.
type directory map[jauge.Key]jauge.Account

func directoryOf(accounts []jauge.Account) directory {
	d := directory{}
	for _, a := range accounts {
		d[a.Key()] = a
	}
	return d
}

// Lookup finds an account.
func (d directory) Lookup(k jauge.Key) (jauge.Member, bool) {
	a, ok := d[k]
	return jauge.Member{Account: a}, ok
}

// Brand lists the accounts of a brand, in no order.
func (d directory) Brand(name string) []jauge.Member {
	var out []jauge.Member
	for _, a := range d {
		if a.Brand == name {
			out = append(out, jauge.Member{Account: a})
		}
	}
	return out
}
