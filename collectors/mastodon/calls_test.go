package mastodon_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/collectortest"
	"jauge.dev/jauge/collectors/mastodon"
	"jauge.dev/jauge/collectors/mastodon/mastofake"
)

// What 1,000 posts cost, beside one call per account for its gauges and one per account for news.
func TestCallsPerThousandPosts(t *testing.T) {
	t.Run("listing", func(t *testing.T) {
		b := newBench(t, mastofake.Config{})
		b.server.AddAccount("brand", 1, 1)
		refs := b.posts("brand", 1000)
		tg := b.target("@brand@mastodon.example")
		tg.Newest, tg.Due = refs[0].PublishedAt, refs
		b.server.Calls()
		out := b.refresh(tg)
		want := map[string]int{"account": 1, "list": 25}
		if diff := cmp.Diff(want, b.server.Calls()); diff != "" || len(out.posts) != 1000 || !out.results[0].Complete {
			t.Errorf("%d posts, complete %v, calls (-want +got):\n%s", len(out.posts), out.results[0].Complete, diff)
		}
	})
	t.Run("isolated ids", func(t *testing.T) {
		b := newBench(t, mastofake.Config{})
		var targets []collectors.Target
		for _, name := range []string{"a", "b", "c", "d"} { // 250 each, none of them alone fills its batches
			b.server.AddAccount(name, 1, 1)
			refs := b.posts(name, 12_500)
			tg := b.target("@" + name + "@mastodon.example")
			tg.Newest, tg.Due = afterAll, sparse(refs)
			targets = append(targets, tg)
		}
		b.server.Calls()
		out := b.refresh(targets...)
		want := map[string]int{"account": 4, "list": 4, "batch": 50}
		if diff := cmp.Diff(want, b.server.Calls()); diff != "" || len(out.posts) != 1000+4*40 {
			t.Errorf("%d posts, calls (-want +got):\n%s", len(out.posts), diff)
		}
	})
	t.Run("a stretch further back", func(t *testing.T) {
		b := newBench(t, mastofake.Config{})
		b.server.AddAccount("brand", 1, 1)
		refs := b.posts("brand", 1000)
		tg := b.target("@brand@mastodon.example")
		tg.Newest, tg.Due = afterAll, refs[80:800] // 18 pages more, or 36 batches
		b.server.Calls()
		b.refresh(tg)
		want := map[string]int{"account": 1, "list": 20}
		if diff := cmp.Diff(want, b.server.Calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
	t.Run("ranks that are wrong", func(t *testing.T) {
		b := newBench(t, mastofake.Config{})
		b.server.AddAccount("brand", 1, 1)
		refs := b.posts("brand", 2000)
		tg := b.target("@brand@mastodon.example")
		tg.Newest, tg.Due = afterAll, refs[1900:1960]
		for i := range tg.Due {
			tg.Due[i].Rank = i
		}
		b.server.Calls()
		b.refresh(tg)
		want := map[string]int{"account": 1, "list": 4, "batch": 3} // at most as many pages as batches, then batches
		if diff := cmp.Diff(want, b.server.Calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// A server that says to slow down costs its accounts nothing but this run. Fake time begins with a full stretch of the
// limit, so what is asked to wait for is too long.
func TestRateLimitOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, mastofake.Config{Calls: 3})
		b.server.AddAccount("brand", 1, 1)
		refs := b.posts("brand", 200)
		tg := b.target("@brand@mastodon.example") // two calls
		out := b.refresh(tg)
		r := out.results[0]
		if r.Complete || r.State != jauge.AccountLive || len(out.posts) != 0 {
			t.Errorf("result %+v, %d posts", r, len(out.posts))
		}
		if reason := jauge.ReasonOf(r.Err); reason != jauge.ReasonQuota && reason != jauge.ReasonRateLimited {
			t.Errorf("error %v", r.Err)
		}
		rec := httptest.NewRecorder()
		b.server.ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/statuses/"+refs[0].ID, nil))
		q, ok := mastodon.Platform.RateLimit(rec.Header(), time.Now())
		if !ok || q.Limit != 3 || q.Remaining != 0 || !q.Reset.Equal(time.Now().Add(5*time.Minute)) || rec.Code != 429 {
			t.Errorf("quota %+v, %v, status %d", q, ok, rec.Code)
		}
		<-time.After(5 * time.Minute)
		if r := b.refresh(tg).results[0]; r.State != jauge.AccountLive {
			t.Errorf("after the reset: %+v", r)
		}
	})
}

func BenchmarkDecodeListing(b *testing.B) {
	s := mastofake.New(mastofake.Config{})
	if err := s.Fill(1, 40, noon, time.Hour); err != nil {
		b.Fatal(err)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/accounts/109440137734600341/statuses?limit=40", nil))
	body := rec.Body.Bytes()
	if !json.Valid(body) {
		b.Fatalf("listing is no JSON: %s", body)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		obs, err := mastodon.DecodePage(body)
		if err != nil || len(obs) != 40 {
			b.Fatalf("%d posts, %v", len(obs), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(40*b.N), "ns/post")
}

func BenchmarkRefresh(b *testing.B) {
	bb := newBench(b, mastofake.Config{})
	if err := bb.server.Fill(20, 200, noon, time.Hour); err != nil {
		b.Fatal(err)
	}
	targets := make([]collectors.Target, 0, 20)
	for _, name := range []string{"user0", "user7", "user19"} {
		targets = append(targets, collectortest.Targets(b, bb.col, bb.hc, time.Time{}, "@"+name+"@mastodon.example")...)
	}
	b.ReportAllocs()
	for b.Loop() {
		if out := bb.refresh(targets...); len(out.posts) != 600 {
			b.Fatalf("%d posts", len(out.posts))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(600*b.N), "ns/post")
}
