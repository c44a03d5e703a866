package mastodon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// Collect implements collectors.Collector.
func (c collector) Collect(ctx context.Context, req collectors.Request, emit collectors.Emit) ([]collectors.Result, error) {
	results := make([]collectors.Result, len(req.Targets))
	var groups []*group
	byName := map[string]*group{}
	for i := range req.Targets {
		t, r := &req.Targets[i], &results[i]
		r.Account = t.Account.ID
		id, name, err := splitID(t.Account.ID)
		if err != nil {
			r.Err = &jauge.Error{Op: "read account", Reason: jauge.ReasonBadRequest, Err: err}
			continue
		}
		g := byName[name]
		if g == nil {
			g = &group{server: c.server(req.HTTP, name)}
			byName[name] = g
			groups = append(groups, g)
		}
		g.walks = append(g.walks, newWalk(g.server, id, t, r, emit))
	}
	for i, g := range groups {
		if err := g.run(ctx, req.Task); err != nil {
			for _, unfinished := range groups[i:] {
				unfinished.fail(err)
			}
			return results, err
		}
	}
	return results, nil
}

// group is the targets of one server.
type group struct {
	server *server
	walks  []*walk
}

// run does the task. It fails only where the whole call of Collect must end.
func (g *group) run(ctx context.Context, task collectors.Task) error {
	switch task {
	case collectors.TaskRefresh:
		return g.refresh(ctx)
	case collectors.TaskBackfill:
		for _, w := range g.walks {
			if err := w.fatal(ctx, w.backfill(ctx)); err != nil {
				return err
			}
			w.over = true
		}
	default:
		for _, w := range g.walks {
			w.result.Err = &jauge.Error{
				Op: "collect", Reason: jauge.ReasonBadRequest, Err: fmt.Errorf("unknown task %q", task),
			}
		}
	}
	return nil
}

// fail marks the targets that the end of the call left unfinished.
func (g *group) fail(err error) {
	for _, w := range g.walks {
		if !w.over && w.result.Err == nil {
			w.result.Err = err
		}
	}
}

// emitError marks what emit returned.
type emitError struct{ err error }

func (e *emitError) Error() string { return "hand over page: " + e.err.Error() }
func (e *emitError) Unwrap() error { return e.err }

// walk is the work on one target.
type walk struct {
	server *server
	id     string // the server's own id
	target *collectors.Target
	result *collectors.Result
	give   collectors.Emit
	handle handle
	state  jauge.AccountState

	over bool // nothing more to do

	unread   map[string]int  // due posts still to be read -> position in target.Due
	seen     map[string]bool // posts that were handed over
	cursor   string          // of the next listing page
	cursors  map[string]bool // all there were
	listed   int             // pages that were read
	ended    bool            // there is no next page
	reached  time.Time       // publication of the last post listed, zero before the first
	position int             // how many known posts the listing has passed
	undated  int             // posts that were left out for want of a readable date
}

func newWalk(s *server, id string, t *collectors.Target, r *collectors.Result, emit collectors.Emit) *walk {
	w := &walk{
		server: s, id: id, target: t, result: r, give: emit,
		unread: make(map[string]int, len(t.Due)), seen: map[string]bool{},
		cursors: map[string]bool{},
	}
	for i, d := range t.Due {
		w.unread[d.ID] = i
	}
	h, err := parseHandle(t.Account.Handle)
	if err != nil {
		h = handle{domain: s.name}
	}
	w.handle = h
	return w
}

// emit hands over what one answer held.
func (w *walk) emit(ctx context.Context, obs []jauge.Observation) error {
	if len(obs) == 0 {
		return nil
	}
	shown := w.handle.String()
	if w.handle.user == "" {
		shown = cmp.Or(w.target.Account.Handle, w.target.Account.ID)
	}
	err := w.give(ctx, jauge.Page{
		Platform: jauge.Mastodon, Account: w.target.Account.ID, Handle: shown, API: apiVersion, Observations: obs,
	})
	if err != nil {
		return &emitError{err}
	}
	return nil
}

// fatal takes a failure of this target into its result, unless it ends the whole call: then it is returned.
func (w *walk) fatal(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*emitError](err); ok {
		return e
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("collect from %s: %w", w.server.name, cause)
	}
	if w.result.Err == nil {
		w.result.Err = err
	}
	return nil
}

// take makes the reading of a live post, once per call. A post without a readable date is dated by what is known of
// it; one of which nothing is known is left out and counted.
func (w *walk) take(s *status, obs []jauge.Observation) []jauge.Observation {
	id := string(s.ID)
	at, dated := s.published()
	i, due := w.unread[id]
	switch {
	case w.seen[id], s.Account.ID != "" && string(s.Account.ID) != w.id:
		return obs
	case !dated && !due:
		w.undated++
		return obs
	case !dated:
		at = w.target.Due[i].PublishedAt.UTC()
	}
	w.seen[id] = true
	delete(w.unread, id)
	return append(obs, s.observation(at))
}
