package oauth

import (
	"time"
)

// defaultShare is the part of a token's life below which it is renewed where the provider's model sets none.
const defaultShare = 0.2

// kindPage is what the dialects of Meta keep in Token.Extra["kind"] of a page's token, which nothing extends.
const kindPage = "PAGE"

// model is how the grant's token lives on: as the provider says. One that was typed in lives until its end, unless it can
// be extended by itself (a system user's).
func (r *record) model(p *Provider) Model {
	if p == nil {
		return Static
	}
	m := p.Renewal.Model
	if r.Static && (m != Extend || r.Token.Expiry.IsZero() || r.Token.Extra["kind"] == kindPage) {
		return Static
	}
	return m
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

// youngToken is the age below which a refused token is not renewed: another one would be refused as well.
const youngToken = time.Minute

// mendable tells whether a refused access token may yet be replaced by a renewal: then its refusal alone says nothing of
// the grant. Where the access token is itself what a renewal spends (Extend), nothing replaces a refused one.
func (r *record) mendable(p *Provider, now time.Time) bool {
	young := youngToken
	if life := r.Token.Expiry.Sub(r.Token.Issued); !r.Token.Expiry.IsZero() {
		young = min(young, life/2) // of 20 seconds, two clocks that differ by a few leave no minute
	}
	return r.model(p) != Extend && r.renewable(p, now) && now.Sub(r.Token.Issued) >= young
}

// renewing tells whether somebody is renewing the token now: a provider may refuse the old one from the moment on at which
// it gives the new one, before anybody has seen that.
func (r *record) renewing(now time.Time) bool {
	in := r.Intent
	return in != nil && now.Before(in.Until) && in.Spent == fingerprint(r.Token.credential())
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
