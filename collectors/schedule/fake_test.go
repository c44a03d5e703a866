package schedule_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

const (
	plume    = jauge.Platform("plume")
	pageSize = 5
)

// world is a made-up platform: it lists five posts a call, newest first, and reads the rest by id.
type world struct {
	mu     sync.Mutex
	posts  map[string][]worldPost // by account id, newest first
	ids    map[string]string      // handle -> id, where it is not "id-" + handle
	fail   func(call string, account string) error
	delay  time.Duration
	mute   bool // emits no page at all
	busy   map[string]bool
	reads  []reading
	misuse []string // what no scheduler may do
}

type worldPost struct {
	id        string
	published time.Time
	deleted   bool
}

// reading is one account's part of a call.
type reading struct {
	task    collectors.Task
	account string
	at      time.Time
	group   int
	with    []string // the accounts of the call
	due     []collectors.PostRef
	newest  time.Time
}

func newWorld() *world {
	return &world{posts: map[string][]worldPost{}, ids: map[string]string{}, busy: map[string]bool{}}
}

func (w *world) publish(account, id string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts[account] = append(w.posts[account], worldPost{id: id, published: at})
	slices.SortStableFunc(w.posts[account], func(a, b worldPost) int { return b.published.Compare(a.published) })
}

func (w *world) remove(account, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range w.posts[account] {
		if p.id == id {
			w.posts[account][i].deleted = true
		}
	}
}

func (w *world) failing(call, account string) error {
	w.mu.Lock()
	f := w.fail
	w.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(call, account)
}

func (w *world) setFail(f func(call, account string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

func (w *world) Resolve(_ context.Context, _ *http.Client, handle string) (jauge.Account, error) {
	if err := w.failing("resolve", handle); err != nil {
		return jauge.Account{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id, ok := w.ids[handle]
	if !ok {
		id = "id-" + handle
	}
	return jauge.Account{Platform: plume, ID: id, Handle: handle}, nil
}

func (w *world) enter(req collectors.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var with []string
	for _, t := range req.Targets {
		with = append(with, t.Account.ID)
	}
	slices.Sort(with)
	for _, t := range req.Targets {
		id := t.Account.ID
		if w.busy[id] {
			w.misuse = append(w.misuse, "two runs at once of "+id)
		}
		w.busy[id] = true
		w.reads = append(w.reads, reading{req.Task, id, time.Now(), len(req.Targets), with, t.Due, t.Newest})
	}
}

func (w *world) leave(req collectors.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range req.Targets {
		delete(w.busy, t.Account.ID)
	}
}

func (w *world) Collect(ctx context.Context, req collectors.Request, emit collectors.Emit) ([]collectors.Result, error) {
	w.enter(req)
	defer w.leave(req)
	var out []collectors.Result
	for _, t := range req.Targets {
		if w.delay > 0 {
			select {
			case <-time.After(w.delay):
			case <-ctx.Done():
				return out, ctx.Err()
			}
		}
		res, err := w.account(ctx, req.Task, t, emit)
		if err != nil {
			return out, err
		}
		res.Account = t.Account.ID
		out = append(out, res)
	}
	return out, nil
}

func (w *world) account(ctx context.Context, task collectors.Task, t collectors.Target, emit collectors.Emit) (collectors.Result, error) {
	id := t.Account.ID
	page := func(obs ...jauge.Observation) error {
		return emit(ctx, jauge.Page{Platform: plume, Account: id, Handle: t.Account.Handle, Observations: obs})
	}
	w.mu.Lock()
	posts := slices.Clone(w.posts[id])
	w.mu.Unlock()
	if task == collectors.TaskBackfill {
		return w.older(t, posts, page)
	}
	if w.mute {
		return collectors.Result{Complete: true}, nil
	}
	if err := w.failing("profile", id); err != nil {
		return collectors.Result{Err: err}, nil
	}
	if err := page(jauge.Observation{Object: jauge.ObjectAccount, ID: id, State: jauge.AccountLive}); err != nil {
		return collectors.Result{}, err
	}
	seen := map[string]bool{}
	live := slices.DeleteFunc(slices.Clone(posts), func(p worldPost) bool { return p.deleted })
	for chunk := range slices.Chunk(live, pageSize) {
		if err := w.failing("list", id); err != nil {
			return collectors.Result{Err: err, State: jauge.AccountLive}, nil
		}
		var obs []jauge.Observation
		for _, p := range chunk {
			seen[p.id] = true
			obs = append(obs, p.observation())
		}
		if err := page(obs...); err != nil {
			return collectors.Result{}, err
		}
		if last := chunk[len(chunk)-1].published; last.Before(t.Newest) || last.Before(t.Until) {
			break
		}
	}
	for _, d := range t.Due {
		if seen[d.ID] {
			continue
		}
		if err := w.failing("read", id); err != nil {
			return collectors.Result{Err: err, State: jauge.AccountLive}, nil
		}
		i := slices.IndexFunc(posts, func(p worldPost) bool { return p.id == d.ID })
		if err := page(posts[i].observation()); err != nil {
			return collectors.Result{}, err
		}
	}
	return collectors.Result{Complete: true, State: jauge.AccountLive}, nil
}

func (w *world) older(t collectors.Target, posts []worldPost, page func(...jauge.Observation) error) (collectors.Result, error) {
	at, _ := strconv.Atoi(t.Cursor)
	for range t.Pages {
		if err := w.failing("list", t.Account.ID); err != nil {
			return collectors.Result{Cursor: strconv.Itoa(at), Err: err}, nil
		}
		end := min(len(posts), at+pageSize)
		var obs []jauge.Observation
		for _, p := range posts[at:end] {
			if p.published.Before(t.Until) {
				return collectors.Result{Cursor: strconv.Itoa(at), Done: true}, page(obs...)
			}
			obs = append(obs, p.observation())
		}
		if err := page(obs...); err != nil {
			return collectors.Result{}, err
		}
		if at = end; at == len(posts) {
			return collectors.Result{Cursor: strconv.Itoa(at), Done: true}, nil
		}
	}
	return collectors.Result{Cursor: strconv.Itoa(at)}, nil
}

func (p worldPost) observation() jauge.Observation {
	o := jauge.Observation{Object: jauge.ObjectPost, ID: p.id, Period: jauge.PeriodLifetime, PostState: jauge.PostDeleted}
	if !p.deleted {
		o.PostState, o.Post = jauge.PostLive, &jauge.Post{PublishedAt: p.published}
		o.Values = []jauge.WireValue{{Wire: "hearts", Value: 1}}
	}
	return o
}

// readsOf returns when an account was read.
func (w *world) readsOf(account string) (out []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.reads {
		if r.account == account && r.task == collectors.TaskRefresh {
			out = append(out, r.at)
		}
	}
	return out
}

func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads = nil
}
