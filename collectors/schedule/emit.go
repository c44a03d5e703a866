package schedule

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// keepWithin bounds a write to the memory that goes on although the run's context has ended: the journal has the
// page, so the memory should too.
const keepWithin = 10 * time.Second

// lastWithin bounds the append of a run's last page that goes on although the run's context has ended: what was read
// should not be thrown away because its run was cancelled while it waited for the platform. It must be below hardStop.
const lastWithin = 3 * time.Second

func (g *groupRun) keep(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWithin)
	defer cancel()
	return f(ctx)
}

// emit stamps a page and holds it; the one that was held before is appended. So the account's last page is still at
// hand when the collector says whether the reading was complete.
func (g *groupRun) emit(ctx context.Context, page jauge.Page) error {
	a := g.byID[page.Account]
	if a == nil {
		return fmt.Errorf("collector of %s emitted a page of %q, which it was not asked for", g.l.platform.Name, page.Account)
	}
	if a.gone.Load() {
		return g.ifAllGone()
	}
	g.stamp(a, &page)
	before := a.held
	a.held = &page
	if before != nil {
		if err := g.release(ctx, a, before); err != nil {
			return err
		}
	}
	if g.s.stopped() {
		return errStopping
	}
	return nil
}

// ifAllGone ends the walk when nobody of the group is left; the pages of one account are dropped meanwhile.
func (g *groupRun) ifAllGone() error {
	for _, a := range g.accounts {
		if !a.gone.Load() {
			return nil
		}
	}
	return errRemoved
}

// stamp fills in the scheduler's part of a page. Stamps of an account rise strictly, over restarts and a clock that
// was set back.
func (g *groupRun) stamp(a *account, page *jauge.Page) {
	at := time.Now().UTC().Round(0)
	if at.Before(a.start) {
		at = a.start
	}
	if !at.After(a.observed) {
		at = a.observed.Add(time.Nanosecond)
	}
	a.observed = at
	page.Run, page.RunStart, page.Seq, page.Part = a.run, a.start, a.seq, 0
	page.ObservedAt, page.Complete = at, false
	a.seq++
	for i := range page.Observations {
		g.count(a, &page.Observations[i], at)
	}
}

func (g *groupRun) count(a *account, o *jauge.Observation, at time.Time) {
	switch o.Object {
	case jauge.ObjectAccount:
		if o.State != "" {
			a.state = o.State
		}
	case jauge.ObjectPost:
		a.posts++
		if o.PostState == jauge.PostDeleted {
			a.deleted++
			return
		}
		if o.Post == nil {
			return
		}
		published := o.Post.PublishedAt
		if published.After(at) {
			published = at // a clock of somebody's is wrong: listing must not stop before what comes until then
		}
		if published.After(a.newest) {
			a.newest = published
		}
	}
}

// release appends a page and, when the journal has acknowledged it, moves the memory.
func (g *groupRun) release(ctx context.Context, a *account, page *jauge.Page) error {
	if err := g.s.offer(ctx, g.l.platform.Name, *page); err != nil {
		// Unless it was refused for good, nobody knows: the journal may have it and its answer was lost.
		a.lost, a.unsure = true, jauge.ReasonOf(err) != jauge.ReasonBadRequest
		return fmt.Errorf("append page: %w", err)
	}
	adv := jauge.Advance{
		Ref: a.f.Ref, Observed: page.ObservedAt, Handle: page.Handle, Complete: page.Complete,
		Posts: make([]jauge.KnownPost, 0, len(page.Observations)),
	}
	for i := range page.Observations {
		o := &page.Observations[i]
		switch o.Object {
		case jauge.ObjectAccount:
			adv.State = o.State
		case jauge.ObjectPost:
			adv.Posts = append(adv.Posts, g.known(a, o, page.ObservedAt))
		}
	}
	if page.Complete {
		adv.Began, adv.Newest = page.RunStart, a.newest
	}
	added := 0
	err := g.keep(ctx, func(ctx context.Context) (err error) {
		added, err = g.s.state.Advance(ctx, adv)
		return err
	})
	if err != nil {
		a.lost, a.unsure = true, true
		return err
	}
	a.pages++
	a.added += added
	g.s.metrics.page(g.l.platform.Name, added)
	if h := page.Handle; h != "" && h != a.f.Account.Handle {
		a.f.Account.Handle = h
		g.s.tell(&a.f)
	}
	g.event(a, EventPage)
	return nil
}

// known is what the memory keeps of a post that was observed.
func (g *groupRun) known(a *account, o *jauge.Observation, at time.Time) jauge.KnownPost {
	p := jauge.KnownPost{ID: o.ID, Read: at, State: o.PostState, PublishedAt: a.due[o.ID]}
	if p.State == "" {
		p.State = jauge.PostLive
	}
	if o.Post != nil {
		p.PublishedAt = o.Post.PublishedAt
	}
	if p.State != jauge.PostDeleted && !p.PublishedAt.IsZero() {
		p.Due = g.s.ladder.Next(p.PublishedAt, at)
	}
	return p
}

// offer appends a page, and waits and tries again while the journal does not take it: the collector waits with it.
func (s *Scheduler) offer(ctx context.Context, p jauge.Platform, page jauge.Page) error {
	pause := &backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 5 * time.Second,
	}
	for refused := false; ; refused = true {
		err := s.append.Append(ctx, page)
		if err == nil {
			if refused {
				s.refusals.over()
				s.log.Info("journal takes pages again", "platform", p)
			}
			return nil
		}
		if cause := context.Cause(ctx); cause != nil || jauge.ReasonOf(err) == jauge.ReasonBadRequest {
			if refused {
				s.refusals.over()
			}
			return err
		}
		if !refused {
			s.refusals.begin(err, time.Now().UTC())
			s.log.Warn("journal does not take pages: collecting waits", "platform", p, "error", err)
		}
		if werr := sleep(ctx, s.stopping, pause.NextBackOff()); werr != nil {
			s.refusals.over()
			return fmt.Errorf("%w (the journal refused: %w)", werr, err)
		}
	}
}

// finish releases the account's last page, with the mark of a complete reading where it earned it.
func (g *groupRun) finish(ctx context.Context, a *account, r collectors.Result) {
	a.err = r.Err
	if r.State != "" {
		a.state = r.State
	}
	complete := g.w.task == collectors.TaskRefresh && r.Complete && r.Err == nil && !a.lost && !a.gone.Load()
	if a.held == nil && complete {
		page := jauge.Page{Platform: g.l.platform.Name, Account: a.f.Account.ID, Handle: a.f.Account.Handle}
		g.stamp(a, &page)
		a.held = &page
	}
	if a.held != nil && !a.lost {
		a.held.Complete = complete
		last := ctx
		if ctx.Err() != nil {
			var cancel context.CancelFunc
			last, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastWithin)
			defer cancel()
		}
		if err := g.release(last, a, a.held); err != nil {
			a.err = firstOf(a.err, err)
		} else {
			a.complete = complete
		}
	}
	a.held = nil
	if g.w.task == collectors.TaskBackfill && a.err == nil && !a.lost {
		a.err = g.saveBackfill(ctx, a, r)
	}
	if a.gone.Load() {
		a.err = errRemoved
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
