package schedule

import (
	"context"
	"errors"
	"time"

	"jauge.dev/jauge"
)

const (
	// firstResolve and lastResolve bound the wait before a handle that cannot be resolved is tried again.
	firstResolve = 5 * time.Minute
	lastResolve  = 24 * time.Hour
	// failureText bounds what is kept of an error's text, in bytes.
	failureText = 300
)

func nothing() {}

// resolve sees to it that an account has an id. ok is false where it is not its time to try; a failure is in a.err.
// The caller calls release when the account's run has ended.
func (s *Scheduler) resolve(ctx context.Context, l *lane, a *account, scheduled bool) (release func(), ok bool) {
	now := time.Now().UTC()
	if a.f.Account.ID != "" {
		if !a.f.ByID && now.Sub(a.f.Resolved) >= s.cfg.Recheck {
			s.recheck(ctx, l, a, now)
		}
		return nothing, true
	}
	if scheduled && now.Before(a.f.NextTry) {
		return nothing, false
	}
	found, err := l.collector.Resolve(ctx, a.pass.hc, a.f.Configured)
	if err == nil && found.ID == "" {
		err = &jauge.Error{Op: "resolve handle", Reason: jauge.ReasonDecode, Err: errors.New("the platform gave no id")}
	}
	if err == nil {
		release, err = s.adopt(ctx, l, a, found, now)
	}
	if err == nil {
		return release, true
	}
	a.err = err
	if ctx.Err() == nil && !errors.Is(err, errBusy) {
		if err := s.state.Unresolved(ctx, a.f.Ref, failureOf(err, now), nextResolve(err, a.f.Attempts, now)); err != nil {
			s.log.Error("failed resolution of a handle could not be recorded", "platform", l.platform.Name,
				"handle", a.f.Configured, "error", err)
		}
	}
	return nothing, true
}

var errBusy = errors.New("the account was found again and is being read under its former handle: it is read next time")

// adopt records the id that a handle led to. It may be that of an account that config listed earlier: then that one
// goes on, and must be free.
func (s *Scheduler) adopt(
	ctx context.Context, l *lane, a *account, found jauge.Account, now time.Time,
) (release func(), err error) {
	s.syncing.RLock()
	defer s.syncing.RUnlock()
	f, err := s.state.Resolved(ctx, a.f.Ref, found.ID, found.Handle, now)
	if err != nil {
		return nothing, err
	}
	before := a.f.Ref
	a.f = f
	s.dir.put(memberOf(&f), placeOf(&f))
	if f.Ref == before {
		return nothing, nil
	}
	s.log.Info("account goes on under another handle", "platform", l.platform.Name, "account", f.Account.ID,
		"handle", f.Configured)
	l.mu.Lock()
	l.table.replace(before, f.Ref)
	l.mu.Unlock()
	if !s.locks.try(f.Ref) {
		return nothing, errBusy
	}
	return func() { s.locks.release([]int64{f.Ref}) }, nil
}

// recheck notices that a handle leads elsewhere now, or nowhere. The account stays what it is: an id is the account,
// a handle a label.
func (s *Scheduler) recheck(ctx context.Context, l *lane, a *account, now time.Time) {
	log := s.log.With("platform", l.platform.Name, "account", a.f.Account.ID, "handle", a.f.Configured)
	found, err := l.collector.Resolve(ctx, a.pass.hc, a.f.Configured)
	switch {
	case err == nil && found.ID != "":
	case jauge.ReasonOf(err) == jauge.ReasonNotFound:
		log.Warn("configured handle leads to nobody any more: the account is read by its id")
		found = a.f.Account
	default:
		return // it is tried at the next run
	}
	s.syncing.RLock()
	defer s.syncing.RUnlock()
	f, err := s.state.Resolved(ctx, a.f.Ref, found.ID, found.Handle, now)
	if err != nil {
		log.Error("resolved handle could not be recorded", "error", err)
		return
	}
	if f.Elsewhere != "" {
		log.Warn("configured handle leads to another account now: the stored id stays", "other", f.Elsewhere)
	}
	a.f = f
	s.dir.put(memberOf(&f), placeOf(&f))
}

// nextResolve backs off where only somebody's help will do; what may pass by itself is left to the retries of a run.
func nextResolve(err error, attempts int, now time.Time) time.Time {
	if jauge.ReasonOf(err).Temporary() {
		return now
	}
	return now.Add(min(lastResolve, firstResolve<<min(attempts, 10)))
}

func failureOf(err error, at time.Time) jauge.Failure {
	text := err.Error()
	if len(text) > failureText {
		text = text[:failureText] + " …"
	}
	return jauge.Failure{Reason: jauge.ReasonOf(err), Text: text, At: at}
}
