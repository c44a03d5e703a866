package bluesky_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/bluesky/bskyfake"
	"jauge.dev/jauge/collectors/collectortest"
)

const (
	methodFeed     = "app.bsky.feed.getAuthorFeed"
	methodPosts    = "app.bsky.feed.getPosts"
	methodThread   = "app.bsky.feed.getPostThread"
	methodProfiles = "app.bsky.actor.getProfiles"
	methodProfile  = "app.bsky.actor.getProfile"
)

// reading is what one call of Collect emitted, by account and post id.
type reading struct {
	pages   []jauge.Page
	results []collectors.Result
	posts   map[string]jauge.Observation
	account map[string]jauge.Observation // the last of each
}

func refresh(t *testing.T, f *bskyfake.Fake, targets ...collectors.Target) reading {
	t.Helper()
	return collect(t, f, collectors.TaskRefresh, targets...)
}

func collect(t *testing.T, f *bskyfake.Fake, task collectors.Task, targets ...collectors.Target) reading {
	t.Helper()
	sink := &collectortest.Sink{}
	results, err := bluesky.Platform.New("http://bsky.test/").Collect(t.Context(), collectors.Request{
		Task: task, Targets: targets, HTTP: collectortest.Client(t, bluesky.Platform, f),
	}, sink.Emit)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	collectortest.CheckPages(t, bluesky.Platform, targets, sink.Pages)
	collectortest.CheckResults(t, targets, results)
	return gather(sink.Pages, results)
}

func gather(pages []jauge.Page, results []collectors.Result) reading {
	r := reading{pages: pages, results: results, posts: map[string]jauge.Observation{}, account: map[string]jauge.Observation{}}
	for _, p := range pages {
		for _, o := range p.Observations {
			if o.Object == jauge.ObjectAccount {
				r.account[o.ID] = o
				continue
			}
			r.posts[o.ID] = o
		}
	}
	return r
}

func target(did string) collectors.Target {
	return collectors.Target{Account: jauge.Account{Platform: jauge.Bluesky, ID: did, Handle: "acme.example"}}
}

// known makes a target that has read everything up to now, with these posts due.
func known(did string, newest time.Time, due ...collectors.PostRef) collectors.Target {
	tg := target(did)
	tg.Newest, tg.Due = newest, due
	return tg
}

// ranks makes references to generated posts by their rank, 0 the newest.
func ranks(did string, total int, newest time.Time, step time.Duration, which ...int) []collectors.PostRef {
	out := make([]collectors.PostRef, len(which))
	for i, rank := range which {
		out[i] = collectors.PostRef{
			ID: bskyfake.PostURI(did, total-1-rank), Rank: rank, PublishedAt: newest.Add(-time.Duration(rank) * step),
		}
	}
	return out
}

func values(o jauge.Observation) map[string]float64 {
	m := map[string]float64{}
	for _, v := range o.Values {
		m[v.Wire] = v.Value
	}
	return m
}

func TestReadsGaugesAndPosts(t *testing.T) {
	f := bskyfake.New()
	did := f.Add("acme.example")
	f.SetFollowers(did, 12, 3)
	text := strings.Repeat("é", 200)
	uri := f.Post(did, bskyfake.Post{
		At: noon, CreatedAt: "2026-11-20T12:30:00+01:00", Text: text, Langs: []string{"fr", "en"},
		Counts: bskyfake.Counts{Likes: 5, Replies: 4, Reposts: 3, Quotes: 2, Bookmarks: 1},
	})
	r := refresh(t, f, target(did))
	if diff := cmp.Diff([]collectors.Result{{Account: did, Complete: true, State: jauge.AccountLive}}, r.results); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	want := map[string]float64{"followersCount": 12, "followsCount": 3, "postsCount": 1}
	if diff := cmp.Diff(want, values(r.account[did])); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}
	wantPost := jauge.Observation{
		Object: jauge.ObjectPost, ID: uri, Period: jauge.PeriodLifetime, PostState: jauge.PostLive,
		Values: []jauge.WireValue{{Wire: "likeCount", Value: 5}, {Wire: "replyCount", Value: 4}, {Wire: "repostCount", Value: 3}, {Wire: "quoteCount", Value: 2}, {Wire: "bookmarkCount", Value: 1}},
		Post: &jauge.Post{
			PublishedAt: noon.Add(-30 * time.Minute), Format: jauge.FormatText, Language: "fr",
			Permalink: "https://bsky.app/profile/" + did + "/post/" + uri[strings.LastIndexByte(uri, '/')+1:],
			Excerpt:   strings.Repeat("é", jauge.ExcerptRunes),
		},
	}
	if diff := cmp.Diff(wantPost, r.posts[uri]); diff != "" {
		t.Errorf("post (-want +got):\n%s", diff)
	}
}

