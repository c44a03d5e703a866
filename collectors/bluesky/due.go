package bluesky

import (
	"context"

	"jauge.dev/jauge"
)

// maxSingles bounds the posts of one account that are read singly in one call of Collect. An account that loses more
// at once is not complete this time; the next run goes on.
const maxSingles = 50

// ref is a due post to be read by its id.
type ref struct {
	account *account
	uri     string
}

// readDue reads by id what listing left of the due posts, 25 a call, whatever accounts they are of.
func (r *run) readDue(ctx context.Context) error {
	var queue []ref
	for _, a := range r.accounts {
		if !a.active() || !a.listed {
			continue
		}
		for _, p := range a.Due {
			if _, open := a.due[p.ID]; open {
				queue = append(queue, ref{a, p.ID})
			}
		}
	}
	for len(queue) > 0 {
		batch := make([]ref, 0, maxURIs)
		for len(queue) > 0 && len(batch) < maxURIs {
			if queue[0].account.err == nil {
				batch = append(batch, queue[0])
			}
			queue = queue[1:]
		}
		if err := r.readBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// readBatch reads posts by id and emits one page for each account among them.
func (r *run) readBatch(ctx context.Context, batch []ref) error {
	if len(batch) == 0 {
		return nil
	}
	uris := make([]string, len(batch))
	for i, b := range batch {
		uris[i] = b.uri
	}
	seen, err := r.getPosts(ctx, r.hc, uris)
	if jauge.ReasonOf(err) == jauge.ReasonBadRequest && len(batch) > 1 { // one of them spoils the question: find it
		if err := r.readBatch(ctx, batch[:len(batch)/2]); err != nil {
			return err
		}
		return r.readBatch(ctx, batch[len(batch)/2:])
	}
	if err != nil {
		return r.failed(ctx, err, accountsOf(batch)...)
	}
	for len(batch) > 0 { // refs of one account stand together
		a, n := batch[0].account, 0
		var obs []jauge.Observation
		for ; n < len(batch) && batch[n].account == a; n++ {
			if p := seen[batch[n].uri]; p != nil && p.Author.DID == a.Account.ID {
				if o, ok := a.take(p, a.Until); ok {
					obs = append(obs, o)
				}
			}
		}
		if err := r.send(ctx, a, obs...); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

func accountsOf(batch []ref) []*account {
	out := make([]*account, len(batch))
	for i, b := range batch {
		out[i] = b.account
	}
	return out
}

// settleMissing finds out what became of the due posts that listing and batches left out. They are called deleted
// when a single read says so and the account, asked once more afterwards, still answers as live: the posts of a
// suspended account are denied in the same words.
func (r *run) settleMissing(ctx context.Context) error {
	var losers []*account
	for _, a := range r.accounts {
		if err := r.readSingly(ctx, a); err != nil {
			return err
		}
		if a.active() && len(a.gone) > 0 {
			losers = append(losers, a)
		}
	}
	for len(losers) > 0 {
		n := min(len(losers), maxActors)
		if err := r.confirm(ctx, losers[:n]); err != nil {
			return err
		}
		losers = losers[n:]
	}
	return nil
}

func (r *run) readSingly(ctx context.Context, a *account) error {
	if !a.active() || !a.listed {
		return nil
	}
	reads := 0
	for _, p := range a.Due {
		if _, open := a.due[p.ID]; !open {
			continue
		}
		if reads++; reads > maxSingles {
			return nil
		}
		post, presence, err := r.getPost(ctx, r.hc, p.ID)
		switch {
		case err != nil:
			return r.failed(ctx, err, a)
		case presence == gone:
			a.gone = append(a.gone, p.ID)
		case presence == present:
			if o, ok := a.take(&post, a.Until); ok {
				if err := r.send(ctx, a, o); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// confirm asks whether the accounts are still live, and then emits their deleted posts.
func (r *run) confirm(ctx context.Context, losers []*account) error {
	seen, err := r.getProfiles(ctx, r.hc, ids(losers))
	if err != nil {
		return r.failed(ctx, err, losers...)
	}
	for _, a := range losers {
		if seen[a.Account.ID] == nil {
			p, err := r.readState(ctx, a)
			if err != nil {
				return err
			}
			if p == nil {
				continue
			}
		}
		obs := make([]jauge.Observation, len(a.gone))
		for i, id := range a.gone {
			obs[i] = jauge.Observation{
				Object: jauge.ObjectPost, ID: id, Period: jauge.PeriodLifetime, PostState: jauge.PostDeleted,
			}
			delete(a.due, id)
		}
		if err := r.send(ctx, a, obs...); err != nil {
			return err
		}
	}
	return nil
}
