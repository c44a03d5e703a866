package schedule

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// work is what a group is to do.
type work struct {
	task      collectors.Task
	refs      []int64
	woken     map[int64]struct{} // accounts to be read although it is early
	scheduled bool               // its turn came, nobody asked: accounts that were read lately are left out
	all       bool               // every post on the ladder counts as due
	since     time.Time
	progress  func(Event)
	calls     *atomic.Int64 // counts HTTP calls; may be nil
}

// account is one account within a group's run.
type account struct {
	f     jauge.Followed
	pass  pass
	run   string
	start time.Time
	due   map[string]time.Time // publication instants of the posts asked for
	mark  jauge.BackfillMark
	gone  atomic.Bool // taken out of config meanwhile

	parked bool // not read at all: it may not be

	held     *jauge.Page // read, stamped, not yet appended: it may turn out to be the last
	seq      int
	observed time.Time
	newest   time.Time // publication of the newest post seen
	lost     bool      // a page of the run was not taken: no mark
	unsure   bool      // a page was or may have been taken and is not recorded: the memory lacks the last stamp

	pages, posts, added, deleted int
	complete                     bool
	state                        jauge.AccountState
	err                          error
	began, ended                 time.Time
}

// groupRun is one call of Collect with all that belongs to it.
type groupRun struct {
	s        *Scheduler
	l        *lane
	w        work
	hc       *http.Client
	accounts []*account // of one grant
	byID     map[string]*account
}

// runGroup reads accounts of one platform. What goes wrong for an account is in its account value; an error means
// that nothing could be done for any.
func (s *Scheduler) runGroup(ctx context.Context, l *lane, w work) ([]*account, error) {
	if err := s.locks.acquire(ctx, w.refs); err != nil {
		return nil, err
	}
	defer s.locks.release(w.refs)
	followed, err := s.state.Followed(ctx, w.refs)
	if err != nil {
		return nil, err
	}
	var groups []*groupRun
	unread := &groupRun{s: s, l: l, w: w}
	for _, f := range followed {
		if !f.Removed.IsZero() {
			continue
		}
		a := &account{f: f, began: time.Now().UTC()}
		release, ok := s.admit(ctx, l, a, &w)
		defer release()
		switch {
		case !ok:
		case a.err != nil:
			unread.accounts = append(unread.accounts, a)
		default:
			groups = join(groups, unread, a)
		}
	}
	var out []*account
	for _, g := range groups {
		if err := g.run(ctx); err != nil {
			return out, err
		}
		out = append(out, g.accounts...)
	}
	if err := unread.fail(ctx); err != nil {
		return out, err
	}
	return append(out, unread.accounts...), nil
}

// join puts an account to those of its grant.
func join(groups []*groupRun, like *groupRun, a *account) []*groupRun {
	i := slices.IndexFunc(groups, func(g *groupRun) bool { return g.accounts[0].pass.grant == a.pass.grant })
	if i < 0 {
		i = len(groups)
		groups = append(groups, &groupRun{s: like.s, l: like.l, w: like.w, hc: a.pass.hc, byID: map[string]*account{}})
	}
	groups[i].accounts = append(groups[i].accounts, a)
	groups[i].byID[a.f.Account.ID] = a
	return groups
}

// fail ends accounts that could not be read at all. That a handle could not be resolved is recorded already; that an
// account is parked is no failure of a run.
func (g *groupRun) fail(ctx context.Context) error {
	var outcomes []jauge.Outcome
	for _, a := range g.accounts {
		if a.parked {
			g.event(a, EventEnded)
			continue
		}
		if o, ok := g.outcome(a); ok && a.pass.err != nil {
			outcomes = append(outcomes, o)
		}
		g.report(a)
	}
	if len(outcomes) == 0 {
		return nil
	}
	return g.keep(ctx, func(ctx context.Context) error { return g.s.state.End(ctx, outcomes) })
}

