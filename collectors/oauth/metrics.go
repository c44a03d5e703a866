package oauth

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of renewals.
const (
	outcomeOK        = "ok"
	outcomeTransient = "transient" // it will be tried again
	outcomeRevoked   = "revoked"   // the provider says that the grant has ended
	outcomeLost      = "lost"      // sent, and its answer never came
	outcomeNotSent   = "not_sent"  // nothing left
	outcomeAdopted   = "adopted"   // another replica's
)

// maxGrantSeries is the number of grants above which /metrics has no series per grant.
const maxGrantSeries = 1000

// metrics are the vault's series:
//
//	jauge_grants{platform,state}                       grants; platform is the provider
//	jauge_grant_expiry_seconds{platform,grant}         until a grant ends unless it is renewed; absent where it does not
//	jauge_grant_refreshes_total{platform,outcome}      renewals
type metrics struct {
	v         *Vault
	refreshes *prometheus.CounterVec
	grants    *prometheus.Desc
	expiry    *prometheus.Desc
}

func newMetrics(v *Vault, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		v: v,
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jauge_grant_refreshes_total", Help: "Renewals of grants by outcome.",
		}, []string{"platform", "outcome"}),
		grants: prometheus.NewDesc("jauge_grants", "Grants by provider and state.", []string{"platform", "state"}, nil),
		expiry: prometheus.NewDesc("jauge_grant_expiry_seconds",
			"How long until a grant ends unless somebody or something renews it.", []string{"platform", "grant"}, nil),
	}
	for name := range v.providers {
		for _, o := range []string{outcomeOK, outcomeTransient, outcomeRevoked, outcomeLost, outcomeNotSent, outcomeAdopted} {
			m.refreshes.WithLabelValues(name, o)
		}
	}
	if reg == nil {
		return m, nil
	}
	if err := reg.Register(m); err != nil {
		return nil, fmt.Errorf("register grant metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) refreshed(p *Provider, outcome string) {
	m.refreshes.WithLabelValues(p.Name, outcome).Inc()
}

// Describe names the series.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	m.refreshes.Describe(out)
	out <- m.grants
	out <- m.expiry
}

// Collect counts the grants in memory.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.refreshes.Collect(out)
	tally := map[string]map[State]int{}
	for name := range m.v.providers {
		tally[name] = map[State]int{}
	}
	all := m.v.view.all()
	now := time.Now()
	for _, e := range all {
		p := m.v.providers[e.rec.Provider]
		if p == nil || e.rec.Pending {
			continue
		}
		s, _ := e.rec.judge(p, m.v.cfg.Warn, now)
		tally[p.Name][s]++
		end := e.rec.ends(p)
		if end.IsZero() || len(all) > maxGrantSeries || s == StateRevoked {
			continue
		}
		out <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, end.Sub(now).Seconds(), p.Name, e.rec.ID)
	}
	for name, states := range tally {
		for _, s := range States() {
			out <- prometheus.MustNewConstMetric(m.grants, prometheus.GaugeValue, float64(states[s]), name, string(s))
		}
	}
}
