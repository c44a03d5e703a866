package schedule

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// The outcomes of a run.
const (
	outcomeOK         = "ok"
	outcomeIncomplete = "incomplete" // no error, and no complete reading: the account is not live, say
	outcomeFailed     = "failed"
	outcomeStopped    = "stopped" // by shutdown, or taken out of config
	outcomeOverlap    = "overlap" // not begun: the account's last run is still waiting or under way
)

// stateUnknown labels accounts that were never read.
const stateUnknown = "unknown"

// scrapeWithin bounds what a scrape may spend on reading the memory.
const scrapeWithin = 5 * time.Second

type metrics struct {
	s       *Scheduler
	runs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	pages   *prometheus.CounterVec
	posts   *prometheus.GaugeVec
	states  *prometheus.GaugeVec
	parked  *prometheus.GaugeVec

	lastSuccess, accountState, accountParked *prometheus.Desc
}

func newMetrics(reg prometheus.Registerer, s *Scheduler) (*metrics, error) {
	m := &metrics{
		s: s,
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jauge_runs_total", Help: "Runs of accounts by how they ended.",
		}, []string{"platform", "task", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "jauge_run_seconds", Help: "How long the run of an account took, with its group.",
			Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 1800},
		}, []string{"platform"}),
		pages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jauge_collected_pages_total", Help: "Pages that the journal acknowledged.",
		}, []string{"platform"}),
		posts: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jauge_posts_known", Help: "Posts that the scheduler knows, deleted ones included.",
		}, []string{"platform"}),
		states: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jauge_accounts", Help: "Followed accounts by state.",
		}, []string{"platform", "state"}),
		parked: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jauge_accounts_parked", Help: "Followed accounts that are not read until somebody has acted, by why.",
		}, []string{"platform", "why"}),
		lastSuccess: prometheus.NewDesc("jauge_account_last_success_timestamp_seconds",
			"When the account's last run without an error ended.", []string{"platform", "account"}, nil),
		accountState: prometheus.NewDesc("jauge_account_state",
			"The account's state: 1 for the present one.", []string{"platform", "account", "state"}, nil),
		accountParked: prometheus.NewDesc("jauge_account_parked",
			"1 where the account is not read until somebody has acted.", []string{"platform", "account"}, nil),
	}
	for _, p := range s.order {
		for _, t := range []collectors.Task{collectors.TaskRefresh, collectors.TaskBackfill} {
			for _, o := range []string{outcomeOK, outcomeIncomplete, outcomeFailed, outcomeStopped, outcomeOverlap} {
				m.runs.WithLabelValues(string(p), string(t), o)
			}
		}
		m.seconds.WithLabelValues(string(p))
		m.pages.WithLabelValues(string(p))
		m.accounts(p, nil, 0)
		for _, why := range []string{parkedPaused, parkedAuth, parkedScope, parkedOther} {
			m.parked.WithLabelValues(string(p), why)
		}
	}
	if reg == nil {
		return m, nil
	}
	refused := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jauge_append_waiting", Help: "Groups of accounts that wait because the journal takes no pages.",
	}, func() float64 { return float64(s.refusals.count()) })
	for _, c := range []prometheus.Collector{m.runs, m.seconds, m.pages, m.posts, m.states, m.parked, refused, perAccount{m}} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) run(p jauge.Platform, t collectors.Task, outcome string) {
	m.runs.WithLabelValues(string(p), string(t), outcome).Inc()
}

func (m *metrics) took(p jauge.Platform, d time.Duration) {
	m.seconds.WithLabelValues(string(p)).Observe(d.Seconds())
}

func (m *metrics) page(p jauge.Platform, added int) {
	m.pages.WithLabelValues(string(p)).Inc()
	m.posts.WithLabelValues(string(p)).Add(float64(added))
}

func stateLabel(s jauge.AccountState) string {
	if s == "" {
		return stateUnknown
	}
	return string(s)
}

func accountStates() []jauge.AccountState {
	return []jauge.AccountState{
		"", jauge.AccountLive, jauge.AccountMoved, jauge.AccountSuspended, jauge.AccountDeleted, jauge.AccountPrivate,
	}
}

// accounts sets the counts of a platform.
func (m *metrics) accounts(p jauge.Platform, tally map[jauge.AccountState]int, posts int64) {
	for _, s := range accountStates() {
		m.states.WithLabelValues(string(p), stateLabel(s)).Set(float64(tally[s]))
	}
	m.posts.WithLabelValues(string(p)).Set(float64(posts))
}

// moved counts an account under another state.
func (m *metrics) moved(p jauge.Platform, from, to jauge.AccountState) {
	m.states.WithLabelValues(string(p), stateLabel(from)).Dec()
	m.states.WithLabelValues(string(p), stateLabel(to)).Inc()
}

// parkedNow counts an account as parked for another reason; none is not parked.
func (m *metrics) parkedNow(p jauge.Platform, was, why string) {
	if was != "" {
		m.parked.WithLabelValues(string(p), was).Dec()
	}
	if why != "" {
		m.parked.WithLabelValues(string(p), why).Inc()
	}
}

// perAccount emits the series of single accounts at scrape, from the memory, unless there are too many.
type perAccount struct{ m *metrics }

// Describe names the series.
func (c perAccount) Describe(out chan<- *prometheus.Desc) {
	out <- c.m.lastSuccess
	out <- c.m.accountState
	out <- c.m.accountParked
}

// Collect reads the memory.
func (c perAccount) Collect(out chan<- prometheus.Metric) {
	s := c.m.s
	if n := s.followed(); n == 0 || n > s.cfg.AccountMetrics {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin) // a scrape brings no context
	defer cancel()
	for f, err := range s.state.Roster(ctx) {
		if err != nil {
			s.log.Warn("accounts could not be read for a scrape", "error", err)
			return
		}
		if !f.Removed.IsZero() || f.Account.ID == "" {
			continue
		}
		p, id := string(f.Account.Platform), f.Account.ID
		out <- prometheus.MustNewConstMetric(c.m.accountState, prometheus.GaugeValue, 1, p, id, stateLabel(f.State))
		parked := 0.0
		if s.ask(&f).parked() {
			parked = 1
		}
		out <- prometheus.MustNewConstMetric(c.m.accountParked, prometheus.GaugeValue, parked, p, id)
		if !f.LastSuccess.IsZero() {
			out <- prometheus.MustNewConstMetric(c.m.lastSuccess, prometheus.GaugeValue,
				float64(f.LastSuccess.UnixNano())/1e9, p, id)
		}
	}
}

// refusals counts the groups that wait for the journal, and keeps why.
type refusals struct {
	mu    sync.Mutex
	n     int
	since time.Time
	err   error
}

func (r *refusals) begin(err error, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == 0 {
		r.since = at
	}
	r.n++
	r.err = err
}

func (r *refusals) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n--
}

func (r *refusals) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}
