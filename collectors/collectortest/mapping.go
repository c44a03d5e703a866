package collectortest

import (
	"testing"

	"github.com/robfig/cron/v3"

	"jauge.dev/jauge"
)

func checkPlatform(t *testing.T, c Case) {
	p := c.Platform
	if p.Name == "" || p.Group < 1 || p.New == nil || p.CheckHandle == nil {
		t.Fatal("platform needs Name, Group, New and CheckHandle")
	}
	if p.Limit.Calls < 1 || p.Limit.In <= 0 {
		t.Error("platform needs a Limit")
	}
	if _, err := cron.ParseStandard(p.Every); err != nil {
		t.Errorf("Every %q is no schedule: %v", p.Every, err)
	}
	for _, h := range append([]string{c.Unknown}, c.Handles...) {
		if err := p.CheckHandle(h); err != nil {
			t.Errorf("CheckHandle(%q) = %v, want nil", h, err)
		}
	}
	for _, h := range append([]string{""}, c.Refused...) {
		if p.CheckHandle(h) == nil {
			t.Errorf("CheckHandle(%q) = nil, want an error", h)
		}
	}
}

// CheckMapping checks that a mapping names what the catalogue knows, each wire name once, and that a metric which
// several wire names enter is a sum through Into: differences are taken per wire name.
func CheckMapping(t *testing.T, m jauge.Mapping) {
	t.Helper()
	type wire struct {
		object jauge.Object
		name   string
	}
	type borne struct {
		object jauge.Object
		metric jauge.Metric
	}
	wires, alone := map[wire]bool{}, map[borne]string{}
	known := func(f jauge.Field, metric jauge.Metric) {
		if _, ok := jauge.LookupMetric(metric); !ok {
			t.Errorf("field %s names %q, which the catalogue does not know", f.Wire, metric)
		}
	}
	for _, f := range m.Fields {
		if f.Wire == "" || f.Object == "" || f.Kind == 0 {
			t.Errorf("field %+v lacks wire, object or kind", f)
		}
		if wires[wire{f.Object, f.Wire}] {
			t.Errorf("wire name %s stands twice for %s", f.Wire, f.Object)
		}
		wires[wire{f.Object, f.Wire}] = true
		known(f, f.Metric)
		if was, ok := alone[borne{f.Object, f.Metric}]; ok {
			t.Errorf("%s and %s both bear %s: let them enter it through Into", was, f.Wire, f.Metric)
		}
		alone[borne{f.Object, f.Metric}] = f.Wire
		for _, sum := range f.Into {
			known(f, sum)
		}
	}
	for _, f := range m.Fields {
		for _, sum := range f.Into {
			if was, ok := alone[borne{f.Object, sum}]; ok {
				t.Errorf("%s enters %s, which %s bears alone", f.Wire, sum, was)
			}
		}
	}
	if _, ok := jauge.LookupMetric(m.Basis); !ok {
		t.Errorf("basis %q is not in the catalogue", m.Basis)
	}
}
