package mastodon

import (
	"context"
	"errors"
	"strings"

	"jauge.dev/jauge"
)

// readable tells whether posts of the account can be read, so that a missing one means something. An account that
// moved keeps its posts.
func (w *walk) readable() bool {
	return w.result.Err == nil && (w.state == jauge.AccountLive || w.state == jauge.AccountMoved)
}

// account reads gauges and state.
func (w *walk) account(ctx context.Context) error {
	a, err := w.server.readAccount(ctx, w.id)
	obs := jauge.Observation{Object: jauge.ObjectAccount, ID: w.target.Account.ID, Period: jauge.PeriodInstant}
	switch {
	case err != nil:
		if obs.State, err = w.absent(ctx, err); err != nil {
			return err
		}
	case a.Suspended:
		obs.State = jauge.AccountSuspended // its counters are 0 for want of being shown: no figures
	default:
		obs.State, obs.MovedTo = w.stateOf(&a)
		obs.Values = wiredAccount(&a)
		if userName.MatchString(a.Username) {
			w.handle.user = a.Username
		}
	}
	w.state, w.result.State = obs.State, obs.State
	return w.emit(ctx, []jauge.Observation{obs})
}

func wiredAccount(a *account) []jauge.WireValue {
	return values(
		wired{wireFollowers, a.Followers}, wired{wireFollowing, a.Following}, wired{wireStatuses, a.Statuses},
	)
}

func (w *walk) stateOf(a *account) (state jauge.AccountState, movedTo string) {
	if a.Moved == nil || a.Moved.Acct == "" {
		return jauge.AccountLive, ""
	}
	to := strings.TrimPrefix(a.Moved.Acct, "@")
	if !strings.Contains(to, "@") {
		to += "@" + w.handle.domain
	}
	return jauge.AccountMoved, "@" + to
}

// absent finds out what it means that the account's server does not show it. Servers before 3.3 said 410 for a
// suspended account. A 404 is a deletion only if the server knows nobody by that name either: it may have been
// restored with other ids, or something else may answer in its place.
func (w *walk) absent(ctx context.Context, err error) (jauge.AccountState, error) {
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || e.Reason != jauge.ReasonNotFound {
		return "", err
	}
	if e.Status == 410 {
		return jauge.AccountSuspended, nil
	}
	if !said(err) || w.handle.user == "" {
		return "", err
	}
	_, byName := w.server.lookup(ctx, w.handle.user)
	switch {
	case byName == nil:
		c := *e
		c.Hint = "the server has an account of that name under another id: if it is the same, " +
			"its history goes on under the new one"
		return "", &c
	case said(byName):
		return jauge.AccountDeleted, nil
	}
	return "", byName
}

// stillThere asks once more whether the account is shown: one that was suspended in the middle of a run hides all
// its posts, which are not deleted by that.
func (w *walk) stillThere(ctx context.Context) error {
	a, err := w.server.readAccount(ctx, w.id)
	if err == nil && a.Suspended {
		err = &jauge.Error{
			Op: "read account", Reason: jauge.ReasonNotFound, Err: errors.New("account was suspended while it was read"),
		}
	}
	return err
}
