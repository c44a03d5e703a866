package pipeline

import (
	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
)

// metrics is what the pipeline tells of itself.
type metrics struct {
	pagesTotal   *prometheus.CounterVec
	rejectsTotal *prometheus.CounterVec
	unknownTotal *prometheus.CounterVec
	tooOld       *prometheus.CounterVec
	records      prometheus.Counter
	evaluations  prometheus.Counter
	loads        prometheus.Counter
	remakes      prometheus.Counter
	retries      prometheus.Counter
	cacheBytes   prometheus.Gauge
	known        map[jauge.Platform]bool
}

func newMetrics(reg prometheus.Registerer, platforms []jauge.Platform) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	vec := func(name, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"platform"})
		for _, p := range platforms {
			v.WithLabelValues(string(p))
		}
		v.WithLabelValues(otherPlatform)
		reg.MustRegister(v)
		return v
	}
	one := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		pagesTotal:   vec("jauge_pipeline_pages_total", "Pages that were normalised."),
		rejectsTotal: vec("jauge_pipeline_rejects_total", "Pages that could not be normalised and became dead letters."),
		unknownTotal: vec("jauge_pipeline_unknown_wire_names_total", "Values under wire names that no mapping knows."),
		tooOld:       vec("jauge_pipeline_too_old_readings_total", "Readings older than the history's retention: acknowledged, without effect."),
		records:      one("jauge_pipeline_records_total", "Rows handed to the store."),
		evaluations:  one("jauge_pipeline_kpi_evaluations_total", "KPI evaluations, one per account, window and KPI."),
		loads:        one("jauge_pipeline_account_loads_total", "Accounts read back from the store."),
		remakes:      one("jauge_pipeline_remakes_total", "Accounts whose days were made anew from the history."),
		retries:      one("jauge_pipeline_store_retries_total", "Batches that were repeated because the store did not answer."),
		cacheBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jauge_pipeline_cache_bytes", Help: "Estimated size of what is kept of accounts in memory.",
		}),
		known: map[jauge.Platform]bool{},
	}
	reg.MustRegister(m.cacheBytes)
	for _, p := range platforms {
		m.known[p] = true
	}
	return m
}

// otherPlatform is the label of what names no configured platform, so that the label set is closed.
const otherPlatform = "other"

func (m *metrics) label(p jauge.Platform) string {
	if m.known[p] {
		return string(p)
	}
	return otherPlatform
}

func (m *metrics) pages(p jauge.Platform) prometheus.Counter {
	return m.pagesTotal.WithLabelValues(m.label(p))
}

func (m *metrics) rejects(p jauge.Platform) prometheus.Counter {
	return m.rejectsTotal.WithLabelValues(m.label(p))
}

func (m *metrics) unknownWires(p jauge.Platform) prometheus.Counter {
	return m.unknownTotal.WithLabelValues(m.label(p))
}
