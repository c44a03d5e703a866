package pipeline_test

import (
	"strings"
	"testing"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
)

// TestCheckKPI holds that what is wrong with a formula is a start-up error that names it.
func TestCheckKPI(t *testing.T) {
	for _, tc := range []struct{ formula, want string }{
		{"likes", ""},
		{"likes + 2 * comments - shares", ""},
		{"(likes + saves) / followers", ""},
		{"1000 * spend / impressions", ""},
		{"end(followers) - start(followers)", ""},
		{"(end(followers) - start(followers)) / start(followers)", ""},
		{"weighted / basis", ""},
		{"posts_published / days", ""},
		{"likez", `metric "likez" is not in the catalogue`},
		{"start(likes)", "start() and end() take gauges"},
		{"end(likes + shares)", "takes a metric"},
		{"sum(likes)", "formula"},
		{"mean(likes)", "formula"},
		{"likes / 2", "its denominator is no metric"},
		{"likes / followers + 1", "one division at the top"},
		{"(likes / followers) / posts_published", "one division at the top"},
		{"likes /", "formula"},
		{"likes % 2", "not known"},
		{"1 + 1", "speaks of no metric"},
		{"", "formula"},
		{`"likes"`, "only numbers, metrics"},
	} {
		err := pipeline.CheckKPI(jauge.KPI{Name: "x", Formula: tc.formula})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%q: %v", tc.formula, err)
		case tc.want != "" && err == nil:
			t.Errorf("%q was accepted", tc.formula)
		case tc.want != "" && !strings.Contains(err.Error(), tc.want):
			t.Errorf("%q: %v, want %q in it", tc.formula, err, tc.want)
		}
	}
}

func FuzzFormula(f *testing.F) {
	for _, s := range []string{"likes / followers", "((((", "start(followers)", "a.b[c]", "1e999 * likes", "-likes"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := pipeline.CheckKPI(jauge.KPI{Name: "x", Formula: s}); err != nil && !strings.Contains(err.Error(), "kpi x") {
			t.Errorf("error does not name the KPI: %v", err)
		}
	})
}
