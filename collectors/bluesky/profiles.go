package bluesky

import (
	"context"
	"slices"

	"jauge.dev/jauge"
)

// readProfiles reads and emits the gauges of accounts, 25 a call, and the state of those that cannot be seen.
func (r *run) readProfiles(ctx context.Context, accounts []*account) error {
	for chunk := range slices.Chunk(accounts, maxActors) {
		if err := r.readChunk(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) readChunk(ctx context.Context, chunk []*account) error {
	seen, err := r.getProfiles(ctx, r.hc, ids(chunk))
	if jauge.ReasonOf(err) == jauge.ReasonBadRequest && len(chunk) > 1 { // one of them spoils the question: find it
		if err := r.readChunk(ctx, chunk[:len(chunk)/2]); err != nil {
			return err
		}
		return r.readChunk(ctx, chunk[len(chunk)/2:])
	}
	if err != nil {
		return r.failed(ctx, err, chunk...)
	}
	for _, a := range chunk {
		p := seen[a.Account.ID]
		if p == nil {
			if p, err = r.readState(ctx, a); err != nil {
				return err
			}
		}
		if p == nil {
			continue
		}
		a.state, a.handle = jauge.AccountLive, p.handleOr(a.handle)
		if err := r.send(ctx, a, p.observe()); err != nil {
			return err
		}
	}
	return nil
}

// readState asks for one account that getProfiles left out. One that cannot be seen has its state emitted; one that
// can after all is returned.
func (r *run) readState(ctx context.Context, a *account) (*profile, error) {
	p, err := r.getProfile(ctx, r.hc, "read profile", a.Account.ID)
	switch state := stateOf(err); {
	case err == nil && p.DID == a.Account.ID:
		return &p, nil
	case err == nil:
		return nil, r.failed(ctx, malformed("read profile", errNoActor), a)
	case state == "":
		return nil, r.failed(ctx, err, a)
	default:
		a.state = state
		return nil, r.send(ctx, a, jauge.Observation{
			Object: jauge.ObjectAccount, ID: a.Account.ID, Period: jauge.PeriodInstant, State: state,
		})
	}
}

func (p *profile) observe() jauge.Observation {
	v := make([]jauge.WireValue, 0, 3)
	v = p.Followers.appendTo(v, wireFollowers)
	v = p.Follows.appendTo(v, wireFollows)
	v = p.Posts.appendTo(v, wirePosts)
	return jauge.Observation{
		Object: jauge.ObjectAccount, ID: p.DID, Period: jauge.PeriodInstant, State: jauge.AccountLive, Values: v,
	}
}

func ids(accounts []*account) []string {
	out := make([]string, len(accounts))
	for i, a := range accounts {
		out[i] = a.Account.ID
	}
	return out
}
