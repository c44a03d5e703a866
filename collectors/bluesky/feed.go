package bluesky

import (
	"context"
	"errors"
	"time"

	"jauge.dev/jauge"
)

const (
	maxListing = 10_000 // pages of one listing: a million items
	maxEmpty   = 3      // pages in a row without any item, though the platform says that more follows
)

var errEndless = errors.New("listing does not come to an end")

// walk lists an account's feed from a cursor on. After each page it asks more whether to go on.
type walk struct {
	cursor  string // of the next page; empty at the end
	empty   int
	reached bool // the end, or the depth
	passed  bool // Newest
}

// page reads and emits the next page. An own post or a repost stands in the feed by its instant or a later one, so
// that whatever is older than an instant has passed it.
func (r *run) page(ctx context.Context, a *account, w *walk) error {
	f, err := r.getFeed(ctx, r.hc, a.Account.ID, w.cursor)
	if err != nil {
		return r.failed(ctx, err, a)
	}
	obs := make([]jauge.Observation, 0, len(f.Feed))
	for i := range f.Feed {
		item := &f.Feed[i]
		at, ok := item.sortedAt()
		w.passed = w.passed || ok && at.Before(a.Newest)
		w.reached = w.reached || ok && at.Before(a.Until)
		a.items++
		if item.Post.Author.DID != a.Account.ID || item.repost() {
			continue
		}
		if _, again := a.read[item.Post.URI]; again { // pinned, or pushed down by a newer post
			continue
		}
		a.own++
		if ok && !at.After(a.Newest) {
			a.known++
		}
		if o, ok := a.take(&item.Post, a.Until); ok {
			obs = append(obs, o)
		}
	}
	if err := r.send(ctx, a, obs...); err != nil {
		return err
	}
	if w.empty++; len(f.Feed) > 0 {
		w.empty = 0
	}
	if f.Cursor == "" || w.empty >= maxEmpty {
		w.reached = true
	} else if f.Cursor == w.cursor {
		return r.failed(ctx, malformed("list posts", errEndless), a)
	}
	w.cursor = f.Cursor
	return nil
}

func (i *feedItem) repost() bool { return i.Reason != nil && i.Reason.Type == typeRepost }

// sortedAt is the instant by which an item stands in the feed, or a later one; ok is false for pinned posts, which
// stand anywhere.
func (i *feedItem) sortedAt() (at time.Time, ok bool) {
	switch {
	case i.Reason == nil:
		return i.Post.publishedAt()
	case i.repost():
		return instant(i.Reason.IndexedAt)
	}
	return time.Time{}, false
}

// list reads the newest posts of an account, and further back while that is cheaper than reading by id.
func (r *run) list(ctx context.Context, a *account) error {
	w := walk{}
	for range maxListing {
		if !a.active() {
			return nil
		}
		if err := r.page(ctx, a, &w); err != nil || a.err != nil {
			return err
		}
		a.listed = a.listed || w.passed || w.reached
		if w.reached || a.listed && !a.worthListing() {
			return nil
		}
	}
	return r.failed(ctx, malformed("list posts", errEndless), a)
}

// worthListing tells whether some number of further pages holds more due posts than as many calls by id would read.
func (a *account) worthListing() bool {
	if len(a.due) <= maxURIs {
		return false
	}
	perPage := max(maxFeed*a.own/max(a.items, 1), 1) // reposts take room in the feed
	n := 0
	for _, p := range a.Due {
		if _, open := a.due[p.ID]; !open || p.Rank < a.known || p.PublishedAt.Before(a.Until) {
			continue
		}
		n++
		if pages := (p.Rank-a.known)/perPage + 1; n > maxURIs*pages {
			return true
		}
	}
	return false
}

// backfill lists each account from its cursor back to the depth, as many pages as it may.
func (r *run) backfill(ctx context.Context) error {
	for _, a := range r.accounts {
		a.state = jauge.AccountLive // until the feed says otherwise
		w := walk{cursor: a.cursor}
		for n := 0; !a.done && (a.Pages <= 0 || n < a.Pages); n++ {
			if n == maxListing {
				if err := r.failed(ctx, malformed("list posts", errEndless), a); err != nil {
					return err
				}
			}
			if a.err == nil {
				if err := r.page(ctx, a, &w); err != nil {
					return err
				}
			}
			if a.err != nil {
				a.state = ""
				break
			}
			a.done, a.cursor = w.reached, w.cursor
		}
		if a.done {
			a.cursor = ""
		}
	}
	return nil
}
