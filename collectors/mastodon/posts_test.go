package mastodon_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/mastodon/mastofake"
)

// afterAll makes listing end with its first page, so that due posts are read by id.
var afterAll = noon.Add(24 * time.Hour)

// sparse takes every 50th post, so that listing is dearer than asking by id.
func sparse(refs []collectors.PostRef) []collectors.PostRef {
	var out []collectors.PostRef
	for i := 49; i < len(refs); i += 50 {
		out = append(out, refs[i])
	}
	return out
}

func TestFormats(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	want := map[string]jauge.Format{}
	for i, tc := range []struct {
		p    mastofake.Post
		want jauge.Format
	}{
		{mastofake.Post{}, jauge.FormatText},
		{mastofake.Post{Card: true}, jauge.FormatLink},
		{mastofake.Post{Media: []string{"image"}, Card: true}, jauge.FormatImage},
		{mastofake.Post{Media: []string{"video"}}, jauge.FormatVideo},
		{mastofake.Post{Media: []string{"gifv"}}, jauge.FormatVideo},
		{mastofake.Post{Media: []string{"audio"}}, jauge.FormatOther},
		{mastofake.Post{Media: []string{"unknown"}}, jauge.FormatOther},
		{mastofake.Post{Media: []string{"image", "video"}}, jauge.FormatCarousel},
		{mastofake.Post{Poll: true}, jauge.FormatPoll},
		{mastofake.Post{Quote: true, Media: []string{"image"}}, jauge.FormatQuote},
		{mastofake.Post{ReplyTo: "1", Quote: true, Poll: true}, jauge.FormatReply},
	} {
		tc.p.At = noon.Add(time.Duration(i) * time.Minute)
		want[b.server.Publish("brand", tc.p)] = tc.want
	}
	got := map[string]jauge.Format{}
	for id, o := range b.refresh(b.target("@brand@mastodon.example")).posts {
		got[id] = o.Post.Format
		if o.Post.Reply != (o.Post.Format == jauge.FormatReply) {
			t.Errorf("%s: reply %v, format %s", id, o.Post.Reply, o.Post.Format)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("formats (-want +got):\n%s", diff)
	}
}

// Boosts bear somebody else's counters, and posts for few are not public figures.
func TestOnlyOwnPublicPosts(t *testing.T) {
	for name, cfg := range map[string]mastofake.Config{"excluded": {}, "not excluded": {KeepReblogs: true}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, cfg)
			b.server.AddAccount("brand", 1, 1)
			own := b.server.Publish("brand", mastofake.Post{At: noon, Text: "<p>own</p>", Counts: mastofake.Counts{Favourites: 4}})
			quiet := b.server.Publish("brand", mastofake.Post{At: noon.Add(time.Hour), Visibility: "unlisted"})
			b.server.Publish("brand", mastofake.Post{At: noon.Add(2 * time.Hour), Visibility: "private"})
			b.server.Publish("brand", mastofake.Post{At: noon.Add(3 * time.Hour), Visibility: "direct"})
			for i := range 90 {
				b.server.Publish("brand", mastofake.Post{At: noon.Add(time.Duration(4+i) * time.Hour), Reblog: true})
			}
			out := b.refresh(b.target("@brand@mastodon.example"))
			if len(out.posts) != 2 || out.posts[quiet].ID == "" || !out.results[0].Complete {
				t.Errorf("posts %v, complete %v", out.posts, out.results[0].Complete)
			}
			if v, _ := value(out.posts[own], "favourites_count"); v != 4 {
				t.Errorf("own post has %v likes", v)
			}
		})
	}
}

func TestQuotesByVersion(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  mastofake.Config
		want bool
	}{
		"4.5": {mastofake.Config{}, true}, "4.4": {mastofake.Config{Minor: 4}, false},
		"null is absent": {mastofake.Config{NullQuotes: true}, false},
	} {
		b := newBench(t, tc.cfg)
		b.server.AddAccount("brand", 1, 1)
		id := b.posts("brand", 1)[0].ID
		o := b.refresh(b.target("@brand@mastodon.example")).posts[id]
		if v, ok := value(o, "quotes_count"); ok != tc.want || v != 0 {
			t.Errorf("%s: quotes %v, %v", name, v, ok)
		}
		if v, ok := value(o, "reblogs_count"); !ok || v != 0 {
			t.Errorf("%s: a zero that was given is missing", name)
		}
	}
}

