package mastodon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"jauge.dev/jauge"
)

// refresh reads account and listing of every target, then what is left of the due posts for all targets together.
func (g *group) refresh(ctx context.Context) error {
	for _, w := range g.walks {
		if err := w.fatal(ctx, w.start(ctx)); err != nil {
			return err
		}
	}
	batches, err := g.batches(ctx)
	if err != nil {
		return err
	}
	for _, w := range g.walks {
		if w.readable() {
			if err := w.fatal(ctx, w.finish(ctx, batches)); err != nil {
				return err
			}
		}
		w.over = true
	}
	return nil
}

// start reads the account and what its listing gives cheaply.
func (w *walk) start(ctx context.Context) error {
	if err := w.account(ctx); err != nil || !w.readable() {
		return err
	}
	if err := w.news(ctx); err != nil {
		return err
	}
	return w.more(ctx, batchSize)
}

// wanted is a due post of one of the targets.
type wanted struct {
	walk *walk
	id   string
}

// batches reads due posts by id, the ones of all targets mixed. It returns false where the server knows no batches.
func (g *group) batches(ctx context.Context) (bool, error) {
	var all []wanted
	for _, w := range g.walks {
		if !w.readable() {
			continue
		}
		for _, id := range w.sorted() {
			if !w.listedPast(&w.target.Due[w.unread[id]]) {
				all = append(all, wanted{w, id})
			}
		}
	}
	for len(all) > 0 {
		part := all[:min(batchSize, len(all))]
		all = all[len(part):]
		err := g.batch(ctx, part)
		if e, ok := errors.AsType[*jauge.Error](err); ok && noBatches(e) {
			return false, nil
		}
		if err == nil {
			continue
		}
		for _, p := range part {
			if err := p.walk.fatal(ctx, err); err != nil {
				return true, err
			}
		}
		all = slices.DeleteFunc(all, func(p wanted) bool { return !p.walk.readable() })
	}
	return true, nil
}

// sorted is the due posts that are still unread, in the order in which they were asked for.
func (w *walk) sorted() []string {
	ids := make([]string, 0, len(w.unread))
	for id := range w.unread {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(w.unread[a], w.unread[b]) })
	return ids
}

// noBatches tells whether the server's refusal means that it knows no such call: before Mastodon 4.3 the path knew
// only POST, and other software refuses it in its own ways.
func noBatches(e *jauge.Error) bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	}
	return false
}

func (g *group) batch(ctx context.Context, part []wanted) error {
	ids := make([]string, len(part))
	of := make(map[string]*walk, len(part))
	for i, p := range part {
		ids[i], of[p.id] = p.id, p.walk
	}
	page, err := g.server.batch(ctx, ids)
	if err != nil {
		return err
	}
	obs := make(map[*walk][]jauge.Observation, len(g.walks))
	for i := range page {
		if w := of[string(page[i].ID)]; w != nil {
			obs[w] = w.take(&page[i], obs[w])
		}
	}
	for _, w := range g.walks {
		if err := w.emit(ctx, obs[w]); err != nil {
			return err
		}
	}
	return nil
}

// finish reads singly what is left, and tells whether the reading is complete.
func (w *walk) finish(ctx context.Context, batches bool) error {
	bound := maxMissing
	if !batches {
		if err := w.more(ctx, 1); err != nil {
			return err
		}
		bound = maxSingles
	}
	if err := w.singles(ctx, bound); err != nil {
		return err
	}
	if err := w.readAll(); err != nil {
		return err
	}
	if len(w.unread) > 0 {
		return &jauge.Error{
			Op: "read posts one by one", Reason: jauge.ReasonQuota,
			Err: fmt.Errorf("%d are left after %d in one run; the next run goes on", len(w.unread), bound),
		}
	}
	w.result.Complete = true
	return nil
}

// singles reads unread due posts one by one. Those that the server does not know are deleted, provided that the
// account is still shown afterwards.
func (w *walk) singles(ctx context.Context, bound int) error {
	var missing []jauge.Observation
	for _, id := range w.sorted() {
		if bound--; bound < 0 {
			break
		}
		s, err := w.server.readStatus(ctx, id)
		if jauge.ReasonOf(err) == jauge.ReasonNotFound {
			missing = append(missing, gone(id))
			continue
		}
		if err != nil {
			return err
		}
		if err := w.emit(ctx, w.take(&s, nil)); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := w.stillThere(ctx); err != nil {
		return err
	}
	for _, o := range missing {
		delete(w.unread, o.ID)
	}
	return w.emit(ctx, missing)
}
