package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
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

const (
	plume    = jauge.Platform("plume")
	pageSize = 5
)

// world is a made-up platform: it lists five posts a call, newest first, and reads the rest by id.
type world struct {
	mu     sync.Mutex
	posts  map[string][]worldPost // by account id, newest first
	ids    map[string]string      // handle -> id, where it is not "id-" + handle
	fail   func(call string, account string) error
	delay  time.Duration
	mute   bool // emits no page at all
	busy   map[string]bool
	reads  []reading
	misuse []string // what no scheduler may do
}

type worldPost struct {
	id        string
	published time.Time
	deleted   bool
}

// reading is one account's part of a call.
type reading struct {
	task    collectors.Task
	account string
	at      time.Time
	group   int
	due     []collectors.PostRef
	newest  time.Time
}

func newWorld() *world {
	return &world{posts: map[string][]worldPost{}, ids: map[string]string{}, busy: map[string]bool{}}
}

func (w *world) publish(account, id string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts[account] = append(w.posts[account], worldPost{id: id, published: at})
	slices.SortStableFunc(w.posts[account], func(a, b worldPost) int { return b.published.Compare(a.published) })
}

func (w *world) remove(account, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range w.posts[account] {
		if p.id == id {
			w.posts[account][i].deleted = true
		}
	}
}

func (w *world) failing(call, account string) error {
	w.mu.Lock()
	f := w.fail
	w.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(call, account)
}

