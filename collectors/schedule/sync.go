package schedule

import (
	"context"
	"fmt"
	"time"

	"jauge.dev/jauge"
)

// Configured is an account as the configuration lists it.
type Configured struct {
	Platform jauge.Platform
	Handle   string
	// ID is the platform's stable id where it is known, as of an account that was connected: then the handle is a label,
	// and is never resolved. An account that is listed by its handle too is that one: its brand wins.
	ID         string
	Brand      string
	Competitor bool
}

// catchUpPace is how close to each other missed runs are begun where the bound of Config.CatchUp leaves room.
const catchUpPace = 50 * time.Millisecond

// Sync follows exactly these accounts from now on, whether Run is under way or not, and tells what changed. New
// accounts and those whose last turn passed while jauge was down are read soon, spread over Config.CatchUp at most;
// a run of an account that was taken out ends after its current page.
func (s *Scheduler) Sync(ctx context.Context, accounts []Configured) ([]jauge.Change, error) {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	list := make([]jauge.Account, len(accounts))
	for i, a := range accounts {
		if a.Handle == "" && a.ID == "" {
			return nil, fmt.Errorf("sync accounts: an account of %s has neither handle nor id", a.Platform)
		}
		if s.lanes[a.Platform] == nil {
			return nil, fmt.Errorf("sync accounts: %s/%s: no such platform", a.Platform, a.Handle)
		}
		list[i] = jauge.Account{Platform: a.Platform, ID: a.ID, Handle: a.Handle, Brand: a.Brand, Competitor: a.Competitor}
	}
	changes, err := s.state.Sync(ctx, list, time.Now().UTC())
	if err != nil {
		return nil, fmt.Errorf("sync accounts: %w", err)
	}
	if err := s.reload(ctx); err != nil {
		return nil, fmt.Errorf("sync accounts: %w", err)
	}
	s.nudge()
	return changes, nil
}

// fresh is what a lane is given by a reload.
type fresh struct {
	table  table
	missed []entry
	tally  map[jauge.AccountState]int
}

// reload builds directory and tables anew from the memory.
func (s *Scheduler) reload(ctx context.Context) error {
	now := time.Now().UTC()
	lanes := map[jauge.Platform]*fresh{}
	for p := range s.lanes {
		lanes[p] = &fresh{tally: map[jauge.AccountState]int{}}
	}
	var members []jauge.Member
	var places []place
	names := map[string]string{} // brands are many times the same text: keep it once
	for f, err := range s.state.Roster(ctx) {
		if err != nil {
			return err
		}
		l := s.lanes[f.Account.Platform]
		if l == nil {
			continue // of a platform that this version does not read
		}
		if own, ok := names[f.Account.Brand]; ok {
			f.Account.Brand = own
		} else {
			names[f.Account.Brand] = f.Account.Brand
		}
		f.Account.Platform = l.platform.Name
		if f.Account.ID != "" {
			members, places = append(members, memberOf(&f)), append(places, placeOf(&f))
		}
		if !f.Removed.IsZero() {
			s.endRunOf(f.Ref)
			s.metrics.parkedNow(f.Account.Platform, s.dropParked(f.Ref), "")
			continue
		}
		lanes[f.Account.Platform].follow(l, &f, now)
	}
	known, err := s.state.Known(ctx)
	if err != nil {
		return err
	}
	s.dir.fill(members, places)
	for p, n := range lanes {
		s.lanes[p].replace(n, now)
		s.metrics.accounts(p, n.tally, known[p])
	}
	return nil
}

func (n *fresh) follow(l *lane, f *jauge.Followed, now time.Time) {
	e := n.table.add(f)
	n.tally[f.State]++
	if p := l.s.ask(f); p.parked() {
		l.s.park(f, p.err)
		return
	}
	back := l.s.isParked(f.Ref)
	l.mu.Lock()
	defer l.mu.Unlock()
	if back || f.Unfinished || f.LastRun.Before(l.lastTurn(e.phase, now)) {
		n.missed = append(n.missed, e)
	}
}

// endRunOf tells a run of the account, if there is one, to end.
func (s *Scheduler) endRunOf(ref int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.running[ref]; a != nil {
		a.gone.Store(true)
	}
}

// replace takes a new table and makes appointments for missed runs: once each, in the order of their turns, spread.
func (l *lane) replace(n *fresh, now time.Time) {
	n.table.sort()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.table = n.table
	spread := min(l.s.cfg.CatchUp, time.Duration(len(n.missed))*catchUpPace)
	if spread <= longestTick {
		spread = 0 // few: nobody is hurt, and somebody may be watching the first start
	}
	for _, e := range n.missed {
		if _, ok := l.pending[e.ref]; ok {
			continue
		}
		l.put(now.Add(time.Duration(float64(e.phase)/(1<<32)*float64(spread))), e)
	}
	if len(n.missed) > 0 {
		l.s.log.Info("runs are due that were missed or never made", "platform", l.platform.Name,
			"accounts", len(n.missed), "spread_over", spread.String())
	}
}
