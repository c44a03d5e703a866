package oauth

import (
	"time"
)

// defaultShare is the part of a token's life below which it is renewed where the provider's model sets none.
const defaultShare = 0.2

// model is how the grant's token lives on: as the provider says, unless it was typed in.
func (r *record) model(p *Provider) Model {
	if r.Static || p == nil {
		return Static
	}
	return p.Renewal.Model
}

// renewable tells whether anything but a human can renew the grant, now or later.
func (r *record) renewable(p *Provider, now time.Time) bool {
	if r.Ended != CauseNone || r.Doomed != CauseNone || r.Pending {
		return false
	}
	t := &r.Token
	switch r.model(p) {
	case Rotating, Reusable:
		return t.Refresh != "" && (t.RefreshExpiry.IsZero() || now.Before(t.RefreshExpiry))
	case Extend:
		return t.Expiry.IsZero() || now.Before(t.Expiry)
	case Reissue:
		return true
	case Static:
	}
	return false
}

// expired tells whether the access token's time is up.
func (r *record) expired(now time.Time) bool {
	return !r.Token.Expiry.IsZero() && !now.Before(r.Token.Expiry)
}

// due tells whether the token is to be renewed now, by its age alone.
func (r *record) due(p *Provider, now time.Time) bool {
	t := &r.Token
	if t.Expiry.IsZero() || !r.renewable(p, now) || !r.mayTry(p, now) {
		return false
	}
	share := p.Renewal.Share
	if share <= 0 || share > 1 {
		share = defaultShare
	}
	left := time.Duration(share * float64(t.Expiry.Sub(t.Issued)))
	return !now.Before(t.Expiry.Add(-left))
}

// mayTry tells whether a renewal may be sent now: the token is old enough and no wait is left from the last failure.
func (r *record) mayTry(p *Provider, now time.Time) bool {
	return now.Sub(r.Token.Issued) >= p.Renewal.MinAge && !now.Before(r.NextTry)
}

// ends is when the grant ends unless somebody or something renews it; zero: it does not, or nobody says.
func (r *record) ends(p *Provider) time.Time {
	t := &r.Token
	if r.Ended == CauseNone && r.Doomed == CauseNone {
		switch r.model(p) {
		case Rotating, Reusable:
			if t.Refresh != "" {
				return t.RefreshExpiry
			}
		case Reissue:
			return time.Time{}
		case Extend, Static:
		}
	}
	return t.Expiry
}

// judge is the grant's state, computed from everything else that its record holds.
func (r *record) judge(p *Provider, warn time.Duration, now time.Time) (State, Cause) {
	canRenew := r.renewable(p, now)
	end := r.ends(p)
	endsSoon := !end.IsZero() && now.Add(warn).After(end) && (!canRenew || r.Absolute)
	switch {
	case r.Ended != CauseNone:
		return StateRevoked, r.Ended
	case r.Doomed != CauseNone && r.expired(now):
		return StateRevoked, r.Doomed
	case r.expired(now) && !canRenew && !r.Pending:
		return StateRevoked, CauseExpired
	case len(r.Missing) > 0:
		return StateScope, CauseScope
	case r.Doomed != CauseNone:
		return StateExpiring, r.Doomed
	case r.Failures > 0 && canRenew:
		return StateTransient, r.Why
	case endsSoon && !r.Pending:
		return StateExpiring, CauseEndsSoon
	}
	return StateOK, CauseNone
}

// settle writes down the state as it is now, and since when.
func (r *record) settle(p *Provider, warn time.Duration, now time.Time) {
	s, c := r.judge(p, warn, now)
	if s != r.State || c != r.Cause || r.Since.IsZero() {
		r.State, r.Cause, r.Since = s, c, now.UTC()
	}
}

// health is the state of one account: its own where that is worse than the grant's.
func (f *followRecord) health(r *record) (State, Cause) {
	if r.State.Parked() || f.State == "" {
		return r.State, r.Cause
	}
	return f.State, f.Cause
}
