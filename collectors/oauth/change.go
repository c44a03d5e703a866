package oauth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
)

// errKeep is what a change returns that, looking at the record, has nothing to do.
var errKeep = errors.New("nothing to change")

// read reads a grant from the store into the view.
func (v *Vault) read(ctx context.Context, id string) (entry, error) {
	plain, rev, err := v.load(ctx, grantPrefix+id)
	if errors.Is(err, errNotThere) {
		if e, ok := v.view.get(id); ok {
			v.view.drop(id, e.rev)
		}
		return entry{}, noGrant(id)
	}
	if err != nil {
		return entry{}, err
	}
	rec, err := decodeGrant(plain)
	if err != nil {
		return entry{}, fmt.Errorf("read grant %s: %w", id, err)
	}
	if rec.ID != id {
		return entry{}, fmt.Errorf("read grant %s: it says that it is %q", id, rec.ID)
	}
	e := entry{rec, rev}
	v.view.put(e)
	return e, nil
}

func noGrant(id string) error {
	return &jauge.Error{
		Op: "find grant", Reason: jauge.ReasonNotFound, Err: fmt.Errorf("there is no grant %s", id),
		Hint: "it may have been disconnected: connect again",
	}
}

// change changes a grant by compare-and-swap: f is applied to a copy of the record as it is now, again and again until
// the result is durable, f returns an error, or ctx ends. f must decide by what it finds: an earlier write of whose
// outcome nobody knew may turn out to be in the record. errKeep gives the record as it is, with errKeep.
//
// A change of state is told once, by the one whose write brought it about.
func (v *Vault) change(ctx context.Context, id string, f func(r *record) error) (entry, error) {
	base, ok := v.view.get(id)
	var err error
	if !ok {
		if base, err = v.read(ctx, id); err != nil {
			return entry{}, err
		}
	}
	w := &writing{v: v, base: base, f: f}
	for {
		done, err := w.attempt(ctx)
		if err != nil {
			return w.base, err
		}
		if done {
			return w.base, nil
		}
	}
}

// writing is one change on its way.
type writing struct {
	v     *Vault
	base  entry
	f     func(r *record) error
	tries int
	maybe *record // a write that may have been done, and what it was applied to
	was   *record
}

// attempt applies and writes once. done: base is what was written.
func (w *writing) attempt(ctx context.Context) (done bool, err error) {
	v := w.v
	r := w.base.rec.clone()
	if err := w.f(r); err != nil {
		return false, err
	}
	r.settle(v.providers[r.Provider], v.cfg.Warn, time.Now())
	r.Version, r.Stamp = recordVersion, ulid.Make().String()
	plain, err := encode(r)
	if err != nil {
		return false, err
	}
	rev, err := v.save(ctx, grantPrefix+r.ID, plain, w.base.rev)
	switch {
	case err == nil:
		w.finish(entry{r, rev})
		return true, nil
	case errors.Is(err, jauge.ErrStale):
		return false, w.again(ctx)
	}
	v.log.DebugContext(ctx, "outcome of a write of a grant is unknown", "grant", r.ID, "error", err)
	return w.resolve(ctx, r, plain)
}

// resolve finds out what became of a write: for as long as ctx lives.
func (w *writing) resolve(ctx context.Context, r *record, plain []byte) (done bool, err error) {
	v := w.v
	w.maybe, w.was = r, w.base.rec
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		if err := sleep(ctx, jitter(wait)); err != nil {
			return false, fmt.Errorf("save grant %s: nobody knows whether it was done: %w", r.ID, err)
		}
		now, err := v.read(ctx, r.ID)
		switch {
		case jauge.ReasonOf(err) == jauge.ReasonNotFound:
			return false, err
		case err != nil:
			continue
		case now.rec.Stamp == r.Stamp:
			w.finish(now)
			return true, nil
		case now.rev != w.base.rev:
			w.rebase(now)
			return false, nil
		}
		// The write is not there, yet: it may be on its way still. The same content at the same revision is written
		// again, and only one of the two can succeed.
		rev, err := v.save(ctx, grantPrefix+r.ID, plain, w.base.rev)
		if err == nil {
			w.finish(entry{r, rev})
			return true, nil
		}
	}
}

// again reads the record anew after somebody else was first.
func (w *writing) again(ctx context.Context) error {
	if w.tries++; w.tries > 1 {
		if err := sleep(ctx, jitter(min(time.Duration(w.tries)*5*time.Millisecond, time.Second))); err != nil {
			return fmt.Errorf("change grant %s: %w", w.base.rec.ID, err)
		}
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		now, err := w.v.read(ctx, w.base.rec.ID)
		switch {
		case err == nil:
			w.rebase(now)
			return nil
		case jauge.ReasonOf(err) == jauge.ReasonNotFound:
			return err
		}
		if serr := sleep(ctx, jitter(wait)); serr != nil {
			return errors.Join(err, serr)
		}
	}
}

// rebase goes on from a newer record. A write of ours may lie between: its change of state is told then, since nobody
// else has seen it.
func (w *writing) rebase(now entry) {
	if w.maybe != nil && w.maybe.State == now.rec.State && w.maybe.Since.Equal(now.rec.Since) {
		w.v.tell(w.was, w.maybe)
	}
	w.base, w.maybe = now, nil
}

// finish keeps what was written and tells what it changed.
func (w *writing) finish(e entry) {
	was := w.base.rec
	w.base = e
	w.v.view.put(e)
	w.v.tell(was, e.rec)
}

// jitter draws a wait at random around d, so that those who collided do not collide again.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d+1) //nolint:gosec // needs no secrecy
}
