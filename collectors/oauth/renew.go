package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
)

// How a token is renewed, one at a time over goroutines and replicas:
//
//	plan ──▶ take: an intent, by compare-and-swap ──▶ one request ──▶ keep: the token, by compare-and-swap ──▶ used
//	 │            (who, when, what is spent)              │
//	 │                                                    ├ not sent ──▶ the intent is withdrawn, later again
//	 ├ somebody else's intent: wait for its outcome       ├ refused ───▶ later again, or doomed
//	 └ a dead one's: take over, or doomed                 └ lost ──────▶ doomed, or again within the provider's grace
//
// Doomed: nothing renews the grant any more; its access token is used until it dies.

var (
	errClosed = errors.New("vault is closed")
	errDoomed = errors.New("nothing can renew the grant without a human")
	errLater  = errors.New("the grant cannot be renewed yet")
	errTaken  = errors.New("another one renews the grant")
)

// flight is a renewal under way in this process: all who need it wait for the same.
type flight struct {
	done chan struct{}
	err  error
}

// renew renews a grant if it is due, or if seen, the fingerprint of a refused access token, is still its token. It waits
// until that is done or ctx ends; the renewal itself goes on. What came of it is in the record.
func (v *Vault) renew(ctx context.Context, id, seen string) error {
	v.mu.Lock()
	f := v.flights[id]
	if f == nil {
		if !v.opened || v.closing {
			v.mu.Unlock()
			return errClosed
		}
		f = &flight{done: make(chan struct{})}
		v.flights[id] = f
		v.work.Go(func() {
			f.err = v.fly(v.life, id, seen)
			v.mu.Lock()
			delete(v.flights, id)
			v.mu.Unlock()
			close(f.done)
		})
	}
	v.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// step is what is to be done about a renewal.
type step int

const (
	stepDone  step = iota // nothing to do: not due, or somebody else did it
	stepNever             // nothing can renew it
	stepLater             // not yet
	stepWait              // somebody is at it
	stepLost              // somebody was at it and died, and what he sent must not be sent again
	stepGo
)

// plan tells what is to be done about a record. seen as in renew; mine is the intent that the asking flight holds.
func (v *Vault) plan(r *record, p *Provider, seen, mine string, now time.Time) step {
	return r.plan(p, seen, mine, v.fences.watched(r, now), now)
}

// watched is how long this vault has seen the record's intent.
func (r *record) plan(p *Provider, seen, mine string, watched time.Duration, now time.Time) step {
	if !r.renewable(p, now) {
		return stepNever
	}
	if seen != "" && seen != fingerprint(r.Token.Access) {
		return stepDone
	}
	spent := fingerprint(r.Token.credential())
	rotating := r.model(p) == Rotating
	if in := r.Intent; in != nil && in.ID != mine && in.Spent == spent {
		switch {
		case in.live(watched, now):
			return stepWait
		case rotating && p.Renewal.graceOver(in.First, now):
			return stepLost
		}
		return stepGo
	}
	if d := r.Doubt; d != nil && d.Spent == spent && rotating && p.Renewal.graceOver(d.First, now) {
		return stepLost
	}
	switch {
	case mine != "" && r.Intent != nil && r.Intent.ID == mine:
		return stepGo
	case seen == "" && !r.due(p, now):
		return stepDone
	case !r.mayTry(p, now):
		return stepLater
	}
	return stepGo
}

// fly renews a grant, or waits for who does.
func (v *Vault) fly(ctx context.Context, id, seen string) error {
	e, err := v.read(ctx, id)
	if err != nil {
		return err
	}
	first, waited := e.rec.Token.Access, false
	p, err := v.provider(e.rec.Provider)
	if err != nil {
		return err
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		switch v.plan(e.rec, p, seen, "", time.Now()) {
		case stepDone:
			if waited && e.rec.Token.Access != first {
				v.metrics.refreshed(p, outcomeAdopted)
			}
			return nil
		case stepNever:
			return errDoomed
		case stepLater:
			return errLater
		case stepLost:
			return v.giveUp(ctx, p, id)
		case stepWait:
			waited = true
			if err := v.pause(ctx, pause); err != nil {
				return err
			}
		case stepGo:
			in, err := v.take(ctx, p, id, seen)
			if err == nil {
				return v.spend(ctx, p, in)
			}
			if !errors.Is(err, errTaken) {
				return err
			}
		}
		if now, err := v.read(ctx, id); err == nil {
			e = now
		} else if jauge.ReasonOf(err) == jauge.ReasonNotFound || ctx.Err() != nil {
			return err
		}
	}
}

// pause waits, and ends early when the vault closes: waiting for others is nothing that must be finished.
func (v *Vault) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(jitter(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-v.soft.Done():
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take writes the intent, and is done when it is durable and young enough that the request fits into it. errTaken says
// that another one was first, or that there is nothing to do any more.
func (v *Vault) take(ctx context.Context, p *Provider, id, seen string) (entry, error) {
	mine := ulid.Make().String()
	for {
		e, err := v.change(ctx, id, func(r *record) error {
			now := time.Now()
			if v.plan(r, p, seen, mine, now) != stepGo {
				return errKeep
			}
			r.propose(mine, v.who, v.cfg.Timeout+leaseSlack, now)
			return nil
		})
		switch {
		case errors.Is(err, errKeep):
			return entry{}, errTaken
		case err != nil:
			return entry{}, err
		case time.Until(e.rec.Intent.Until) >= v.cfg.Timeout+leaseSlack/2:
			return e, nil
		}
		// Writing took so long that others might take the intent for a dead one's while the request is on its way.
		select {
		case <-v.soft.Done():
			return entry{}, v.withdraw(ctx, e, errClosed)
		default:
		}
	}
}

// propose writes an intent into a record. What was sent before and may have been spent keeps its first date.
func (r *record) propose(id, who string, lease time.Duration, now time.Time) {
	spent := fingerprint(r.Token.credential())
	first := now.UTC()
	if in := r.Intent; in != nil && in.Spent == spent && in.ID != id {
		first = in.First // a dead one's, who may have sent it
	}
	if d := r.Doubt; d != nil && d.Spent == spent && d.First.Before(first) {
		first = d.First
	}
	if first.Before(now) {
		r.Doubt = &doubt{Spent: spent, First: first}
	}
	r.Intent = &intent{ID: id, Who: who, At: now.UTC(), Until: now.Add(lease).UTC(), Spent: spent, First: first}
}

// spend sends the one request that the intent in e permits, and sees to its outcome.
func (v *Vault) spend(ctx context.Context, p *Provider, e entry) error {
	old := e.rec.Token.token()
	c := v.call(p, e.rec.ID, e.rec.Server.server(), "")
	sctx, cancel := context.WithTimeoutCause(ctx, v.cfg.Timeout, errors.New("the token endpoint took too long"))
	t, err := p.dialect().Renew(sctx, c, old)
	cancel()
	v.nonces.learn(e.rec.ID, c.Server.Nonces)
	if err == nil && (t == nil || t.Access == "") {
		err = errors.New("the answer holds no token")
	}
	if err != nil {
		return v.failed(ctx, p, e, clean(err, c, old.secrets()...))
	}
	return v.keep(ctx, p, e, c, t)
}

// giveUp marks a grant whose renewal was begun by one who died: what he spent is not known.
func (v *Vault) giveUp(ctx context.Context, p *Provider, id string) error {
	_, err := v.change(ctx, id, func(r *record) error {
		if v.plan(r, p, "", "", time.Now()) != stepLost {
			return errKeep
		}
		r.doom(CauseLostInRefresh)
		return nil
	})
	if errors.Is(err, errKeep) {
		return nil // the winner came after all
	}
	if err != nil {
		return err
	}
	v.metrics.refreshed(p, outcomeLost)
	return errDoomed
}

// doom marks a grant that nothing renews any more.
func (r *record) doom(c Cause) {
	r.Doomed, r.Intent, r.Doubt = c, nil, nil
	r.Failures, r.Why, r.NextTry = 0, CauseNone, time.Time{}
}

// withdraw takes an intent back of which nothing was sent, and returns why.
func (v *Vault) withdraw(ctx context.Context, e entry, why error) error {
	_, err := v.change(ctx, e.rec.ID, func(r *record) error {
		if r.Intent == nil || r.Intent.ID != e.rec.Intent.ID {
			return errKeep
		}
		r.Intent = nil
		return nil
	})
	if err != nil && !errors.Is(err, errKeep) {
		return errors.Join(why, fmt.Errorf("withdraw intent: %w", err))
	}
	return why
}
