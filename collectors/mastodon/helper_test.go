package mastodon_test

import (
	"net/http"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/collectortest"
	"jauge.dev/jauge/collectors/mastodon"
	"jauge.dev/jauge/collectors/mastodon/mastofake"
)

// bench is a collector before a fake server, without base: hosts count.
type bench struct {
	tb     testing.TB
	server *mastofake.Server
	hc     *http.Client
	col    collectors.Collector
}

func newBench(tb testing.TB, cfg mastofake.Config) *bench {
	tb.Helper()
	s := mastofake.New(cfg)
	return &bench{tb, s, collectortest.Client(tb, mastodon.Platform, anonymous(s)), mastodon.Platform.New("")}
}

// anonymous takes the suite's token off, since the collector knows none.
func anonymous(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Authorization")
		h.ServeHTTP(w, r)
	})
}

// posts publishes n posts, one an hour back from noon, and returns them as known, newest first.
func (b *bench) posts(name string, n int) []collectors.PostRef {
	b.tb.Helper()
	refs := make([]collectors.PostRef, n)
	for i := n - 1; i >= 0; i-- { // oldest first, as life has it
		at := noon.Add(-time.Duration(i) * time.Hour)
		id := b.server.Publish(name, mastofake.Post{At: at, Counts: mastofake.Counts{Favourites: 1}})
		refs[i] = collectors.PostRef{ID: id, PublishedAt: at, Rank: i}
	}
	return refs
}

func (b *bench) target(handle string) collectors.Target {
	b.tb.Helper()
	return collectortest.Targets(b.tb, b.col, b.hc, time.Time{}, handle)[0]
}

// outcome is what a call of Collect gave, by post.
type outcome struct {
	pages   []jauge.Page
	results []collectors.Result
	posts   map[string]jauge.Observation
	account map[string]jauge.Observation
}

func (b *bench) refresh(targets ...collectors.Target) outcome {
	b.tb.Helper()
	return b.collect(collectors.TaskRefresh, targets...)
}

func (b *bench) collect(task collectors.Task, targets ...collectors.Target) outcome {
	b.tb.Helper()
	sink := &collectortest.Sink{}
	results, err := b.col.Collect(b.tb.Context(), collectors.Request{Task: task, Targets: targets, HTTP: b.hc}, sink.Emit)
	if err != nil {
		b.tb.Fatalf("Collect: %v", err)
	}
	if t, ok := b.tb.(*testing.T); ok {
		collectortest.CheckPages(t, mastodon.Platform, targets, sink.Pages)
		collectortest.CheckResults(t, targets, results)
	}
	out := outcome{sink.Pages, results, map[string]jauge.Observation{}, map[string]jauge.Observation{}}
	for _, p := range sink.Pages {
		for _, o := range p.Observations {
			if o.Object == jauge.ObjectAccount {
				out.account[o.ID] = o
			} else {
				out.posts[o.ID] = o
			}
		}
	}
	return out
}

func value(o jauge.Observation, wire string) (float64, bool) {
	for _, v := range o.Values {
		if v.Wire == wire {
			return v.Value, true
		}
	}
	return 0, false
}