// A listing stops where the previous complete reading began; one that stops at an equal instant would miss a twin.
func TestListingPassesNewest(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	refs := b.posts("brand", 200)
	twin := b.server.Publish("brand", mastofake.Post{At: refs[79].PublishedAt})
	tg := b.target("@brand@mastodon.example")
	tg.Newest = refs[79].PublishedAt
	b.server.Calls()
	out := b.refresh(tg)
	if n := b.server.Calls()["list"]; n != 3 || out.posts[twin].ID == "" || !out.results[0].Complete {
		t.Errorf("%d pages, twin %v, result %+v", n, out.posts[twin], out.results[0])
	}
	tg.Newest, tg.Until = time.Time{}, refs[99].PublishedAt
	out = b.refresh(tg)
	if n := b.server.Calls()["list"]; n != 3 || len(out.posts) != 101 || !out.results[0].Complete {
		t.Errorf("to the depth: %d pages, %d posts, result %+v", n, len(out.posts), out.results[0])
	}
}

func TestDeletedIsProven(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	b.server.AddAccount("rival", 1, 1)
	refs, others := b.posts("brand", 200), b.posts("rival", 60)
	tg, other := b.target("@brand@mastodon.example"), b.target("@rival@mastodon.example")
	tg.Newest, other.Newest = afterAll, afterAll
	tg.Due, other.Due = append(refs[5:6:6], sparse(refs)...), sparse(others)
	b.server.Delete(refs[5].ID)  // the listing passes its place
	b.server.Delete(refs[99].ID) // a batch leaves it out
	b.server.Calls()
	out := b.refresh(tg, other)
	if !out.results[0].Complete || !out.results[1].Complete {
		t.Fatalf("results %+v", out.results)
	}
	for _, i := range []int{5, 99} {
		if o := out.posts[refs[i].ID]; o.PostState != jauge.PostDeleted || o.Values != nil || o.Post != nil {
			t.Errorf("post %d: %+v", i, o)
		}
	}
	for _, i := range []int{49, 149, 199} {
		if o := out.posts[refs[i].ID]; o.PostState != jauge.PostLive || len(o.Values) != 4 {
			t.Errorf("post %d: %+v", i, o)
		}
	}
	want := map[string]int{"account": 3, "list": 2, "batch": 1, "status": 2}
	if diff := cmp.Diff(want, b.server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// An account that is suspended while its posts are read hides them all: nothing is deleted.
func TestSuspendedInTheMiddle(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	refs := b.posts("brand", 200)
	tg := b.target("@brand@mastodon.example")
	tg.Newest, tg.Due = afterAll, sparse(refs)
	b.server.Inject(mastofake.Fault{Path: "/api/v1/statuses", Status: 404}) // batches and single reads alike
	b.server.Inject(mastofake.Fault{Path: "/accounts/109", Skip: 2, Status: 410})
	out := b.refresh(tg)
	if r := out.results[0]; r.Complete || r.Err == nil {
		t.Errorf("result %+v, want an error", r)
	}
	for id, o := range out.posts {
		if o.PostState != jauge.PostLive {
			t.Errorf("post %s is called %s", id, o.PostState)
		}
	}
}

func TestMissingIsBounded(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	refs := b.posts("brand", 60)
	tg := b.target("@brand@mastodon.example")
	tg.Due = refs
	for _, r := range refs {
		b.server.Delete(r.ID)
	}
	b.server.Calls()
	out := b.refresh(tg)
	r := out.results[0]
	if n := b.server.Calls()["status"]; n != 50 || len(out.posts) != 50 || r.Complete || jauge.ReasonOf(r.Err) != jauge.ReasonQuota {
		t.Errorf("%d single reads, %d posts, result %+v", n, len(out.posts), r)
	}
	tg.Due = refs[50:]
	if r := b.refresh(tg).results[0]; !r.Complete {
		t.Errorf("second run: %+v", r)
	}
}

func TestServerWithoutBatches(t *testing.T) {
	b := newBench(t, mastofake.Config{Minor: 2})
	b.server.AddAccount("brand", 1, 1)
	refs := b.posts("brand", 400)
	tg := b.target("@brand@mastodon.example")
	tg.Newest = afterAll
	tg.Due = append(refs[45:55:55], refs[399]) // ten close together, one far off
	b.server.Delete(refs[399].ID)
	b.server.Calls()
	out := b.refresh(tg)
	if !out.results[0].Complete || out.posts[refs[399].ID].PostState != jauge.PostDeleted {
		t.Errorf("result %+v, far post %+v", out.results[0], out.posts[refs[399].ID])
	}
	want := map[string]int{"account": 2, "list": 2, "batch": 1, "status": 1}
	if diff := cmp.Diff(want, b.server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestUnreadableDate(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	b.posts("brand", 2)
	known := b.server.Publish("brand", mastofake.Post{At: noon.Add(time.Hour), CreatedAt: "yesterday", Counts: mastofake.Counts{Favourites: 9}})
	tg := b.target("@brand@mastodon.example")
	out := b.refresh(tg)
	if r := out.results[0]; r.Complete || jauge.ReasonOf(r.Err) != jauge.ReasonDecode || len(out.posts) != 2 {
		t.Errorf("new post: %+v, %d posts", r, len(out.posts))
	}
	tg.Due = []collectors.PostRef{{ID: known, PublishedAt: noon.Add(time.Hour)}}
	out = b.refresh(tg)
	if o := out.posts[known]; !out.results[0].Complete || o.Post == nil || !o.Post.PublishedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("known post: %+v, %+v", out.results[0], o)
	}
}

func TestBackfillStopsAtDepth(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	refs := b.posts("brand", 300)
	tg := b.target("@brand@mastodon.example")
	tg.Until, tg.Pages = refs[99].PublishedAt, 2
	first := b.collect(collectors.TaskBackfill, tg)
	if r := first.results[0]; r.Done || r.Cursor == "" || r.Err != nil || len(first.posts) != 80 || len(first.account) != 0 {
		t.Fatalf("first call: %+v, %d posts", r, len(first.posts))
	}
	tg.Cursor = first.results[0].Cursor
	second := b.collect(collectors.TaskBackfill, tg)
	if r := second.results[0]; !r.Done || r.Complete || len(second.posts) != 20 {
		t.Errorf("second call: %+v, %d posts", r, len(second.posts))
	}
}

// A failure leaves the cursor where the next call can go on.
func TestBackfillKeepsItsPlace(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	b.posts("brand", 100)
	tg := b.target("@brand@mastodon.example")
	b.server.Inject(mastofake.Fault{Path: "/statuses", Skip: 1, Times: 1, Kind: mastofake.Truncated})
	first := b.collect(collectors.TaskBackfill, tg)
	tg.Cursor = first.results[0].Cursor
	second := b.collect(collectors.TaskBackfill, tg)
	if first.results[0].Err == nil || len(first.posts) != 40 || !second.results[0].Done || len(second.posts) != 60 {
		t.Errorf("first %+v with %d posts, second %+v with %d", first.results[0], len(first.posts), second.results[0], len(second.posts))
	}
}

func TestNextPageStaysAtHome(t *testing.T) {
	for name, cfg := range map[string]mastofake.Config{
		"another host": {LinkRoot: "https://evil.example"},
		"no cursor":    {LinkRoot: "https://mastodon.example/x#"},
	} {
		b := newBench(t, cfg)
		b.server.AddAccount("brand", 1, 1)
		b.posts("brand", 100)
		out := b.refresh(b.target("@brand@mastodon.example"))
		if r := out.results[0]; r.Complete || jauge.ReasonOf(r.Err) != jauge.ReasonDecode {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestPermalinkIsWeb(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	id := b.server.Publish("brand", mastofake.Post{At: noon, Language: "fr", Text: `<p>L&#39;été <a href="x">ici</a></p><p>la suite</p>`})
	p := b.refresh(b.target("@brand@mastodon.example")).posts[id].Post
	want := &jauge.Post{
		PublishedAt: noon, Format: jauge.FormatText, Language: "fr",
		Permalink: "https://mastodon.example/@brand/" + id, Excerpt: "L'été ici la suite",
	}
	if diff := cmp.Diff(want, p); diff != "" || strings.Contains(p.Excerpt, "<") {
		t.Errorf("post (-want +got):\n%s", diff)
	}
}
