package schedule_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/schedule"
	"jauge.dev/jauge/storage/state"
)

// rig is a scheduler with everything around it.
type rig struct {
	tb      testing.TB
	world   *world
	journal *journal
	db      *state.DB
	st      schedule.State
	s       *schedule.Scheduler
	reg     *prometheus.Registry
	log     *strings.Builder
	cfg     schedule.Config
	every   string
	group   int
	path    string
	access  *access
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	return &rig{
		tb: tb, world: newWorld(), journal: &journal{}, cfg: schedule.Default(), every: "@every 1h", group: 10,
		path: filepath.Join(tb.TempDir(), "state.db"), access: &access{},
	}
}

// start opens memory and scheduler; the second time it is a restart.
func (r *rig) start(accounts ...string) *rig {
	r.tb.Helper()
	db, err := state.New(state.Config{Path: r.path}, nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	if err := db.Open(r.tb.Context()); err != nil {
		r.tb.Fatal(err)
	}
	r.db, r.reg, r.log = db, prometheus.NewRegistry(), &strings.Builder{}
	if r.st == nil {
		r.st = db
	}
	if f, ok := r.st.(*flaky); ok {
		f.State = db
	} else {
		r.st = db
	}
	r.s, err = schedule.New(r.cfg, schedule.Deps{
		Platforms: []collectors.Platform{{
			Name: plume, Every: r.every, Group: r.group, New: func(string) collectors.Collector { return r.world },
		}},
		Access: r.access,
		State:  r.st, Appender: r.journal, Metrics: r.reg, Log: slog.New(slog.NewTextHandler(&locked{w: r.log}, nil)),
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	r.sync(accounts...)
	return r
}

// locked lets several goroutines log.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (r *rig) close() {
	r.tb.Helper()
	if err := r.db.Close(); err != nil {
		r.tb.Error(err)
	}
}

func (r *rig) sync(handles ...string) []jauge.Change {
	r.tb.Helper()
	list := make([]schedule.Configured, len(handles))
	for i, h := range handles {
		list[i] = schedule.Configured{Platform: plume, Handle: h, Brand: "acme"}
	}
	changes, err := r.s.Sync(r.tb.Context(), list)
	if err != nil {
		r.tb.Fatal(err)
	}
	return changes
}

// run lets the scheduler run for a while of simulated time.
func (r *rig) run(d time.Duration) {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := r.s.Run(ctx); err != nil {
		r.tb.Error(err)
	}
}

func (r *rig) once(f schedule.Filter) schedule.Summary {
	r.tb.Helper()
	sum, err := r.s.RunOnce(r.tb.Context(), f, nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	return sum
}

func (r *rig) account(handle string) jauge.Followed {
	r.tb.Helper()
	for f, err := range r.db.Roster(r.tb.Context()) {
		if err != nil {
			r.tb.Fatal(err)
		}
		if f.Configured == handle {
			return f
		}
	}
	r.tb.Fatalf("account %s is not known", handle)
	return jauge.Followed{}
}

func (r *rig) ladder(handle string) (ids []string) {
	r.tb.Helper()
	posts, err := r.db.Due(r.tb.Context(), r.account(handle).Ref, time.Time{})
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, p := range posts {
		ids = append(ids, p.ID)
	}
	return ids
}

// metric reads one series, by name and label values in any order.
func (r *rig) metric(name string, labels ...string) float64 {
	r.tb.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			n := 0
			for _, l := range m.GetLabel() {
				if slices.Contains(labels, l.GetValue()) {
					n++
				}
			}
			if n == len(labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	r.tb.Fatalf("no series %s%v", name, labels)
	return 0
}

func handles(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("a%d", i)
	}
	return out
}
