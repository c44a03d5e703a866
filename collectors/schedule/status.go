package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// AccountStatus is what the scheduler knows of an account; instants are UTC, zero for never.
type AccountStatus struct {
	Brand        string
	Competitor   bool
	Platform     jauge.Platform
	Account      string // the platform's id, empty until resolved
	Handle       string // as the platform spelled it last, else as configured
	Configured   string
	Elsewhere    string // another id to which the configured handle leads now
	State        jauge.AccountState
	Since        time.Time
	Removed      time.Time // when config stopped to list it
	LastSuccess  time.Time
	LastComplete time.Time
	NextRun      time.Time     // the next run, give or take a tick; zero where it is not followed, parked or paused
	Failure      jauge.Failure // of the last run; no reason where it ended well
	Parked       error         // why it is not read until somebody has acted; nil where it is read
	Paused       bool          // it is parked because a human wanted that
}

// Status tells of every account that is or was followed, by brand, platform and handle.
func (s *Scheduler) Status(ctx context.Context) ([]AccountStatus, error) {
	now := time.Now().UTC()
	var out []AccountStatus
	for f, err := range s.state.Roster(ctx) {
		if err != nil {
			return nil, fmt.Errorf("read status of accounts: %w", err)
		}
		st := AccountStatus{
			Brand: f.Account.Brand, Competitor: f.Account.Competitor, Platform: f.Account.Platform, Account: f.Account.ID,
			Handle: f.Account.Handle, Configured: f.Configured, Elsewhere: f.Elsewhere, State: f.State,
			Since: f.Since, Removed: f.Removed, LastSuccess: f.LastSuccess, LastComplete: f.LastComplete, Failure: f.Failure,
		}
		if st.Handle == "" {
			st.Handle = f.Configured
		}
		if l := s.lanes[st.Platform]; l != nil && f.Removed.IsZero() {
			if p := s.ask(&f); p.parked() {
				st.Parked, st.Paused = p.err, errors.Is(p.err, jauge.ErrPaused)
			} else {
				st.NextRun = l.next(&f, now)
			}
		}
		out = append(out, st)
	}
	slices.SortStableFunc(out, func(a, b AccountStatus) int {
		return cmp.Or(cmp.Compare(a.Brand, b.Brand), cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Handle, b.Handle))
	})
	return out, nil
}

// Degraded says why collecting does not go on as it should, "" where it does: the journal takes no pages.
func (s *Scheduler) Degraded() string {
	r := &s.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == 0 {
		return ""
	}
	return fmt.Sprintf("the journal has taken no pages since %s: %v", r.since.Format(time.RFC3339), r.err)
}

// followed counts the accounts that config lists.
func (s *Scheduler) followed() (n int) {
	for _, l := range s.lanes {
		l.mu.Lock()
		n += len(l.table.entries)
		l.mu.Unlock()
	}
	return n
}

// jitter spreads a wait by a quarter of it either way.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + time.Duration(rand.Int64N(int64(d/2)+1))
}
