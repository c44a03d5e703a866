package journal

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of an append, one for each message.
const (
	outcomeStored    = "stored"
	outcomeDuplicate = "duplicate"
	outcomeFull      = "full"
	outcomeDiskFull  = "disk_full"
	outcomeFailed    = "failed"
)

// scrapeWithin bounds how long a scrape waits for the server.
const scrapeWithin = 2 * time.Second

// metrics collects counters as they come and the streams' state at scrape.
type metrics struct {
	j *Journal

	appends     *prometheus.CounterVec
	redelivered prometheus.Counter
	reopened    prometheus.Counter
	unknown     prometheus.Counter
	dead        prometheus.Counter

	messages *prometheus.Desc
	bytes    *prometheus.Desc
	oldest   *prometheus.Desc
	up       *prometheus.Desc
}

func newMetrics(j *Journal) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		j: j,
		appends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jauge_journal_appends_total", Help: "Messages offered to the journal, by what became of them.",
		}, []string{"outcome"}),
		redelivered: counter("jauge_journal_redelivered_total", "Messages that the journal delivered again."),
		reopened:    counter("jauge_journal_reopens_total", "Times that the embedded server was reopened after it could not store."),
		unknown:     counter("jauge_journal_unanswered_publishes_total", "Publishes that were not answered and were repeated under the same id."),
		dead:        counter("jauge_dead_letters_total", "Letters that were buried."),
		messages:    prometheus.NewDesc("jauge_journal_messages", "Messages in a stream of the journal.", []string{"stream"}, nil),
		bytes:       prometheus.NewDesc("jauge_journal_bytes", "Bytes in a stream of the journal.", []string{"stream"}, nil),
		oldest:      prometheus.NewDesc("jauge_journal_oldest_seconds", "Age of the oldest message that was not settled, 0 where there is none.", nil, nil),
		up:          prometheus.NewDesc("jauge_journal_healthy", "1 where the journal takes pages and has lost none, else 0.", nil, nil),
	}
	for _, o := range []string{outcomeStored, outcomeDuplicate, outcomeFull, outcomeDiskFull, outcomeFailed} {
		m.appends.WithLabelValues(o)
	}
	return m
}

func (m *metrics) append(outcome string) { m.appends.WithLabelValues(outcome).Inc() }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.appends.Describe(ch)
	for _, c := range m.counters() {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{m.messages, m.bytes, m.oldest, m.up} {
		ch <- d
	}
}

func (m *metrics) counters() []prometheus.Counter {
	return []prometheus.Counter{m.redelivered, m.reopened, m.unknown, m.dead}
}

// Collect implements prometheus.Collector. Streams that cannot be asked in time are left out.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.appends.Collect(ch)
	for _, c := range m.counters() {
		c.Collect(ch)
	}
	healthy := 0.0
	if m.j.Health() == nil {
		healthy = 1
	}
	ch <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, healthy)

	m.j.mu.Lock()
	s, life := m.j.cur, m.j.life
	m.j.mu.Unlock()
	if s == nil || life == nil {
		return
	}
	ctx, cancel := context.WithTimeout(life, scrapeWithin)
	defer cancel()
	for _, one := range []struct {
		name   string
		stream jetstream.Stream
	}{{"work", s.work}, {"archive", s.archive}, {"dead", s.dead}} {
		info, err := one.stream.Info(ctx)
		if err != nil {
			continue
		}
		ch <- prometheus.MustNewConstMetric(m.messages, prometheus.GaugeValue, float64(info.State.Msgs), one.name)
		ch <- prometheus.MustNewConstMetric(m.bytes, prometheus.GaugeValue, float64(info.State.Bytes), one.name)
		if one.stream == s.work {
			age := 0.0
			if info.State.Msgs > 0 {
				age = max(0, time.Since(info.State.FirstTime).Seconds())
			}
			ch <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, age)
		}
	}
}
