package schedule

import (
	"context"
	"errors"
	"time"

	"jauge.dev/jauge/collectors"
)

// Backfill lists older posts of every matching account back to since, and goes on where an earlier call stopped, be
// it by an error, a crash or ctx. It yields the posts with the counters that they have today, not past daily
// activity: no platform tells what a post gained on a day gone by. Posts older than the re-read ladder are recorded
// and never read again.
//
// An account is given free after Config.BackfillPages listing pages, so that its regular runs go in between.
func (s *Scheduler) Backfill(ctx context.Context, since time.Time, f Filter, progress func(Event)) (Summary, error) {
	if !since.Before(time.Now()) {
		return Summary{}, errors.New("backfill goes back in time: give a date in the past")
	}
	return s.each(ctx, f, progress, func(ctx context.Context, l *lane, w work) ([]*account, error) {
		w.task, w.since = collectors.TaskBackfill, since.UTC()
		return s.backfillGroup(ctx, l, w)
	})
}

// backfillGroup calls the collector until every account has come to its end or failed. Each round moves every cursor,
// or fails the account: so it ends.
func (s *Scheduler) backfillGroup(ctx context.Context, l *lane, w work) ([]*account, error) {
	var ended []*account
	sofar := map[int64]*account{}
	for len(w.refs) > 0 {
		todo, done, err := s.unfilled(ctx, w.refs, w.since)
		if err != nil {
			return ended, err
		}
		ended = append(ended, done...)
		if w.refs = todo; len(todo) == 0 {
			break
		}
		round, err := s.runGroup(ctx, l, w)
		if err != nil {
			return ended, err
		}
		w.refs = nil
		for _, a := range round {
			a.addTo(sofar)
			if a.err == nil && !a.mark.Done {
				w.refs = append(w.refs, a.f.Ref)
				continue
			}
			ended = append(ended, a)
		}
	}
	return ended, nil
}

// addTo adds what earlier rounds of the account gave.
func (a *account) addTo(sofar map[int64]*account) {
	k := a.f.Ref
	if b := sofar[k]; b != nil {
		a.began = b.began
		a.pages, a.posts, a.added, a.deleted = a.pages+b.pages, a.posts+b.posts, a.added+b.added, a.deleted+b.deleted
	}
	sofar[k] = a
}

// unfilled parts the accounts into those that have still to go back and those that came as far as since before.
func (s *Scheduler) unfilled(ctx context.Context, refs []int64, since time.Time) (todo []int64, done []*account, err error) {
	for _, ref := range refs {
		m, ok, err := s.state.Backfill(ctx, ref)
		if err != nil {
			return nil, nil, err
		}
		if !ok || !m.Done || since.Before(m.Since) {
			todo = append(todo, ref)
			continue
		}
		fs, err := s.state.Followed(ctx, []int64{ref})
		if err != nil {
			return nil, nil, err
		}
		for _, f := range fs {
			now := time.Now().UTC()
			done = append(done, &account{f: f, mark: m, complete: true, state: f.State, began: now, ended: now})
		}
	}
	return todo, done, nil
}
