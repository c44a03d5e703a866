package oauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"jauge.dev/jauge"
)

const (
	firstRetry   = 5 * time.Second
	longestRetry = 15 * time.Minute
	longestAfter = 24 * time.Hour   // of a Retry-After that is believed
	testTimeout  = 15 * time.Second // of the call that shows whether a condemned grant's access token still works
)

// errSuperseded says that the record holds another token than the one that was renewed.
var errSuperseded = errors.New("the grant has another token by now")

// keep makes a new token durable, for as long as the process lives; it is used by nobody before. Its writer may come late:
// taken for dead, with another one at work or the grant given up. A token that the record does not have yet is not thrown
// away then, unless the record has got another one.
func (v *Vault) keep(ctx context.Context, p *Provider, e entry, c *Call, t *Token) error {
	id, was := e.rec.ID, e.rec.Token
	fresh := adopt(p, &was, t, time.Now())
	server := serverOf(c.Server)
	for {
		_, err := v.change(ctx, id, func(r *record) error {
			now := time.Now()
			if in := r.Intent; r.Token.same(&was) && in != nil && in.ID != e.rec.Intent.ID && in.live(v.fences.watched(r, now), now) {
				return errTaken // he holds the fence now: what he gets is the newer one
			}
			return r.renewed(p, &was, &fresh, &server)
		})
		switch {
		case err == nil, errors.Is(err, errKeep):
			v.metrics.refreshed(p, outcomeOK)
			return nil
		case errors.Is(err, errSuperseded):
			v.metrics.refreshed(p, outcomeAdopted)
			v.log.InfoContext(ctx, "renewed token is not kept: the grant has another one", "grant", id, "provider", p.Name)
			return nil
		case errors.Is(err, errTaken):
			if err = sleep(ctx, jitter(500*time.Millisecond)); err == nil {
				continue
			}
		case jauge.ReasonOf(err) == jauge.ReasonNotFound: // disconnected meanwhile: the new token shall not live on
			v.revoke(ctx, p, c, fresh.token())
			return err
		}
		v.metrics.refreshed(p, outcomeLost)
		v.log.ErrorContext(ctx, "renewed token could not be stored and is lost", "grant", id, "provider", p.Name, "error", err)
		return err
	}
}

// renewed puts a new token in the place of the one that it renews.
func (r *record) renewed(p *Provider, was, fresh *tokenRecord, server *serverRecord) error {
	switch {
	case r.Token.same(fresh) && (!was.same(fresh) || r.Token.Issued.Equal(fresh.Issued)):
		return errKeep // an earlier write of it was done after all; a provider may also give the same token, with a later end
	case !r.Token.same(was):
		return errSuperseded
	}
	r.Absolute = absolute(p, was, fresh, r.Absolute)
	r.Token = *fresh
	r.Server = *server
	r.Intent, r.Doubt = nil, nil
	r.Doomed, r.Ended = CauseNone, CauseNone
	r.Failures, r.Why, r.NextTry = 0, CauseNone, time.Time{}
	if fresh.Scopes != nil && !slices.Equal(fresh.Scopes, was.Scopes) { // else what a listing has learnt of them stays
		r.Scopes = slices.Clone(fresh.Scopes)
		r.Missing = missing(p, r.Scopes)
	}
	return nil
}

// same tells whether two tokens are one, whatever is said of their ends.
func (t *tokenRecord) same(o *tokenRecord) bool {
	return t.Access == o.Access && t.Refresh == o.Refresh
}

// adopt completes a new token with what its answer left out, and believes nothing absurd. old may be nil.
func adopt(p *Provider, old *tokenRecord, t *Token, now time.Time) tokenRecord {
	n := tokenOf(t)
	if n.Issued.IsZero() || n.Issued.After(now) {
		n.Issued = now.UTC()
	}
	n.Expiry = p.Renewal.believe(n.Issued, n.Expiry)
	if !n.RefreshExpiry.IsZero() && (!n.RefreshExpiry.After(n.Issued) || n.RefreshExpiry.Sub(n.Issued) > maxLifetime) {
		n.RefreshExpiry = time.Time{}
	}
	if old == nil {
		return n
	}
	if n.Refresh == "" || n.Refresh == old.Refresh {
		n.Refresh = old.Refresh
		if n.RefreshExpiry.IsZero() {
			n.RefreshExpiry = old.RefreshExpiry
		}
	}
	if n.Scopes == nil {
		n.Scopes = slices.Clone(old.Scopes)
	}
	if n.Subject == "" {
		n.Subject = old.Subject
	}
	if n.Type == "" {
		n.Type = old.Type
	}
	extra := maps.Clone(old.Extra)
	if extra == nil {
		extra = n.Extra
	} else {
		maps.Copy(extra, n.Extra)
	}
	n.Extra = extra
	return n
}

// tenYears is more than any provider gives where it sets no MaxLife of its own.
const tenYears = 10 * 365 * 24 * time.Hour

// believe checks when a token is said to end. An end that is not after its beginning, or absurdly far, is replaced by the
// provider's usual life; a token without an end has the usual life as well, which may be none.
func (r Renewal) believe(issued, expiry time.Time) time.Time {
	longest := r.MaxLife
	if longest <= 0 {
		longest = tenYears
	}
	life := expiry.Sub(issued)
	switch {
	case expiry.IsZero(), life <= 0:
		life = r.Life
	case life > longest:
		if life = r.Life; life <= 0 {
			life = r.MaxLife
		}
	}
	if life <= 0 {
		return time.Time{}
	}
	return issued.Add(life)
}

