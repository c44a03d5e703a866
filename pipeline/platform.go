package pipeline

import (
	"fmt"
	"math"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// platform is a mapping, compiled for speed: wire names become positions, metrics become columns.
type platform struct {
	name    jauge.Platform
	zone    *time.Location
	basis   jauge.Metric
	atoms   []atom         // metrics that one wire name of a post bears
	wires   map[string]int // a post's wire name -> atom
	sums    []sum          // metrics made of atoms
	account map[string][]jauge.Metric
	offers  map[jauge.Metric]bool // metric -> whether its field varies between servers

	bit       uint32               // stands for the platform in a set
	positions map[jauge.Metric]int // among the atoms, then the sums
	weights   []weight             // of weighted_engagement_rate

	postOut, historyOut, dailyOut []output
}

type atom struct {
	metric jauge.Metric
	varies bool
}

type sum struct {
	metric jauge.Metric
	parts  []int // atoms
}

// output is one number of a row: the atom, or the sum of atoms, that goes into a column.
type output struct {
	col   int
	parts []int
}

func newPlatform(name jauge.Platform, m jauge.Mapping, basis jauge.Metric) (*platform, error) {
	p := &platform{
		name: name, zone: m.Zone, basis: m.Basis, wires: map[string]int{}, account: map[string][]jauge.Metric{},
		offers: map[jauge.Metric]bool{},
	}
	if p.zone == nil {
		p.zone = time.UTC
	}
	if basis != "" {
		p.basis = basis
	}
	for _, f := range m.Fields {
		if err := p.add(f); err != nil {
			return nil, fmt.Errorf("mapping of %s: %w", name, err)
		}
	}
	if n := len(p.atoms) + len(p.sums); n > 62 {
		return nil, fmt.Errorf("mapping of %s: %d post metrics are more than 62", name, n)
	}
	p.positions = map[jauge.Metric]int{}
	for i, a := range p.atoms {
		p.positions[a.metric] = i
	}
	for i, s := range p.sums {
		p.positions[s.metric] = len(p.atoms) + i
	}
	p.postOut = p.outputs(postSchema)
	p.historyOut = p.outputs(postHistorySchema)
	p.dailyOut = p.outputs(dailySchema)
	return p, nil
}

func (p *platform) add(f jauge.Field) error {
	for _, m := range append([]jauge.Metric{f.Metric}, f.Into...) {
		if _, ok := jauge.LookupMetric(m); !ok {
			return fmt.Errorf("wire name %q: metric %q is not in the catalogue", f.Wire, m)
		}
		varies, seen := p.offers[m]
		p.offers[m] = f.Varies && (varies || !seen)
	}
	if f.Object == jauge.ObjectAccount {
		p.account[f.Wire] = append([]jauge.Metric{f.Metric}, f.Into...)
		return nil
	}
	if _, ok := p.wires[f.Wire]; ok {
		return fmt.Errorf("wire name %q is mapped twice", f.Wire)
	}
	if slices.ContainsFunc(p.atoms, func(a atom) bool { return a.metric == f.Metric }) {
		return fmt.Errorf("metric %q has two wire names: give each a metric of its own and let both go into a sum", f.Metric)
	}
	i := len(p.atoms)
	p.wires[f.Wire] = i
	p.atoms = append(p.atoms, atom{f.Metric, f.Varies})
	for _, m := range f.Into {
		j := slices.IndexFunc(p.sums, func(s sum) bool { return s.metric == m })
		if j < 0 {
			p.sums = append(p.sums, sum{metric: m})
			j = len(p.sums) - 1
		}
		p.sums[j].parts = append(p.sums[j].parts, i)
	}
	return nil
}

func (p *platform) outputs(s *jauge.Schema) []output {
	cols := metricColumns(s)
	var out []output
	for i, a := range p.atoms {
		if c, ok := cols[a.metric]; ok {
			out = append(out, output{c, []int{i}})
		}
	}
	for _, sm := range p.sums {
		if c, ok := cols[sm.metric]; ok {
			out = append(out, output{c, sm.parts})
		}
	}
	slices.SortFunc(out, func(a, b output) int { return a.col - b.col })
	return out
}

// nans makes room for a number of each atom and each sum, all absent.
func (p *platform) nans() []float64 {
	out := make([]float64, len(p.atoms)+len(p.sums))
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// position finds a metric among the atoms and sums, -1 where it is neither.
func (p *platform) position(m jauge.Metric) int {
	if i, ok := p.positions[m]; ok {
		return i
	}
	return -1
}

// varies tells whether not every server offers an atom.
func (p *platform) varies(i int) bool { return p.atoms[i].varies }

// total adds up parts. A part that is absent makes the sum absent, unless drop says that it was never offered.
func total(vals []float64, parts []int, drop func(part int) bool) float64 {
	s, n := 0.0, 0
	for _, i := range parts {
		if v := vals[i]; !math.IsNaN(v) {
			s += v
			n++
		} else if !drop(i) {
			return math.NaN()
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return s
}
