package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
)

const (
	listedLately  = 10 * time.Minute // how long a listing is shown without asking again
	revokeTimeout = 10 * time.Second
)

// Grants gives all grants as the store has them, in the order in which they were made.
func (v *Vault) Grants(ctx context.Context) ([]Grant, error) {
	if err := v.poll(ctx); err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	var out []Grant
	for _, e := range v.view.all() {
		if !e.rec.Pending {
			out = append(out, e.rec.grant(v.providers[e.rec.Provider]))
		}
	}
	return out, nil
}

// Subjects gives what a grant can follow, without tokens: asked anew unless that was done lately, and as it was known last
// where it cannot be asked.
func (v *Vault) Subjects(ctx context.Context, grantID string) ([]Subject, error) {
	e, err := v.read(ctx, grantID)
	if err != nil {
		return nil, err
	}
	if time.Since(e.rec.Listed) < listedLately {
		return e.rec.subjects(), nil
	}
	now, err := v.tested(ctx, e)
	if err == nil {
		return now.rec.subjects(), nil
	}
	if len(e.rec.Subjects) > 0 {
		return e.rec.subjects(), nil
	}
	return nil, err
}

// Test makes one authorised call and keeps what it learns. The error says what is wrong, with what to do as its Hint.
func (v *Vault) Test(ctx context.Context, grantID string) error {
	e, err := v.read(ctx, grantID)
	if err != nil {
		return err
	}
	_, err = v.tested(ctx, e)
	return err
}

// tested renews a grant if it is due and lists what it opens.
func (v *Vault) tested(ctx context.Context, e entry) (entry, error) {
	p, err := v.provider(e.rec.Provider)
	if err != nil {
		return entry{}, err
	}
	if e.rec.due(p, time.Now()) {
		_ = v.renew(ctx, e.rec.ID, "") // what came of it is in the record
	}
	v.resettle(ctx, e.rec.ID)
	if now, ok := v.view.get(e.rec.ID); ok && now.rec.State == StateRevoked {
		return now, &jauge.Error{
			Op: "use grant", Reason: jauge.ReasonAuth, Err: fmt.Errorf("it is %s (%s)", now.rec.State, now.rec.Cause),
			Hint: Advice(now.rec.State, now.rec.Cause),
		}
	}
	return v.relist(ctx, e.rec.ID)
}

// Follow follows these subjects of a grant, named by their keys, and no others. brand, if not empty, becomes the brand of
// all of them. An account that another grant followed is followed by this one from now on.
func (v *Vault) Follow(ctx context.Context, grantID string, keys []string, brand string) (Grant, error) {
	e, err := v.read(ctx, grantID)
	if err != nil {
		return Grant{}, err
	}
	p, err := v.provider(e.rec.Provider)
	if err != nil {
		return Grant{}, err
	}
	for _, k := range keys {
		if e.rec.offered(k) == nil {
			return Grant{}, &jauge.Error{
				Op: "follow", Reason: jauge.ReasonNotFound, Err: fmt.Errorf("the grant does not open %s", cut(k)),
				Hint: "choose among what is listed",
			}
		}
	}
	e, err = v.change(ctx, grantID, func(r *record) error { return r.choose(keys, brand) })
	if err != nil && !errors.Is(err, errKeep) {
		return Grant{}, err
	}
	for _, k := range keys {
		if err := v.release(ctx, k, grantID); err != nil {
			return Grant{}, err
		}
	}
	return e.rec.grant(p), nil
}

// choose sets what a grant follows.
func (r *record) choose(keys []string, brand string) error {
	var chosen []followRecord
	for i := range r.Subjects {
		s := &r.Subjects[i]
		if !slices.Contains(keys, s.key()) {
			continue
		}
		f := followRecord{Added: time.Now().UTC()}
		for j := range r.Follows {
			if r.Follows[j].key() == s.key() {
				f = r.Follows[j]
			}
		}
		f.subjectRecord = *s
		if brand != "" {
			f.Brand = brand
		}
		chosen = append(chosen, f)
	}
	r.Follows, r.Chosen = chosen, true
	return nil
}

// release takes an account away from all grants but one.
func (v *Vault) release(ctx context.Context, key, but string) error {
	for _, e := range v.view.all() {
		if e.rec.ID == but {
			continue
		}
		err := v.edit(ctx, e, key, func(r *record, i int) bool {
			r.Follows = slices.Delete(r.Follows, i, i+1)
			return true
		})
		if err != nil && !errors.Is(err, errKeep) {
			return err
		}
	}
	return nil
}

