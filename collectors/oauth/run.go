package oauth

import (
	"context"
	"errors"
	"hash/fnv"
	"strings"
	"sync"
	"time"
)

const (
	pollEvery  = 5 * time.Second // how soon other replicas' changes are seen
	listEvery  = 24 * time.Hour  // how often what a grant opens is listed again
	mopUpAfter = time.Minute     // how old a pending grant is before somebody else finishes it
	mopUpEvery = 5 * time.Minute
	atOnce     = 16 // renewals and listings under way at once
)

// Run renews grants before they end, keeps their states, sees other replicas' changes and prunes, until ctx ends; then it
// lets renewals under way end, and closes the vault.
func (v *Vault) Run(ctx context.Context) error {
	if !v.enter() {
		return errClosed
	}
	v.work.Done() // it is Close that waits, and Close is what ends Run
	defer v.Close()
	s := &sweeper{v: v, slots: make(chan struct{}, atOnce), busy: map[string]bool{}, tried: map[string]time.Time{}}
	poll := time.NewTicker(min(pollEvery, v.cfg.Every))
	defer poll.Stop()
	sweep := time.NewTicker(v.cfg.Every)
	defer sweep.Stop()
	prune := time.NewTicker(max(v.cfg.StateLife, time.Minute))
	defer prune.Stop()
	s.sweep(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
			v.see(ctx)
		case <-sweep.C:
			s.sweep(ctx)
		case <-prune.C:
			v.pruneStates(ctx)
		}
	}
}

// see polls the store; a store that is down is no reason to end.
func (v *Vault) see(ctx context.Context) {
	if err := v.poll(ctx); err != nil && ctx.Err() == nil {
		v.log.WarnContext(ctx, "grants could not be read", "error", err)
	}
}

// sweeper does what is due, a bounded number of things at once, and each grant's one after the other.
type sweeper struct {
	v     *Vault
	slots chan struct{}

	mu    sync.Mutex
	busy  map[string]bool
	tried map[string]time.Time // pending grants
}

// sweep looks at every grant once.
func (s *sweeper) sweep(ctx context.Context) {
	for _, e := range s.v.view.all() {
		if ctx.Err() != nil {
			return
		}
		p := s.v.providers[e.rec.Provider]
		if p == nil {
			continue
		}
		if job := s.job(p, e, time.Now()); job != nil {
			s.start(e.rec.ID, job)
		}
	}
}

// job is what a grant needs now; nil: nothing.
func (s *sweeper) job(p *Provider, e entry, now time.Time) func(ctx context.Context) {
	v, r := s.v, e.rec
	state, cause := r.judge(p, v.cfg.Warn, now)
	switch {
	case r.Pending:
		if now.Sub(r.Made) < mopUpAfter || !s.again(r.ID, now) {
			return nil
		}
		return func(ctx context.Context) { v.mopUp(ctx, p, e) }
	case r.due(p, now) && v.plan(r, p, "", "", now) != stepWait:
		return func(ctx context.Context) {
			err := v.renew(ctx, r.ID, "")
			if err != nil && !errors.Is(err, errClosed) {
				v.log.DebugContext(ctx, "grant was not renewed", "grant", r.ID, "error", err)
			}
		}
	case state != r.State || cause != r.Cause:
		return func(ctx context.Context) { v.resettle(ctx, r.ID) }
	case s.listDue(r, now):
		return func(ctx context.Context) { v.daily(ctx, r) }
	}
	return nil
}

// listDue tells whether what a grant opens is to be listed again: daily, at an hour of its own.
func (s *sweeper) listDue(r *record, now time.Time) bool {
	if r.State == StateRevoked || r.expired(now) || len(r.Follows) == 0 {
		return false
	}
	last := r.Listed
	if r.ListTry.After(last) {
		last = r.ListTry
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.ID)) // never fails
	return now.Sub(last) >= listEvery+time.Duration(h.Sum32()%3600)*time.Second
}

// daily lists what a grant opens; of several replicas, the one that writes down that it tries.
func (v *Vault) daily(ctx context.Context, seen *record) {
	_, err := v.change(ctx, seen.ID, func(r *record) error {
		if !r.ListTry.Equal(seen.ListTry) || !r.Listed.Equal(seen.Listed) {
			return errKeep
		}
		r.ListTry = time.Now().UTC()
		return nil
	})
	if err != nil {
		return
	}
	if _, err := v.relist(ctx, seen.ID); err != nil {
		v.log.WarnContext(ctx, "what a grant opens could not be listed", "grant", seen.ID, "provider", seen.Provider,
			"error", err)
	}
}

// again tells whether a pending grant may be tried again.
func (s *sweeper) again(id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.tried[id]) < mopUpEvery {
		return false
	}
	s.tried[id] = now
	return true
}

// start does a job unless the grant has one under way, or too many are.
func (s *sweeper) start(id string, job func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[id] {
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		return // the next sweep finds it again
	}
	s.busy[id] = s.v.background(func(ctx context.Context) {
		job(ctx)
		s.mu.Lock()
		delete(s.busy, id)
		s.mu.Unlock()
		<-s.slots
	})
	if !s.busy[id] {
		delete(s.busy, id)
		<-s.slots
	}
}

// pruneStates drops authorizations that nobody finished in time.
func (v *Vault) pruneStates(ctx context.Context) {
	for r, err := range v.deps.Store.Sealed(ctx, statePrefix) {
		if err != nil {
			v.log.DebugContext(ctx, "authorizations could not be listed", "error", err)
			return
		}
		plain, err := v.open(r.Key, r.Value)
		if err != nil {
			continue
		}
		if st, err := decodeState(plain); err == nil && (st.Used || time.Now().After(st.Until.Add(time.Minute))) {
			v.forgetState(ctx, r.Key, r.Rev)
		}
	}
}

// unreadable remembers which records could not be read, so that each is told once.
type unreadable struct {
	mu   sync.Mutex
	revs map[string]uint64
}

func (u *unreadable) is(id string, rev uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.revs[id] == rev
}

func (u *unreadable) add(id string, rev uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.revs == nil {
		u.revs = map[string]uint64{}
	}
	u.revs[strings.Clone(id)] = rev
}
