package bluesky_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/bluesky/bskyfake"
	"jauge.dev/jauge/collectors/collectortest"
)

// BenchmarkRefresh reads a group of 25 accounts with 100 posts each, from recorded answers: what is measured is the
// way from the wire's JSON to pages, HTTP manners included, and not the fake.
func BenchmarkRefresh(b *testing.B) {
	f := bskyfake.New()
	var targets []collectors.Target
	for n := range 25 {
		tg := target(f.Generate(fmt.Sprintf("a%d.example", n), 100, noon, time.Hour))
		tg.Until = noon.Add(-99 * time.Hour)
		targets = append(targets, tg)
	}
	answers := map[string]*httptest.ResponseRecorder{}
	hc := collectortest.Client(b, bluesky.Platform, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := answers[r.URL.RawQuery]
		if rec == nil {
			rec = httptest.NewRecorder()
			f.ServeHTTP(rec, r)
			answers[r.URL.RawQuery] = rec
		}
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		_, _ = w.Write(rec.Body.Bytes())
	}))
	col, observations := bluesky.Platform.New(""), 0
	emit := func(_ context.Context, p jauge.Page) error {
		observations += len(p.Observations)
		return nil
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := col.Collect(b.Context(), collectors.Request{
			Task: collectors.TaskRefresh, Targets: targets, HTTP: hc,
		}, emit); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(observations), "ns/observation")
}

// BenchmarkFake serves feeds of generated accounts: what a load test pays for the fake itself.
func BenchmarkFake(b *testing.B) {
	f := bskyfake.New()
	const accounts = 10_000
	dids := make([]string, accounts)
	for n := range dids {
		dids[n] = f.Generate(fmt.Sprintf("a%d.example", n), 100, noon, time.Hour)
	}
	n := 0
	for b.Loop() {
		n++
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, httptest.NewRequest(http.MethodGet,
			"/xrpc/app.bsky.feed.getAuthorFeed?limit=100&actor="+dids[n%accounts], http.NoBody))
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Body)
		}
	}
}
