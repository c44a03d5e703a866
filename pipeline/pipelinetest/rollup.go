package pipelinetest

import (
	"slices"

	"jauge.dev/jauge"
)

// rollups makes the KPIs per brand and platform, and per brand (rule 21).
func (o *Oracle) rollups(all []*account, out rows) {
	var brands []string
	var platforms []jauge.Platform
	for _, a := range all {
		if !slices.Contains(brands, a.Account.Brand) {
			brands = append(brands, a.Account.Brand)
		}
		if !slices.Contains(platforms, a.Account.Platform) {
			platforms = append(platforms, a.Account.Platform)
		}
	}
	for _, b := range brands {
		brand := slices.DeleteFunc(slices.Clone(all), func(a *account) bool { return a.Account.Brand != b })
		rollup(brand, out, b, jauge.All, jauge.All)
		for _, p := range platforms {
			part := slices.DeleteFunc(slices.Clone(brand), func(a *account) bool { return a.Account.Platform != p })
			rollup(part, out, b, string(p), jauge.All)
		}
	}
}

// rollup adds up a group of accounts, for every window in which one of them has a row.
func rollup(group []*account, out rows, tags ...string) {
	keys := map[kpiKey]bool{}
	for _, a := range group {
		for k := range a.kpis {
			keys[k] = true
		}
	}
	for k := range keys {
		members := slices.DeleteFunc(slices.Clone(group), func(a *account) bool { return a.Gone && a.Removed <= k.day })
		if v, ok := combine(members, k); ok {
			putKPI(out, k, v, tags...)
		}
	}
}

func combine(members []*account, k kpiKey) (kpiValue, bool) {
	byFollowers := k.kpi == "weighted_engagement_rate" && mixed(members)
	total, found := kpiValue{complete: true}, false
	for _, a := range members {
		v, ok := a.kpis[k]
		if byFollowers && ok {
			followers, has := a.kpis[kpiKey{"followers", k.window, k.day}]
			v.denominator, v.basis, ok = followers.numerator, string(jauge.Followers), has
		}
		if !ok {
			total.complete = false
			continue
		}
		found = true
		total.numerator += v.numerator
		if v.basis == "days" { // of the window, however many accounts
			total.denominator = v.denominator
		} else {
			total.denominator += v.denominator
		}
		total.ratio, total.basis = v.ratio, v.basis
		total.complete = total.complete && v.complete
		total.estimated = total.estimated || v.estimated
	}
	return total, found && (!total.ratio || total.denominator != 0)
}

// mixed tells whether the members' bases differ.
func mixed(members []*account) bool {
	return slices.ContainsFunc(members, func(a *account) bool { return a.mapping.Basis != members[0].mapping.Basis })
}
