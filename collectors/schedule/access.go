package schedule

import (
	"context"
	"errors"
	"net/http"

	"jauge.dev/jauge"
)

// Access finds out how an account may be read; collectors/oauth offers it.
type Access interface {
	// Client returns the client for an account and the name of the grant that it belongs to, "" for public reading:
	// accounts are read together in one call of a collector where the grant is the same, with the client of one of them,
	// so accounts whose clients differ need names of their own. A client is authorised, paced and instrumented. Client
	// must not do I/O, nor call the scheduler, Wake apart.
	//
	// A *jauge.Error whose reason is not temporary (ReasonAuth, ReasonScope) says that nobody may read the account
	// until somebody has acted: it is parked, and no call is made. Where errors.Is(err, jauge.ErrPaused) it was a human
	// who wanted that. Any other error is a failure of that turn.
	Client(a jauge.Account) (hc *http.Client, grant string, err error)
}

// AccessFunc is an Access made of a function.
type AccessFunc func(a jauge.Account) (hc *http.Client, grant string, err error)

// Client calls f.
func (f AccessFunc) Client(a jauge.Account) (*http.Client, string, error) { return f(a) }

func noAccess(jauge.Account) (*http.Client, string, error) { return nil, "", nil }

// pass is what an account is read with, or why it cannot be.
type pass struct {
	hc    *http.Client
	grant string
	err   error
}

// parked tells whether the account is not to be read until somebody has acted.
func (p pass) parked() bool { return p.err != nil && !jauge.ReasonOf(p.err).Temporary() }

// ask asks for an account's pass. No lock of the scheduler may be held, syncing apart: Access has locks of its own.
func (s *Scheduler) ask(f *jauge.Followed) pass {
	a := f.Account
	if a.Handle == "" {
		a.Handle = f.Configured
	}
	hc, grant, err := s.access.Client(a)
	return pass{hc, grant, err}
}

// Why an account is parked. The set is closed: it is a metric label.
const (
	parkedPaused = "paused"
	parkedAuth   = "auth"
	parkedScope  = "scope"
	parkedOther  = "other"
)

func whyParked(err error) string {
	switch {
	case errors.Is(err, jauge.ErrPaused):
		return parkedPaused
	case jauge.ReasonOf(err) == jauge.ReasonAuth:
		return parkedAuth
	case jauge.ReasonOf(err) == jauge.ReasonScope:
		return parkedScope
	}
	return parkedOther
}

// park notes that an account is not read, and says so once. It is not kept over restarts: Access is asked again.
func (s *Scheduler) park(f *jauge.Followed, err error) {
	why := whyParked(err)
	s.mu.Lock()
	was := s.parked[f.Ref]
	s.parked[f.Ref] = why
	s.mu.Unlock()
	if was == why {
		return
	}
	s.metrics.parkedNow(f.Account.Platform, was, why)
	log := s.log.With("platform", f.Account.Platform, "account", f.Account.ID, "handle", f.Configured)
	if why == parkedPaused {
		log.Info("account is paused")
		return
	}
	log.Warn("account is parked until somebody has acted", "reason", jauge.ReasonOf(err), "error", err)
}

// unpark notes that an account is read again, and tells whether it was not.
func (s *Scheduler) unpark(f *jauge.Followed) bool {
	why := s.dropParked(f.Ref)
	if why == "" {
		return false
	}
	s.metrics.parkedNow(f.Account.Platform, why, "")
	s.log.Info("account is read again", "platform", f.Account.Platform, "account", f.Account.ID,
		"handle", f.Configured, "was", why)
	return true
}

func (s *Scheduler) dropParked(ref int64) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why = s.parked[ref]
	delete(s.parked, ref)
	return why
}

func (s *Scheduler) isParked(ref int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parked[ref] != ""
}

// admit sees to it that an account has its turn, may be read, and has an id. ok is false where there is nothing to
// tell of it; why it cannot be read is in a.err. The caller calls release when the account's run has ended.
func (s *Scheduler) admit(ctx context.Context, l *lane, a *account, w *work) (release func(), ok bool) {
	if a.pass = s.ask(&a.f); s.refused(a) {
		return nothing, true
	}
	_, woken := w.woken[a.f.Ref]
	woken = s.unpark(&a.f) || woken
	if w.scheduled && !woken && l.early(&a.f) {
		return nothing, false
	}
	nameless := a.f.Account.ID == ""
	release, ok = s.resolve(ctx, l, a, w.scheduled && !woken)
	switch {
	case !ok:
	case a.err != nil:
		s.reconsider(a)
	case nameless: // its id may lead to a grant of its own
		a.pass = s.ask(&a.f)
		s.refused(a)
	}
	return release, ok
}

// refused tells whether an account cannot be read now, and parks it where that will not pass by itself.
func (s *Scheduler) refused(a *account) bool {
	if a.pass.err == nil {
		return false
	}
	a.err = a.pass.err
	if a.parked = a.pass.parked(); a.parked {
		s.park(&a.f, a.err)
	}
	return true
}

// reconsider asks again after the platform refused an account: it is parked if whoever holds its grant sees it so.
func (s *Scheduler) reconsider(a *account) {
	if r := jauge.ReasonOf(a.err); r != jauge.ReasonAuth && r != jauge.ReasonScope {
		return
	}
	if p := s.ask(&a.f); p.parked() {
		s.park(&a.f, p.err)
	}
}

// parts splits accounts by grant, in their order; those that may not be read go along with the first, since they cost
// nothing. runGroup asks again: what is decided here only keeps accounts of several grants from waiting for each other.
func (s *Scheduler) parts(ctx context.Context, refs []int64) [][]int64 {
	followed, err := s.state.Followed(ctx, refs)
	if err != nil || len(refs) < 2 {
		return [][]int64{refs} // the run will say so
	}
	grants := make(map[int64]string, len(followed))
	for i := range followed {
		if p := s.ask(&followed[i]); p.err == nil {
			grants[followed[i].Ref] = p.grant
		}
	}
	var out [][]int64
	index := map[string]int{}
	for _, ref := range refs {
		grant, ok := grants[ref]
		i, known := index[grant]
		switch {
		case !ok:
			i = 0
		case !known:
			i = len(out)
			if i == 1 && len(index) == 0 {
				i = 0 // the first with a grant joins those without
			}
			index[grant] = i
		}
		if i == len(out) {
			out = append(out, nil)
		}
		out[i] = append(out[i], ref)
	}
	return out
}