func (w *world) setFail(f func(call, account string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

func (w *world) Resolve(_ context.Context, _ *http.Client, handle string) (jauge.Account, error) {
	if err := w.failing("resolve", handle); err != nil {
		return jauge.Account{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id, ok := w.ids[handle]
	if !ok {
		id = "id-" + handle
	}
	return jauge.Account{Platform: plume, ID: id, Handle: handle}, nil
}

func (w *world) enter(req collectors.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range req.Targets {
		id := t.Account.ID
		if w.busy[id] {
			w.misuse = append(w.misuse, "two runs at once of "+id)
		}
		w.busy[id] = true
		w.reads = append(w.reads, reading{req.Task, id, time.Now(), len(req.Targets), t.Due, t.Newest})
	}
}

func (w *world) leave(req collectors.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range req.Targets {
		delete(w.busy, t.Account.ID)
	}
}

func (w *world) Collect(ctx context.Context, req collectors.Request, emit collectors.Emit) ([]collectors.Result, error) {
	w.enter(req)
	defer w.leave(req)
	var out []collectors.Result
	for _, t := range req.Targets {
		if w.delay > 0 {
			select {
			case <-time.After(w.delay):
			case <-ctx.Done():
				return out, ctx.Err()
			}
		}
		res, err := w.account(ctx, req.Task, t, emit)
		if err != nil {
			return out, err
		}
		res.Account = t.Account.ID
		out = append(out, res)
	}
	return out, nil
}

func (w *world) account(ctx context.Context, task collectors.Task, t collectors.Target, emit collectors.Emit) (collectors.Result, error) {
	id := t.Account.ID
	page := func(obs ...jauge.Observation) error {
		return emit(ctx, jauge.Page{Platform: plume, Account: id, Handle: t.Account.Handle, Observations: obs})
	}
	w.mu.Lock()
	posts := slices.Clone(w.posts[id])
	w.mu.Unlock()
	if task == collectors.TaskBackfill {
		return w.older(t, posts, page)
	}
	if w.mute {
		return collectors.Result{Complete: true}, nil
	}
	if err := w.failing("profile", id); err != nil {
		return collectors.Result{Err: err}, nil
	}
	if err := page(jauge.Observation{Object: jauge.ObjectAccount, ID: id, State: jauge.AccountLive}); err != nil {
		return collectors.Result{}, err
	}
	seen := map[string]bool{}
	live := slices.DeleteFunc(slices.Clone(posts), func(p worldPost) bool { return p.deleted })
	for chunk := range slices.Chunk(live, pageSize) {
		if err := w.failing("list", id); err != nil {
			return collectors.Result{Err: err, State: jauge.AccountLive}, nil
		}
		var obs []jauge.Observation
		for _, p := range chunk {
			seen[p.id] = true
			obs = append(obs, p.observation())
		}
		if err := page(obs...); err != nil {
			return collectors.Result{}, err
		}
		if last := chunk[len(chunk)-1].published; last.Before(t.Newest) || last.Before(t.Until) {
			break
		}
	}
	for _, d := range t.Due {
		if seen[d.ID] {
			continue
		}
		if err := w.failing("read", id); err != nil {
			return collectors.Result{Err: err, State: jauge.AccountLive}, nil
		}
		i := slices.IndexFunc(posts, func(p worldPost) bool { return p.id == d.ID })
		if err := page(posts[i].observation()); err != nil {
			return collectors.Result{}, err
		}
	}
	return collectors.Result{Complete: true, State: jauge.AccountLive}, nil
}

func (w *world) older(t collectors.Target, posts []worldPost, page func(...jauge.Observation) error) (collectors.Result, error) {
	at, _ := strconv.Atoi(t.Cursor)
	for range t.Pages {
		if err := w.failing("list", t.Account.ID); err != nil {
			return collectors.Result{Cursor: strconv.Itoa(at), Err: err}, nil
		}
		end := min(len(posts), at+pageSize)
		var obs []jauge.Observation
		for _, p := range posts[at:end] {
			if p.published.Before(t.Until) {
				return collectors.Result{Cursor: strconv.Itoa(at), Done: true}, page(obs...)
			}
			obs = append(obs, p.observation())
		}
		if err := page(obs...); err != nil {
			return collectors.Result{}, err
		}
		if at = end; at == len(posts) {
			return collectors.Result{Cursor: strconv.Itoa(at), Done: true}, nil
		}
	}
	return collectors.Result{Cursor: strconv.Itoa(at)}, nil
}

func (p worldPost) observation() jauge.Observation {
	o := jauge.Observation{Object: jauge.ObjectPost, ID: p.id, Period: jauge.PeriodLifetime, PostState: jauge.PostDeleted}
	if !p.deleted {
		o.PostState, o.Post = jauge.PostLive, &jauge.Post{PublishedAt: p.published}
		o.Values = []jauge.WireValue{{Wire: "hearts", Value: 1}}
	}
	return o
}

// readsOf returns when an account was read.
func (w *world) readsOf(account string) (out []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.reads {
		if r.account == account && r.task == collectors.TaskRefresh {
			out = append(out, r.at)
		}
	}
	return out
}

func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads = nil
}

// journal is an appender that keeps pages in memory and refuses on demand.
type journal struct {
	mu     sync.Mutex
	pages  []jauge.Page
	refuse func(n int) error // asked at every offer
	offers int
}

func (j *journal) Append(ctx context.Context, page jauge.Page) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	j.offers++
	if j.refuse != nil {
		if err := j.refuse(j.offers); err != nil {
			return err
		}
	}
	j.pages = append(j.pages, page)
	return nil
}

func (j *journal) of(account string) (out []jauge.Page) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.pages {
		if p.Account == account {
			out = append(out, p)
		}
	}
	return out
}

func (j *journal) setRefuse(f func(n int) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refuse = f
}

// check finds what no journal may see: stamps of an account that do not rise, two runs of one account in one second.
func (j *journal) check(tb testing.TB) {
	tb.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	last := map[string]jauge.Page{}
	for _, p := range j.pages {
		before, ok := last[p.Account]
		switch {
		case !ok:
		case !p.ObservedAt.After(before.ObservedAt):
			tb.Errorf("%s: stamp %v after %v", p.Account, p.ObservedAt, before.ObservedAt)
		case p.Run == before.Run && p.Seq != before.Seq+1:
			tb.Errorf("%s: page %d after %d", p.Account, p.Seq, before.Seq)
		case p.Run != before.Run && p.RunStart.Unix() <= before.ObservedAt.Unix():
			tb.Errorf("%s: run begins at %v, in the second of %v", p.Account, p.RunStart, before.ObservedAt)
		case p.Run == before.Run && before.Complete:
			tb.Errorf("%s: a page after the mark", p.Account)
		}
		if p.ObservedAt.Before(p.RunStart) {
			tb.Errorf("%s: observed at %v, before its run began at %v", p.Account, p.ObservedAt, p.RunStart)
		}
		last[p.Account] = p
	}
}

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
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	return &rig{
		tb: tb, world: newWorld(), journal: &journal{}, cfg: schedule.Default(), every: "@every 1h", group: 10,
		path: filepath.Join(tb.TempDir(), "state.db"),
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
		State: r.st, Appender: r.journal, Metrics: r.reg, Log: slog.New(slog.NewTextHandler(&locked{w: r.log}, nil)),
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

// flaky is a memory that fails on demand.
type flaky struct {
	schedule.State
	mu   sync.Mutex
	fail func(call string) error
}

var errMemory = errors.New("the memory fails")

func (f *flaky) ask(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		return nil
	}
	return f.fail(call)
}

func (f *flaky) Advance(ctx context.Context, a jauge.Advance) (int, error) {
	if err := f.ask("advance"); err != nil {
		return 0, err
	}
	return f.State.Advance(ctx, a)
}

func (f *flaky) Begin(ctx context.Context, refs []int64, at, from time.Time) error {
	if err := f.ask("begin"); err != nil {
		return err
	}
	return f.State.Begin(ctx, refs, at, from)
}

func (f *flaky) End(ctx context.Context, o []jauge.Outcome) error {
	if err := f.ask("end"); err != nil {
		return err
	}
	return f.State.End(ctx, o)
}

func (f *flaky) Roster(ctx context.Context) iter.Seq2[jauge.Followed, error] {
	return f.State.Roster(ctx)
}

func handles(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("a%d", i)
	}
	return out
}