// absolute tells whether renewing moves the end of the refresh token: where it hardly moved while time went by, it is
// fixed. old may be nil: then only a token that stays the same has a fixed end.
func absolute(p *Provider, old, fresh *tokenRecord, before bool) bool {
	switch {
	case fresh.RefreshExpiry.IsZero():
		return false
	case p.Renewal.Model == Reusable && (old == nil || old.Refresh == fresh.Refresh):
		return true
	case old == nil || old.RefreshExpiry.IsZero():
		return before
	}
	passed := fresh.Issued.Sub(old.Issued)
	return 2*fresh.RefreshExpiry.Sub(old.RefreshExpiry) < passed
}

// failure is what a renewal that gave no token means.
type failure struct {
	outcome string
	cause   Cause
	after   time.Duration // what the provider asked to wait
}

// classify judges a failed renewal. Dead, then Undone, then the status: a complete refusal spends nothing, everything else
// may have.
func classify(p *Provider, err error) failure {
	if errors.Is(err, ErrNotSent) {
		return failure{outcome: outcomeNotSent, cause: CauseNetwork}
	}
	t, ok := errors.AsType[*TokenError](err)
	if !ok {
		return failure{outcome: outcomeLost, cause: CauseNetwork}
	}
	f := failure{outcome: outcomeTransient, cause: CauseServer, after: t.RetryAfter}
	if dead, ok := p.Dead[t.Code]; ok && t.Code != "" {
		return failure{outcome: outcomeRevoked, cause: dead}
	}
	switch {
	case slices.Contains(p.Renewal.Undone, t.Status) && t.Status >= 500:
	case t.Status == 429:
		f.cause = CauseRateLimited
	case t.Status >= 500, t.Status == 408, t.Status < 400 && t.Code == "", t.Status < 500 && serverFault(t.Code):
		f.outcome = outcomeLost
	case t.Code == "invalid_client", t.Code == "unauthorized_client":
		f.cause = CauseAppGone
	}
	return f
}

// serverFault tells whether an error says that the server failed, whatever the status that it came with: then it is no
// refusal, and nobody knows what was done.
func serverFault(code string) bool {
	return code == "server_error" || code == "temporarily_unavailable" || code == "internal_error"
}

// failed sees to a renewal that gave no token.
func (v *Vault) failed(ctx context.Context, p *Provider, e entry, cause error) error {
	f := classify(p, cause)
	in := e.rec.Intent
	rotating := e.rec.model(p) == Rotating
	ended, unspent := CauseNone, f.outcome != outcomeLost
	switch {
	case f.outcome == outcomeRevoked:
		if e.rec.Doubt != nil && rotating {
			f.cause = CauseLostInRefresh // the answer that was lost before had spent it, and the grace is not granted
		}
		ended = v.tryAccess(v.soft, p, e.rec)
	case f.outcome == outcomeLost && !rotating:
		f.outcome = outcomeTransient
	case f.outcome == outcomeLost && !p.Renewal.graceOver(in.First, time.Now()):
		f.outcome = outcomeTransient
	}
	v.metrics.refreshed(p, f.outcome)
	v.log.WarnContext(ctx, "grant could not be renewed", "grant", e.rec.ID, "provider", p.Name, "outcome", f.outcome,
		"cause", string(f.cause), "error", cause)
	_, err := v.change(ctx, e.rec.ID, func(r *record) error {
		if r.Intent == nil || r.Intent.ID != in.ID {
			return errKeep // taken for dead meanwhile: somebody else has decided
		}
		r.Intent = nil
		switch f.outcome {
		case outcomeLost:
			r.doom(CauseLostInRefresh)
		case outcomeRevoked:
			r.doom(f.cause)
			if ended != CauseNone {
				r.end(f.cause)
			}
		default:
			r.retry(p, in, f, unspent, time.Now())
		}
		return nil
	})
	if err != nil && !errors.Is(err, errKeep) {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("renew grant %s: %w", e.rec.ID, cause)
}

// retry plans the next attempt. unspent says that this attempt spent nothing; else the token may be spent, and where the
// provider rotates it is only sent again while it answers in the same way.
func (r *record) retry(p *Provider, in *intent, f failure, unspent bool, now time.Time) {
	r.Failures++
	r.Why = f.cause
	wait := min(firstRetry<<min(r.Failures-1, 10), longestRetry)
	switch {
	case r.model(p) != Rotating:
		r.Doubt = nil
	case !unspent:
		r.Doubt = &doubt{Spent: in.Spent, First: in.First}
	}
	if r.Doubt != nil {
		// The grace is short: some attempts must fit into it.
		wait = min(wait, max(p.Renewal.Grace/8, time.Second))
	}
	r.NextTry = now.Add(max(jitter(wait), min(f.after, longestAfter))).UTC()
}

// tryAccess tells whether a condemned grant's access token works still: CauseNone where it does, or where that cannot be
// learnt now.
func (v *Vault) tryAccess(ctx context.Context, p *Provider, r *record) Cause {
	if r.expired(time.Now()) {
		return CauseNone // nothing to try: it is over by its time
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	l, err := v.list(ctx, p, r)
	if err == nil || !l.cause.condemns() {
		return CauseNone
	}
	return l.cause
}

// revoke ends a token at the provider as well as it can be done, and tells whether it was.
func (v *Vault) revoke(ctx context.Context, p *Provider, c *Call, t *Token) bool {
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	if err := clean(p.dialect().Revoke(ctx, c, t), c, t.secrets()...); err != nil {
		v.log.WarnContext(ctx, "token could not be revoked at the provider", "provider", p.Name, "error", err)
		return false
	}
	return c.Addresses().Revoke != ""
}