// edit changes one account of a grant; errKeep where the grant does not follow it or f changes nothing.
func (v *Vault) edit(ctx context.Context, e entry, key string, f func(r *record, i int) bool) error {
	if !slices.ContainsFunc(e.rec.Follows, func(f followRecord) bool { return f.key() == key }) {
		return errKeep
	}
	_, err := v.change(ctx, e.rec.ID, func(r *record) error {
		i := slices.IndexFunc(r.Follows, func(f followRecord) bool { return f.key() == key })
		if i < 0 || !f(r, i) {
			return errKeep
		}
		return nil
	})
	return err
}

// editAll changes an account wherever it is followed.
func (v *Vault) editAll(ctx context.Context, p jauge.Platform, id string, f func(r *record, i int) bool) error {
	if err := v.poll(ctx); err != nil {
		return err
	}
	key, found := followKey(p, id), false
	for _, e := range v.view.all() {
		had := slices.ContainsFunc(e.rec.Follows, func(f followRecord) bool { return f.key() == key })
		found = found || had
		if err := v.edit(ctx, e, key, f); err != nil && !errors.Is(err, errKeep) {
			return err
		}
	}
	if !found {
		return &jauge.Error{
			Op: "find account", Reason: jauge.ReasonNotFound, Err: fmt.Errorf("no grant follows %s", cut(key)),
		}
	}
	return nil
}

// Pause stops or resumes the reading of an account; its grant lives on.
func (v *Vault) Pause(ctx context.Context, p jauge.Platform, id string, paused bool) error {
	return v.editAll(ctx, p, id, func(r *record, i int) bool {
		was := r.Follows[i].Paused
		r.Follows[i].Paused = paused
		return was != paused
	})
}

// Unfollow takes an account away from its grant, which lives on: Disconnect ends it.
func (v *Vault) Unfollow(ctx context.Context, p jauge.Platform, id string) error {
	return v.editAll(ctx, p, id, func(r *record, i int) bool {
		r.Follows = slices.Delete(r.Follows, i, i+1)
		return true
	})
}

// Disconnect revokes a grant at the provider where that can be done (revoked says whether it was), and forgets it in any
// case. A token that a human typed in is not revoked: it is not ours.
func (v *Vault) Disconnect(ctx context.Context, grantID string) (revoked bool, err error) {
	if !v.enter() {
		return false, errClosed
	}
	defer v.work.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeWithin)
	defer cancel()
	e, err := v.read(ctx, grantID)
	if err != nil {
		return false, err
	}
	p := v.providers[e.rec.Provider]
	var ended string // the access token that was revoked
	ours := false    // it may have been us who dropped it
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		if p != nil && !e.rec.Static && e.rec.Token.Access != ended {
			c := v.call(p, grantID, e.rec.Server.server(), "")
			revoked = v.revoke(ctx, p, c, e.rec.Token.token())
			ended = e.rec.Token.Access
		}
		err := v.remove(ctx, grantPrefix+grantID, e.rev)
		ours = ours || err == nil || !errors.Is(err, errNotThere) && !errors.Is(err, jauge.ErrStale)
		if err == nil || errors.Is(err, errNotThere) {
			break
		}
		if serr := sleep(ctx, jitter(wait)); serr != nil {
			return revoked, fmt.Errorf("disconnect: %w", err)
		}
		now, err := v.read(ctx, grantID) // changed meanwhile, perhaps renewed
		if jauge.ReasonOf(err) == jauge.ReasonNotFound {
			break
		}
		if err == nil {
			e = now
		}
	}
	v.dropHolder(ctx, e.rec)
	v.forget(e, ours)
	return revoked, nil
}

// forget drops a grant that is gone from memory, and tells of it unless another one did who ended it at the same instant.
func (v *Vault) forget(e entry, tell bool) {
	id := e.rec.ID
	if now, ok := v.view.get(id); ok {
		v.view.drop(id, now.rev)
	}
	v.nonces.forget(id)
	v.asked.forget(id)
	v.fences.forget(id)
	if !tell {
		return
	}
	gone := e.rec.clone()
	gone.State, gone.Cause, gone.Since = StateRevoked, CauseDisconnected, time.Now().UTC()
	g := gone.grant(v.providers[e.rec.Provider])
	v.announce(Change{Grant: g, Was: e.rec.State, WasCause: e.rec.Cause})
}

// SubjectKey splits a subject's key.
func SubjectKey(key string) (p jauge.Platform, id string, ok bool) {
	platform, id, ok := strings.Cut(key, "/")
	return jauge.Platform(platform), id, ok && platform != "" && id != ""
}
