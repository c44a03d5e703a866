package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// ErrNoAccounts says that there is nothing to read: no account is listed, and none is connected.
var ErrNoAccounts = errors.New("there is no account to read: list one under brands in the configuration, or connect one (jauge connect)")

// Filter chooses accounts; the zero value takes all that config lists.
type Filter struct {
	Platform jauge.Platform
	Account  string // the platform's id, or the handle as configured or as the platform spells it
}

// Summary says what became of every account that was asked for.
type Summary struct {
	Accounts []AccountSummary // by brand, platform and handle
	Failed   int
	Calls    map[jauge.Platform]int // calls of collectors, each with all its retries counted once
	Began    time.Time
	Ended    time.Time
}

// RunOnce reads every matching account once, now, and takes every post on the ladder as due. It works beside Run or
// without it; an account that is being read is waited for. When some accounts fail the rest goes on: the summary
// names them. An error means that nothing matched, or that the memory or ctx failed. progress may be nil; it is
// called by one goroutine at a time.
func (s *Scheduler) RunOnce(ctx context.Context, f Filter, progress func(Event)) (Summary, error) {
	return s.each(ctx, f, progress, func(ctx context.Context, l *lane, w work) ([]*account, error) {
		w.task, w.all = collectors.TaskRefresh, true
		return s.runGroup(ctx, l, w)
	})
}

// groupFunc does something for a group of accounts of one platform; w bears their keys.
type groupFunc func(ctx context.Context, l *lane, w work) ([]*account, error)

// each calls do for all matching accounts in groups, Config.Parallel at once per platform, all platforms at once.
func (s *Scheduler) each(ctx context.Context, f Filter, progress func(Event), do groupFunc) (Summary, error) {
	sum := Summary{Began: time.Now().UTC(), Calls: map[jauge.Platform]int{}}
	queues, err := s.choose(ctx, f)
	if err != nil {
		return sum, err
	}
	var mu sync.Mutex
	tell := func(e Event) {
		if progress != nil {
			mu.Lock()
			defer mu.Unlock()
			progress(e)
		}
	}
	var lanes errgroup.Group
	for p, q := range queues {
		lanes.Go(func() error {
			groups, ctx := errgroup.WithContext(ctx)
			groups.SetLimit(s.cfg.Parallel)
			run := func(refs []int64) error {
				var calls atomic.Int64
				accounts, err := do(ctx, s.lanes[p], work{refs: refs, progress: tell, calls: &calls})
				mu.Lock()
				defer mu.Unlock()
				sum.Calls[p] += int(calls.Load())
				for _, a := range accounts {
					sum.Accounts = append(sum.Accounts, a.summary())
				}
				return err
			}
			for {
				b, ok := q.pop(s.lanes[p].group)
				if !ok {
					return groups.Wait()
				}
				groups.Go(func() error { return s.eachGrant(ctx, groups, b.refs, run) })
			}
		})
	}
	err = lanes.Wait()
	sum.close()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return sum, err
}

// eachGrant runs the accounts of each grant by themselves, beside each other where there is room.
func (s *Scheduler) eachGrant(ctx context.Context, groups *errgroup.Group, refs []int64, run func(refs []int64) error) error {
	for _, part := range s.parts(ctx, refs) {
		if groups.TryGo(func() error { return run(part) }) {
			continue
		}
		if err := run(part); err != nil {
			return err
		}
	}
	return nil
}

func (s *Summary) close() {
	s.Ended = time.Now().UTC()
	slices.SortFunc(s.Accounts, func(a, b AccountSummary) int {
		return cmp.Or(cmp.Compare(a.Brand, b.Brand), cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Handle, b.Handle))
	})
	for _, a := range s.Accounts {
		if a.Err != nil {
			s.Failed++
		}
	}
}

// choose queues the accounts that match, by platform.
func (s *Scheduler) choose(ctx context.Context, f Filter) (map[jauge.Platform]*queue, error) {
	if f.Platform != "" && s.lanes[f.Platform] == nil {
		return nil, fmt.Errorf("no platform is called %q: there are %s", f.Platform, s.platformNames())
	}
	queues := map[jauge.Platform]*queue{}
	tables := map[jauge.Platform]*table{}
	for a, err := range s.state.Roster(ctx) {
		if err != nil {
			return nil, err
		}
		p := a.Account.Platform
		if s.lanes[p] == nil || !a.Removed.IsZero() || !f.match(&a) {
			continue
		}
		if queues[p] == nil {
			queues[p], tables[p] = &queue{}, &table{}
		}
		queues[p].push(tables[p].add(&a))
	}
	if len(queues) == 0 && f != (Filter{}) {
		return nil, fmt.Errorf("no account in the configuration matches %s: see jauge accounts", f)
	}
	if len(queues) == 0 {
		return nil, ErrNoAccounts
	}
	return queues, nil
}

func (s *Scheduler) platformNames() string {
	names := make([]string, len(s.order))
	for i, p := range s.order {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

func (f Filter) match(a *jauge.Followed) bool {
	if f.Platform != "" && f.Platform != a.Account.Platform {
		return false
	}
	if f.Account == "" || f.Account == a.Account.ID {
		return true
	}
	want := lookupKey(f.Account)
	return want == lookupKey(a.Configured) || want == lookupKey(a.Account.Handle)
}

// String writes the filter for messages.
func (f Filter) String() string {
	switch {
	case f.Platform == "":
		return fmt.Sprintf("account %q", f.Account)
	case f.Account == "":
		return fmt.Sprintf("platform %q", f.Platform)
	}
	return fmt.Sprintf("platform %q and account %q", f.Platform, f.Account)
}
