package mastodon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// page reads the next listing page and hands over its posts, without those older than the configured depth which
// nobody asked for.
func (w *walk) page(ctx context.Context) (empty bool, err error) {
	page, next, err := w.server.list(ctx, w.id, w.cursor)
	if err != nil {
		return false, err
	}
	w.listed++
	w.cursor, w.ended = next, next == ""
	if w.cursors[next] && !w.ended {
		return false, malformed("list posts", "next page is one that was read already")
	}
	w.cursors[next] = true
	obs := make([]jauge.Observation, 0, len(page))
	for i := range page {
		s := &page[i]
		at, dated := s.published()
		if dated {
			w.reached = at // the last one's counts: some servers put pinned posts, however old, at the top
		}
		if s.ID == "" || bool(s.Reblog) || !s.public() {
			continue
		}
		if !w.target.Newest.IsZero() && !at.After(w.target.Newest) {
			w.position++
		}
		if _, due := w.unread[string(s.ID)]; dated && at.Before(w.target.Until) && !due {
			continue
		}
		obs = w.take(s, obs)
	}
	return len(page) == 0, w.emit(ctx, obs)
}

// list reads pages until done says so or there are no more.
func (w *walk) list(ctx context.Context, done func() bool) error {
	for empty := 0; !w.ended && !done(); {
		none, err := w.page(ctx)
		switch {
		case err != nil:
			return err
		case !none:
			empty = 0
		default:
			empty++
		}
		if empty >= maxEmpty || w.listed >= maxPages {
			return malformed("list posts", fmt.Sprintf("listing does not end: %d pages, the last %d empty", w.listed, empty))
		}
	}
	return nil
}

// passed tells whether the listing has gone beyond an instant. Equal is not beyond: two posts may share one.
func (w *walk) passed(t time.Time) bool {
	return !t.IsZero() && !w.reached.IsZero() && w.reached.Before(t)
}

// news lists every post since the previous complete reading, or back to the configured depth.
func (w *walk) news(ctx context.Context) error {
	return w.list(ctx, func() bool { return w.passed(w.target.Newest) || w.passed(w.target.Until) })
}

// more lists on as long as that reads the due posts in fewer calls than asking for them by id, perCall at a time;
// but never longer than asking for all of them would have taken, since ranks can be wrong.
func (w *walk) more(ctx context.Context, perCall int) error {
	most := w.listed + calls(len(w.unread), perCall)
	return w.list(ctx, func() bool {
		return w.listed >= most || w.passed(w.target.Until) || w.worthListing(perCall) == 0
	})
}

// worthListing is how many more pages make the fewest calls in all. Where the next page begins among the known posts
// is told by how many of them were listed.
func (w *walk) worthListing(perCall int) int {
	ranks := make([]int, 0, len(w.unread))
	for _, i := range w.unread {
		if d := &w.target.Due[i]; !w.listedPast(d) {
			ranks = append(ranks, max(d.Rank-w.position, 0))
		}
	}
	slices.Sort(ranks)
	best, fewest := 0, calls(len(ranks), perCall)
	for i, r := range ranks {
		pages := r/pageSize + 1
		if all := pages + calls(len(ranks)-i-1, perCall); all < fewest {
			best, fewest = pages, all
		}
	}
	return best
}

func calls(n, perCall int) int { return (n + perCall - 1) / perCall }

// listedPast tells whether the listing has passed the place of a post, so that it would have shown it.
func (w *walk) listedPast(d *collectors.PostRef) bool {
	return w.ended || !w.reached.IsZero() && d.PublishedAt.After(w.reached)
}

// backfill lists older posts from the cursor on.
func (w *walk) backfill(ctx context.Context) error {
	pages := w.target.Pages
	w.cursor = w.target.Cursor
	w.cursors[w.cursor] = true
	err := w.list(ctx, func() bool { return w.passed(w.target.Until) || pages > 0 && w.listed >= pages })
	w.result.Cursor = w.cursor
	if err != nil {
		return err
	}
	w.result.Done = w.ended || w.passed(w.target.Until)
	return w.readAll()
}

// readAll fails where posts had to be left out for want of a readable date.
func (w *walk) readAll() error {
	if w.undated == 0 {
		return nil
	}
	return malformed("list posts", fmt.Sprintf("%d posts have no readable date and were left out", w.undated))
}
