package collectortest

import (
	"math"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// CheckResults checks that every target has exactly one result, in the order of the targets.
func CheckResults(t *testing.T, targets []collectors.Target, results []collectors.Result) {
	t.Helper()
	var want, got []string
	for _, tg := range targets {
		want = append(want, tg.Account.ID)
	}
	for _, r := range results {
		got = append(got, r.Account)
		if r.Complete && r.Err != nil {
			t.Errorf("%s is complete and failed: %v", r.Account, r.Err)
		}
	}
	if !slices.Equal(want, got) {
		t.Errorf("results are of %v, want one for each of %v", got, want)
	}
}

// CheckPages checks the pages of one call of Collect: each is about one target, holds an object at most once, uses
// wire names of the mapping only, and no object comes with counters twice.
func CheckPages(t *testing.T, p collectors.Platform, targets []collectors.Target, pages []jauge.Page) {
	t.Helper()
	wires := map[jauge.Object]map[string]bool{}
	for _, f := range p.Mapping.Fields {
		if wires[f.Object] == nil {
			wires[f.Object] = map[string]bool{}
		}
		wires[f.Object][f.Wire] = true
	}
	counted := map[string]bool{}
	for n, page := range pages {
		if page.Platform != p.Name || page.Handle == "" || len(page.Observations) == 0 {
			t.Errorf("page %d lacks platform, handle or observations: %+v", n, page)
		}
		if !slices.ContainsFunc(targets, func(tg collectors.Target) bool { return tg.Account.ID == page.Account }) {
			t.Errorf("page %d is about %q, which is no target", n, page.Account)
		}
		if page.Run != "" || !page.ObservedAt.IsZero() || page.Complete || page.Seq != 0 {
			t.Errorf("page %d bears what the scheduler stamps: %+v", n, page)
		}
		inPage := map[string]bool{}
		for _, o := range page.Observations {
			key := string(o.Object) + " " + o.ID
			if inPage[key] {
				t.Errorf("page %d holds %s twice", n, key)
			}
			inPage[key] = true
			if len(o.Values) > 0 {
				if counted[key] {
					t.Errorf("%s comes with counters twice in one call", key)
				}
				counted[key] = true
			}
			checkObservation(t, o, wires[o.Object])
		}
	}
}

func checkObservation(t *testing.T, o jauge.Observation, wires map[string]bool) {
	t.Helper()
	if o.ID == "" || wires == nil {
		t.Errorf("observation lacks an id or is of an object without fields: %+v", o)
	}
	seen := map[string]bool{}
	for _, v := range o.Values {
		if !wires[v.Wire] || seen[v.Wire] || math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
			t.Errorf("%s: value %+v is unknown, twice there or no number", o.ID, v)
		}
		seen[v.Wire] = true
	}
	switch o.Object {
	case jauge.ObjectAccount:
		if o.Period != jauge.PeriodInstant || o.State == "" {
			t.Errorf("account %s: period %q, state %q", o.ID, o.Period, o.State)
		}
	case jauge.ObjectPost:
		if o.Period != jauge.PeriodLifetime || o.PostState == "" {
			t.Errorf("post %s: period %q, state %q", o.ID, o.Period, o.PostState)
		}
		if (o.Post == nil) != (o.Values == nil) {
			t.Errorf("post %s: counters without texts or texts without counters", o.ID)
		}
		if p := o.Post; p != nil {
			if p.PublishedAt.IsZero() || p.PublishedAt.Location() != time.UTC || p.Format == "" {
				t.Errorf("post %s: published %v, format %q", o.ID, p.PublishedAt, p.Format)
			}
			if utf8.RuneCountInString(p.Excerpt) > jauge.ExcerptRunes || !utf8.ValidString(p.Excerpt) {
				t.Errorf("post %s: excerpt is too long or cut within a character: %q", o.ID, p.Excerpt)
			}
		}
	}
}
