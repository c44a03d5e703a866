package schedule_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/schedule"
)

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
