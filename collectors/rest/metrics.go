package rest

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

const outcomeOK = "ok"

// Metrics are the series of all clients. A platform's series exist, at 0, from the moment its client is made.
type Metrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	retries *prometheus.CounterVec
	endings *prometheus.CounterVec
	quota   *prometheus.Desc
	circuit *prometheus.Desc
	notices notices

	mu      sync.Mutex
	clients []*transport
}

// NewMetrics makes the series and registers them; several clients share them.
//
//	jauge_api_calls_total{platform,outcome}  attempts, and calls that a budget or an open circuit refused (outcome quota, server)
//	jauge_api_call_seconds{platform}         how long attempts took
//	jauge_api_retries_total{platform}        attempts that followed a failed one
//	jauge_deprecation_headers_total{platform}  answers that say, by Deprecation or Sunset, that what was asked will end
//	jauge_api_quota_remaining{platform}      calls left by the platform's word, the smallest over its hosts; absent where it says nothing
//	jauge_api_circuit_open{platform}         hosts that are left alone because they are down
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := newMetrics()
	if err := reg.Register(m); err != nil {
		return nil, fmt.Errorf("register http metrics: %w", err)
	}
	return m, nil
}

func newMetrics() *Metrics {
	platform := []string{"platform"}
	return &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jauge_api_calls_total",
			Help: "Attempts to call a platform's API by outcome, with those that a budget or an open circuit refused.",
		}, []string{"platform", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "jauge_api_call_seconds", Help: "Duration of attempts to call a platform's API.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, platform),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jauge_api_retries_total", Help: "Attempts to call a platform's API that followed a failed one.",
		}, platform),
		endings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jauge_deprecation_headers_total",
			Help: "Answers of a platform's API that say, by Deprecation or Sunset, that what was asked will end.",
		}, platform),
		quota: prometheus.NewDesc("jauge_api_quota_remaining",
			"Calls left by the platform's word, the smallest over its hosts and tokens.", platform, nil),
		circuit: prometheus.NewDesc("jauge_api_circuit_open",
			"Hosts of a platform that are left alone because they are down.", platform, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.calls.Describe(ch)
	m.seconds.Describe(ch)
	m.retries.Describe(ch)
	m.endings.Describe(ch)
	ch <- m.quota
	ch <- m.circuit
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.calls.Collect(ch)
	m.seconds.Collect(ch)
	m.retries.Collect(ch)
	m.endings.Collect(ch)
	m.mu.Lock()
	clients := append([]*transport(nil), m.clients...)
	m.mu.Unlock()
	open, left := map[string]int{}, map[string]int{}
	now := time.Now()
	for _, t := range clients {
		name := string(t.platform.Name)
		open[name] += t.openCircuits()
		if q, ok := t.quotaLeft(now); ok {
			if was, seen := left[name]; !seen || q.Remaining < was {
				left[name] = q.Remaining
			}
		}
	}
	for name, n := range open {
		ch <- prometheus.MustNewConstMetric(m.circuit, prometheus.GaugeValue, float64(n), name)
	}
	for name, n := range left {
		ch <- prometheus.MustNewConstMetric(m.quota, prometheus.GaugeValue, float64(n), name)
	}
}

func (m *Metrics) watch(t *transport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients = append(m.clients, t)
}

// series are those of one platform.
type series struct {
	name     string
	outcomes map[jauge.Reason]prometheus.Counter // the empty reason is success
	seconds  prometheus.Observer
	retries  prometheus.Counter

	deprecations prometheus.Counter
}

func (m *Metrics) platform(name string) *series {
	s := &series{
		outcomes: map[jauge.Reason]prometheus.Counter{"": m.calls.WithLabelValues(name, outcomeOK)},
		name:     name,
		seconds:  m.seconds.WithLabelValues(name),
		retries:  m.retries.WithLabelValues(name),

		deprecations: m.endings.WithLabelValues(name),
	}
	for _, r := range jauge.Reasons() {
		s.outcomes[r] = m.calls.WithLabelValues(name, string(r))
	}
	return s
}

func (s *series) count(r jauge.Reason) {
	c, ok := s.outcomes[r]
	if !ok {
		c = s.outcomes[jauge.ReasonOther]
	}
	c.Inc()
}

func (t *transport) openCircuits() int {
	n := 0
	for _, c := range t.circuits.all() {
		if c.down() {
			n++
		}
	}
	return n
}

func (t *transport) quotaLeft(now time.Time) (least collectors.Quota, ok bool) {
	for _, b := range t.budgets.all() {
		if q, known := b.left(now); known && (!ok || q.Remaining < least.Remaining) {
			least, ok = q, true
		}
	}
	return least, ok
}
