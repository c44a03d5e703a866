package schedule

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"jauge.dev/jauge/collectors"
)

// target says what the collector is to do for an account.
func (g *groupRun) target(ctx context.Context, a *account) (collectors.Target, error) {
	t := collectors.Target{Account: a.f.Account}
	if g.w.task == collectors.TaskBackfill {
		m, _, err := g.s.state.Backfill(ctx, a.f.Ref)
		if err != nil {
			return t, err
		}
		a.mark = nextMark(m, g.w.since)
		t.Until, t.Cursor, t.Pages = g.w.since, a.mark.Cursor, g.s.cfg.BackfillPages
		return t, nil
	}
	t.Until = a.start.Add(-g.s.cfg.Depth)
	if !a.f.Newest.IsZero() {
		t.Newest = a.f.Newest.Add(-g.s.cfg.Overlap)
	}
	var by time.Time
	if !g.w.all {
		by = a.start.Add(g.l.slack(a.start))
	}
	posts, err := g.s.state.Due(ctx, a.f.Ref, by)
	if err != nil {
		return t, err
	}
	a.due = make(map[string]time.Time, len(posts))
	t.Due = make([]collectors.PostRef, len(posts))
	for i, p := range posts {
		t.Due[i] = collectors.PostRef{ID: p.ID, PublishedAt: p.PublishedAt, Rank: p.Rank}
		a.due[p.ID] = p.PublishedAt
	}
	return t, nil
}

// slack is half the interval between an account's runs: a post that falls due before the middle of the way to the
// next run is read in this one. Else an hourly post, read some seconds after the hour, would miss every second run.
func (l *lane) slack(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.firing.window(now).length() / 2
}

// client is the grant's HTTP client, with its calls counted.
func (g *groupRun) client() *http.Client {
	hc := g.hc
	if hc == nil || g.w.calls == nil {
		return hc
	}
	own := *hc
	own.Transport = counting{hc.Transport, g.w.calls}
	return &own
}

type counting struct {
	next  http.RoundTripper
	calls *atomic.Int64
}

// RoundTrip counts a call.
func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.calls.Add(1)
	if c.next == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return c.next.RoundTrip(r)
}
