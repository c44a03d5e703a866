package bluesky

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// run is one call of Collect.
type run struct {
	collector
	hc       *http.Client
	emit     collectors.Emit
	accounts []*account
}

// account is what a run knows of one target.
type account struct {
	*collectors.Target
	handle string
	state  jauge.AccountState
	err    error               // why the account is read no further
	listed bool                // listing passed Newest, or reached Until or the end
	read   map[string]struct{} // posts emitted with counters
	due    map[string]struct{} // posts that are due and were neither read nor proven deleted yet
	known  int                 // listed posts that are no newer than Newest: the ranks that listing has covered
	items  int                 // listed items, reposts included
	own    int                 // of these, the account's own posts
	cursor string              // backfill: where to go on
	done   bool                // backfill: nothing is left
	gone   []string            // due posts of which a single read says that they are deleted
}

// Collect implements collectors.Collector.
func (c collector) Collect(ctx context.Context, req collectors.Request, emit collectors.Emit) ([]collectors.Result, error) {
	r := &run{collector: c, hc: req.HTTP, emit: emit}
	for i := range req.Targets {
		r.accounts = append(r.accounts, newAccount(&req.Targets[i]))
	}
	var err error
	switch req.Task {
	case collectors.TaskRefresh:
		err = r.refresh(ctx)
	case collectors.TaskBackfill:
		err = r.backfill(ctx)
	default:
		err = &jauge.Error{
			Op: "collect", Reason: jauge.ReasonBadRequest, Err: fmt.Errorf("platform has no task %q", req.Task),
		}
	}
	results := make([]collectors.Result, len(r.accounts))
	for i, a := range r.accounts {
		results[i] = a.result(req.Task)
	}
	return results, err
}

func newAccount(t *collectors.Target) *account {
	a := &account{Target: t, handle: t.Account.Handle, read: map[string]struct{}{}, cursor: t.Cursor}
	a.due = make(map[string]struct{}, len(t.Due))
	for _, p := range t.Due {
		a.due[p.ID] = struct{}{}
	}
	if a.handle == "" {
		a.handle = t.Account.ID
	}
	return a
}

func (a *account) result(task collectors.Task) collectors.Result {
	res := collectors.Result{Account: a.Account.ID, State: a.state, Err: a.err, Cursor: a.cursor, Done: a.done}
	if task == collectors.TaskRefresh {
		res.Complete = a.active() && a.listed && len(a.due) == 0
	}
	return res
}

// active tells whether there is any use in reading on.
func (a *account) active() bool { return a.err == nil && a.state == jauge.AccountLive }

// refresh does all accounts together: what takes several of them in one call is done in one.
func (r *run) refresh(ctx context.Context) error {
	if err := r.readProfiles(ctx, r.accounts); err != nil {
		return err
	}
	for _, a := range r.accounts {
		if err := r.list(ctx, a); err != nil {
			return err
		}
	}
	if err := r.readDue(ctx); err != nil {
		return err
	}
	return r.settleMissing(ctx)
}

// failed notes an account's error. It returns the error only where the run must end, since ctx has.
func (r *run) failed(ctx context.Context, err error, accounts ...*account) error {
	if ctx.Err() != nil {
		return fmt.Errorf("collect: %w", err)
	}
	for _, a := range accounts {
		if a.err == nil {
			a.err = err
		}
	}
	return nil
}

// send hands observations over as a page of the account; none make no page.
func (r *run) send(ctx context.Context, a *account, obs ...jauge.Observation) error {
	if len(obs) == 0 {
		return nil
	}
	err := r.emit(ctx, jauge.Page{
		Platform: jauge.Bluesky, Account: a.Account.ID, Handle: a.handle, Observations: obs,
	})
	if err != nil {
		return fmt.Errorf("emit page: %w", err)
	}
	return nil
}

// take makes the observation of a post that was read, and strikes it off the due ones; ok is false for one that was
// taken before, or that is neither within the depth nor due.
func (a *account) take(p *postView, until time.Time) (jauge.Observation, bool) {
	if _, again := a.read[p.URI]; again || p.URI == "" {
		return jauge.Observation{}, false
	}
	o, ok := p.observe()
	if !ok {
		return o, false
	}
	if _, due := a.due[p.URI]; !due && o.Post.PublishedAt.Before(until) {
		return o, false
	}
	a.read[p.URI] = struct{}{}
	delete(a.due, p.URI)
	return o, true
}