func TestAbsentIsNotZero(t *testing.T) {
	f := bskyfake.New()
	did := f.Add("acme.example")
	uri := f.Post(did, bskyfake.Post{Text: "x", Without: []string{"bookmarkCount", "quoteCount"}})
	r := refresh(t, f, target(did))
	want := map[string]float64{"likeCount": 0, "replyCount": 0, "repostCount": 0}
	if diff := cmp.Diff(want, values(r.posts[uri])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFormats(t *testing.T) {
	embed := func(kind string, more ...any) map[string]any {
		m := map[string]any{"$type": "app.bsky.embed." + kind}
		for i := 0; i+1 < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	uri := func(s string) map[string]any { return map[string]any{"uri": s} }
	post, list := uri("at://did:plc:x/app.bsky.feed.post/1"), uri("at://did:plc:x/app.bsky.graph.list/1")
	for name, tc := range map[string]struct {
		post bskyfake.Post
		want jauge.Format
	}{
		"text":             {bskyfake.Post{}, jauge.FormatText},
		"reply with image": {bskyfake.Post{Reply: true, Embed: embed("images", "images", []any{1})}, jauge.FormatReply},
		"image":            {bskyfake.Post{Embed: embed("images", "images", []any{map[string]any{"alt": ""}})}, jauge.FormatImage},
		"carousel":         {bskyfake.Post{Embed: embed("images", "images", []any{map[string]any{}, map[string]any{}})}, jauge.FormatCarousel},
		"video":            {bskyfake.Post{Embed: embed("video")}, jauge.FormatVideo},
		"link":             {bskyfake.Post{Embed: embed("external")}, jauge.FormatLink},
		"quote":            {bskyfake.Post{Embed: embed("record", "record", post)}, jauge.FormatQuote},
		"quote with video": {bskyfake.Post{Embed: embed("recordWithMedia", "record", map[string]any{"record": post}, "media", embed("video"))}, jauge.FormatQuote},
		"list":             {bskyfake.Post{Embed: embed("record", "record", list)}, jauge.FormatLink},
		"list with image":  {bskyfake.Post{Embed: embed("recordWithMedia", "record", map[string]any{"record": list}, "media", embed("images"))}, jauge.FormatImage},
		"unknown":          {bskyfake.Post{Embed: embed("hologram")}, jauge.FormatOther},
		"wrong type":       {bskyfake.Post{Embed: map[string]any{"$type": 7, "images": "none"}}, jauge.FormatText},
	} {
		f := bskyfake.New()
		did := f.Add("acme.example")
		tc.post.Text = name
		id := f.Post(did, tc.post)
		o := refresh(t, f, target(did)).posts[id]
		if o.Post == nil || o.Post.Format != tc.want || o.Post.Excerpt != name {
			t.Errorf("%s: %+v, want %s", name, o.Post, tc.want)
		}
		if got := values(o)["likeCount"]; got != 0 {
			t.Errorf("%s: %v likes, which are those of an embedded post", name, got)
		}
	}
}

func TestPublicationInstant(t *testing.T) {
	for created, want := range map[string]time.Time{
		"2026-11-19T10:00:00Z": time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC), "2031-01-01T00:00:00Z": noon, "yesterday": noon,
		"0001-01-01T00:00:00Z": noon, "1969-12-31T23:59:59Z": noon, "2026-11-20T12:00:00+01:00": noon.Add(-time.Hour),
	} {
		f := bskyfake.New()
		did := f.Add("acme.example")
		id := f.Post(did, bskyfake.Post{At: noon, CreatedAt: created})
		if o := refresh(t, f, target(did)).posts[id]; o.Post == nil || !o.Post.PublishedAt.Equal(want) {
			t.Errorf("createdAt %q: %+v, want %s", created, o.Post, want)
		}
	}
}

func TestOthersPostsAreLeftOut(t *testing.T) {
	f := bskyfake.New()
	did, other := f.Add("acme.example"), f.Add("other.example")
	own := f.Post(did, bskyfake.Post{At: noon, Text: "own"})
	theirs := f.Post(other, bskyfake.Post{At: noon, Text: "theirs"})
	f.Repost(did, theirs, noon.Add(time.Hour))
	f.Repost(did, own, noon.Add(2*time.Hour)) // its own, reposted: counted once, at its own place
	f.Pin(did, own)
	r := refresh(t, f, target(did))
	if len(r.posts) != 1 || r.posts[own].Values == nil || !r.results[0].Complete {
		t.Errorf("posts %v, result %+v", r.posts, r.results)
	}
}

func TestListingStopsAtNewest(t *testing.T) {
	f := bskyfake.New()
	did := f.Generate("acme.example", 1000, noon, time.Hour)
	for newest, wantCalls := range map[time.Duration]int{0: 1, -98 * time.Hour: 1, -99 * time.Hour: 2, -250 * time.Hour: 3} {
		f.ResetCalls()
		r := refresh(t, f, known(did, noon.Add(newest)))
		if n := f.Calls()[methodFeed]; n != wantCalls || !r.results[0].Complete {
			t.Errorf("newest %s: %d listing calls, want %d; complete %v", newest, n, wantCalls, r.results[0].Complete)
		}
	}
	f.ResetCalls()
	tg := target(did)
	tg.Until = noon.Add(-150 * time.Hour)
	r := refresh(t, f, tg)
	if n := f.Calls()[methodFeed]; n != 2 || len(r.posts) != 151 || !r.results[0].Complete {
		t.Errorf("with a depth of 150 hours: %d calls, %d posts, %+v", n, len(r.posts), r.results[0])
	}
}

func TestManyRepostsDoNotHideNewest(t *testing.T) {
	f := bskyfake.New()
	did, other := f.Add("acme.example"), f.Add("other.example")
	own := f.Post(did, bskyfake.Post{At: noon})
	theirs := f.Post(other, bskyfake.Post{At: noon})
	for i := range 400 {
		f.Repost(did, theirs, noon.Add(-time.Duration(i+1)*time.Minute))
	}
	r := refresh(t, f, known(did, noon))
	if n := f.Calls()[methodFeed]; n != 1 || !r.results[0].Complete || r.posts[own].Values == nil {
		t.Errorf("%d listing calls, %+v", n, r.results[0])
	}
}

func TestCallsPerThousandPosts(t *testing.T) {
	const step = time.Hour
	f := bskyfake.New()
	did := f.Generate("acme.example", 1000, noon, step)
	all := make([]int, 1000)
	for i := range all {
		all[i] = i
	}
	r := refresh(t, f, known(did, noon, ranks(did, 1000, noon, step, all...)...))
	want := map[string]int{methodProfiles: 1, methodFeed: 10}
	if diff := cmp.Diff(want, f.Calls()); diff != "" || len(r.posts) != 1000 || !r.results[0].Complete {
		t.Errorf("listing: %d posts, %+v, calls (-want +got):\n%s", len(r.posts), r.results[0], diff)
	}
	// isolated: 40 posts of each of 25 accounts, so far apart that no listing page would hold many of them
	f = bskyfake.New()
	var targets []collectors.Target
	for n := range 25 {
		did := f.Generate(fmt.Sprintf("a%d.example", n), 20_000, noon, step)
		far := make([]int, 40)
		for i := range far {
			far[i] = 400 * (i + 1)
		}
		targets = append(targets, known(did, noon, ranks(did, 20_000, noon, step, far...)...))
	}
	r = refresh(t, f, targets...)
	want = map[string]int{methodProfiles: 1, methodFeed: 25, methodPosts: 40}
	if diff := cmp.Diff(want, f.Calls()); diff != "" {
		t.Errorf("isolated ids: calls (-want +got):\n%s", diff)
	}
	for i, tg := range targets {
		for _, d := range tg.Due {
			if r.posts[d.ID].Values == nil {
				t.Errorf("due post %s was not read", d.ID)
			}
		}
		if !r.results[i].Complete {
			t.Errorf("%+v", r.results[i])
		}
	}
}

func TestListingFurtherIsWeighed(t *testing.T) {
	const step = time.Hour
	span := func(from, n, every int) []int {
		var out []int
		for i := range n {
			out = append(out, from+i*every)
		}
		return out
	}
	for name, tc := range map[string]struct {
		due        []int
		feed, byID int
	}{
		"25 on the next page":       {span(100, 25, 4), 1, 1},
		"26 on the next page":       {span(100, 26, 3), 2, 0},
		"30, but three pages off":   {span(400, 30, 1), 1, 2},
		"100, though two pages off": {span(200, 100, 1), 3, 0},
		"60 over three pages":       {span(100, 60, 5), 1, 3},
	} {
		f := bskyfake.New()
		did := f.Generate("acme.example", 2000, noon, step)
		r := refresh(t, f, known(did, noon, ranks(did, 2000, noon, step, tc.due...)...))
		c := f.Calls()
		if c[methodFeed] != tc.feed || c[methodPosts] != tc.byID || c[methodThread] != 0 || !r.results[0].Complete {
			t.Errorf("%s: %v, want %d listing calls and %d by id; %+v", name, c, tc.feed, tc.byID, r.results[0])
		}
	}
}

func TestPostsThatListingPassedOverAreNoReasonToListOn(t *testing.T) {
	f := bskyfake.New()
	did := f.Generate("acme.example", 1000, noon, time.Hour)
	var which []int
	for i := range 30 {
		which = append(which, i+10)
	}
	due := ranks(did, 1000, noon, time.Hour, which...)
	for _, d := range due {
		f.Delete(d.ID)
	}
	r := refresh(t, f, known(did, noon, due...))
	if c := f.Calls(); c[methodFeed] != 1 || c[methodPosts] != 2 || c[methodThread] != 30 || !r.results[0].Complete {
		t.Errorf("%v, %+v", c, r.results[0])
	}
}

func TestBackfillGoesOnWhereItStopped(t *testing.T) {
	f := bskyfake.New()
	did := f.Generate("acme.example", 450, noon, time.Hour)
	tg := target(did)
	tg.Pages, tg.Until = 2, noon.Add(-420*time.Hour)
	var got []int
	for range 10 {
		r := collect(t, f, collectors.TaskBackfill, tg)
		got = append(got, len(r.posts))
		if r.results[0].Done {
			break
		}
		tg.Cursor = r.results[0].Cursor
	}
	if !slices.Equal(got, []int{200, 200, 21}) {
		t.Errorf("pages of %v posts", got)
	}
	tg.Cursor, tg.Pages = "", 0
	if r := collect(t, f, collectors.TaskBackfill, tg); !r.results[0].Done || len(r.posts) != 421 || r.results[0].Cursor != "" {
		t.Errorf("in one go: %d posts, %+v", len(r.posts), r.results[0])
	}
	if c := f.Calls(); c[methodProfiles]+c[methodProfile] != 0 {
		t.Errorf("backfill reads gauges: %v", c)
	}
	// an error keeps what was reached
	calls := 0
	f.Inject(func(*http.Request) bskyfake.Fault {
		if calls++; calls == 2 {
			return bskyfake.Fault{Status: 500}
		}
		return bskyfake.Fault{}
	})
	r := collect(t, f, collectors.TaskBackfill, tg)
	if r.results[0].Err == nil || r.results[0].Cursor == "" || r.results[0].Done || len(r.posts) != 100 {
		t.Errorf("%d posts, %+v", len(r.posts), r.results[0])
	}
}

func TestUnknownTask(t *testing.T) {
	_, err := bluesky.Platform.New("").Collect(t.Context(), collectors.Request{Task: "dance"}, nil)
	if jauge.ReasonOf(err) != jauge.ReasonBadRequest {
		t.Errorf("%v", err)
	}
}
