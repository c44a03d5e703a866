package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/configs"
	"jauge.dev/jauge/pipeline"
)

// pipelineConfig puts together what the pipeline is told: by the environment, the file, the platforms and the store.
func pipelineConfig(cfg *configs.Config, platforms []collectors.Platform, retention time.Duration) pipeline.Config {
	c := cfg.Pipeline
	c.Mappings = map[jauge.Platform]jauge.Mapping{}
	for _, p := range platforms {
		c.Mappings[p.Name] = p.Mapping
	}
	c.HistoryRetention = retention
	c.LadderEnd = ladderOf(cfg).End()
	c.KPIs = catalogueWith(cfg.File.KPIs)
	c.Weights, c.Bases = cfg.File.Weights, cfg.File.Basis
	return c
}

// catalogueWith is the default catalogue with what the file adds, changes and switches off.
func catalogueWith(own []configs.KPI) []jauge.KPI {
	out := slices.Clone(pipeline.Catalogue())
	for _, k := range own {
		i := slices.IndexFunc(out, func(d jauge.KPI) bool { return d.Name == k.Name })
		if i < 0 {
			out = append(out, k.KPI)
			continue
		}
		d := &out[i]
		d.Off = k.Off
		for _, set := range []struct {
			to   *string
			from string
		}{{&d.Formula, k.Formula}, {&d.English, k.English}, {&d.French, k.French}, {&d.Phase, k.Phase}} {
			if set.from != "" {
				*set.to = set.from
			}
		}
	}
	return out
}

// checkKPI judges an entry of the file for configs, which knows neither catalogue nor formulas.
func checkKPI(_ configs.File, k configs.KPI) error {
	known := slices.ContainsFunc(pipeline.Catalogue(), func(d jauge.KPI) bool { return d.Name == k.Name })
	switch {
	case !known && k.Off:
		return errors.New("is switched off, and there is none of that name: see jauge kpi --list")
	case !known && k.Formula == "":
		return errors.New("has no formula, and there is none of that name to change: give it one")
	case k.Formula == "":
		return nil
	}
	if err := pipeline.CheckKPI(k.KPI); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "kpi "+k.Name+": "))
	}
	return nil
}

// listKPIs prints the catalogue as the configuration makes it.
func (c *cli) listKPIs(cfg *configs.Config, format string) error {
	p, err := newPrinter(c.stdout, format, []string{"kpi", "phase", "formula", "english", "french", "off"})
	if err != nil {
		return err
	}
	for _, k := range catalogueWith(cfg.File.KPIs) {
		if err := p.row([]any{k.Name, k.Phase, k.Formula, k.English, k.French, k.Off}); err != nil {
			return err
		}
	}
	return p.end()
}

// metricsTable tells, in Markdown, which platform gives which metric under which wire name.
func (c *cli) metricsTable() string {
	var b strings.Builder
	b.WriteString("| platform | object | wire name | metric | also counts as |\n|---|---|---|---|---|\n")
	for _, p := range c.platforms {
		for _, f := range p.Mapping.Fields {
			into := make([]string, len(f.Into))
			for i, m := range f.Into {
				into[i] = "`" + string(m) + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | `%s` | `%s` | %s |\n", p.Name, f.Object, f.Wire, f.Metric, strings.Join(into, ", "))
		}
	}
	return b.String()
}