// early tells whether an account was read so lately that its turn may pass: after a run that was caught up or asked
// for. A failed run never makes it early.
func (l *lane) early(f *jauge.Followed) bool {
	if f.Failure.Reason != "" || f.Unfinished {
		return false
	}
	now := time.Now().UTC()
	l.mu.Lock()
	defer l.mu.Unlock()
	since := now.Sub(f.LastRun)
	return since >= 0 && since < l.firing.window(now).length()/4
}

// run reads the accounts of the group, which are locked and resolved.
func (g *groupRun) run(ctx context.Context) error {
	if err := g.begin(ctx); err != nil {
		return err
	}
	defer g.leave()
	targets := make([]collectors.Target, len(g.accounts))
	for i, a := range g.accounts {
		t, err := g.target(ctx, a)
		if err != nil {
			return err
		}
		targets[i] = t
	}
	req := collectors.Request{Task: g.w.task, Targets: targets, HTTP: g.client()}
	results, err := g.l.collector.Collect(ctx, req, g.emit)
	byID := make(map[string]collectors.Result, len(results))
	for _, r := range results {
		byID[r.Account] = r
	}
	outcomes := make([]jauge.Outcome, 0, len(g.accounts))
	for _, a := range g.accounts {
		r, ok := byID[a.f.Account.ID]
		if !ok {
			r = collectors.Result{Err: err}
			if err == nil {
				r.Err = fmt.Errorf("collector of %s gave no result for the account", g.l.platform.Name)
			}
		}
		g.finish(ctx, a, r)
		if o, ok := g.outcome(a); ok {
			outcomes = append(outcomes, o)
		}
		g.report(a)
		g.s.reconsider(a)
	}
	return g.keep(ctx, func(ctx context.Context) error { return g.s.state.End(ctx, outcomes) })
}

// begin gives every account its run id and start, and waits for the next second where one was observed in this one:
// readings are stored by the second, and two runs must not meet in one.
func (g *groupRun) begin(ctx context.Context) error {
	now, err := g.s.nextSecond(ctx, g.accounts)
	if err != nil {
		return err
	}
	refs := make([]int64, len(g.accounts))
	g.s.mu.Lock()
	for i, a := range g.accounts {
		refs[i] = a.f.Ref
		a.run, a.start = ulid.Make().String(), now
		if next := a.f.Observed.Truncate(time.Second).Add(time.Second); next.After(now) && !a.f.Observed.IsZero() {
			a.start = next // the clock was set back: go on behind what was read
		}
		a.observed = a.f.Observed
		g.s.running[a.f.Ref] = a
	}
	g.s.mu.Unlock()
	began := now
	if g.w.task != collectors.TaskRefresh {
		began = time.Time{} // a backfill is no run of the schedule
	}
	if err := g.s.state.Begin(ctx, refs, began, now.Add(-g.s.ladder.End())); err != nil {
		g.leave()
		return err
	}
	return nil
}

func (g *groupRun) leave() {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	for _, a := range g.accounts {
		delete(g.s.running, a.f.Ref)
	}
}

// clockSlack is how far in the future an observation may lie and be waited for; one further ahead means that the
// clock was set back.
const clockSlack = 2 * time.Second

// nextSecond returns an instant in a second in which none of the accounts was observed yet.
func (s *Scheduler) nextSecond(ctx context.Context, accounts []*account) (time.Time, error) {
	now := time.Now().UTC()
	free := now
	for _, a := range accounts {
		last := a.f.Observed
		if a.f.Unfinished { // its last observations may not be recorded
			last = now
		}
		if next := last.Truncate(time.Second).Add(time.Second); next.After(free) && last.Sub(now) <= clockSlack {
			free = next
		}
	}
	if err := sleep(ctx, s.stopping, free.Sub(now)); err != nil {
		return now, err
	}
	return time.Now().UTC(), nil
}

// sleep waits; it ends early with an error when ctx ends or the scheduler stops.
func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-stop:
		return errStopping
	}
}
