package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// EventKind says what happened in a run.
type EventKind string

// The events.
const (
	EventPage  EventKind = "page"  // a page was taken by the journal
	EventEnded EventKind = "ended" // the account's run ended
)

// Event is progress of RunOnce or Backfill.
type Event struct {
	Kind    EventKind
	Account AccountSummary // as far as it is known; final in EventEnded
}

// AccountSummary says what became of one account in RunOnce or Backfill.
type AccountSummary struct {
	Brand    string
	Platform jauge.Platform
	Handle   string // as configured
	ID       string // empty where the handle could not be resolved
	State    jauge.AccountState

	Pages   int // that the journal took
	Posts   int // observations of posts in them
	New     int // posts that were not known before
	Deleted int // posts found deleted

	Complete bool // a complete reading; a backfill that came to its end
	Duration time.Duration
	Err      error        // nil where the run ended well
	Reason   jauge.Reason // of Err
}

func (a *account) summary() AccountSummary {
	end := a.ended
	if end.IsZero() {
		end = time.Now().UTC()
	}
	return AccountSummary{
		Brand: a.f.Account.Brand, Platform: a.f.Account.Platform, Handle: a.f.Configured, ID: a.f.Account.ID,
		State: a.state, Pages: a.pages, Posts: a.posts, New: a.added, Deleted: a.deleted,
		Complete: a.complete, Duration: end.Sub(a.began), Err: a.err, Reason: jauge.ReasonOf(a.err),
	}
}

func (g *groupRun) event(a *account, kind EventKind) {
	if g.w.progress != nil {
		g.w.progress(Event{kind, a.summary()})
	}
}

// interrupted tells whether a run was ended by us, not by the platform: it is made again after the next start.
func interrupted(err error) bool {
	return errors.Is(err, errStopping) || errors.Is(err, context.Canceled)
}

// outcome is what the memory keeps of the end of a run; none where it was interrupted, or where the last stamp is not
// recorded: such a run stays unfinished, so that the next one keeps clear of its second.
func (g *groupRun) outcome(a *account) (jauge.Outcome, bool) {
	a.ended = time.Now().UTC()
	o := jauge.Outcome{Ref: a.f.Ref}
	switch {
	case interrupted(a.err), a.unsure:
		return o, false
	case errors.Is(a.err, errRemoved), g.w.task != collectors.TaskRefresh:
		// It ended, and says nothing of the schedule.
	case a.err != nil:
		o.Failure = failureOf(a.err, a.ended)
	default:
		o.At = a.ended
	}
	return o, true
}

// report tells metrics, log and progress that an account's run ended.
func (g *groupRun) report(a *account) {
	if a.ended.IsZero() {
		a.ended = time.Now().UTC()
	}
	m, p := g.s.metrics, g.l.platform.Name
	switch {
	case interrupted(a.err), errors.Is(a.err, errRemoved):
		m.run(p, g.w.task, outcomeStopped)
	case a.err != nil:
		m.run(p, g.w.task, outcomeFailed)
	case g.w.task == collectors.TaskRefresh && !a.complete:
		m.run(p, g.w.task, outcomeIncomplete)
	default:
		m.run(p, g.w.task, outcomeOK)
	}
	m.took(p, a.ended.Sub(a.began))
	if a.state != "" && a.state != a.f.State && a.pages > 0 && !a.gone.Load() {
		m.moved(p, a.f.State, a.state)
	}
	log := g.s.log.With("platform", p, "task", g.w.task, "account", a.f.Account.ID, "handle", a.f.Configured, "run", a.run)
	if a.err != nil && !interrupted(a.err) {
		log.Warn("account could not be read", "reason", jauge.ReasonOf(a.err), "error", a.err, "pages", a.pages)
	} else {
		log.Debug("account read", "pages", a.pages, "posts", a.posts, "new", a.added, "deleted", a.deleted,
			"complete", a.complete, "account_state", a.state, "duration", a.ended.Sub(a.began).String())
	}
	g.event(a, EventEnded)
}

// tell lets the directory know the handle that a platform spelled.
func (s *Scheduler) tell(f *jauge.Followed) {
	s.syncing.RLock()
	defer s.syncing.RUnlock()
	s.dir.rename(f.Account.Key(), f.Account.Handle)
}

// nextMark is where a backfill goes on that is asked to go back to since.
func nextMark(m jauge.BackfillMark, since time.Time) jauge.BackfillMark {
	deeper := since.Before(m.Since)
	m.Since = since
	if deeper {
		m.Done = false // from the cursor on, or from the top where the collector left none
	}
	return m
}

// saveBackfill keeps the cursor, after every page up to it was acknowledged.
func (g *groupRun) saveBackfill(ctx context.Context, a *account, r collectors.Result) error {
	if !r.Done && r.Cursor == a.mark.Cursor {
		return fmt.Errorf("backfill of %s does not come forward: the collector gave the same cursor again", a.f.Account.ID)
	}
	a.mark.Cursor, a.mark.Done = r.Cursor, r.Done
	a.mark.Pages += a.pages
	a.complete = r.Done
	return g.keep(ctx, func(ctx context.Context) error { return g.s.state.SaveBackfill(ctx, a.f.Ref, a.mark) })
}
